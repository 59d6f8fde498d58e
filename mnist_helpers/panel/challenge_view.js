// A challenge: how far the runs of a retrain panel are, and the reader's record, which the browser keeps. What counts
// stands in challenges.json: what is measured, whether the lowest or the highest is best, and which validation accuracy a
// run has to have reached, or how sure of another digit the network has to be.

import { button, h, say } from "./elements.js";
import { changedSettings, parameterCount } from "./recipe_settings.js";
import { percent } from "./session.js";

const bestAccuracy = ({ history }) => Math.max(...history.val_accuracy);
const whole = (share) => `${Math.round(100 * share)}%`;

// Of each: what a run has of it, or NaN; and how it is written.
const MEASURES = {
  parameters: { of: ({ recipe }) => parameterCount(recipe), written: (number) => number.toLocaleString("en-GB") },
  gap: { of: ({ history }) => history.val_loss.at(-1) - history.loss.at(-1), written: (gap) => gap.toFixed(3).replace("-", "−") },
  dead: {
    // Asked once for each network, because it goes through all validation images.
    of: (trial, _, session) => (trial.weights && trial.recipe.hidden_layers ? (trial.dead ??= session.ask("dead", trial, {})) : NaN),
    written: whole,
  },
  seconds: {
    of({ history }, accuracy) {
      const epochs = history.val_accuracy.findIndex((reached) => reached >= accuracy) + 1;
      return history.seconds.slice(0, epochs).reduce((sum, seconds) => sum + seconds, 0);
    },
    written: (seconds) => seconds.toFixed(1),
  },
  accuracy: { of: bestAccuracy, written: percent },
  sureness: { written: whole },
};

// Whether a value is better than another, if there is another.
const isBetter = ({ best }, value, than) => (best === "lowest" ? value < (than ?? Infinity) : value > (than ?? -Infinity));
const worded = ({ measure, sentence }, value) => sentence.replace("{value}", MEASURES[measure].written(value));

// A view of a challenge, by its name. Where a page has its setting in the address, `searchOf` gives that part of the
// address for a run. Gives its element, and how to take leave of the session.
export function challengeView(session, name, challenge, searchOf = () => "") {
  const status = h("p", { class: "challenge", role: "status" });
  const record = recordOf(name, challenge, session, searchOf);
  const { first, leave } = challenge.measure === "sureness" ? judgeDrawings(session, challenge, status, record) : judgeRuns(session, challenge, status, record);
  return { node: h("div", {}, first, status, record.node), leave };
}

function judgeRuns(session, challenge, status, record) {
  const { measure, accuracy = 0 } = challenge;

  async function judge() {
    const trials = session.trials.filter(({ history }) => history.val_loss.length);
    if (!trials.length) return say(status, "train something first");
    const enough = trials.filter((trial) => bestAccuracy(trial) >= accuracy);
    const values = await Promise.all(enough.map((trial) => MEASURES[measure].of(trial, accuracy, session)));
    const best = values.reduce((found, value, place) => (isBetter(challenge, value, values[found]) ? place : found), -1);
    if (best < 0) return say(status, accuracy ? `none yet; the best so far is ${percent(Math.max(...trials.map(bestAccuracy)))}` : "no network with hidden layers yet");
    say(status, worded(challenge, values[best]));
    record.take(values[best], enough[best]);
  }

  const look = (what) => what !== "live" && judge().catch(() => {}); // a run may have been cleared meanwhile
  look();
  return { leave: session.listen(look) };
}

// What counts is the last drawing, and what the reader says it is.
function judgeDrawings(session, challenge, status, record) {
  let shares;
  const digits = Array.from({ length: 10 }, (_, digit) => h("option", { value: digit }, digit));
  const meant = h("select", { "aria-label": "The digit that you meant", onchange: judge }, h("option", { value: "" }, "…"), ...digits);

  function judge() {
    if (!shares) meant.value = ""; // of another drawing another digit may be meant
    if (!shares) return say(status, "draw something first");
    const said = shares.indexOf(Math.max(...shares)), sure = shares[said];
    const fooled = meant.value !== "" && said !== Number(meant.value) && sure >= challenge.sureness;
    const verdict = meant.value === "" ? "which digit did you mean?" : fooled ? "fooled!" : "not fooled yet";
    say(status, `it reads ${said}, ${whole(sure)} sure: ${verdict}`);
    if (fooled && session.network) record.take(sure, session.network);
  }

  const hear = ({ detail }) => {
    shares = detail;
    judge();
  };
  document.addEventListener("drawn", hear);
  judge();
  return { first: h("label", {}, "You meant a ", meant), leave: () => document.removeEventListener("drawn", hear) };
}

// ---------------------------------------------------------------- records

const KEPT = "cracking-99-records"; // by challenge, {value, setting, search}, or {forgotten}, a value

function keptRecord(name) {
  const { value, setting, search } = keptRecords()[name] ?? {};
  return Number.isFinite(value) ? { value, setting, search } : null;
}

function keptRecords() {
  try {
    return JSON.parse(localStorage.getItem(KEPT)) ?? {};
  } catch {
    return {}; // what stands there is no JSON, or the browser keeps nothing
  }
}

function keepRecord(name, record) {
  try {
    localStorage.setItem(KEPT, JSON.stringify({ ...keptRecords(), [name]: record }));
  } catch {}
}

// The line on the best that the reader has ever reached, and the setting that reached it.
function recordOf(name, challenge, session, searchOf) {
  const node = h("p", { class: "record", hidden: true });

  function show() {
    const record = keptRecord(name);
    node.hidden = !record;
    if (!record) return;
    const address = new URL(location);
    address.search = record.search;
    const how = record.search ? h("a", { href: address.href }, record.setting) : record.setting;
    node.replaceChildren(`Your record, kept in this browser: ${worded(challenge, record.value)}, with `, how, ". ", button("Forget it", forget));
  }

  function forget() {
    // The run may still be there, or be there again after a visit, and is no new record.
    keepRecord(name, { forgotten: keptRecord(name)?.value });
    show();
  }

  function take(value, { settings, images }) {
    if (value === keptRecords()[name]?.forgotten || !isBetter(challenge, value, keptRecord(name)?.value)) return;
    const { origin, setup } = session;
    const all = images === setup.collections[1] ? ", all 60,000 images" : "";
    const setting = (changedSettings(settings, origin) || "the setting at the start") + all;
    keepRecord(name, { value, setting, search: searchOf(settings, origin) });
    show();
  }

  show();
  return { node, take };
}
