// Loss and accuracy by epoch, of the runs of a panel; each run has a look, which the key and the table of runs share.

import { h, say } from "./elements.js";
import { percent } from "./session.js";

export const CHART = { left: 50, right: 12, top: 26, bottom: 30 };

export function legend(key, hasBand, choice) {
  return h(
    "p",
    { class: hasBand ? "legend with-band" : "legend" },
    h("span", {}, sample("shown", "training"), "training (dashed)"),
    h("span", {}, sample("shown", "validation"), "validation (solid)"),
    h("span", {}, sample("earlier", "validation"), "runs before"),
    choice,
    key,
  );
}

export const sample = (look, line) => h("svg", { viewBox: "0 0 28 8", class: "sample", "aria-hidden": "true" }, h("path", { d: "M0 4H28", class: `${look} ${line}` }));

// The loss goes over three powers of ten, so its axis is logarithmic.
export function lossChart() {
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

export function accuracyChart() {
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
    const shown = series.find(({ look }) => look === "shown");
    const predicted = which && shown?.trial.predicted != null ? [shown.trial.predicted] : [];
    const values = [...validations, ...means, ...predicted];
    const scale = scaleFor([...trainings, ...values], values, height);
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
      ...epochAxis(last, x, width - right, height),
    );
    // The band goes from the mean less one deviation to the mean and one, and there and back again.
    const edge = (sign) => keras.map(([mean, deviation], i) => [x(i + 1), clip(y(mean + sign * deviation))]);
    const outline = [...edge(1), ...edge(-1).reverse()].map((point) => point.map((value) => value.toFixed(1)).join(" "));
    lines.replaceChildren(
      ...(keras.length ? [h("path", { d: `M${outline.join("L")}Z`, class: "band" })] : []),
      ...predicted.flatMap((share) => [
        h("path", { d: `M${left} ${y(share)}H${width - right}`, class: "shown predicted" }),
        h("text", { x: width - right, y: height - bottom - 6, "text-anchor": "end", class: "shown predicted" }, `··· predicted ${percent(share)}`),
      ]),
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
    const text = shown ? latest(shown.trial) : "";
    say(now, text);
    node.setAttribute("aria-label", `${name} by epoch. ${shown ? [`${shown.trial.title}: ${text}`, ...predicted.map((share) => `predicted ${percent(share)}`)].join(", ") : "No run is shown."}`);
  }

  function latest(trial) {
    const write = (value) => (value == null ? "–" : which ? `${(100 * value).toFixed(1)}%` : value.toFixed(3));
    if (width < 340) return `${write(trial.curve[1 + which].at(-1))} · ${write(trial.validation[which].at(-1))}`;
    return `training ${write(trial.curve[1 + which].at(-1))} · validation ${write(trial.validation[which].at(-1))}`;
  }
  return { node, draw };
}

// A line through the points that are within the axes; it breaks where they are not.
export const path = (points, within) =>
  points.map((point, i) => (!within(point) ? "" : `${i && within(points[i - 1]) ? "L" : "M"}${point[0].toFixed(1)} ${point[1].toFixed(1)}`)).join("");

// The numbers of the epochs below a chart, up to its right edge.
export function epochAxis(last, x, right, height) {
  const step = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000].find((step) => last / step <= 10) ?? 5000;
  return [
    ...Array.from({ length: Math.floor(last / step) + 1 }, (_, i) => h("text", { x: x(i * step), y: height - CHART.bottom + 16, "text-anchor": "middle" }, String(i * step))),
    h("text", { x: right, y: height - 2, "text-anchor": "end" }, "epoch"),
  ];
}
