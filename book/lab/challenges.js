// The challenges of the page, which judge the runs of the retrain panel before them.

import { parameterCount } from "./panel/recipe_settings.js";
import { percent } from "./panel/session.js";

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
    const shares = document.querySelector('mnist-lab[view="draw"]').probabilities;
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

export async function challenge(element, setup) {
  const status = document.createElement("p");
  status.className = "challenge";
  status.setAttribute("role", "status");
  if (element.getAttribute("which") === "fooled") return openFooled(status);
  const session = await element.partner(setup);
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
