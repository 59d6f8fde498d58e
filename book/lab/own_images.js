// Images of the reader's own in the place of MNIST's: read and checked as load_mnist does it (mnist_helpers/data.py), by
// the same rules and in the same words (data_files.json), and split alike. They never leave the browser.

import { readNpz } from "./npz.js";
import { button, say } from "./panel/elements.js";
import { Session } from "./panel/session.js";

const MEGABYTES = 200; // of a file at most; Keras's layout takes 55 unpacked
const PIXELS = 784;
const DIGITS = Array.from({ length: 10 }, (_, digit) => String(digit));

// Have a panel (retrain_in_page.js) train on what is in these files, and its network be asked by the others; MNIST's
// session stays as it is, with its runs. Gives what is to be said: nothing, or in a sentence why they are not taken.
export async function takeOwn(files, panel) {
  const number = (panel.taking = (panel.taking ?? 0) + 1); // of the last files, if others were still being read
  try {
    const session = await ownSession(files, panel.mnist, panel.element.session.settings);
    if (number !== panel.taking) return dropSession(session), "";
    if (panel.own) dropSession(panel.own);
    panel.own = session;
    panel.follow(session);
    change(panel, session);
    return "";
  } catch ({ message }) {
    return message;
  }
}

function change(panel, session) {
  const { element, holder, mnist, own, ownNote } = panel;
  const focused = holder.contains(document.activeElement);
  panel.show(session);
  session.tell();
  panel.back ??= ownNote.insertBefore(button("", () => panel.back.act()), ownNote.lastChild);
  const other = session === mnist ? own : mnist;
  say(panel.back, `Back to ${other.setup.title ?? "MNIST"}`);
  panel.back.act = () => change(panel, other);
  element.dispatchEvent(new Event("otherimages", { bubbles: true }));
  if (focused) holder.querySelector(".primary").focus();
}

async function ownSession(files, mnist, settings) {
  const { title, names, collection } = await ownImages(files);
  const setup = { ...mnist.setup, names, title, collections: [collection] };
  const session = new Session(setup, mnist.base, mnist.origin.seed, mnist.engine);
  Object.assign(session, { mnist, settings: { ...settings, training_images: session.origin.training_images } });
  await session.engine.ask({ do: "load", address: collection.address });
  const { training, validation, test } = collection;
  session.message = `${title} is here: ${written(training)} images to train on, ${written(validation)} for validation; the test set, ${written(test)} more, stays closed.`;
  return session;
}

// Others take its place.
function dropSession({ trials, running, images, engine }) {
  for (const { id } of [...trials, running].filter(Boolean)) engine.forget(id);
  engine.post({ do: "forget", address: images.address });
  URL.revokeObjectURL(images.address);
}

async function ownImages(files) {
  const [rules, order] = await Promise.all([fetched("data_files.json", "json"), fetched("split_order.bin", "arrayBuffer")]);
  const { x_train, y_train, x_test, y_test } = await arraysOf(files, rules);
  const known = rules.known_by_first_labels.find(({ first_labels }) => y_train.subarray(0, first_labels.length).join("") === first_labels);
  const isHeldOut = oneInTen(y_train, new Uint16Array(order));
  const splits = {
    training: some(x_train, y_train, (place) => !isHeldOut[place]),
    validation: some(x_train, y_train, (place) => isHeldOut[place]),
    test: [x_test, y_test],
  };
  const numbers = Object.fromEntries(Object.entries(splits).map(([name, [, labels]]) => [name, labels.length]));
  // As the book's own collections are written (write_images in book/_ext/cracking.py).
  const header = `${JSON.stringify({ version: 1, pixels: PIXELS, splits: numbers })}\n`;
  const address = URL.createObjectURL(new Blob([header, ...Object.values(splits).flat()]));
  return { title: known?.title ?? files[0].name, names: known?.class_names ?? DIGITS, collection: { address, ...numbers } };
}

async function fetched(name, kind) {
  const response = await fetch(new URL(name, import.meta.url)).catch(() => null);
  if (!response?.ok) throw new Error("What is needed to check your files could not be loaded. Check the connection and try again.");
  return response[kind]();
}

// Mark every tenth image of each class, in the order in which Python goes through them (split_order in data.py).
function oneInTen(labels, order) {
  const byClass = DIGITS.map(() => []);
  for (const place of order) byClass[labels[place]].push(place);
  const marks = new Uint8Array(labels.length);
  byClass.flat().forEach((place, i) => (marks[place] = i % 10 === 0));
  return marks;
}

function some(images, labels, wanted) {
  const places = Array.from(labels.keys()).filter(wanted);
  const chosen = new Uint8Array(PIXELS * places.length);
  places.forEach((place, i) => chosen.set(images.subarray(PIXELS * place, PIXELS * (place + 1)), PIXELS * i));
  return [chosen, Uint8Array.from(places, (place) => labels[place])];
}

// ---------------------------------------------------------------- reading and checking

// The four arrays, by name, of one .npz file or of four IDX files.
async function arraysOf(files, rules) {
  for (const { name, size } of files)
    if (size > MEGABYTES * 1e6) throw new Error(`${name}: has ${written(Math.round(size / 1e6))} MB; expected ${MEGABYTES} MB at most, so that it fits into this page's memory.`);
  const named = (name) => files.find((file) => file.name === name);
  const idxFiles = Object.entries(rules.idx_names).map(([name, idxName]) => [name, idxName, named(idxName) ?? named(`${idxName}.gz`)]);
  if (files.length === 1 && idxFiles.every(([, , file]) => !file)) return arraysOfNpz(files[0], rules);
  const arrays = {};
  for (const [name, idxName, file] of idxFiles) {
    const where = files.length === 1 ? files[0].name : `your ${files.length} files`;
    if (!file) throw trouble(rules, "no_idx", { file: where, idx_name: idxName, names: Object.values(rules.idx_names).join(", ") });
    arrays[name] = checked(await valuesOfIdx(file, name, rules), file, name, rules);
  }
  return arrays;
}

async function arraysOfNpz(file, rules) {
  const names = Object.keys(rules.shapes);
  const found = await file.arrayBuffer().then((bytes) => readNpz(new Uint8Array(bytes), rules.most_bytes, names)).catch(({ message }) => {
    throw new Error(`${file.name}: ${message}`);
  });
  return Object.fromEntries(names.map((name) => {
    if (!found[name]) throw trouble(rules, "no_array", { file: file.name, name, names: names.join(", ") });
    const { shape, dtype, values } = found[name];
    if (tuple(shape) !== tuple(rules.shapes[name]) || dtype !== "u1")
      throw trouble(rules, "other_array", { file: file.name, name, shape: tuple(shape), type: typeName(dtype) });
    return [name, checked(values, file, name, rules)];
  }));
}

async function valuesOfIdx(file, name, rules) {
  const shape = rules.shapes[name];
  const header = new Uint8Array(4 + 4 * shape.length);
  header.set([0, 0, 8, shape.length]);
  shape.forEach((length, axis) => new DataView(header.buffer).setUint32(4 + 4 * axis, length));
  const size = header.length + shape.reduce((product, length) => product * length);
  const refused = (which, values) => trouble(rules, which, { file: file.name, name, size: written(size), ...values });
  const stream = file.name.endsWith(".gz") ? file.stream().pipeThrough(new DecompressionStream("gzip")) : file.stream();
  const content = await upTo(size + 1, stream).catch(() => {
    throw refused("unreadable_idx", { why: "it is damaged or cut off" });
  });
  const start = hex(content.subarray(0, header.length));
  if (start !== hex(header)) throw refused("other_header", { bytes: start || "(none)", header: hex(header) });
  if (content.length !== size) throw refused(content.length > size ? "to_spare" : "cut_short", { length: written(content.length) });
  return content.subarray(header.length);
}

// What a stream gives, but no more bytes than that.
async function upTo(most, stream) {
  const bytes = new Uint8Array(most), reader = stream.getReader();
  let length = 0;
  for (let piece; length < most && !(piece = await reader.read()).done; length += piece.value.length)
    bytes.set(piece.value.subarray(0, most - length), length);
  reader.cancel();
  return bytes.subarray(0, length);
}

function checked(values, file, name, rules) {
  const label = name.startsWith("y_") ? values.reduce((most, value) => Math.max(most, value), 0) : 0;
  if (label >= DIGITS.length) throw trouble(rules, "other_label", { file: file.name, name, label });
  return values;
}

function trouble({ sentences, expected, shapes }, which, values) {
  const { name } = values;
  const all = { ...values, expected: name && expected[name[0]].replace("{shape}", tuple(shapes[name])) };
  return new Error(sentences[which].replace(/{(\w+)}/g, (_, key) => all[key]));
}

// As Python writes them.
const written = (number) => number.toLocaleString("en-GB");
const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
const tuple = (numbers) => `(${numbers.length === 1 ? `${numbers[0]},` : numbers.join(", ")})`;
const typeName = (dtype) => ({ U: "text", b1: "bool" })[dtype] ?? `${{ u: "uint", i: "int", f: "float" }[dtype[0]]}${8 * dtype[1]}`;
