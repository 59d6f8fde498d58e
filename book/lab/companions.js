// What stands beside a retrain panel and asks its network: the drawing panel, the exploring panel, the challenges.

import { Port, parameterCount, titleOf, trainer } from "./session.js";
import { pictureOf } from "./drawing.js";
import { drawView } from "./views/draw.js";
import { exploreView } from "./views/explore.js";

// The retrain panel before an element, whose network it asks.
async function partnerOf(element) {
  const before = [...document.querySelectorAll('mnist-lab[view="retrain"]')].filter(
    (other) => other.compareDocumentPosition(element) & Node.DOCUMENT_POSITION_FOLLOWING,
  );
  const partner = before.at(-1);
  await partner.open();
  if (!partner.session) throw new Error("the panel that it asks could not be loaded");
  return partner.session;
}

function nameOf(trial) {
  if (!trial) return "no network yet";
  const accuracies = trial.history.val_accuracy;
  const state = { training: " (training)", stopped: " (stopped)" }[trial.state] ?? "";
  return `${titleOf(trial)}${state}${accuracies.length ? `, ${(100 * accuracies.at(-1)).toFixed(1)}% on the validation set` : ""}`;
}

// Call back whenever the network that answers is another, or has learnt more; not too often.
function follow(session, milliseconds, act) {
  let due = null, last = 0, before = "";
  session.listen(() => {
    const trial = session.network;
    const now = trial ? [trial.number, trial.state, trial.fraction, trial.name].join() : "";
    if (now === before) return;
    before = now;
    clearTimeout(due);
    due = setTimeout(() => {
      last = performance.now();
      act(session.network);
    }, Math.max(0, last + milliseconds - performance.now()));
  });
}

// ---------------------------------------------------------------- the drawing panel

export async function draw(element, setup) {
  const session = await partnerOf(element);
  let answers = 0;
  const port = new Port({ draw: answer });

  async function answer(message) {
    const picture = pictureOf(message.strokes);
    const blank = message.strokes.length === 0;
    const result = { answer: ++answers, picture, blank, closest: [] };
    const trial = session.network;
    if (!blank && !trial) {
      session.train(); // the first drawing sets it going, and is answered once there is something to ask
      result.sentence = "The network is being trained first, and answers in a moment.";
    }
    try {
      if (!blank && trial) result.probabilities = await session.ask("probabilities", trial, { pixels: picture });
      if (!blank && message.still) {
        const { address } = session.images;
        const { found } = await trainer.ask({ do: "images", address, split: "training", like: picture, number: 5 });
        result.closest = found.map(({ pixels, label }) => ({ pixels, label: setup.names[label] }));
      }
    } catch (error) {
      result.sentence = error.message;
    }
    if (result.answer !== answers) return;
    port.set("result", result);
    element.shares = result.probabilities;
    element.dispatchEvent(new Event("drawn", { bubbles: true }));
  }

  port.set("setup", { names: setup.names });
  port.set("result", { answer: 0, picture: new Uint8Array(784), blank: true, closest: [] });
  port.set("network", { name: nameOf(session.network) });
  const panel = drawView(port);
  follow(session, 200, (trial) => port.set("network", { name: nameOf(trial) }));
  return panel;
}

// ---------------------------------------------------------------- the exploring panel

const PAGE = 40, UNITS = 24;

export async function explore(element, setup) {
  const session = await partnerOf(element);
  let wish = { split: "validation", label: null, said: null, order: "wrong", start: 0 }, firstUnit = 0;
  const results = new Map(); // by split, of the network that is shown
  const port = new Port({
    show: (message) => ((wish = message), showImages()),
    units: ({ start }) => ((firstUnit = start), showUnits()),
  });

  async function resultOf(split) {
    const trial = session.network;
    if (!results.has(split)) results.set(split, session.ask("split", trial, { split }));
    return results.get(split);
  }

  async function showImages() {
    if (!session.network) return;
    const { split, label, said, order } = wish;
    const { address } = session.network.images;
    const [{ answers, losses }, { labels }] = await Promise.all([
      resultOf(split),
      trainer.ask({ do: "images", address, split, places: [] }).then(({ labels }) => ({ labels })),
    ]);
    const counts = Array.from({ length: 10 }, () => new Array(10).fill(0));
    labels.forEach((truth, place) => counts[truth][answers[place]]++);
    const places = Array.from(labels.keys()).filter((place) => (label == null || labels[place] === label) && (said == null || answers[place] === said));
    if (order === "wrong") places.sort((a, b) => losses[b] - losses[a]);
    const start = Math.floor(Math.max(0, Math.min(wish.start, places.length - 1)) / PAGE) * PAGE;
    const { found } = await trainer.ask({ do: "images", address, split, places: places.slice(start, start + PAGE) });
    port.set("images", {
      ...wish, start, total: places.length, page: PAGE,
      images: found.map(({ place, pixels, label: truth }) => ({
        index: place, pixels, label: setup.names[truth], said: setup.names[answers[place]], right: truth === answers[place],
      })),
    });
    port.set("confusion", counts);
  }

  async function showUnits() {
    const trial = session.network;
    if (!trial) return;
    const total = trial.recipe.hidden_layers ? trial.recipe.units : 10;
    const start = Math.floor(Math.max(0, Math.min(firstUnit, total - 1)) / UNITS) * UNITS;
    const pictures = await session.ask("pictures", trial, { first: start, number: UNITS });
    port.set("weights", { start, total, page: UNITS, units: pictures.map(scaled) });
  }

  const quietly = (promise) => promise.catch(() => {}); // a run may have been cleared meanwhile
  port.set("setup", { names: setup.names });
  port.set("images", { ...wish, total: 0, page: PAGE, images: [] });
  port.set("confusion", Array.from({ length: 10 }, () => new Array(10).fill(0)));
  port.set("weights", { start: 0, total: 0, page: UNITS, units: [] });
  port.set("network", { name: nameOf(session.network), newer: null });
  const panel = exploreView(port);
  const show = (trial) => {
    port.set("network", { name: nameOf(trial), newer: null });
    results.clear();
    quietly(showUnits());
    if (trial?.state !== "training") quietly(showImages());
  };
  if (session.network) show(session.network);
  follow(session, 250, show);
  return panel;
}

function scaled(weights) {
  const largest = weights.reduce((most, weight) => Math.max(most, Math.abs(weight)), 1e-12);
  return Int8Array.from(weights, (weight) => Math.round((127 * weight) / largest));
}

// ---------------------------------------------------------------- the challenges

const percent = (share) => `${(100 * share).toFixed(2)}%`;
const best = (trial) => Math.max(...trial.history.val_accuracy);

// Each says how far the trials are; `reached` tells those whose validation accuracy got to a share.
const CHALLENGES = {
  smallest(trials) {
    const sizes = reached(trials, 0.98).map(({ recipe }) => parameterCount(recipe));
    return sizes.length ? `${Math.min(...sizes).toLocaleString("en-GB")} parameters` : nearestTo(trials);
  },
  gap(trials) {
    const gaps = trials.map(({ history }) => history.val_loss.at(-1) - history.loss.at(-1));
    return `the widest gap is ${Math.max(...gaps).toFixed(3)}`;
  },
  async dead(trials, session) {
    const networks = trials.filter(({ recipe, weights }) => weights && recipe.hidden_layers);
    // Asked once for each, because it goes through all validation images.
    const shares = await Promise.all(networks.map((trial) => (trial.dead ??= session.ask("dead", trial, {}))));
    return shares.length ? `at most ${Math.round(100 * Math.max(...shares))}% of the hidden units are dead` : "no network with hidden layers yet";
  },
  fastest(trials) {
    const times = reached(trials, 0.97).map(({ history }) => {
      const epochs = history.val_accuracy.findIndex((accuracy) => accuracy >= 0.97) + 1;
      return history.seconds.slice(0, epochs).reduce((sum, seconds) => sum + seconds, 0);
    });
    return times.length ? `${Math.min(...times).toFixed(1)} s` : nearestTo(trials);
  },
  cracked(trials) {
    const enough = reached(trials, 0.99).map(best);
    return enough.length ? `cracked: ${percent(Math.max(...enough))}` : nearestTo(trials);
  },
};

const reached = (trials, share) => trials.filter((trial) => best(trial) >= share);
const nearestTo = (trials) => `none yet; the best so far is ${percent(Math.max(...trials.map(best)))}`;

// What counts is the last drawing, and what the reader says it is.
async function openFooled(status) {
  const holder = document.createElement("div");
  const meant = document.createElement("select");
  meant.setAttribute("aria-label", "The digit that you meant");
  meant.append(new Option("…", ""), ...Array.from({ length: 10 }, (_, digit) => new Option(digit)));
  const show = () => {
    const shares = document.querySelector('mnist-lab[view="draw"]').shares;
    if (!shares) meant.value = ""; // of another drawing another digit may be meant
    const said = shares?.indexOf(Math.max(...shares));
    const fooled = shares && said !== Number(meant.value) && shares[said] >= 0.9;
    const verdict = meant.value === "" ? "which digit did you mean?" : fooled ? "fooled!" : "not fooled yet";
    status.textContent = shares ? `it reads ${said}, ${Math.round(100 * shares[said])}% sure: ${verdict}` : "draw something first";
  };
  meant.onchange = show;
  document.addEventListener("drawn", show);
  show();
  holder.append("You meant a ", meant, status);
  return holder;
}

export async function challenge(element) {
  const status = document.createElement("p");
  status.className = "challenge";
  status.setAttribute("role", "status");
  if (element.getAttribute("which") === "fooled") return openFooled(status);
  const session = await partnerOf(element);
  const judge = CHALLENGES[element.getAttribute("which")];
  async function show() {
    const trials = session.trials.filter(({ history }) => history.val_loss.length);
    const text = trials.length ? await judge(trials, session) : "train something first";
    if (status.textContent !== text) status.textContent = text;
  }
  session.listen((what) => what !== "live" && show().catch(() => {}));
  await show();
  return status;
}
