// The panels as JupyterLab's widgets. A session lives with the widget's model, and not with one view of it; a panel that
// asks the network of a retrain panel finds that one's session by its name.

import { challengeView } from "./challenge_view.js";
import { compare } from "./compare_view.js";
import { descentView } from "./descent_view.js";
import { drawView } from "./draw_view.js";
import { Engine } from "./engine_protocol.js";
import { exploreView } from "./explore_view.js";
import { gradientsChart } from "./gradients_chart.js";
import { GivenNetwork } from "./network_asked.js";
import { retrainView } from "./retrain_view.js";
import { openRun, saveRun } from "./run_files.js";
import { Session } from "./session.js";
import { stepView } from "./step_view.js";

const GONE = "The kernel of this panel is gone, and its runs with it. Run the panel's cell again.";

class KernelEngine extends Engine {
  costs = { step: 1e-3, calculation: 1e-11, distortion: 1.5e-5, epoch: 0.03 };
  waiting = "is getting ready, or waits for a cell that runs";
  part = async () => ({ compare, openRun, saveRun }); // all of the program is here

  constructor(model) {
    super();
    let live = true;
    this.post = (message) => (live ? model.send(message) : this.lose(GONE));
    model.on("msg:custom", (message) => this.hear(message));
    model.on("comm_live_update", () => {
      live = false;
      this.lose(GONE);
    });
  }
}

// Each widget has a copy of this program, so what they share is at home with the page: by name, {promise, resolve}.
const sessions = (globalThis.mnistPanelSessions ??= new Map());

function sessionNamed(name) {
  if (!sessions.has(name)) {
    const entry = {};
    entry.promise = new Promise((resolve) => (entry.resolve = resolve));
    sessions.set(name, entry);
  }
  return sessions.get(name);
}

function sessionOf(model) {
  const setup = model.get("setup"), engine = new KernelEngine(model);
  if (setup.given) return new GivenNetwork(setup.given, engine);
  const session = new Session(setup, setup.recipe, setup.seed, engine);
  session.prepare();
  session.restore(model.get("saved"));
  let own = "";
  session.listen((what) => {
    if (what === "live" || session.restoring) return;
    const { saved } = session;
    own = JSON.stringify(saved);
    model.set("saved", saved);
    model.save_changes();
  });
  // What another tab has changed.
  model.on("change:saved", () => JSON.stringify(model.get("saved")) !== own && session.restore(model.get("saved")));
  return session;
}

const VIEWS = {
  retrain: (session, { controlNames }) => retrainView(session, controlNames, async () => ({ gradientsChart })),
  explore: (session, { names }) => exploreView(session, names),
  challenge: (session, { which, challenge }) => challengeView(session, which, challenge),
  draw(session, { names }, model) {
    return drawView(session, names, (probabilities) => {
      model.set("result", probabilities ? { probabilities } : {});
      model.save_changes();
      document.dispatchEvent(new CustomEvent("drawn", { detail: probabilities }));
    });
  },
};

// Those that only show need no session.
const SHOWN = { step: stepView, descent: descentView };

export default {
  initialize({ model }) {
    const { asks, name, view } = model.get("setup");
    if (asks || SHOWN[view]) return undefined;
    if (sessionNamed(name).there) sessions.delete(name); // of a notebook that was closed, and is opened again
    const entry = Object.assign(sessionNamed(name), { there: true });
    entry.resolve(sessionOf(model));
    return () => sessions.get(name) === entry && sessions.delete(name);
  },
  async render({ model, el }) {
    const setup = model.get("setup");
    const { node, leave } = SHOWN[setup.view]?.(setup) ?? VIEWS[setup.view](await sessionNamed(setup.asks ?? setup.name).promise, setup, model);
    el.append(node);
    return leave;
  },
};
