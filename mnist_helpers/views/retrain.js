// The retrain panel: controls, curves, and a table of the runs.

import { button, field, freshId, h, later, say } from "./blocks.js";

export function retrainView(port) {
  const setup = port.get("setup");
  const problem = h("p", { class: "problem", role: "alert", id: freshId() });
  const controls = Object.values(setup.groups).flat().map((control) => controlRow(control, port, problem.id));
  // The last move of a slider goes first.
  const ask = (message) => {
    controls.forEach((control) => control.flush());
    port.send(message);
  };
  const train = button("Train", () => ask({ do: "train" }), { class: "primary" });
  const stop = button("Stop", () => ask({ do: "stop" }));
  const reset = button(setup.reset, () => ask({ do: "reset" }), { title: "The controls go back; your runs stay" });
  const moving = h("input", { type: "checkbox", onchange: (e) => ask({ do: "automatic", on: e.target.checked }) });
  const explain = button("Explain", () => explain.setAttribute("aria-pressed", panel.classList.toggle("explained")), {
    class: "explain", title: "What each control does", "aria-pressed": "false",
  });
  const facts = h("p", { class: "facts" });
  const bar = h("div", { class: "bar", role: "progressbar", "aria-label": "Training", "aria-valuemin": 0, "aria-valuemax": 100 }, h("div"));
  const progress = h("p", { class: "progress" });
  const message = h("p", { class: "message", role: "status" });
  const where = h("div", { class: "where" }, facts, bar, progress, message, problem);
  const charts = [lossChart(), accuracyChart()];
  const bandTitle = h("span");
  const key = h("span", { class: "key", hidden: true }, h("span", { class: "band" }), bandTitle);
  const table = trialTable(ask, setup.origin);
  const code = h("code");
  const copied = h("span", { role: "status" });
  const program = h(
    "details",
    { class: "program", ontoggle: () => program.open && ask({ do: "program" }) },
    h("summary", {}, "Show code"),
    h("p", {}, "The present setting as a plain Keras program. ", button("Copy", copyCode), " ", copied),
    h("pre", { tabindex: 0, role: "region", "aria-label": "Keras program" }, code),
  );

  function copyCode() {
    const selection = getSelection();
    selection.selectAllChildren(code);
    const written = navigator.clipboard ? navigator.clipboard.writeText(code.textContent) : Promise.reject();
    written.then(() => say(copied, "Copied."), () => say(copied, "Selected: press Ctrl-C or ⌘C."));
  }

  function showState(state) {
    say(train, state.changed ? "Restart with this setting" : "Train");
    train.disabled = Boolean(state.problem) || (state.training && !state.changed);
    stop.disabled = !state.training;
    moving.checked = state.automatic;
    say(facts, state.problem ? "" : `${state.parameters} parameters, about ${state.expected} to train`);
    say(message, state.message);
    say(problem, state.problem ? state.problem.sentence : "");
    for (const control of controls) control.show(state.settings, state.problem);
    if (program.open) port.send({ do: "program" });
  }

  function showProgress(live) {
    where.classList.toggle("idle", !live);
    const { fraction, text } = live ? live.progress : { fraction: 0, text: "" };
    bar.firstChild.style.width = `${100 * fraction}%`;
    bar.setAttribute("aria-valuenow", Math.round(100 * fraction));
    say(progress, text);
  }

  // Once a frame at most, however many messages come.
  let due = false;
  function redraw() {
    if (!due) requestAnimationFrame(drawTrials);
    due = true;
  }

  function drawTrials() {
    due = false;
    const { shown } = port.get("state");
    const live = port.get("live");
    const trials = [...port.get("trials"), ...(live ? [live] : [])];
    let pins = 0;
    const series = trials.map((trial) => ({
      trial,
      look: trial.number === shown ? "shown" : trial.pinned ? `pinned pin-${1 + (pins++ % 4)}` : "earlier",
    }));
    series.sort((a, b) => order(a) - order(b));
    const band = port.get("band");
    say(bandTitle, band ? band.title : "");
    key.hidden = !band;
    for (const chart of charts) chart.draw(series.filter(({ trial }) => !trial.hidden), band);
    table.colour(series);
  }
  const order = ({ look }) => (look === "shown" ? 2 : look === "earlier" ? 0 : 1);

  const groups = Object.entries(setup.groups).map(([name, members]) =>
    h("fieldset", {}, h("legend", {}, name), ...members.map((member) => controls.find((c) => c.name === member.name).node)),
  );
  const panel = h(
    "section",
    { class: "mnist-panel retrain", "aria-label": "Retrain the network" },
    h("p", { class: "task" }, "Change one setting, press Train, and see whether the solid line, on images that are not trained on, ends better than the grey one of the run before."),
    h("div", { class: "buttons" }, train, stop, reset, h("label", { class: "switch" }, moving, "Retrain as I move"), explain),
    where,
    h(
      "div",
      { class: "columns" },
      h("div", { class: controls.length > 6 ? "controls many" : "controls" }, ...groups),
      h("div", { class: "results" }, legend(key, port.get("band") !== undefined), ...charts.map((chart) => chart.node)),
    ),
    table.node,
    program,
  );
  port.on("state", (state) => { showState(state); redraw(); });
  port.on("trials", (trials) => { table.show(trials); redraw(); });
  port.on("live", (live) => { showProgress(live); redraw(); });
  port.on("band", redraw); // in the pages of the book, Keras's result
  port.on("message", (sent) => {
    if (!sent.program || sent.program === code.textContent) return;
    say(code, sent.program);
    say(copied, "");
  });
  showState(port.get("state"));
  table.show(port.get("trials"));
  showProgress(port.get("live"));
  drawTrials();
  return panel;
}

const write = (value) =>
  value === true ? "on" : value === false ? "off"
  : typeof value === "number" ? (value >= 1000 ? value.toLocaleString("en-GB") : String(value))
  : String(value).replaceAll("_", " ");

// The place of the choice that is nearest to a value, which code may have set to anything.
function nearest(choices, value) {
  const distances = choices.map((choice) => Math.abs(choice - value));
  return Math.max(0, distances.indexOf(Math.min(...distances)));
}

// A control's row: label, the control itself, its value, and one line on what it does.
function controlRow(control, port, problemId) {
  const id = freshId();
  const { name, kind, choices } = control;
  const value = h("span", { class: "value" });
  const send = later(150, (chosen) => port.send({ do: "set", name, value: chosen }));
  let pending; // what the reader has chosen and Python has not heard of

  function choose(chosen) {
    pending = chosen;
    say(value, write(chosen));
    if (kind === "slider") input.setAttribute("aria-valuetext", write(chosen));
    send(chosen);
  }

  const input = {
    slider: () => h("input", { type: "range", min: 0, max: choices.length - 1, step: 1, oninput: () => choose(choices[input.value]), id }),
    menu: () => h("select", { onchange: () => choose(choices[input.selectedIndex]), id }, ...choices.map((c) => h("option", {}, write(c)))),
    switch: () => h("input", { type: "checkbox", role: "switch", onchange: () => choose(input.checked), id }),
    number: () => h("input", { type: "number", min: choices[0], max: choices[1], step: 1, oninput: () => choose(input.value === "" ? null : Number(input.value)), id }),
  }[kind]();

  function show(settings, trouble) {
    const wrong = trouble?.name === name;
    input.setAttribute("aria-invalid", String(wrong));
    input.setAttribute("aria-describedby", wrong ? `${id}-help ${problemId}` : `${id}-help`);
    const now = settings[name];
    if (pending !== undefined && now !== pending) return;
    pending = undefined;
    if (kind === "slider") {
      input.value = nearest(choices, now);
      input.setAttribute("aria-valuetext", write(now));
    } else if (kind === "menu") input.selectedIndex = choices.indexOf(now);
    else if (kind === "switch") input.checked = now;
    else if (input !== document.activeElement) input.value = now;
    say(value, kind === "slider" ? write(now) : "");
  }

  const node = h(
    "div",
    { class: `control ${kind}`, "data-control": name },
    h("label", { for: id }, control.label),
    input,
    value,
    h("p", { class: "help", id: `${id}-help` }, control.help),
  );
  return { name, node, show, flush: send.flush };
}

// ---------------------------------------------------------------- curves

const CHART = { left: 50, right: 12, top: 26, bottom: 30 };

function legend(key, hasBand) {
  return h(
    "p",
    { class: hasBand ? "legend with-band" : "legend" },
    h("span", {}, sample("shown", "training"), "training (dashed)"),
    h("span", {}, sample("shown", "validation"), "validation (solid)"),
    h("span", {}, sample("earlier", "validation"), "runs before"),
    key,
  );
}

const sample = (look, line) => h("svg", { viewBox: "0 0 28 8", class: "sample", "aria-hidden": "true" }, h("path", { d: "M0 4H28", class: `${look} ${line}` }));

// The loss goes over three powers of ten, so its axis is logarithmic.
function lossChart() {
  const steps = [0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 1000];
  return chart("Loss", "lower is better, log scale", 0, (values, _, height) => {
    const positive = values.filter((value) => value > 0);
    const low = steps.findLast((step) => step <= Math.min(0.5, ...positive)) ?? steps[0];
    const high = steps.find((step) => step >= Math.max(1, ...positive)) ?? 1000;
    const ticks = steps.filter((step) => low <= step && step <= high);
    const place = (value) => Math.log(Math.max(value, low) / low) / Math.log(high / low);
    const fits = (height - 56) / 16; // lines of text
    const every = [1, 3].find((every) => ticks.length / every <= fits) ?? 6;
    return { ticks: ticks.filter((tick) => steps.indexOf(tick) % every === 0), place, write: String };
  });
}

function accuracyChart() {
  return chart("Accuracy", "higher is better", 1, (_, validation) => {
    const lowest = Math.min(...validation);
    const [low, step] = [[0.98, 0.005], [0.95, 0.01], [0.9, 0.02], [0.8, 0.05], [0.6, 0.1]].find(([low]) => low < lowest - 0.002 && validation.length) ?? [0, 0.2];
    const ticks = Array.from({ length: Math.round((1 - low) / step) + 1 }, (_, i) => low + i * step);
    return { ticks, place: (value) => (value - low) / (1 - low), write: (value) => `${(100 * value).toFixed(step < 0.01 ? 1 : 0)}%` };
  });
}

function chart(name, reading, which, scaleFor) {
  const { left, right, top, bottom } = CHART;
  let width = 460, height = 200, drawn = [], drawnBand = null;
  const axes = h("g", { class: "axes" });
  const lines = h("g");
  const now = h("text", { y: 14, "text-anchor": "end", class: "now" });
  const hint = h("text", { x: left + (which ? 72 : 42), y: 14 });
  const node = h(
    "svg",
    { role: "img", "aria-label": name, class: "chart" },
    h("text", { x: left, y: 14, class: "name" }, name), hint, now, axes, lines,
  );

  // Drawn in the pixels of the page, so that letters keep their size.
  new ResizeObserver(([{ contentRect }]) => {
    if (!contentRect.width || (contentRect.width === width && contentRect.height === height)) return;
    ({ width, height } = contentRect);
    draw(drawn, drawnBand);
  }).observe(node);

  function draw(series, band) {
    drawn = series;
    drawnBand = band;
    now.setAttribute("x", width - right);
    const trainings = series.flatMap(({ trial }) => trial.curve[1 + which]);
    const validations = series.flatMap(({ trial }) => trial.validation[which]);
    const last = Math.max(1, ...series.map(({ trial }) => trial.epochs), series.length || !band ? 1 : band.epochs);
    const keras = (band?.validation[which] ?? []).slice(0, last);
    const means = keras.map(([mean]) => mean);
    const scale = scaleFor([...trainings, ...validations, ...means], [...validations, ...means], height);
    const x = (epoch) => left + (epoch / last) * (width - left - right);
    const y = (value) => height - bottom - scale.place(value) * (height - top - bottom);
    const clip = (value) => Math.min(height - bottom, Math.max(top - 6, value));
    const within = ([, value]) => value <= height - bottom + 1 && value >= top - 6;
    say(hint, width < 480 ? "" : reading);

    axes.replaceChildren(
      ...scale.ticks.flatMap((tick) => [
        h("line", { x1: left, x2: width - right, y1: y(tick), y2: y(tick) }),
        h("text", { x: left - 6, y: y(tick) + 4, "text-anchor": "end" }, scale.write(tick)),
      ]),
      ...epochTicks(last).map((epoch) => h("text", { x: x(epoch), y: height - bottom + 16, "text-anchor": "middle" }, String(epoch))),
      h("text", { x: width - right, y: height - 2, "text-anchor": "end" }, "epoch"),
    );
    // The band goes from the mean less one deviation to the mean and one, and there and back again.
    const edge = (sign) => keras.map(([mean, deviation], i) => [x(i + 1), clip(y(mean + sign * deviation))]);
    const outline = [...edge(1), ...edge(-1).reverse()].map((point) => point.map((value) => value.toFixed(1)).join(" "));
    lines.replaceChildren(
      ...(keras.length ? [h("path", { d: `M${outline.join("L")}Z`, class: "band" })] : []),
      ...series.flatMap(({ trial, look }) => {
        const training = trial.curve[1 + which].map((value, i) => [x(trial.curve[0][i]), y(value)]);
        const validation = trial.validation[which].map((value, i) => [x(i + 1), y(value)]);
        return [
          h("path", { d: path(training, within), class: `${look} training` }, h("title", {}, `${trial.title}, training`)),
          h("path", { d: path(validation, within), class: `${look} validation` }, h("title", {}, `${trial.title}, validation`)),
          ...(validation.length > 40 ? [] : validation.filter(within).map(([cx, cy]) => h("circle", { cx, cy, r: look === "shown" ? 3 : 2, class: look }))),
        ];
      }),
    );
    const shown = series.find(({ look }) => look === "shown");
    const text = shown ? latest(shown.trial) : "";
    say(now, text);
    node.setAttribute("aria-label", `${name} by epoch. ${shown ? `${shown.trial.title}: ${text}` : "No run is shown."}`);
  }

  function latest(trial) {
    const write = (value) => (value == null ? "–" : which ? `${(100 * value).toFixed(1)}%` : value.toFixed(3));
    if (width < 340) return `${write(trial.curve[1 + which].at(-1))} · ${write(trial.validation[which].at(-1))}`;
    return `training ${write(trial.curve[1 + which].at(-1))} · validation ${write(trial.validation[which].at(-1))}`;
  }
  return { node, draw };
}

// A line through the points that are within the axes; it breaks where they are not.
const path = (points, within) =>
  points.map((point, i) => (!within(point) ? "" : `${i && within(points[i - 1]) ? "L" : "M"}${point[0].toFixed(1)} ${point[1].toFixed(1)}`)).join("");

function epochTicks(last) {
  const step = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000].find((step) => last / step <= 10) ?? 5000;
  return Array.from({ length: Math.floor(last / step) + 1 }, (_, i) => i * step);
}

// ---------------------------------------------------------------- the table of runs

function trialTable(ask, origin) {
  const body = h("tbody");
  const empty = h("p", { class: "help" }, "No run yet: press Train.");
  const heading = ["Show", "Run", `Changed from the ${origin}`, "Best validation", "Test", "Time", "Actions"];
  const table = h("table", {}, h("thead", {}, h("tr", {}, ...heading.map((text) => h("th", { scope: "col" }, text)))), body);
  const clear = button("Clear all but the pinned", () => ask({ do: "clear" }));
  const why = h(
    "p",
    { class: "help" },
    "Decide by the validation set. The test score tells how good the run that you decided on is, on images that played no part in the decision; every look at it before that spoils it a little.",
  );
  const node = h("div", { class: "trials" }, empty, h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Runs" }, table), clear, why);
  const rows = new Map();

  function row(trial) {
    const change = (what) => ask({ do: "change", number: trial.number, ...what });
    const parts = {
      visible: h("input", { type: "checkbox", onchange: (e) => change({ hidden: !e.target.checked }) }),
      name: field({ type: "text", maxlength: 40 }, (name) => change({ name })),
      differs: h("td"), best: h("td"), test: h("td"), seconds: h("td"),
      pin: button("Pin", () => change({ pinned: parts.pin.getAttribute("aria-pressed") !== "true" }), { title: "Draw this run in a colour of its own, and keep it when the others are cleared" }),
      open: button("Reveal test score", () => ask({ do: "test", number: trial.number }), { title: "Open the test set once, for this run" }),
      use: button("Restore settings", () => ask({ do: "use", number: trial.number }), { title: "Move the controls to where they were for this run" }),
      colour: h("span"),
    };
    const line = h("tr", {}, h("td", { class: "visible" }, parts.visible, parts.colour), h("td", {}, parts.name), parts.differs, parts.best, parts.test, parts.seconds, h("td", {}, parts.pin, parts.use));
    return { line, ...parts };
  }

  function show(trials) {
    empty.hidden = trials.length > 0;
    node.classList.toggle("filled", trials.length > 0);
    for (const number of rows.keys()) if (!trials.some((trial) => trial.number === number)) rows.delete(number);
    const lines = [...trials].reverse().map((trial) => {
      if (!rows.has(trial.number)) rows.set(trial.number, row(trial));
      const parts = rows.get(trial.number);
      parts.visible.checked = !trial.hidden;
      parts.visible.setAttribute("aria-label", `Show ${trial.title} in the curves`);
      if (parts.name !== document.activeElement) parts.name.value = trial.title;
      parts.name.setAttribute("aria-label", `Name of run ${trial.number}`);
      const note = { stopped: " (stopped)", failed: " (failed)" }[trial.state] ?? (trial.stored ? " (saved, not trained now)" : "");
      say(parts.differs, (trial.differs || "nothing") + note);
      say(parts.best, trial.best ?? "–");
      say(parts.seconds, trial.seconds);
      parts.pin.setAttribute("aria-pressed", String(trial.pinned));
      parts.pin.setAttribute("aria-label", `Pin ${trial.title}`);
      parts.use.setAttribute("aria-label", `Restore settings of ${trial.title}`);
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
