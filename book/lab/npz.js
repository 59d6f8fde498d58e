// Arrays in files as numpy.savez writes them: a ZIP archive with an .npy file for each. What cannot be read gives an
// Error with one sentence for the reader.

const FROM_NUMPY = "Expected what numpy.savez or numpy.savez_compressed writes.";

// What holds the values of each of NumPy's types, whose names here leave out the byte order.
const HOLDERS = {
  b1: Uint8Array, u1: Uint8Array, i1: Int8Array, u2: Uint16Array, i2: Int16Array, u4: Uint32Array, i4: Int32Array,
  u8: BigUint64Array, i8: BigInt64Array, f2: Uint16Array, f4: Float32Array, f8: Float64Array,
};

// The arrays of a file's bytes, by name: {dtype, shape, values}. The values are a typed array, row by row: of "b1"
// zeros and ones, of "i8" and "u8" a Float64Array, of "f2" a Float32Array; of a text ("U") they are strings. They may
// take `most` bytes, so that no small file fills the memory; where `wanted` is given, only these names are unpacked.
export async function readNpz(bytes, most, wanted = null) {
  const arrays = [];
  let room = most;
  for (const entry of directory(bytes)) {
    const name = entry.name.replace(/\.npy$/, "");
    if (wanted && !wanted.includes(name)) continue;
    room -= entry.size;
    if (room < 0) throw new Error(`The arrays of this file take more than ${most / 2 ** 30} GB unpacked; expected fewer or smaller ones.`);
    arrays.push([name, readNpy(await unpacked(bytes, entry, name), name)]);
  }
  return Object.fromEntries(arrays);
}

// ---------------------------------------------------------------- ZIP, little-endian throughout

const view = (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

// What the archive's own list of its files says: {name, method, crc, packed, size, place} of each.
function directory(bytes) {
  const data = view(bytes);
  const trouble = new Error(`This is no whole .npz file. ${FROM_NUMPY}`);
  // The last record of the archive; only a comment may follow it.
  let end = bytes.length - 22;
  while (end >= 0 && end > bytes.length - 22 - 65_536 && data.getUint32(end, true) !== 0x06054b50) end--;
  if (end < 0 || data.getUint32(end, true) !== 0x06054b50) throw trouble;
  try {
    let number = data.getUint16(end + 10, true), place = data.getUint32(end + 16, true);
    if (end >= 20 && data.getUint32(end - 20, true) === 0x07064b50) {
      const large = long(data, end - 12);
      [number, place] = [long(data, large + 32), long(data, large + 48)];
    }
    const entries = [];
    while (entries.length < number) {
      if (data.getUint32(place, true) !== 0x02014b50) throw trouble;
      const [nameLength, extraLength, commentLength] = [28, 30, 32].map((at) => data.getUint16(place + at, true));
      const entry = {
        name: new TextDecoder().decode(bytes.subarray(place + 46, place + 46 + nameLength)),
        encrypted: data.getUint16(place + 8, true) & 1,
        method: data.getUint16(place + 10, true),
        crc: data.getUint32(place + 16, true),
        packed: data.getUint32(place + 20, true),
        size: data.getUint32(place + 24, true),
        place: data.getUint32(place + 42, true),
      };
      takeLarge(entry, data, place + 46 + nameLength, extraLength);
      entries.push(entry);
      place += 46 + nameLength + extraLength + commentLength;
    }
    return entries;
  } catch {
    throw trouble; // it leads beyond its end
  }
}

const long = (data, place) => Number(data.getBigUint64(place, true));

// Numbers that do not fit into 32 bits stand in a field of their own.
function takeLarge(entry, data, start, length) {
  for (let at = start; at + 4 <= start + length; at += 4 + data.getUint16(at + 2, true)) {
    if (data.getUint16(at, true) !== 1) continue;
    let next = at + 4;
    for (const name of ["size", "packed", "place"])
      if (entry[name] === 0xffffffff) {
        entry[name] = long(data, next);
        next += 8;
      }
  }
}

async function unpacked(bytes, { encrypted, method, crc, packed, size, place }, name) {
  if (encrypted || ![0, 8].includes(method)) throw new Error(`The array ${name} is packed in a way that is not understood here. ${FROM_NUMPY}`);
  const damaged = new Error(`The array ${name} of this file is damaged. Write or fetch the file again.`);
  const data = view(bytes);
  if (place + 30 > bytes.length || data.getUint32(place, true) !== 0x04034b50) throw damaged;
  const start = place + 30 + data.getUint16(place + 26, true) + data.getUint16(place + 28, true);
  if (start + packed > bytes.length) throw damaged;
  const content = bytes.subarray(start, start + packed);
  const found = method ? await inflated(content, size).catch(() => null) : content;
  if (found?.length !== size || crc32(found) !== crc) throw damaged;
  return found;
}

// Null if it is longer than it says.
async function inflated(content, size) {
  const reader = new Blob([content]).stream().pipeThrough(new DecompressionStream("deflate-raw")).getReader();
  const result = new Uint8Array(size);
  let place = 0;
  for (let piece; !(piece = await reader.read()).done; place += piece.value.length) {
    if (place + piece.value.length > size) return reader.cancel(), null;
    result.set(piece.value, place);
  }
  return result.subarray(0, place);
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, value) => {
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

function crc32(bytes) {
  let crc = -1;
  for (let i = 0; i < bytes.length; i++) crc = CRC_TABLE[(crc ^ bytes[i]) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}

// ---------------------------------------------------------------- NPY

function readNpy(bytes, name) {
  const trouble = new Error(`The array ${name} of this file is no .npy file that is understood here. ${FROM_NUMPY}`);
  const [major] = bytes.subarray(6, 7);
  if (bytes.length < 12 || String.fromCharCode(...bytes.subarray(0, 6)) !== "\x93NUMPY" || ![1, 2, 3].includes(major)) throw trouble;
  const data = view(bytes), start = major === 1 ? 10 : 12;
  const end = start + (major === 1 ? data.getUint16(8, true) : data.getUint32(8, true));
  const header = new TextDecoder().decode(bytes.subarray(start, end));
  const shapeText = header.match(/'shape':\s*\(([\d\sL,]*)\)/)?.[1];
  const order = header.match(/'fortran_order':\s*(True|False)/)?.[1];
  const descr = header.match(/'descr':\s*('[ -&(-~]*'|\[)/)?.[1];
  if (end > bytes.length || shapeText === undefined || !order || !descr) throw trouble;
  const shape = (shapeText.match(/\d+/g) ?? []).map(Number);
  const number = shape.reduce((product, length) => product * length, 1);
  if (order === "True" && shape.length > 1)
    throw new Error(`The array ${name} is stored column by column; expected row by row. Apply numpy.ascontiguousarray to it before it is saved.`);
  const [, byteOrder, dtype, letters] = descr.match(/^'([<>|=])(U(\d+)|[a-zA-Z]\d+)'$/) ?? [];
  const size = letters === undefined ? HOLDERS[dtype]?.BYTES_PER_ELEMENT : 4 * letters;
  if (!size || (byteOrder === ">" && size > 1))
    throw new Error(`The array ${name} is of the type ${descr === "[" ? "of records" : descr}; expected little-endian numbers, truth values or texts.`);
  const content = bytes.slice(end); // a copy begins where numbers of any size may
  if (content.length !== number * size) throw trouble;
  if (letters !== undefined) return { dtype: "U", shape, values: texts(content, number, Number(letters), trouble) };
  return { dtype, shape, values: numbers(new HOLDERS[dtype](content.buffer), dtype) };
}

function numbers(held, dtype) {
  if (dtype === "f2") return Float32Array.from(held, half);
  return held instanceof BigInt64Array || held instanceof BigUint64Array ? Float64Array.from(held, Number) : held;
}

function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24);
}

// Texts of one length in UTF-32, filled up with zeros.
function texts(content, number, length, trouble) {
  const codes = new Uint32Array(content.buffer);
  if (codes.some((code) => code > 0x10ffff)) throw trouble;
  return Array.from({ length: number }, (_, i) => {
    const own = codes.subarray(i * length, (i + 1) * length);
    return Array.from(own, (code) => String.fromCodePoint(code)).join("").replace(/\0+$/, "");
  });
}

// ---------------------------------------------------------------- writing

// The bytes of a file of these arrays, by name: {shape, values} with the values in a typed array, or a text.
export function writeNpz(arrays) {
  const files = [], list = [];
  let place = 0;
  for (const [name, array] of Object.entries(arrays)) {
    const content = typeof array === "string" ? npyOfText(array) : npy(typeOf(array.values), array.shape, array.values);
    const file = new TextEncoder().encode(`${name}.npy`);
    // Version, flags (the name is UTF-8), method, time and date (the first that there is), check, sizes, length of the name.
    const about = [20, 0x800, 0, 0, 0x21, [crc32(content), 4], [content.length, 4], [content.length, 4], file.length, 0];
    const local = record(0x04034b50, about);
    list.push(record(0x02014b50, [20, ...about, 0, 0, 0, [0, 4], [place, 4]]), file);
    files.push(local, file, content);
    place += local.length + file.length + content.length;
  }
  const number = list.length / 2, length = list.reduce((sum, part) => sum + part.length, 0);
  return joined([...files, ...list, record(0x06054b50, [0, 0, number, number, [length, 4], [place, 4], 0])]);
}

// A signature and numbers of two bytes, or as many as stand with them.
function record(signature, values) {
  const sized = [[signature, 4], ...values].map((value) => (Array.isArray(value) ? value : [value]));
  const bytes = new Uint8Array(sized.reduce((sum, [, size = 2]) => sum + size, 0)), data = view(bytes);
  let place = 0;
  for (const [value, size = 2] of sized) {
    if (size === 2) data.setUint16(place, value, true);
    else data.setUint32(place, value, true);
    place += size;
  }
  return bytes;
}

function joined(parts) {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let place = 0;
  for (const part of parts) {
    bytes.set(part, place);
    place += part.length;
  }
  return bytes;
}

function typeOf(values) {
  const [dtype] = Object.entries(HOLDERS).find(([name, holder]) => name !== "b1" && values.constructor === holder);
  return values.BYTES_PER_ELEMENT === 1 ? `|${dtype}` : `<${dtype}`;
}

function npyOfText(text) {
  const codes = Uint32Array.from(text || "\0", (letter) => letter.codePointAt(0));
  return npy(`<U${codes.length}`, [], codes);
}

function npy(descr, shape, values) {
  const lengths = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const header = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${lengths}), }`;
  const length = Math.ceil((10 + header.length + 1) / 64) * 64 - 10;
  const head = new TextEncoder().encode(`\0NUMPY\x01\0\0\0${header.padEnd(length - 1)}\n`);
  head[0] = 0x93;
  view(head).setUint16(8, length, true);
  return joined([head, new Uint8Array(values.buffer, values.byteOffset, values.byteLength)]);
}
