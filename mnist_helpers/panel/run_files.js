// Taking a run home as a file, and bringing one back; what is in it stands in mnist_helpers/network_file.py.

import { freshId, h } from "./elements.js";
import { titleOf } from "./session.js";

const MOST_BYTES = 200e6;

export async function saveRun(session, number) {
  const trial = session.numbered(number);
  const file = await session.ask("file", trial, { seed: trial.seed, history: trial.history });
  const bytes = Uint8Array.from(atob(file), (letter) => letter.charCodeAt(0));
  const address = URL.createObjectURL(new Blob([bytes], { type: "application/zip" }));
  const download = `${titleOf(trial).replace(/[^\p{L}\p{N}]+/gu, "_")}.npz`;
  h("a", { href: address, download }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
  session.message = `${titleOf(trial)} was saved as ${download}. In Python, read_network of mnist_helpers.network_file reads it.`;
  session.tell();
}

export function openRun(session) {
  h("input", { type: "file", accept: ".npz", onchange: ({ target }) => takeIn(session, target.files[0]) }).click();
}

async function takeIn(session, file) {
  try {
    if (file.size > MOST_BYTES) throw new Error("This file is too large for a run; expected at most 200 MB.");
    const id = freshId();
    const known = await session.ask("open", null, { id, file: await base64(file) });
    const trial = session.add({ ...known, id, name: file.name.replace(/\.npz$/i, "").slice(0, 40) });
    session.message = `${titleOf(trial)} is here, as it was saved.`;
  } catch (error) {
    session.message = `${file.name}: ${error.message}`;
  }
  session.tell();
}

function base64(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.split(",")[1] ?? "");
    reader.onerror = () => reject(new Error("This file could not be read. Choose it again."));
    reader.readAsDataURL(file);
  });
}
