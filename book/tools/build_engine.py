"""Build the engine of the in-page lab from ``engine.c``: ``python book/tools/build_engine.py [folder]``.

The same source with the same compiler gives the same bytes on every machine; a test holds the committed files to it.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "mnist_helpers" / "engine.c"
GENERATED = ROOT / "book" / "lab" / "generated"
# What a browser must know: WebAssembly's first version and no more; 128-bit SIMD; relaxed SIMD, for multiply-add.
FEATURES = {
    "engine-plain.wasm": "mvp",
    "engine.wasm": "mvp+simd128",
    "engine-relaxed.wasm": "mvp+simd128+relaxed_simd",
}
# Loops that are worth unrolling or doing four at a time say so in the source. All of them unrolled would double the
# size; all of them four at a time would add a tenth to it, and no speed.
LOOPS = ["-O3", "-fno-unroll-loops", "-fno-vectorize"]
OPTIONS = ["-std=c11", "-Wall", "-Wextra", "-Werror", *LOOPS, "-fvisibility=hidden"]
TO_WASM = ["-target", "wasm32-freestanding", "-nostdlib", "-Wl,--no-entry", "-Wl,--export-dynamic", "-Wl,--strip-all"]
# 2 GiB, so that no place is a negative number in JavaScript.
MEMORY = ["-Wl,-z,stack-size=65536", f"-Wl,--max-memory={2**31}"]


def build(folder: Path = GENERATED, source: Path = SOURCE) -> list[Path]:
    """Compile the modules for browsers into a folder."""
    for name, features in FEATURES.items():
        _compile(source, folder / name, *TO_WASM, *MEMORY, f"-mcpu={features}").chmod(0o644)  # no program of its own
    return [folder / name for name in FEATURES]


def build_native(path: Path) -> Path:
    """Compile a shared library for this machine that computes in double precision, for the tests."""
    return _compile(SOURCE, path, "-DREAL=double", "-shared", "-fPIC")


def _compile(source: Path, path: Path, *options: str) -> Path:
    subprocess.run([sys.executable, "-m", "ziglang", "cc", *OPTIONS, *options, source, "-o", path], check=True)
    return path


if __name__ == "__main__":
    for path in build(*map(Path, sys.argv[1:2])):
        print(f"{path}: {path.stat().st_size:,} bytes")
