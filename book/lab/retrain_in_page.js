// A retrain panel of the page: its session computes in the page's worker, its setting stands in the address, and Keras's
// result beside its curves.

import { showBand, showFirstBand } from "./keras_band.js";
import { h, say } from "./panel/elements.js";
import { retrainView } from "./panel/retrain_view.js";
import { megabytes, Session } from "./panel/session.js";
import { fromAddress, toAddress } from "./setting_in_address.js";
import { engine } from "./worker_engine.js";

// A session in the page's worker, with the recipe and the seed of an element.
export function sessionOf(element, setup, start = setup.article) {
  const base = { ...start, ...JSON.parse(element.getAttribute("recipe") ?? "{}") };
  return new Session(setup, base, Number(element.getAttribute("seed") ?? 0), engine);
}

const namesOf = (element, setup) => element.getAttribute("controls")?.split(" ") ?? setup.controls.map(({ name }) => name);
const placeOf = (element) => [...document.querySelectorAll('mnist-lab[view="retrain"]')].indexOf(element) + 1;

// The one that the address wants: with ?start=CRACK_99 it begins with that recipe instead of the article's.
export function sessionInAddress(element, setup) {
  const start = new URLSearchParams(location.search).get("start");
  const session = sessionOf(element, setup, Object.hasOwn(setup.starts, start) ? setup.starts[start] : undefined);
  Object.assign(session.settings, fromAddress(placeOf(element), session, namesOf(element, setup)));
  return session;
}

export function retrain(element, setup, onWish) {
  const mnist = sessionInAddress(element, setup), names = namesOf(element, setup), place = placeOf(element);
  const holder = document.createElement("div");
  const compact = element.hasAttribute("compact"); // without the notes on its images
  const panel = { element, holder, mnist, follow, show, ownNote: ownNote((files) => bring(files, panel)) };
  let leave = () => {};

  function follow(session) {
    session.listen((what) => {
      if (what === "live" || session !== element.session) return;
      toAddress(place, session);
      if (session === mnist) showBand(session);
    });
  }

  function show(session) {
    leave();
    element.session = session;
    const view = retrainView(session, names, () => import("./panel/gradients_chart.js"));
    leave = view.leave;
    view.node.classList.toggle("compact", compact);
    view.node.append(imagesNote(session, () => show(session)), panel.ownNote);
    holder.replaceChildren(view.node);
  }

  showFirstBand(mnist);
  follow(mnist);
  show(mnist);
  if (!compact) holder.ondragover = holder.ondrop = (event) => dropped(event, panel);
  onWish(element, () => {
    mnist.prepare();
    showBand(mnist);
  });
  return holder;
}

// ---------------------------------------------------------------- images of the reader's own

const ownNote = (take) =>
  h("p", { class: "help images-note" },
    h("label", {}, "Train on images of your own: ", h("input", { type: "file", multiple: true, onchange: ({ target }) => take([...target.files]) })),
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

// What is different here from Keras, and a way to be rid of a part of it.
function imagesNote(session, rebuild) {
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
      rebuild();
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
