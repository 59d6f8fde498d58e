// A retrain panel of the page: its session computes in the page's worker, its setting stands in the address, and Keras's
// result beside its curves.

import { showBand, showFirstBand } from "./keras_band.js";
import { retrainView } from "./panel/retrain_view.js";
import { Session } from "./panel/session.js";
import { addressNow, comparedInAddress, fromAddress, toAddress } from "./setting_in_address.js";
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
  const [place, names] = [placeOf(element), namesOf(element, setup)];
  Object.assign(session.settings, fromAddress(place, session, names));
  session.compared = comparedInAddress(place, session, names);
  session.link = addressNow;
  return session;
}

export async function retrain(element, setup, onWish) {
  const mnist = sessionInAddress(element, setup), names = namesOf(element, setup), place = placeOf(element);
  const holder = document.createElement("div");
  const compact = element.hasAttribute("compact"); // without notes
  const notes = compact ? null : await import("./images_note.js").catch(() => null);
  const kept = compact ? null : await keptNote(mnist, place);
  const panel = { element, holder, mnist, follow, show };
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
    if (notes) view.node.append(...notes.imagesNotes(session, panel));
    const trials = view.node.querySelector(".trials");
    if (kept && session === mnist) trials.append(kept);
    if (session.compared) engine.part("compare_view").then(({ showComparison }) => showComparison(session, trials), () => {});
    holder.replaceChildren(view.node);
  }

  showFirstBand(mnist);
  follow(mnist);
  show(mnist);
  onWish(element, () => {
    mnist.prepare();
    showBand(mnist);
  });
  return holder;
}

// The runs of earlier come back before the panel is seen; a panel without the note that says so keeps none.
async function keptNote(session, place) {
  const keeping = await import("./kept_runs.js").catch(() => null);
  return keeping?.keepRuns(session, place);
}
