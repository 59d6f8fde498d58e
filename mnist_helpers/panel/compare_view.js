// Two runs beside each other: what differs in their settings, what they reached, and their curves. What is compared are
// settings, so that a link can bring them; whichever run has such a setting stands for it.

import { accuracyChart, lossChart, sample } from "./charts.js";
import { allow, button, h, say } from "./elements.js";
import { parameterCount, recipeOf, written } from "./recipe_settings.js";
import { same, titleOf } from "./session.js";

const LOOKS = ["shown", "pinned pin-1"];

// Put a run beside the one that is shown; `holder` is where the comparison is to appear.
export function compare(session, number, holder) {
  session.compared = [session.shown, session.numbered(number)].map(({ settings }) => settings);
  showComparison(session, holder).focus();
  session.tell();
}

// Gives its element, in the place of an earlier one.
export function showComparison(session, holder) {
  holder.querySelector(".compared button.close")?.click();
  const { compared, setup } = session;
  const headings = LOOKS.map((look) => h("th", { scope: "col" }, sample(look, "validation"), h("span")));
  const differing = setup.controls.filter(({ name }) => compared[0][name] !== compared[1][name]);
  const settings = differing.map(({ name, label }) => row(label, ...compared.map((side) => written(side[name]))));
  const parameters = compared.map((side) => parameterCount(recipeOf(side, session.base, setup)[0]).toLocaleString("en-GB"));
  const results = { best: row("Best validation accuracy"), loss: row("Lowest validation loss"), seconds: row("Time") };
  const table = h(
    "table", {},
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Setting"), ...headings)),
    h("tbody", {}, ...settings, row("Parameters", ...parameters), ...Object.values(results)),
  );
  const charts = [lossChart(), accuracyChart()];
  const known = compared.every((side) => runWith(session, side)?.ended);
  const train = known ? null : button("Train both", () => trainBoth(session, compared), { class: "primary" });
  const said = h("span", { role: "status" });
  const link = session.link && button("Copy a link to this comparison", copyLink);
  const close = button("Close the comparison", end, { class: "close" });
  const node = h(
    "section", { class: "compared", "aria-label": "Two runs compared", tabindex: -1 },
    h("h3", {}, "Two runs compared"),
    h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Settings and results" }, table),
    h("p", { class: "help" }, differing.length ? "All other settings are the same." : "All settings are the same."),
    h("div", { class: "charts" }, ...charts.map((chart) => chart.node)),
    h("div", { class: "buttons" }, train, link, close, said),
  );

  function show() {
    const trials = compared.map((side) => runWith(session, side));
    const views = trials.map((trial) => trial && session.view(trial));
    headings.forEach((heading, side) => say(heading.lastChild, trials[side] ? titleOf(trials[side]) : "not trained yet"));
    const fill = (line, text) => views.forEach((view, side) => say(line.children[1 + side], view ? text(view) : "–"));
    fill(results.best, ({ best }) => best ?? "–");
    fill(results.loss, ({ validation: [losses] }) => (losses.length ? Math.min(...losses).toFixed(4) : "–"));
    fill(results.seconds, ({ seconds }) => seconds);
    if (train) allow(train, !trials.every((trial) => trial?.ended));
    const series = views.flatMap((trial, side) => (trial ? [{ trial, look: LOOKS[side] }] : []));
    for (const chart of charts) chart.draw(series);
  }

  function end() {
    leave();
    node.remove();
    if (session.compared !== compared) return;
    session.compared = null;
    session.tell();
  }

  function copyLink() {
    const address = session.link();
    const copying = navigator.clipboard ? navigator.clipboard.writeText(address) : Promise.reject();
    copying.then(() => say(said, "Copied."), () => say(said, "It is this page's address: copy it from there."));
  }

  const leave = session.listen(show);
  show();
  holder.append(node);
  return node;
}

const row = (label, first = "", second = "") => h("tr", {}, h("th", { scope: "row" }, label), h("td", {}, first), h("td", {}, second));

// The newest run with a setting, best one that came to its end.
function runWith(session, settings) {
  const runs = [...session.trials, session.running].filter((trial) => trial && trial.state !== "failed" && same(trial.settings, settings));
  return runs.findLast(({ state }) => state === "finished") ?? runs.at(-1);
}

// One after the other; a run that fails or is stopped ends this.
async function trainBoth(session, compared) {
  for (const settings of compared) {
    if (runWith(session, settings)?.state === "finished") continue;
    for (const [name, value] of Object.entries(settings)) session.set(name, value);
    session.train();
    await new Promise((resolve) => {
      const leave = session.listen(() => !session.running && (leave(), resolve()));
      session.tell();
    });
    if (runWith(session, settings)?.state !== "finished") return;
  }
}
