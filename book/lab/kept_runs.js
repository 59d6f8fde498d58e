// Keeps the runs of the page's retrain panels in this browser, with their networks, for when the reader returns.

import { button, h, say } from "./panel/elements.js";
import { recipeOf, settingsOf } from "./panel/recipe_settings.js";
import { same } from "./panel/session.js";

const EDITION = 1; // with another one, what was kept is dropped: for when training_worker.js lays out weights otherwise
const NAME = `runs of ${new URL(".", import.meta.url).pathname}`; // an origin may have several books
const STORES = ["runs", "networks"]; // apart, because what is said of a run changes, and its network does not
const NOWHERE = "This browser keeps nothing here, as in some private windows: your runs last until you leave this page.";
const NO_ROOM = "There is no room left to keep your latest run: it lasts until you leave this page. Forgetting runs makes room.";

const sessions = new Set(); // of this page's panels

let opened = null;
function database() {
  return (opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, EDITION);
    request.onupgradeneeded = ({ oldVersion }) => {
      if (oldVersion) STORES.forEach((name) => request.result.deleteObjectStore(name));
      for (const name of STORES) request.result.createObjectStore(name, { keyPath: "id" }).createIndex("place", "place");
    };
    request.onsuccess = () => {
      const found = request.result;
      // A tab of another edition wants it, or the reader has all of it deleted.
      const close = () => (found.close(), (opened = null));
      Object.assign(found, { onversionchange: close, onclose: close });
      resolve(found);
    };
    request.onerror = request.onblocked = () => reject(request.error);
  }).catch((error) => ((opened = null), Promise.reject(error))));
}

const asked = (request) => new Promise((resolve, reject) => Object.assign(request, { onsuccess: () => resolve(request.result), onerror: () => reject(request.error) }));

// Change what is kept, all of it or nothing.
async function change(act) {
  const transaction = (await database()).transaction(STORES, "readwrite");
  act(...STORES.map((name) => transaction.objectStore(name)));
  await new Promise((resolve, reject) => Object.assign(transaction, { oncomplete: resolve, onabort: () => reject(transaction.error) }));
}

async function keptAt(place) {
  const transaction = (await database()).transaction(STORES);
  const [runs, networks] = await Promise.all(STORES.map((name) => asked(transaction.objectStore(name).index("place").getAll(place))));
  const weights = new Map(networks.map((network) => [network.id, network.weights]));
  return runs.sort((a, b) => a.when - b.when).map((run) => ({ ...run, weights: weights.get(run.id) ?? null }));
}

// Bring the runs of a panel back, and keep what becomes of them from now on. Gives a note on this for the reader.
export async function keepRuns(session, panel) {
  const place = `${location.pathname.replace(/index\.html$/, "")} ${panel}`;
  const told = new Map(); // by id, what is kept of a run that can change, as a text
  const status = h("span", { role: "status" });
  const forget = button("Forget my runs", () => forgetAll().catch(trouble), { title: "Those of all pages of this book" });
  const trouble = (error) => say(status, error?.name === "QuotaExceededError" ? NO_ROOM : NOWHERE);
  try {
    const kept = await Promise.race([keptAt(place), new Promise((_, reject) => setTimeout(reject, 4000))]);
    for (const run of kept) bringBack(session, run, told);
    if (told.size) session.message = "Your runs are here again, with their networks.";
  } catch (error) {
    trouble(error);
  }
  sessions.add(session);
  session.listen((what) => what === "live" || keepChanges(session, place, told).catch(trouble));
  return h("p", { class: "help kept" }, "Your runs are kept in this browser, with their networks, and are here again when you return. ", forget, " ", status);
}

// What this edition of the book does not understand, as a run of a recipe that it does not know, stays where it is.
function bringBack(session, { place, images, recipe, ...run }, told) {
  const { setup, base } = session;
  const whole = { ...setup.article, ...recipe }, collection = setup.collections.find(({ file }) => file === images);
  if (!collection || !same(whole, recipeOf(settingsOf(whole, run.seed, setup), base, setup)[0])) return;
  try {
    session.add({ ...run, recipe: whole, images: collection });
    told.set(run.id, changing(session).get(run.id));
  } catch {
    // some other edition's
  }
}

// By id, what can change of the runs.
const changing = (session) => new Map(session.saved.trials.map((trial) => [trial.id, JSON.stringify(trial)]));

async function keepChanges(session, place, told) {
  const { trials } = session, now = changing(session);
  const changed = trials.filter(({ id }) => told.get(id) !== now.get(id));
  const added = changed.filter(({ id }) => !told.has(id));
  const gone = [...told.keys()].filter((id) => !trials.some((trial) => trial.id === id));
  if (!changed.length && !gone.length) return;
  for (const { id } of changed) told.set(id, now.get(id)); // tried once, whether or not there is room
  for (const id of gone) told.delete(id);
  await change((runs, networks) => {
    for (const trial of changed) {
      const { images, state, stored, seconds, fraction, curve, history } = trial;
      trial.when ??= Date.now();
      runs.put({ ...JSON.parse(now.get(trial.id)), place, when: trial.when, images: images.file, state, stored, seconds, fraction, curve, history });
    }
    for (const { id, weights } of added) if (weights) networks.put({ id, place, weights });
    for (const id of gone) runs.delete(id), networks.delete(id);
  });
}

async function forgetAll() {
  if (!confirm("Forget all runs that this browser keeps of this book, on all its pages? They cannot be brought back.")) return;
  for (const session of sessions) {
    session.clear(true);
    session.message = "Your runs are forgotten.";
    session.tell();
  }
  await change((runs, networks) => (runs.clear(), networks.clear()));
}
