"""The page reads the files that `numpy.savez` writes, and NumPy those of the page."""

import base64
import io
import re
import struct
import zipfile

import numpy as np
import pytest
from browsing import Visit
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from playwright.sync_api import Error

from mnist_helpers.data import MOST_BYTES

READ = """async ([text, most, wanted]) => {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const found = await npz.readNpz(bytes, most, wanted);
    const written = npz.writeNpz(Object.fromEntries(Object.entries(found).filter(([, { dtype }]) => dtype !== "U")));
    return [btoa(Array.from(written, (byte) => String.fromCharCode(byte)).join("")),
        Object.entries(found).map(([name, { dtype, shape, values }]) => [name, dtype, shape, dtype === "U" && values])];
}"""
NUMBERS = [np.dtype(name) for name in ["?", "u1", "i1", "<u2", "<i2", "<u4", "<i4", "<u8", "<i8", "<f2", "<f4", "<f8"]]
HELD = {"b1": np.uint8, "f2": np.float32, "i8": np.float64, "u8": np.float64}  # where the page holds another type


@pytest.fixture(scope="module")
def reading(browser, lab_address):
    """A function of a file's bytes: what the page finds in it, and the numbers as NumPy reads what the page writes."""
    visit = Visit(browser, lab_address)
    page = visit.open(f"{lab_address}blank.html")
    page.evaluate("(base) => import(`${base}lab/npz.js`).then((found) => { window.npz = found; })", lab_address)

    def read(content, wanted=None):
        written, found = page.evaluate(READ, [base64.b64encode(content).decode(), MOST_BYTES, wanted])
        read.written = io.BytesIO(base64.b64decode(written))
        with np.load(read.written, allow_pickle=False) as arrays:
            return found, dict(arrays)

    read.page = page
    yield read
    assert visit.faults == []
    page.context.close()


def saved(save=np.savez, /, **arrays):
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


@settings(max_examples=80)
@given(
    st.dictionaries(
        st.text("abc_ä0", min_size=1, max_size=6),
        st.sampled_from(NUMBERS).flatmap(lambda dtype: npst.arrays(dtype, npst.array_shapes(min_dims=0, min_side=0))),
        max_size=3,
    ),
    st.sampled_from([np.savez, np.savez_compressed]),
)
def test_numbers_come_through_both_ways(reading, arrays, save):
    found, back = reading(saved(save, **arrays))
    assert {name: (dtype, shape) for name, dtype, shape, _ in found} == {
        name: (array.dtype.str[1:], list(array.shape)) for name, array in arrays.items()
    }
    for name, array in arrays.items():
        held = HELD.get(array.dtype.str[1:], array.dtype)
        np.testing.assert_array_equal(back[name], array.astype(held))
        assert back[name].dtype == held
        with zipfile.ZipFile(reading.written) as archive:  # with the byte order said, whatever that of a reader
            assert f"'descr': '{back[name].dtype.str}'".encode() in archive.read(f"{name}.npy")


@settings(max_examples=30)
@given(npst.arrays("<U6", npst.array_shapes(max_dims=2)))
def test_texts_are_read(reading, texts):
    ((_, dtype, shape, values),) = reading(saved(texts=texts))[0]
    assert (dtype, shape) == ("U", list(texts.shape))
    assert values == texts.ravel().tolist()


@pytest.mark.parametrize("text", ["", "x", "naïve 7 \N{OLD ITALIC LETTER A}"])
def test_a_text_is_written(reading, text):
    arrays = "{ about: text, one: { shape: [], values: new Uint8Array(1) } }"
    script = f"(text) => btoa(String.fromCharCode(...npz.writeNpz({arrays})))"
    with np.load(io.BytesIO(base64.b64decode(reading.page.evaluate(script, text))), allow_pickle=False) as arrays:
        assert arrays["about"].shape == () and arrays["about"] == text and arrays["one"] == 0


def test_what_a_zip_program_may_add_is_passed_over(reading):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.comment = b"of the archive"
        for name in "xy":
            about = zipfile.ZipInfo(f"{name}.npy")
            about.comment, about.extra = b"of a file", struct.pack("<HH3s", 0x6375, 3, b"own")
            archive.writestr(about, npy(np.arange(5)))
    back = reading(file.getvalue())[1]
    assert back["x"].tolist() == back["y"].tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version_of_npy_is_read(reading, version):
    file, array = io.BytesIO(), np.arange(12.0).reshape(3, 4)
    with zipfile.ZipFile(file, "w") as archive, archive.open("x.npy", "w", force_zip64=True) as entry:
        np.lib.format.write_array(entry, array, version=version)
    np.testing.assert_array_equal(reading(file.getvalue())[1]["x"], array)


def test_an_archive_in_the_format_of_the_very_large_is_read(reading, monkeypatch):
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 100)
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)
    arrays = {"x": np.arange(99.0), "y": np.arange(3, dtype=np.uint8)}
    content = saved(**arrays)
    assert b"PK\x06\x07" in content
    back = reading(content)[1]
    for name, array in arrays.items():
        np.testing.assert_array_equal(back[name], array)


def test_what_is_not_wanted_is_not_unpacked(reading):
    content = bytearray(saved(broken=np.zeros(50), whole=np.ones(3)))
    content[content.index(b"\x93NUMPY") + 200] ^= 1
    assert list(reading(bytes(content), ["whole"])[1]) == ["whole"]
    with pytest.raises(Error, match=r"The array broken of this file is damaged\. Write or fetch the file again\."):
        reading(bytes(content))


def test_arrays_may_take_as_many_bytes_as_are_allowed_and_no_more(reading):
    content = saved(x=np.zeros(100, np.uint8), y=np.zeros(10))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        most = sum(entry.file_size for entry in archive.infolist())
    script = """([text, most]) => npz.readNpz(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)), most)
        .then(Object.keys)"""
    text = base64.b64encode(content).decode()
    assert reading.page.evaluate(script, [text, most]) == ["x", "y"]
    with pytest.raises(Error, match=r"take more than .* GB unpacked; expected fewer or smaller ones\."):
        reading.page.evaluate(script, [text, most - 1])


WHOLE = saved(np.savez_compressed, x=np.arange(300) % 7)
EXPECTED = r"Expected what numpy\.savez or numpy\.savez_compressed writes\."


def enlarged(content):
    """Say in the archive's list that the array takes three gigabytes."""
    place = content.index(b"PK\x01\x02") + 24
    return content[:place] + struct.pack("<I", 3_000_000_000) + content[place + 4 :]


def misplaced(content, place):
    """Say in the archive's list that the array begins elsewhere."""
    start = content.index(b"PK\x01\x02") + 42
    return content[:start] + struct.pack("<I", place) + content[start + 4 :]


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def zipped(content, method=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("x.npy", content)
    return file.getvalue()


def headed(header):
    """An array that has nothing but a header."""
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()


NO_ARRAY = rf"The array x of this file is no \.npy file that is understood here\. {EXPECTED}"
NO_ARRAYS = (
    b"{}",
    npy(np.arange(3))[:-1],
    npy(np.arange(3)) + b"\0",
    npy(np.arange(3)).replace(b"\x93NUMPY\x01", b"\x93NUMPY\x04"),
    *(npy(np.arange(3)).replace(name, b" " * len(name)) for name in (b"'fortran_order'", b"'descr'", b"'shape'")),
    npy(np.array("a")).replace(b"a\0\0\0", b"\0\0\x11\0"),  # no letter has this number
    headed("{'descr': '|\n1', 'fortran_order': False, 'shape': ()}"),
)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", rf"This is no whole \.npz file\. {EXPECTED}"),
        (bytes(1000), rf"This is no whole \.npz file\. {EXPECTED}"),
        (WHOLE[:-30], rf"This is no whole \.npz file\. {EXPECTED}"),
        (WHOLE[300:], rf"This is no whole \.npz file\. {EXPECTED}|The array x of this file is damaged\."),
        (enlarged(WHOLE), r"take more than 1 GB unpacked; expected fewer or smaller ones\."),
        (misplaced(WHOLE, len(WHOLE) - 5), r"The array x of this file is damaged\."),
        (misplaced(WHOLE, 1), r"The array x of this file is damaged\."),
        (zipped(b"x", zipfile.ZIP_LZMA), rf"The array x is packed in a way that is not understood here\. {EXPECTED}"),
        *((zipped(content), NO_ARRAY) for content in NO_ARRAYS),
        (saved(x=np.ones((3, 4), order="F")), r"The array x is stored column by column; expected row by row\."),
        (saved(x=np.array([1, "a"], object)), r"The array x is of the type '\|O'; expected little-endian numbers"),
        (saved(x=np.zeros(3, ">f4")), r"The array x is of the type '>f4'; expected little-endian numbers"),
        (zipped(headed("{'descr': '<U0', 'fortran_order': False, 'shape': (4294967295,)}")), r"of the type '<U0'"),
        (saved(x=np.zeros(3, "i4,f8")), r"The array x is of the type of records; expected little-endian numbers"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else value[:40],
)  # fmt: skip
def test_a_file_that_cannot_be_read_gives_a_sentence(reading, content, sentence):
    with pytest.raises(Error, match=sentence):
        reading(content)


@settings(max_examples=100)
@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_a_changed_byte_changes_no_number(reading, place, change):
    content = bytearray(WHOLE)
    content[place] ^= change
    try:
        back = reading(bytes(content))[1]
    except Error as error:
        assert re.search("[Ee]xpected|Write or fetch the file again", error.message)
        return
    for array in back.values():
        np.testing.assert_array_equal(array.ravel()[:300], np.arange(300) % 7)
