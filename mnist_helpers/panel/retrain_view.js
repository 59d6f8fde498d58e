// The retrain panel: controls, curves, and a table of the runs.

import { accuracyChart, legend, lossChart } from "./charts.js";
import { button, freshId, h, say } from "./elements.js";
import { written } from "./recipe_settings.js";
import { runsTable } from "./runs_table.js";

// A view of a session with the named controls; gives its element, and how to take leave of the session. `loadGradients`
// brings gradients_chart.js when it is first wanted.
export function retrainView(session, names, loadGradients) {
  const { base, most, setup } = session;
  const allImages = (name, value) => name === "training_images" && Math.min(base[name], value) >= most;
  const isArticle = Object.entries(setup.article).every(([name, value]) => base[name] === value || allImages(name, value));
  const origin = isArticle ? "article" : "start";
  const problem = h("p", { class: "problem", role: "alert", id: freshId() });
  const controls = offered(session, names).map((control) => controlRow(control, session, problem.id));
  const train = button("Train", () => begin(session.predicting ? answer.value : null), { class: "primary" });
  const stop = button("Stop", () => session.stop());
  const reset = button(`Reset to the ${origin}`, () => session.reset(), { title: "The controls go back; your runs stay" });
  const predicting = h("input", { type: "checkbox", title: "Before each training, you are asked what it will reach", onchange: () => session.setPredicting(predicting.checked) });
  const measuring = h("input", { type: "checkbox", title: "How large the gradient is at each layer, while it trains", onchange: () => session.setMeasuring(measuring.checked) });
  const moving = h("input", { type: "checkbox", onchange: () => session.setAutomatic(moving.checked) });
  const explain = button("Explain", () => explain.setAttribute("aria-pressed", panel.classList.toggle("explained")), {
    class: "explain", title: "What each control does", "aria-pressed": "false",
  });
  const facts = h("p", { class: "facts" });
  const bar = h("div", { class: "bar", role: "progressbar", "aria-label": "Training", "aria-valuemin": 0, "aria-valuemax": 100 }, h("div"));
  const progress = h("p", { class: "left" });
  const message = h("p", { class: "message", role: "status" });
  const answer = h("input", {
    type: "text", inputmode: "decimal", autocomplete: "off", onkeydown: ({ key }) => key === "Enter" && begin(answer.value),
  });
  const question = h("div", { class: "question" }, h("label", {}, "I predict ", answer, " % validation accuracy"), button("Skip", () => begin(null)));
  const where = h("div", { class: "where" }, facts, bar, progress, question, message, problem);
  const charts = [lossChart(), accuracyChart()];
  const bandTitle = h("span");
  const key = h("span", { class: "key", hidden: true }, h("span", { class: "band" }), bandTitle);
  const table = runsTable(session, origin);
  const code = h("code");
  const copied = h("span", { role: "status" });
  const program = h(
    "details",
    { class: "program", ontoggle: showProgram },
    h("summary", {}, "Show code"),
    h("p", {}, "The present setting as a plain Keras program. ", button("Copy", copyCode), " ", copied),
    h("pre", { tabindex: 0, role: "region", "aria-label": "Keras program" }, code),
  );

  // Train, or ask; the focus goes to the question, and from it to where it came from.
  function begin(prediction) {
    const { asking } = session;
    session.train(prediction);
    answer.setAttribute("aria-invalid", String(session.asking && answer.value !== ""));
    if (session.asking) answer.focus();
    else if (asking) predicting.focus();
  }

  let ofCode; // the setting whose program is shown
  async function showProgram() {
    const { settings } = session;
    if (!program.open || settings === ofCode) return;
    ofCode = settings;
    const text = await session.program();
    if (settings !== session.settings) return;
    say(code, text);
    say(copied, "");
  }

  function copyCode() {
    const selection = getSelection();
    selection.selectAllChildren(code);
    const copying = navigator.clipboard ? navigator.clipboard.writeText(code.textContent) : Promise.reject();
    copying.then(() => say(copied, "Copied."), () => say(copied, "Selected: press Ctrl-C or ⌘C."));
  }

  let gradients = null, coming = null;
  function showGradients() {
    const on = session.measuring;
    measuring.checked = on;
    if (on) coming ??= loadGradients().then(addGradients, withoutGradients);
    if (!gradients) return;
    for (const node of [gradients.chart, gradients.text]) node.toggleAttribute("hidden", !on);
    if (on) gradients.draw(session.gradients);
  }

  function addGradients({ gradientsChart }) {
    gradients = gradientsChart();
    results.append(gradients.chart);
    table.node.before(gradients.text);
    showGradients();
  }

  function withoutGradients() {
    coming = null;
    session.message = "The chart of the gradients could not be loaded. Try again.";
    session.setMeasuring(false);
  }

  let ended = []; // what is shown of the runs that have ended, made anew only when one of them changes
  function showState() {
    const state = session.state;
    say(train, state.changed ? "Restart with this setting" : "Train");
    train.disabled = Boolean(state.problem) || (state.training && !state.changed);
    stop.disabled = !state.training;
    moving.checked = state.automatic;
    predicting.checked = state.predicting;
    where.classList.toggle("asking", state.asking);
    if (!state.asking) answer.value = "";
    say(message, state.message);
    say(problem, state.problem ? state.problem.sentence : "");
    for (const control of controls) control.show(state.settings, state.problem);
    ended = session.trials.map((trial) => session.view(trial));
    table.show(ended, session.score);
    showProgram();
  }

  function showProgress() {
    const now = session.progress;
    where.classList.toggle("idle", !now);
    const { problem, parameters, expected, missing } = session.state;
    const load = missing && ` + ${missing} to load`;
    say(facts, problem ? "" : `${parameters} parameters, about ${expected} to train${load}`);
    const { fraction, text } = now ?? { fraction: 0, text: "" };
    bar.firstChild.style.width = `${100 * fraction}%`;
    bar.setAttribute("aria-valuenow", Math.round(100 * fraction));
    bar.setAttribute("aria-valuetext", text);
    say(progress, text);
  }

  // Once a frame at most, however many reports come.
  let due = false;
  function redraw() {
    if (!due) requestAnimationFrame(drawRuns);
    due = true;
  }

  function drawRuns() {
    due = false;
    const { band, running, shown } = session;
    const trials = [...ended, ...(running ? [session.view(running)] : [])];
    let pins = 0;
    const series = trials.map((trial) => ({
      trial,
      look: trial.number === shown?.number ? "shown" : trial.pinned ? `pinned pin-${1 + (pins++ % 4)}` : "earlier",
    }));
    series.sort((a, b) => order(a) - order(b));
    say(bandTitle, band ? band.title : "");
    key.hidden = !band;
    for (const chart of charts) chart.draw(series.filter(({ trial }) => !trial.hidden), band);
    showGradients();
    table.colour(series);
  }
  const order = ({ look }) => (look === "shown" ? 2 : look === "earlier" ? 0 : 1);

  const groups = [...new Set(controls.map(({ group }) => group))].map((name) =>
    h("fieldset", {}, h("legend", {}, name), ...controls.filter(({ group }) => group === name).map(({ node }) => node)),
  );
  const results = h("div", { class: "results" }, legend(key, session.band !== undefined, h("label", { class: "switch" }, measuring, "Gradients")), ...charts.map((chart) => chart.node));
  const panel = h(
    "section",
    { class: "mnist-panel retrain", "aria-label": "Retrain the network" },
    h("p", { class: "task" }, "Change one setting, press Train, and see whether the solid line, on images that are not trained on, ends better than the grey one of the run before."),
    h("div", { class: "buttons" }, train, stop, reset, h("label", { class: "switch" }, moving, "Retrain as I move"), h("label", { class: "switch" }, predicting, "Predict first"), explain),
    where,
    h(
      "div",
      { class: "columns" },
      h("div", { class: controls.length > 6 ? "controls many" : "controls" }, ...groups),
      results,
    ),
    table.node,
    program,
  );
  function show(what) {
    if (what === "all") showState();
    showProgress();
    redraw();
  }
  showState();
  showProgress();
  drawRuns();
  return { node: panel, leave: session.listen(show) };
}

// The named controls, each offering the setting's own value too, and no more images than there are.
function offered({ setup, settings, most }, names) {
  return setup.controls.filter(({ name }) => names.includes(name)).map((control) => {
    const own = settings[control.name];
    let { choices, help } = control;
    if (control.name === "training_images") {
      choices = choices.filter((number) => number <= most);
      help = `How many of the ${most.toLocaleString("en-GB")} are learnt from.`;
    }
    if (control.kind !== "number" && !choices.includes(own)) {
      choices = [...choices, own];
      if (control.kind === "slider") choices.sort((a, b) => a - b);
    }
    return { ...control, choices, help };
  });
}

// The place of the choice that is nearest to a value, which code may have set to anything.
function nearest(choices, value) {
  const distances = choices.map((choice) => Math.abs(choice - value));
  return Math.max(0, distances.indexOf(Math.min(...distances)));
}

// A control's row: label, the control itself, its value, and one line on what it does.
function controlRow({ name, kind, group, label, help, choices }, session, problemId) {
  const id = freshId();
  const value = h("span", { class: "value" });
  const choose = (chosen) => session.set(name, chosen);
  const input = {
    slider: () => h("input", { type: "range", min: 0, max: choices.length - 1, step: 1, oninput: () => choose(choices[input.value]), id }),
    menu: () => h("select", { onchange: () => choose(choices[input.selectedIndex]), id }, ...choices.map((c) => h("option", {}, written(c)))),
    switch: () => h("input", { type: "checkbox", role: "switch", onchange: () => choose(input.checked), id }),
    number: () => h("input", { type: "number", min: choices[0], max: choices[1], step: 1, oninput: () => choose(input.value === "" ? null : Number(input.value)), id }),
  }[kind]();

  function show(settings, trouble) {
    const wrong = trouble?.name === name;
    input.setAttribute("aria-invalid", String(wrong));
    input.setAttribute("aria-describedby", wrong ? `${id}-help ${problemId}` : `${id}-help`);
    const now = settings[name];
    if (kind === "slider") {
      input.value = nearest(choices, now);
      input.setAttribute("aria-valuetext", written(now));
    } else if (kind === "menu") input.selectedIndex = choices.indexOf(now);
    else if (kind === "switch") input.checked = now;
    else if (input !== document.activeElement) input.value = now;
    say(value, kind === "slider" ? written(now) : "");
  }

  const node = h(
    "div",
    { class: `control ${kind}`, "data-control": name },
    h("label", { for: id }, label),
    input,
    value,
    h("p", { class: "help", id: `${id}-help` }, help),
  );
  return { group, node, show };
}
