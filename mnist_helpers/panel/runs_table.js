// The table of a panel's runs: what each changed and reached, its name, whether it is pinned or hidden.

import { sample } from "./charts.js";
import { button, field, h, say } from "./elements.js";
import { percent } from "./session.js";

export function runsTable(session, origin) {
  const body = h("tbody");
  const empty = h("p", { class: "help" }, "No run yet: press Train.");
  const heading = ["Show", "Run", `Changed from the ${origin}`, "Best validation", "Test", "Time", "Actions"];
  const table = h("table", {}, h("thead", {}, h("tr", {}, ...heading.map((text) => h("th", { scope: "col" }, text)))), body);
  const score = h("p", { class: "score" });
  const clear = button("Clear all but the pinned", () => session.clear());
  const open = button("Open a saved run", () => use("run_files", ({ openRun }) => openRun(session)), { class: "open" });
  const why = h(
    "p",
    { class: "help" },
    "Decide by the validation set. The test score tells how good the run that you decided on is, on images that played no part in the decision; every look at it before that spoils it a little.",
  );
  const node = h("div", { class: "trials" }, empty, score, h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Runs" }, table), clear, " ", open, why);
  const rows = new Map();

  // Programs that are needed now and then come when they are asked for.
  function use(name, act) {
    session.engine.part(name).then(act).catch(({ message }) => {
      session.message = message;
      session.tell();
    });
  }

  function row(trial) {
    const change = (what) => session.change(trial.number, what);
    const parts = {
      visible: h("input", { type: "checkbox", onchange: (e) => change({ hidden: !e.target.checked }) }),
      name: field({ type: "text", maxlength: 40 }, (name) => change({ name })),
      differs: h("td"), best: h("td"), test: h("td"), seconds: h("td"),
      pin: button("Pin", () => change({ pinned: parts.pin.getAttribute("aria-pressed") !== "true" }), { title: "Draw this run in a colour of its own, and keep it when the others are cleared" }),
      open: button("Reveal test score", () => session.openTestSet(trial.number), { title: "Open the test set once, for this run" }),
      use: button("Restore settings", () => session.takeSettingsOf(trial.number), { title: "Move the controls to where they were for this run" }),
      compare: button("Compare", () => use("compare_view", ({ compare }) => compare(session, trial.number, node)), { title: "Put this run beside the one that the solid lines show" }),
      save: button("Save", () => use("run_files", ({ saveRun }) => saveRun(session, trial.number)), { title: "Take this run home as a file: its network, its recipe and its curve" }),
      colour: h("span"),
    };
    const line = h("tr", {}, h("td", { class: "visible" }, parts.visible, parts.colour), h("td", {}, parts.name), parts.differs, parts.best, parts.test, parts.seconds, h("td", {}, parts.pin, parts.use, parts.compare, parts.save));
    return { line, ...parts };
  }

  function show(trials, howGood) {
    say(score, howGood);
    empty.hidden = trials.length > 0;
    node.classList.toggle("filled", trials.length > 0);
    for (const number of rows.keys()) if (!trials.some((trial) => trial.number === number)) rows.delete(number);
    const solid = trials.find(({ number }) => number === session.shown?.number);
    const lines = [...trials].reverse().map((trial) => {
      if (!rows.has(trial.number)) rows.set(trial.number, row(trial));
      const parts = rows.get(trial.number);
      parts.visible.checked = !trial.hidden;
      parts.visible.setAttribute("aria-label", `Show ${trial.title} in the curves`);
      if (parts.name !== document.activeElement) parts.name.value = trial.title;
      parts.name.setAttribute("aria-label", `Name of run ${trial.number}`);
      const note = { stopped: " (stopped)", failed: " (failed)" }[trial.state] ?? (trial.stored ? " (saved, not trained now)" : "");
      say(parts.differs, (trial.differs || "nothing") + note);
      say(parts.best, (trial.best ?? "–") + (trial.predicted === null ? "" : `\npredicted ${percent(trial.predicted)}`));
      say(parts.seconds, trial.seconds);
      parts.pin.setAttribute("aria-pressed", String(trial.pinned));
      parts.pin.setAttribute("aria-label", `Pin ${trial.title}`);
      parts.use.setAttribute("aria-label", `Restore settings of ${trial.title}`);
      parts.use.hidden = !trial.usable;
      parts.compare.setAttribute("aria-label", `Compare ${trial.title}`);
      parts.compare.hidden = trial === solid || !(trial.usable && solid?.usable);
      parts.save.setAttribute("aria-label", `Save ${trial.title}`);
      parts.save.hidden = !trial.openable;
      parts.open.setAttribute("aria-label", `Reveal test score of ${trial.title}`);
      if (trial.test) say(parts.test, trial.test);
      else if (!trial.openable) say(parts.test, "–");
      else if (!parts.open.isConnected) parts.test.replaceChildren(parts.open);
      return parts.line;
    });
    // Rows that stay where they are keep the focus.
    if (lines.length !== body.children.length || lines.some((line, i) => body.children[i] !== line)) body.replaceChildren(...lines);
  }

  // The line that a row has in the charts, so that each is found from the other.
  function colour(series) {
    for (const { trial, look } of series) {
      const place = rows.get(trial.number)?.colour;
      if (place && place.className !== look) {
        place.className = look;
        place.replaceChildren(sample(look, "validation"));
      }
    }
  }
  return { node, show, colour };
}
