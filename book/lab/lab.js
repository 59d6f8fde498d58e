// <mnist-lab>: the panels of the notebooks in the page, with the reader's own browser as the machine that trains.
//
//     <mnist-lab view="retrain" recipe='{"epochs": 5}' controls="units epochs" seed="0"> … a still … </mnist-lab>
//
// What differs from the article's recipe is in `recipe`; without `controls` all of them are shown. The views "draw" and
// "explore" ask the network of the retrain panel before them, and "challenge" judges its runs. Until a reader comes near nothing is loaded, and what
// stands inside the element is seen; it is also what is printed.

import { Session, changedSettings, parameterCount, settingsOf, titleOf, trainer } from "./session.js";
import { pictureOf } from "./drawing.js";

const beside = (name) => new URL(name, import.meta.url).href;

function once(make) {
  let promise = null;
  return () => (promise ??= make().catch((error) => ((promise = null), Promise.reject(error))));
}

const loadSetup = once(async () => {
  const response = await fetch(beside("setup.json"));
  if (!response.ok) throw new Error("missing");
  const setup = await response.json();
  setup.collections.forEach((collection) => (collection.address = beside(collection.file)));
  return setup;
});
const loadKeras = once(async () => (await fetch(beside("keras.json"))).json());
const loadViews = once(() => import("./panels.js"));

// What a view reads and what it asks for, as it is between JupyterLab and Python.
class Port {
  #values = {};
  #listeners = [];

  constructor(obey) {
    this.send = ({ do: what, ...message }) => obey[what]?.(message);
  }

  get(name) {
    return this.#values[name];
  }

  on(name, listener) {
    this.#listeners.push([name, listener]);
  }

  set(name, value) {
    this.#values[name] = value;
    this.tell(name, value);
  }

  tell(name, value) {
    for (const [wanted, listener] of this.#listeners) if (wanted === name) listener(value);
  }
}

class MnistLab extends HTMLElement {
  #opening = null;

  connectedCallback() {
    const watch = new IntersectionObserver((entries) => {
      if (!entries.some(({ isIntersecting }) => isIntersecting)) return;
      watch.disconnect();
      this.open();
    }, { rootMargin: "700px" });
    watch.observe(this);
  }

  // Once, whoever asks for it: the reader who comes near, or a panel that needs this one's network.
  open() {
    return (this.#opening ??= this.#build());
  }

  async #build() {
    try {
      if (typeof WebAssembly === "undefined" || typeof DecompressionStream === "undefined") throw new Error("old browser");
      const [setup, views] = await Promise.all([loadSetup(), loadViews()]);
      const make = { retrain: openRetrain, draw: openDraw, explore: openExplore, challenge: openChallenge }[this.getAttribute("view")];
      const panel = await make(this, setup, views);
      this.querySelector(".lab-trouble")?.remove();
      panel.classList.add("lab-live");
      this.append(panel);
      this.setAttribute("open", "");
    } catch (error) {
      this.#opening = null;
      this.#tellTrouble(error);
    }
  }

  #tellTrouble(error) {
    this.querySelector(".lab-trouble")?.remove();
    const trouble = document.createElement("p");
    trouble.className = "lab-trouble";
    trouble.setAttribute("role", "status");
    if (error.message === "old browser") {
      trouble.textContent = "This browser is too old to train here, so this is a picture. A newer one trains the network in the page.";
    } else {
      trouble.textContent = "The live panel could not be loaded. ";
      const retry = document.createElement("button");
      retry.textContent = "Try again";
      retry.onclick = () => this.open();
      trouble.append(retry);
    }
    this.append(trouble);
  }
}

// ---------------------------------------------------------------- the retrain panel

function openRetrain(element, setup, { retrainView }) {
  const base = { ...setup.article, ...JSON.parse(element.getAttribute("recipe") ?? "{}") };
  const seed = Number(element.getAttribute("seed") ?? 0);
  const names = element.getAttribute("controls")?.split(" ") ?? setup.controls.map(({ name }) => name);
  const place = [...document.querySelectorAll('mnist-lab[view="retrain"]')].indexOf(element) + 1;
  const session = new Session(setup, base, seed);
  Object.assign(session.settings, fromAddress(place, session, names));
  element.session = session;
  // So that the first click finds the images there. If they do not come now, it asks again.
  trainer.ask({ do: "load", address: session.images.address }).catch(() => {});

  const holder = document.createElement("div");
  const port = new Port({
    set: ({ name, value }) => session.set(name, value),
    automatic: ({ on }) => session.setAutomatic(on),
    train: () => session.train(),
    stop: () => session.stop(),
    reset: () => session.reset(),
    change: ({ number, ...what }) => session.change(number, what),
    use: ({ number }) => session.restore(number),
    clear: () => session.clear(),
    test: ({ number }) => session.openTestSet(number),
    program: () => port.tell("message", { program: session.program() }),
  });

  function show(what) {
    port.set("live", session.live);
    if (what === "live") return;
    if (what === "images") return build();
    port.set("trials", session.trials.map((trial) => session.view(trial)));
    port.set("state", session.state);
    toAddress(place, session);
    showBand();
  }

  let keras = null;
  loadKeras().then((loaded) => ((keras = loaded), showBand()), () => {});
  let bandOf;
  function showBand() {
    const job = JSON.stringify(session.settings);
    if (!keras || job === bandOf) return;
    bandOf = job;
    port.set("band", bandFor(session, keras));
  }

  function build() {
    const origin = Object.entries(setup.article).every(([name, value]) => base[name] === value || name === "training_images") ? "article" : "start";
    port.set("setup", { groups: groups(session, names), origin, reset: `Reset to the ${origin}` });
    port.set("live", session.live);
    port.set("trials", session.trials.map((trial) => session.view(trial)));
    port.set("state", session.state);
    const panel = retrainView(port);
    panel.classList.toggle("compact", element.hasAttribute("compact"));
    panel.append(imagesNote(session, build));
    holder.replaceChildren(panel);
  }

  session.listen(show);
  port.set("band", null);
  build();
  return holder;
}

// The named controls by their groups, each offering what this page has.
function groups(session, names) {
  const result = {};
  for (const control of session.setup.controls.filter(({ name }) => names.includes(name))) {
    const { name, group } = control;
    let { choices, help } = control;
    const own = session.settings[name];
    if (name === "training_images") {
      choices = choices.filter((number) => number <= session.most);
      help = `How many of the ${session.most.toLocaleString("en-GB")} are learnt from.`;
    }
    if (control.kind !== "number" && !choices.includes(own)) {
      choices = [...choices, own];
      if (control.kind === "slider") choices.sort((a, b) => a - b);
    }
    (result[group] ??= []).push({ ...control, choices, help });
  }
  return result;
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
  load.textContent = `Load all 60,000 images (${(all.bytes / 1e6).toFixed(0)} MB)`;
  const status = document.createElement("span");
  status.setAttribute("role", "status");
  load.onclick = async () => {
    load.disabled = true;
    const tell = ({ loading, received, total }) => {
      if (loading === all.address) status.textContent = ` ${Math.round((100 * received) / (total || all.bytes))}%`;
    };
    trainer.loading.add(tell);
    try {
      await session.loadAll();
      rebuild();
    } catch (error) {
      status.textContent = ` ${error.message}`;
      load.textContent = "Try again";
      load.disabled = false;
    } finally {
      trainer.loading.delete(tell);
    }
  };
  note.append(load, status);
  return note;
}

// ---------------------------------------------------------------- the setting in the address

// The first panel of a page has plain names, the others their number before them: ?units=30&2.epochs=5
const key = (place, name) => (place === 1 ? name : `${place}.${name}`);

function fromAddress(place, session, names) {
  const wanted = new URLSearchParams(location.search);
  const found = {};
  for (const { name, kind, choices } of session.setup.controls) {
    const text = wanted.get(key(place, name));
    if (text === null || !names.includes(name)) continue;
    const value = kind === "number" ? Number(text) : choices.find((choice) => String(choice) === text);
    if (value !== undefined && (name !== "training_images" || value <= session.most)) found[name] = value;
  }
  return found;
}

function toAddress(place, session) {
  const wanted = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(session.settings))
    if (value === session.origin[name]) wanted.delete(key(place, name));
    else wanted.set(key(place, name), value);
  const query = wanted.size ? `?${wanted}` : "";
  if (query !== location.search) later(() => history.replaceState(history.state, "", location.pathname + query + location.hash));
}

// Browsers refuse to have the address changed hundreds of times in a row.
let timer = null;
function later(act) {
  clearTimeout(timer);
  timer = setTimeout(act, 300);
}

// ---------------------------------------------------------------- Keras's result of the nearest setting

// The grid's run that is nearest to a setting: controls count by how many choices they are apart, menus double.
function bandFor(session, keras) {
  const { controls } = session.setup;
  const [recipe] = session.job;
  const wanted = settingsOf(recipe, 0, session.setup);
  let best = null, least = Infinity;
  for (const run of keras.runs) {
    const settings = { ...keras.base, ...run.settings };
    let distance = 0;
    for (const { name, kind, choices } of controls) {
      if (["seed", "epochs", "training_images"].includes(name) && !(name === "training_images" && session.most === keras.most)) continue;
      const [a, b] = [settings[name], wanted[name]];
      if (a !== b) distance += kind === "slider" ? Math.abs(choices.indexOf(a) - choices.indexOf(b)) : 2;
    }
    if (distance < least) [best, least] = [{ ...run, settings }, distance];
  }
  if (!best || session.most !== keras.most) return null;
  const differs = changedSettings(
    Object.fromEntries(Object.entries(best.settings).filter(([name]) => !["seed", "epochs"].includes(name))),
    wanted,
  );
  return {
    title: `Keras, ${differs ? `nearest setting (${differs})` : "this setting"}, mean ± standard deviation, ${keras.seeds} seeds`,
    epochs: session.job[0].epochs,
    validation: [best.val_loss, best.val_accuracy],
  };
}

// ---------------------------------------------------------------- the drawing panel

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

async function openDraw(element, setup, { drawView }) {
  const session = await partnerOf(element);
  let answers = 0, drawn = { strokes: [], still: true };
  const port = new Port({ draw: answer });

  async function answer(message) {
    drawn = message;
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

async function openExplore(element, setup, { exploreView }) {
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
  meant.append(...Array.from({ length: 10 }, (_, digit) => new Option(digit)));
  const show = () => {
    const shares = document.querySelector('mnist-lab[view="draw"]').shares;
    const said = shares?.indexOf(Math.max(...shares));
    const fooled = shares && said !== meant.selectedIndex && shares[said] >= 0.9;
    status.textContent = shares ? `it reads ${said}, ${Math.round(100 * shares[said])}% sure: ${fooled ? "fooled!" : "not fooled yet"}` : "draw something first";
  };
  meant.onchange = show;
  document.addEventListener("drawn", show);
  show();
  holder.append("You meant a ", meant, status);
  return holder;
}

async function openChallenge(element) {
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

customElements.define("mnist-lab", MnistLab);
