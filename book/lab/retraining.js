// The retrain panel in the page: between its view and a session, the setting in the address, and Keras's result beside
// the curves.

import { Port, Session, changedSettings, settingsOf, trainer } from "./session.js";
import { retrainView } from "./views/retrain.js";

let grid = null;
const loadGrid = () => (grid ??= fetch(new URL("keras.json", import.meta.url)).then((response) => response.json()));

// ---------------------------------------------------------------- the panel

export function retrain(element, setup) {
  // With ?start=CRACK_99 in the address the panel begins with that recipe instead of the article's.
  const start = setup.starts[new URLSearchParams(location.search).get("start")];
  const base = { ...(start ?? setup.article), ...JSON.parse(element.getAttribute("recipe") ?? "{}") };
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
    program: async () => port.tell("message", { program: await session.program().catch(() => "# The program could not be loaded. Try again.\n") }),
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
  loadGrid().then((loaded) => ((keras = loaded), showBand()), () => {});
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
