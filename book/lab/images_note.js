// What stands below a retrain panel of the page on the images that it trains on, with ways to others.

import { h, say } from "./panel/elements.js";
import { megabytes } from "./panel/session.js";

// The notes on a session's images, in its panel (retrain_in_page.js).
export function imagesNotes(session, panel) {
  panel.ownNote ??= ownNote(panel);
  panel.holder.ondragover = panel.holder.ondrop = (event) => dropped(event, panel);
  return [imagesNote(session, panel), panel.ownNote];
}

// What is different here from Keras, and a way to be rid of a part of it.
function imagesNote(session, { show }) {
  const { setup } = session;
  const note = document.createElement("p");
  note.className = "help images-note";
  const few = session.images === setup.collections[0] && setup.collections.length > 1;
  const [training, validation] = [session.images.training, session.images.validation].map((number) => number.toLocaleString("en-GB"));
  note.textContent =
    `This trains in your browser, on ${training} of ${setup.title ?? "MNIST"}'s images with ${validation} for validation. The random numbers are not those of Keras, ` +
    `so expect its result within the spread over seeds${few ? ", with fewer images" : ""}. `;
  if (!few) return note;
  const all = setup.collections[1];
  const load = document.createElement("button");
  load.type = "button";
  load.textContent = `Load all 60,000 images (${megabytes(all.bytes)})`;
  const status = document.createElement("span");
  status.setAttribute("role", "status");
  load.onclick = async () => {
    load.disabled = true;
    const tell = () => (status.textContent = ` ${Math.round(100 * (session.engine.loaded.get(all.address) ?? 0))}%`);
    session.engine.loading.add(tell);
    try {
      await session.loadAll();
      show(session);
    } catch (error) {
      status.textContent = ` ${error.message}`;
      load.textContent = "Try again";
      load.disabled = false;
    } finally {
      session.engine.loading.delete(tell);
    }
  };
  note.append(load, status);
  return note;
}

// ---------------------------------------------------------------- images of the reader's own

const ownNote = (panel) =>
  h("p", { class: "help images-note" },
    h("label", {}, "Train on images of your own: ", 
      h("input", {
        type: "file", multiple: true,
        onclick: ({ target }) => (target.value = ""), // so that the same file can be chosen again
        onchange: ({ target }) => bring([...target.files], panel),
      })),
    " An .npz file as Keras lays MNIST out, or the four IDX files, raw or gzipped; or drop them on this panel. They stay in your browser. ",
    h("strong", { role: "status" }),
  );

function dropped(event, panel) {
  const { types, files } = event.dataTransfer;
  if (!types.includes("Files")) return;
  event.preventDefault();
  if (event.type === "drop") bring([...files], panel);
}

async function bring(files, panel) {
  if (!files.length) return;
  const status = panel.ownNote.lastChild;
  say(status, "Your files are being read.");
  const { takeOwn } = await import("./own_images.js").catch(() => ({}));
  say(status, takeOwn ? await takeOwn(files, panel) : "What reads them could not be loaded. Try again.");
}
