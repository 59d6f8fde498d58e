// The look of the three panels. Something else decides everything: Python in a notebook, lab/lab.js in the book's pages.
// It hands over what to show under names (a notebook's traits), and a click goes back to it as a message {do: …}.
// Plain DOM and SVG, so that nothing has to be loaded from anywhere.

export default {
  render({ model, el }) {
    const port = {
      get: (name) => model.get(name),
      send: (message) => model.send(message),
      // A view may be closed while its model lives on, and then must not be told any more.
      on: (name, tell) => {
        const event = name === "message" ? "msg:custom" : `change:${name}`;
        const listener = name === "message" ? (message) => tell(message) : () => tell(model.get(name));
        model.on(event, listener);
        port.leave.push(() => model.off(event, listener));
      },
      leave: [],
    };
    const view = { retrain: retrainView, draw: drawView, explore: exploreView }[model.get("view")];
    el.append(view(port));
    port.send({ do: "hello" });
    return () => port.leave.forEach((leave) => leave());
  },
};

// ---------------------------------------------------------------- building blocks

export { retrainView, drawView, exploreView };

let counter = 0;
const freshId = () => `mnist-panel-${Date.now().toString(36)}-${counter++}`;

function h(tag, attributes = {}, ...children) {
  const svg = ["svg", "g", "path", "line", "text", "circle", "title"].includes(tag);
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  // JupyterLab would take arrow keys and Enter for its own, to move between cells.
  if (node.tabIndex >= 0) node.setAttribute("data-lm-suppress-shortcuts", "true");
  node.append(...children.filter((child) => child != null));
  return node;
}

const button = (text, click, attributes = {}) => h("button", { type: "button", onclick: click, ...attributes }, text);

// A field that is done with on leaving it or on Enter, of which JupyterLab lets no change event come.
function field(attributes, done) {
  let last;
  const finish = () => done((last = node.value));
  const node = h("input", {
    ...attributes,
    onfocus: () => (last = node.value),
    onchange: () => node.value !== last && finish(),
    onkeydown: (event) => event.key === "Enter" && finish(),
  });
  return node;
}

// Change a text only when it differs, so that a screen reader is not told the same thing again.
function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// Act once the calls have stopped for a while, or at once when flushed.
function later(milliseconds, act) {
  let timer = null, latest;
  const now = () => {
    timer = null;
    act(latest);
  };
  const call = (value) => {
    latest = value;
    clearTimeout(timer);
    timer = setTimeout(now, milliseconds);
  };
  call.flush = () => {
    if (timer === null) return;
    clearTimeout(timer);
    now();
  };
  return call;
}

// A 28 × 28 picture from bytes, in base64 or as they are: grey values as ink on paper, or signed weights as red and blue.
function picture(encoded, { signed = false, label = "" } = {}) {
  const canvas = h("canvas", { width: 28, height: 28, role: "img", "aria-label": label, title: label });
  paint(canvas, encoded, signed);
  return canvas;
}

function paint(canvas, encoded, signed = false) {
  const bytes = typeof encoded === "string" ? Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0)) : encoded;
  const context = canvas.getContext("2d");
  const image = context.createImageData(28, 28);
  bytes.forEach((byte, place) => {
    const weight = signed ? (byte << 24) >> 24 : -byte / 2;
    const fade = 255 - Math.min(255, Math.abs(weight) * 2);
    const colour = signed ? (weight > 0 ? [255, fade, fade] : [fade, fade, 255]) : [fade, fade, fade];
    image.data.set([...colour, 255], 4 * place);
  });
  context.putImageData(image, 0, 0);
}

// ---------------------------------------------------------------- the retrain panel

function retrainView(port) {
  const setup = port.get("setup");
  const controls = Object.values(setup.groups).flat().map((control) => controlRow(control, port));
  // The last move of a slider goes first.
  const ask = (message) => {
    controls.forEach((control) => control.flush());
    port.send(message);
  };
  const train = button("Train", () => ask({ do: "train" }), { class: "primary" });
  const stop = button("Stop", () => ask({ do: "stop" }));
  const reset = button(setup.reset, () => ask({ do: "reset" }), { title: "The controls go back; your runs stay" });
  const moving = h("input", { type: "checkbox", onchange: (e) => ask({ do: "automatic", on: e.target.checked }) });
  const facts = h("p", { class: "facts" });
  const bar = h("div", { class: "bar", role: "progressbar", "aria-label": "Training", "aria-valuemin": 0, "aria-valuemax": 100 }, h("div"));
  const progress = h("p", { class: "progress" });
  const message = h("p", { class: "message", role: "status" });
  const where = h("div", { class: "where" }, bar, progress, message);
  const charts = [lossChart(), accuracyChart()];
  const bandTitle = h("span");
  const key = h("span", { hidden: true }, h("span", { class: "band" }), bandTitle);
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
    for (const control of controls) control.show(state.settings, state.problem);
    // A problem of something that no control shows stands with the message.
    if (state.problem && !controls.some((control) => control.name === state.problem.name)) say(message, state.problem.sentence);
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
    h("div", { class: "buttons" }, train, stop, reset, h("label", { class: "switch" }, moving, "Retrain as I move"), facts),
    where,
    h(
      "div",
      { class: "columns" },
      h("div", { class: controls.length > 6 ? "controls many" : "controls" }, ...groups),
      h("div", { class: "results" }, legend(key), ...charts.map((chart) => chart.node)),
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

// A control's row: label, value, the control itself, one line on what it does, and room for a problem.
function controlRow(control, port) {
  const id = freshId();
  const { name, kind, choices } = control;
  const value = h("span", { class: "value" });
  const problem = h("p", { class: "problem", role: "alert", id: `${id}-problem` });
  const send = later(150, (chosen) => port.send({ do: "set", name, value: chosen }));
  let pending; // what the reader has chosen and Python has not heard of
  const described = { id, "aria-describedby": `${id}-help ${id}-problem` };

  function choose(chosen) {
    pending = chosen;
    say(value, write(chosen));
    if (kind === "slider") input.setAttribute("aria-valuetext", write(chosen));
    send(chosen);
  }

  const input = {
    slider: () => h("input", { type: "range", min: 0, max: choices.length - 1, step: 1, oninput: () => choose(choices[input.value]), ...described }),
    menu: () => h("select", { onchange: () => choose(choices[input.selectedIndex]), ...described }, ...choices.map((c) => h("option", {}, write(c)))),
    switch: () => h("input", { type: "checkbox", role: "switch", onchange: () => choose(input.checked), ...described }),
    number: () => h("input", { type: "number", min: choices[0], max: choices[1], step: 1, oninput: () => choose(input.value === "" ? null : Number(input.value)), ...described }),
  }[kind]();

  function show(settings, trouble) {
    say(problem, trouble && trouble.name === name ? trouble.sentence : "");
    input.setAttribute("aria-invalid", String(Boolean(trouble && trouble.name === name)));
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
    value,
    input,
    h("p", { class: "help", id: `${id}-help` }, control.help),
    problem,
  );
  return { name, node, show, flush: send.flush };
}

// ---------------------------------------------------------------- curves

const CHART = { high: 250, low: 200, left: 50, right: 12, top: 26, bottom: 30 };

function legend(key) {
  return h(
    "p",
    { class: "legend" },
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
  return chart("Loss", "lower is better, log scale", 0, (values) => {
    const positive = values.filter((value) => value > 0);
    const low = steps.findLast((step) => step <= Math.min(0.5, ...positive)) ?? steps[0];
    const high = steps.find((step) => step >= Math.max(1, ...positive)) ?? 1000;
    const ticks = steps.filter((step) => low <= step && step <= high);
    const place = (value) => Math.log(Math.max(value, low) / low) / Math.log(high / low);
    return { ticks: ticks.filter((_, i) => ticks.length < 9 || i % 2 === 0), place, write: String };
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
  const { high, low, left, right, top, bottom } = CHART;
  let width = 460, height = low, drawn = [], drawnBand = null;
  const axes = h("g", { class: "axes" });
  const lines = h("g");
  const now = h("text", { y: 14, "text-anchor": "end", class: "now" });
  const hint = h("text", { x: left + (which ? 72 : 42), y: 14 });
  const node = h(
    "svg",
    { height, role: "img", "aria-label": name, class: "chart" },
    h("text", { x: left, y: 14, class: "name" }, name), hint, now, axes, lines,
  );

  // Drawn in the pixels of the page, so that letters keep their size.
  new ResizeObserver(([{ contentRect }]) => {
    if (contentRect.width && contentRect.width !== width) {
      width = contentRect.width;
      height = width < 500 ? low : high;
      node.setAttribute("height", height);
      draw(drawn, drawnBand);
    }
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
    const scale = scaleFor([...trainings, ...validations, ...means], [...validations, ...means]);
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

// ---------------------------------------------------------------- the drawing panel

function drawView(port) {
  const SIZE = 280;
  const names = port.get("setup").names;
  let strokes = [];
  let pen = null; // where the keyboard's pen is, and whether it is down
  let waiting = false, dirty = false;

  const canvas = h("canvas", {
    width: SIZE, height: SIZE, tabindex: 0, role: "application", class: "sheet",
    "aria-label": "Sheet to draw on. With the keyboard: arrow keys move the pen, the space bar puts it down and lifts it, Escape clears.",
  });
  const context = canvas.getContext("2d");
  const bars = names.map((name) => {
    const bar = h("div", { class: "share" }, h("div"));
    const text = h("span");
    return { bar, text, node: h("li", {}, h("b", {}, name), bar, text) };
  });
  const verdict = h("p", { class: "verdict", role: "status" });
  const seen = h("canvas", { width: 28, height: 28, role: "img", "aria-label": "What the network sees: your drawing, scaled and centred" });
  const nearest = h("div", { class: "nearest" });

  function redraw() {
    context.clearRect(0, 0, SIZE, SIZE);
    Object.assign(context, { lineWidth: 20, lineCap: "round", lineJoin: "round" });
    context.strokeStyle = context.fillStyle = getComputedStyle(canvas).color;
    for (const stroke of strokes) {
      context.beginPath();
      stroke.forEach(([x, y], i) => (i ? context.lineTo(x * SIZE, y * SIZE) : context.moveTo(x * SIZE, y * SIZE)));
      if (stroke.length === 1) context.lineTo(stroke[0][0] * SIZE, stroke[0][1] * SIZE);
      context.stroke();
    }
    if (pen && document.activeElement === canvas) {
      context.beginPath();
      context.lineWidth = 2;
      context.arc(pen.x * SIZE, pen.y * SIZE, 8, 0, 7);
      pen.down ? context.fill() : context.stroke();
    }
  }

  // One question at a time; what is drawn meanwhile is asked about when the answer has come.
  function ask(still) {
    redraw();
    if (waiting && !still) { dirty = true; return; }
    waiting = true;
    dirty = false;
    port.send({ do: "draw", strokes: strokes.map((stroke) => stroke.map((point) => point.map((v) => +v.toFixed(4)))), still });
  }

  function point(event) {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height].map((v) => Math.min(1, Math.max(0, v)));
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button || !event.isPrimary) return;
    event.preventDefault();
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    pen = null;
    strokes.push([point(event)]);
    ask(false);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!canvas.hasPointerCapture(event.pointerId) || !strokes.length) return;
    const events = event.getCoalescedEvents?.() ?? [];
    strokes.at(-1).push(...(events.length ? events : [event]).map(point));
    ask(false);
  });
  for (const end of ["pointerup", "pointercancel"])
    canvas.addEventListener(end, (event) => canvas.hasPointerCapture(event.pointerId) && ask(true));

  canvas.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!by && event.key !== " " && event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    if (event.key === "Escape") return clear();
    pen ??= { x: 0.5, y: 0.3, down: false };
    if (by) {
      pen.x = Math.min(1, Math.max(0, pen.x + by[0] / 28));
      pen.y = Math.min(1, Math.max(0, pen.y + by[1] / 28));
    } else pen.down = !pen.down;
    if (by && !pen.down) return redraw();
    if (pen.down && !by) strokes.push([]);
    if (pen.down) strokes.at(-1).push([pen.x, pen.y]);
    ask(!pen.down);
  });
  canvas.addEventListener("blur", redraw);
  canvas.addEventListener("focus", redraw);

  function clear() {
    strokes = [];
    pen = null;
    ask(true);
  }

  function show(result) {
    waiting = false;
    paint(seen, result.picture);
    const shares = result.probabilities ?? names.map(() => 0);
    const best = shares.indexOf(Math.max(...shares));
    bars.forEach(({ bar, text, node }, i) => {
      bar.firstChild.style.width = `${100 * shares[i]}%`;
      say(text, !result.probabilities ? "" : `${(100 * shares[i]).toFixed(shares[i] < 0.0995 ? 1 : 0)}%`);
      node.classList.toggle("best", Boolean(result.probabilities) && i === best);
    });
    say(verdict, result.blank ? "Draw a digit." : result.sentence ? result.sentence : `It reads ${names[best]}, and is ${(100 * shares[best]).toFixed(0)}% sure.`);
    nearest.replaceChildren(...result.closest.map(({ pixels, label }) => h("figure", {}, picture(pixels, { label: `A training image of ${label}` }), h("figcaption", {}, label))));
    if (dirty) ask(false);
  }

  const who = h("p", { class: "help" });
  const showNetwork = ({ name }) => say(who, `You ask ${name}.`);
  port.on("result", show);
  // Another network has another opinion of the same drawing.
  port.on("network", (network) => { showNetwork(network); ask(true); });
  show(port.get("result"));
  showNetwork(port.get("network"));
  return h(
    "section",
    { class: "mnist-panel draw", "aria-label": "Draw a digit" },
    h("div", {}, h("h3", {}, "Draw here"), canvas, h("div", { class: "buttons" }, button("Clear", clear))),
    h("div", { class: "answer" }, h("h3", {}, "What it thinks"), who, verdict, h("ol", { class: "shares" }, ...bars.map((bar) => bar.node))),
    h("div", {}, h("h3", {}, "What the network sees"), seen, h("h3", {}, "The closest training images"), nearest, h("p", { class: "help" }, "By the distance between pixels, shown when you lift the pen.")),
  );
}

// ---------------------------------------------------------------- the exploring panel

function exploreView(port) {
  const names = port.get("setup").names;
  const wish = { split: "validation", label: null, said: null, order: "wrong", start: 0 };
  const show = (what) => { Object.assign(wish, { start: 0 }, what); port.send({ do: "show", ...wish }); };
  const menu = (label, options, choose) => {
    const id = freshId();
    const select = h("select", { id, onchange: () => choose(options[select.selectedIndex][0]) }, ...options.map(([, text]) => h("option", {}, text)));
    return { select, options, node: h("span", { class: "choice" }, h("label", { for: id }, label), select) };
  };
  const splits = menu("Images", [["validation", "validation set"], ["training", "training set"]], (split) => show({ split }));
  const classes = menu("True class", [[null, "all"], ...names.map((name, i) => [i, name])], (label) => show({ label, said: null }));
  const orders = menu("Order", [["wrong", "most wrong first"], ["index", "by index"]], (order) => show({ order }));
  const index = field({ type: "number", min: 0, id: freshId() }, (value) => show({ label: null, said: null, order: "index", start: Number(value) || 0 }));
  const before = button("Previous", () => show({ start: port.get("images").start - port.get("images").page }));
  const after = button("Next", () => show({ start: port.get("images").start + port.get("images").page }));
  const where = h("p", { role: "status", class: "where" });
  const grid = h("div", { class: "images" });
  const matrix = h("table", { class: "confusion" });
  let cells = [];
  const units = h("div", { class: "units" });
  const unitsBefore = button("Previous units", () => port.send({ do: "units", start: port.get("weights").start - port.get("weights").page }));
  const unitsAfter = button("Next units", () => port.send({ do: "units", start: port.get("weights").start + port.get("weights").page }));
  const unitsWhere = h("p", { class: "where" });

  function showImages(images) {
    Object.assign(wish, { split: images.split, label: images.label, said: images.said, order: images.order, start: images.start });
    for (const { select, options, value } of [{ ...splits, value: images.split }, { ...classes, value: images.label }, { ...orders, value: images.order }])
      select.selectedIndex = options.findIndex(([option]) => option === value);
    const which = (images.label == null ? "" : ` of ${names[images.label]}`) + (images.said == null ? "" : ` that it reads as ${names[images.said]}`);
    const last = Math.min(images.total, images.start + images.page);
    say(where, images.total ? `Images ${images.start + 1} to ${last} of ${images.total.toLocaleString("en-GB")}${which}` : `There are no images${which}.`);
    before.disabled = images.start === 0;
    after.disabled = last >= images.total;
    grid.replaceChildren(...images.images.map((image) => {
      const text = image.right ? [image.label] : [`is ${image.label}`, `read as ${image.said}`];
      return h("figure", { class: image.right ? "right" : "wrong" }, picture(image.pixels, { label: `Image ${image.index}: ${text.join(", ")}` }), h("figcaption", {}, ...text.map((line) => h("span", {}, line))));
    }));
  }

  function showMatrix(counts) {
    const worst = Math.max(1, ...counts.flatMap((row, i) => row.filter((_, j) => i !== j)));
    cells = [];
    matrix.replaceChildren(
      h("caption", {}, "Press a number to see its images. Blank means none; blue were read right."),
      h("thead", {}, h("tr", {}, h("td"), h("th", { colspan: names.length }, "Read as")), h("tr", {}, h("th", { scope: "col" }, "Is"), ...names.map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, ...counts.map((row, i) => h("tr", {}, h("th", { scope: "row" }, names[i]), ...row.map((count, j) => {
        const cell = button(count || "", () => show({ label: i, said: j }), { "aria-label": `${count} of ${names[i]} read as ${names[j]}` });
        cells.push({ cell, pressed: () => wish.label === i && wish.said === j });
        cell.style.setProperty("--level", i === j ? 0 : Math.sqrt(count / worst));
        if (i === j) cell.classList.add("right");
        return h("td", {}, cell);
      })))),
    );
    showPressed();
  }

  // Without making the cells anew, so that the one that was pressed keeps the focus.
  function showPressed() {
    for (const { cell, pressed } of cells) cell.setAttribute("aria-pressed", String(pressed()));
  }

  function showUnits(weights) {
    const last = Math.min(weights.total, weights.start + weights.page);
    say(unitsWhere, weights.total ? `Units ${weights.start + 1} to ${last} of ${weights.total}. Red: ink here raises the unit's sum. Blue: it lowers it. Speckle at the edge is what training began with: hardly a digit has ink there to learn from.` : "This network's first layer does not look at 784 pixels.");
    unitsBefore.disabled = weights.start === 0;
    unitsAfter.disabled = last >= weights.total;
    units.replaceChildren(...weights.units.map((unit, i) => picture(unit, { signed: true, label: `Weights of unit ${weights.start + i + 1}` })));
  }

  const who = h("span", { class: "who" });
  const newer = button("", () => port.send({ do: "again" }));
  function showNetwork({ name, newer: other }) {
    say(who, `You see ${name}.`);
    say(newer, other ? `Ask ${other}` : "");
    newer.hidden = !other;
  }

  port.on("images", (images) => { showImages(images); showPressed(); });
  port.on("confusion", showMatrix);
  port.on("network", showNetwork);
  showNetwork(port.get("network"));
  port.on("weights", showUnits);
  showImages(port.get("images"));
  showMatrix(port.get("confusion"));
  showUnits(port.get("weights"));
  return h(
    "section",
    { class: "mnist-panel explore", "aria-label": "Explore the data and the network" },
    h("div", { class: "buttons" }, who, newer),
    h("div", { class: "buttons" }, splits.node, classes.node, orders.node, h("span", { class: "choice" }, h("label", { for: index.id }, "Go to index"), index)),
    h("div", { class: "columns" },
      h("div", {}, h("h3", {}, "Images"), where, grid, h("div", { class: "buttons" }, before, after)),
      h("div", {}, h("h3", {}, "Confusion matrix"), h("div", { class: "scroll" }, matrix)),
    ),
    h("h3", {}, "Weights of the first layer"), unitsWhere, units, h("div", { class: "buttons" }, unitsBefore, unitsAfter),
  );
}
