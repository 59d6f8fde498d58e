// How large the gradient is at each layer, of the run that is shown: a line for each layer over the epochs, a sentence,
// and the same as a table.

import { CHART, epochAxis, path } from "./charts.js";
import { h, readable, say } from "./elements.js";

const FRAME = { ...CHART, right: 44 }; // at the right, the numbers of the layers
const LINE = 12; // height of one of them
const DEFINITION = "The norm of the gradient of the loss with respect to the weights of each layer, on one batch.";
const NONE = "Press Train to see the gradients.";

const found = (norm) => norm > 0 && norm < Infinity; // what a logarithmic axis can show

// Gives the chart, the text below it, and what draws both: a session's `gradients`.
export function gradientsChart() {
  let width = 340, height = 190, drawn = null;
  const name = h("text", { x: FRAME.left, y: 14, class: "name" }, "Gradient norm");
  const now = h("text", { y: 14, "text-anchor": "end", class: "now" });
  const axes = h("g", { class: "axes" }), lines = h("g");
  const chart = h("svg", { role: "img", class: "chart gradients" }, name, now, axes, lines);
  const told = h("p");
  const body = h("tbody");
  const heading = ["Layer", "At first", "Last"].map((text) => h("th", { scope: "col" }, text));
  const table = h("details", { ontoggle: fill }, h("summary", {}, "The gradients as a table"), h("table", {}, h("thead", {}, h("tr", {}, ...heading)), body));
  const text = h("div", { class: "gradients" }, told, h("p", { class: "help" }, DEFINITION), table);

  new ResizeObserver(([{ contentRect }]) => {
    if (!contentRect.width || (contentRect.width === width && contentRect.height === height)) return;
    ({ width, height } = contentRect);
    draw(drawn);
  }).observe(chart);

  function draw(run) {
    drawn = run;
    const points = run?.points ?? [], layers = points.length ? points[0].length - 3 : 0;
    const norms = Array.from({ length: layers }, (_, layer) => points.map((point) => point[3 + layer]));
    const { left, right, top, bottom } = FRAME;
    const powers = norms.flat().filter(found).map(Math.log10);
    const low = Math.floor(Math.min(-4, ...powers)), high = Math.ceil(Math.max(0, ...powers)), last = run?.epochs ?? 1;
    const every = Math.ceil((high - low) / Math.max(1, (height - top - bottom) / 16));
    const ticks = Array.from({ length: Math.floor((high - low) / every) + 1 }, (_, i) => high - i * every);
    const x = (epoch) => left + (epoch / last) * (width - left - right);
    const y = (power) => top + ((high - power) / (high - low)) * (height - top - bottom);
    const ends = norms.map((values) => y(Math.log10(values.findLast(found))));
    now.setAttribute("x", width - FRAME.right);
    axes.replaceChildren(
      ...ticks.flatMap((power) => [
        h("line", { x1: left, x2: width - right, y1: y(power), y2: y(power) }),
        h("text", { x: left - 6, y: y(power) + 4, "text-anchor": "end" }, power ? `10${raised(power)}` : "1"),
      ]),
      ...epochAxis(last, x, width - right, height),
      ...(layers ? [h("text", { x: width - 2, y: 14, "text-anchor": "end" }, "layer")] : []),
    );
    lines.replaceChildren(
      ...norms.map((values, layer) => {
        const line = values.map((norm, i) => [x(points[i][0]), y(Math.log10(norm))]);
        return coloured(h("path", { d: path(line, ([, place]) => Number.isFinite(place)), class: "layer" }), layer, layers);
      }),
      ...labels(ends, top, height - bottom).map(([layer, place]) => coloured(h("text", { x: width - 2, y: place + 4, "text-anchor": "end", class: "layer" }, String(layer + 1)), layer, layers)),
    );
    const range = rangeOf(norms.map((values) => values.at(-1)));
    const sentence = layers ? `${run.title}, last measured: ${range.sentence}` : run ? run.none : NONE;
    say(now, !layers ? "" : width < 380 ? range.short : range.long);
    say(told, sentence);
    chart.setAttribute("aria-label", `Gradient norm by epoch, a line for each layer. ${sentence}`);
    fill();
  }

  function fill() {
    table.hidden = !drawn?.points.length;
    if (!table.open || table.hidden) return;
    const { points } = drawn, first = points[0].slice(3), last = points.at(-1).slice(3);
    body.replaceChildren(
      ...first.map((norm, layer) =>
        h("tr", {}, h("th", { scope: "row" }, nameOf(layer, first.length)), h("td", {}, readable(norm)), h("td", {}, readable(last[layer]))),
      ),
    );
  }
  return { chart, text, draw };
}

const nameOf = (layer, layers) => (layer === layers - 1 ? `${layer + 1}, the output` : String(layer + 1));
const raised = (power) => String(power).replace(/./g, (sign) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(sign)]);

// From the colour of the first layer to that of the last one.
function coloured(node, layer, layers) {
  node.style.setProperty("--depth", layers > 1 ? layer / (layers - 1) : 1);
  return node;
}

// Where the numbers of the layers stand, [layer, place] each: near the ends of their lines, but not on each other; of too
// many, every so manieth and the last one.
function labels(ends, top, bottom) {
  const fit = Math.max(1, Math.floor((bottom - top) / LINE)), every = Math.ceil((ends.length - 1) / fit) || 1;
  const shown = ends.map((end, layer) => [layer, end]).filter(([layer, end]) => Number.isFinite(end) && (layer % every === 0 || layer === ends.length - 1));
  shown.sort(([, first], [, second]) => first - second);
  let free = top;
  for (const label of shown) free = (label[1] = Math.max(label[1], free)) + LINE;
  free = bottom;
  for (const label of shown.reverse()) free = (label[1] = Math.min(label[1], free)) - LINE;
  return shown;
}

// How far apart the layers are: in two words, in four, and in a sentence.
function rangeOf(norms) {
  const measured = norms.filter(found), lacking = norms.length - measured.length;
  const none = lacking ? `No gradient at all in ${lacking} of ${norms.length} layers.` : "";
  if (!measured.length) return { short: "none", long: "no gradient", sentence: none };
  const [low, high] = [Math.min(...measured), Math.max(...measured)];
  const place = (norm) => `${readable(norm)} (layer ${nameOf(norms.indexOf(norm), norms.length)})`;
  const short = `${Math.log10(high / low).toFixed(1)} orders`, long = `${short} of magnitude`;
  return { short, long, sentence: `from ${place(low)} to ${place(high)}, ${long}. ${none}`.trim() };
}
