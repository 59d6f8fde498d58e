// A retrain panel of the page: its session computes in the page's worker, its setting stands in the address, and Keras's
// result beside its curves.

import { showBand, showFirstBand } from "./keras_band.js";
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
  const session = sessionInAddress(element, setup), names = namesOf(element, setup), place = placeOf(element);
  showFirstBand(session);
  element.session = session;
  session.listen((what) => {
    if (what === "live") return;
    toAddress(place, session);
    showBand(session);
  });
  const holder = document.createElement("div");
  let leave = () => {};
  function build() {
    leave();
    const view = retrainView(session, names, () => import("./panel/gradients_chart.js"));
    leave = view.leave;
    view.node.classList.toggle("compact", element.hasAttribute("compact"));
    view.node.append(imagesNote(session, build));
    holder.replaceChildren(view.node);
  }
  build();
  onWish(element, () => {
    session.prepare();
    showBand(session);
  });
  return holder;
}

// What is different here from Keras, and a way to be rid of a part of it.
function imagesNote(session, rebuild) {
  const note = document.createElement("p");
  note.className = "help images-note";
  const few = session.images === session.setup.collections[0];
  const [training, validation] = [session.images.training, session.images.validation].map((number) => number.toLocaleString("en-GB"));
  note.textContent =
    `This trains in your browser, on ${training} of MNIST's images with ${validation} for validation. The random numbers are not those of Keras, ` +
    `so expect its result within the spread over seeds${few ? ", with fewer images" : ""}. `;
  if (!few) return note;
  const all = session.setup.collections[1];
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
