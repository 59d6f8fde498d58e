// A loss over two weights as a map, and gradient descent on it. The loss was computed at the points of a grid; between
// them it is interpolated by Catmull–Rom splines, so that it has a slope everywhere, and one that does not jump.

import { allow, button, h, readable, say, slider } from "./elements.js";

// ---- The arithmetic ----

// The spline through four neighbours, a share t of the way from the second to the third, and its slope there.
function spline([before, here, next, after], t) {
  const c1 = (next - before) / 2, c2 = before - 2.5 * here + 2 * next - after / 2, c3 = (after - before) / 2 + 1.5 * (here - next);
  return [here + t * (c1 + t * (c2 + t * c3)), c1 + t * (2 * c2 + 3 * t * c3)];
}

// The four around a place of a row, whose ends are continued in a straight line; and how far the place is past the second.
function around(count, place, at) {
  const i = Math.min(count - 2, Math.floor(place));
  const get = (k) => (k < 0 ? 2 * at(0) - at(1) : k >= count ? 2 * at(count - 1) - at(count - 2) : at(k));
  return [[get(i - 1), get(i), get(i + 1), get(i + 2)], place - i];
}

// The loss at a point of the map and its slope in x and in y; null off the map.
export function lossAt({ losses, x, y }, [left, up]) {
  const columns = losses[0].length - 1, rows = losses.length - 1;
  const scale = [columns / (x[1] - x[0]), rows / (y[1] - y[0])];
  const place = [(left - x[0]) * scale[0], (up - y[0]) * scale[1]];
  const on = (value, last) => value >= -1e-9 && value <= last + 1e-9;
  if (!on(place[0], columns) || !on(place[1], rows)) return null;
  const [across, upwards] = [Math.min(columns, Math.max(0, place[0])), Math.min(rows, Math.max(0, place[1]))];
  const inRow = (row) => spline(...around(columns + 1, across, (column) => losses[row][column]));
  const [loss, inY] = spline(...around(rows + 1, upwards, (row) => inRow(row)[0]));
  const [inX] = spline(...around(rows + 1, upwards, (row) => inRow(row)[1]));
  return { loss, slope: [inX * scale[0], inY * scale[1]] };
}

// Where a step of gradient descent leads from a point whose slope is known.
export const steppedDown = (point, slope, learningRate) => point.map((value, i) => value - learningRate * slope[i]);

// ---- The map ----

const MAP = { width: 400, height: 330, left: 46, right: 10, top: 10, bottom: 40 };
const FINE = 2; // points of the drawing for each of the grid

// How high a loss stands on the map, from 0 to 1: each step between two lines is as high.
export function heightOf(loss, levels) {
  const above = levels.findIndex((level) => loss < level);
  if (above < 1) return above < 0 ? 1 : 0;
  return (above - 1 + (loss - levels[above - 1]) / (levels[above] - levels[above - 1])) / (levels.length - 1);
}

// The line of one loss through a grid of heights, as a path, by marching squares: a piece for each cell that it crosses.
function contour(grid, level, toX, toY) {
  const pieces = [];
  for (let row = 0; row + 1 < grid.length; row++) for (let column = 0; column + 1 < grid[0].length; column++) {
    const corners = [[column, row], [column + 1, row], [column + 1, row + 1], [column, row + 1]];
    const crossed = corners.flatMap(([a, b], k) => {
      const [c, d] = corners[(k + 1) % 4], one = grid[b][a] - level, other = grid[d][c] - level;
      if (one < 0 === other < 0) return [];
      const t = one / (one - other);
      return [`${toX(a + t * (c - a)).toFixed(1)} ${toY(b + t * (d - b)).toFixed(1)}`];
    });
    for (let k = 0; k + 1 < crossed.length; k += 2) pieces.push(`M${crossed[k]}L${crossed[k + 1]}`);
  }
  return pieces.join("");
}

function roundTicks([low, high], most) {
  const rough = (high - low) / most, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((one) => one * power >= rough) * power;
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(6)));
}

// A drawing of the map, on which a path can be drawn; `chosen` is told the points that are pressed.
function mapDrawing(setup, label, chosen) {
  const { losses, x, y, names, levels } = setup, { width, height, left, right, top, bottom } = MAP;
  const toX = (value) => left + ((value - x[0]) / (x[1] - x[0])) * (width - left - right);
  const toY = (value) => height - bottom - ((value - y[0]) / (y[1] - y[0])) * (height - top - bottom);
  const columns = (losses[0].length - 1) * FINE + 1, rows = (losses.length - 1) * FINE + 1;
  const atColumn = (column) => x[0] + (column / (columns - 1)) * (x[1] - x[0]), atRow = (row) => y[0] + (row / (rows - 1)) * (y[1] - y[0]);
  const grid = Array.from({ length: rows }, (_, row) => Array.from({ length: columns }, (_, column) => lossAt(setup, [atColumn(column), atRow(row)]).loss));

  // The heights are a mask over a colour of the theme, so that they follow it by themselves.
  const canvas = h("canvas", { width: columns, height: rows }), context = canvas.getContext("2d"), image = context.createImageData(columns, rows);
  grid.forEach((line, row) => line.forEach((loss, column) => (image.data[4 * ((rows - 1 - row) * columns + column) + 3] = 255 * heightOf(loss, levels))));
  context.putImageData(image, 0, 0);
  const heights = h("div", { class: "heights" });
  heights.style.maskImage = heights.style.webkitMaskImage = `url(${canvas.toDataURL()})`;
  Object.assign(heights.style, { left: `${(100 * left) / width}%`, right: `${(100 * right) / width}%`, top: `${(100 * top) / height}%`, bottom: `${(100 * bottom) / height}%` });

  const axes = h("g", { class: "axes" },
    ...roundTicks(x, 5).map((tick) => h("text", { x: toX(tick), y: height - bottom + 16, "text-anchor": "middle" }, readable(tick))),
    ...roundTicks(y, 6).map((tick) => h("text", { x: left - 6, y: toY(tick) + 4, "text-anchor": "end" }, readable(tick))),
    h("text", { x: (left + width - right) / 2, y: height - 6, "text-anchor": "middle", class: "name" }, names[0]),
    h("text", { x: 12, y: (top + height - bottom) / 2, transform: `rotate(-90 12 ${(top + height - bottom) / 2})`, "text-anchor": "middle", class: "name" }, names[1]),
  );
  const lines = levels.slice(1, -1).map((level) => h("path", { class: "contour", d: contour(grid, level, (column) => toX(atColumn(column)), (row) => toY(atRow(row))) }));
  const under = h("path", { class: "halo" }), path = h("path", { class: "descent" }), dots = h("g", { class: "dots" });
  const marker = h("circle", { r: 7, class: "marker" });
  const lowest = grid.flat().reduce((best, loss, i, all) => (loss < all[best] ? i : best), 0);
  const [lowX, lowY] = [toX(atColumn(lowest % columns)), toY(atRow(Math.floor(lowest / columns)))];
  const diamond = h("path", { class: "lowest", d: `M${lowX - 6} ${lowY}l6 -6l6 6l-6 6Z` }, h("title", {}, "lowest loss"));
  const frame = { x: left, y: top, width: width - left - right, height: height - top - bottom };
  const clip = h("svg", { ...frame, viewBox: `${left} ${top} ${frame.width} ${frame.height}` }, ...lines, diamond, under, path, dots);
  const svg = h("svg", { viewBox: `0 0 ${width} ${height}`, role: "application", tabindex: 0, "aria-label": label }, h("rect", { ...frame, class: "frame" }), axes, clip, marker);

  function point(event) {
    const box = svg.getBoundingClientRect();
    const across = ((event.clientX - box.left) / box.width) * width, down = ((event.clientY - box.top) / box.height) * height;
    const within = (share) => Math.min(1, Math.max(0, share));
    return [x[0] + within((across - left) / frame.width) * (x[1] - x[0]), y[0] + within((height - bottom - down) / frame.height) * (y[1] - y[0])];
  }
  svg.addEventListener("pointerdown", (event) => {
    if (event.button || !event.isPrimary) return;
    svg.setPointerCapture(event.pointerId);
    chosen(point(event));
  });
  svg.addEventListener("pointermove", (event) => svg.hasPointerCapture(event.pointerId) && chosen(point(event)));
  svg.addEventListener("keydown", (event) => {
    const to = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!to || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    chosen(null, to);
  });

  function draw(points) {
    const places = points.map(([across, up]) => [toX(across), toY(up)].map((value) => Math.min(1e5, Math.max(-1e5, value)).toFixed(1)));
    const d = `M${places.map((place) => place.join(" ")).join("L")}`;
    for (const one of [under, path]) one.setAttribute("d", d);
    dots.replaceChildren(...places.slice(0, -1).slice(-400).map(([cx, cy]) => h("circle", { cx, cy, r: 2.5 })));
    const [cx, cy] = places.at(-1);
    const off = cx < left || cx > width - right || cy < top || cy > height - bottom;
    marker.setAttribute("cx", off ? -20 : cx);
    marker.setAttribute("cy", cy);
  }
  return { node: h("div", { class: "map" }, heights, svg), draw };
}

// The losses by step, as a line; logarithmic, because a descent takes most of the loss off in its first steps.
function descentChart() {
  const size = { width: 300, height: 90, left: 8, right: 8, top: 10, bottom: 10 };
  const line = h("path", { class: "descent" }), last = h("circle", { r: 4, class: "marker" });
  const node = h("svg", { viewBox: `0 0 ${size.width} ${size.height}`, role: "img", class: "fall" }, line, last);
  function draw(losses) {
    const logs = losses.map((loss) => Math.log(Math.max(loss, 1e-12))), low = Math.min(...logs), high = Math.max(...logs);
    const places = logs.map((log, i) => [
      size.left + (i / Math.max(10, losses.length - 1)) * (size.width - size.left - size.right),
      size.top + ((high - log) / (high - low || 1)) * (size.height - size.top - size.bottom),
    ].map((value) => value.toFixed(1)));
    line.setAttribute("d", `M${places.map((place) => place.join(" ")).join("L")}`);
    last.setAttribute("cx", places.at(-1)[0]);
    last.setAttribute("cy", places.at(-1)[1]);
    node.setAttribute("aria-label", `The loss by step, on a logarithmic scale: from ${readable(losses[0])} to ${readable(losses.at(-1))} in ${losses.length - 1} steps.`);
  }
  return { node, draw };
}

// ---- The view ----

const MOST_STEPS = 1000;

// The map that a setup describes (`descent_panel` in learning_panels.py), with a descent on it.
export function descentView(setup) {
  const { x, y, names } = setup, spans = [x[1] - x[0], y[1] - y[0]];
  let start = setup.start, rate = setup.learningRate;
  let points, found, losses; // where the descent has been; what stands at the last point, null off the map; the losses

  function begin(at) {
    start = at.map((value, i) => {
      const [low, high] = [x, y][i], decimals = Math.max(0, 4 - Math.floor(Math.log10(high - low)));
      return Math.min(high, Math.max(low, Number(value.toFixed(decimals)))); // as fine as one can point
    });
    points = [start];
    found = lossAt(setup, start);
    losses = [found.loss];
  }
  const written = (point) => names.map((name, i) => `${name} = ${readable(point[i])}`).join(", ");

  function step(times) {
    let before = null;
    for (let k = 0; k < times && found && points.length <= MOST_STEPS; k++) {
      before = { point: points.at(-1), ...found };
      points.push(steppedDown(before.point, before.slope, rate));
      found = lossAt(setup, points.at(-1));
      if (found) losses.push(found.loss);
    }
    if (before) show(tell(before, times), before);
  }
  function tell(before) {
    const steps = points.length - 1;
    if (!found) return `Step ${steps} led off the map, to ${written(points.at(-1))}: the loss there was not computed. Go back to the start, and take a smaller learning rate.`;
    const rose = found.loss > before.loss;
    const change = Math.abs(found.loss - before.loss) < 1e-6 * before.loss ? "hardly changed" : rose ? "rose" : "fell";
    const why = change === "rose" ? " The step was so long that the slope at its beginning did not hold to its end." : "";
    return `Step ${steps}: the loss ${change}, from ${readable(before.loss)} to ${readable(found.loss)}.${why}`;
  }
  function backToStart(at = start) {
    begin(at);
    show(`At the start, ${written(start)}: the loss is ${readable(found.loss)}.`);
  }

  const cell = [spans[0] / (setup.losses[0].length - 1), spans[1] / (setup.losses.length - 1)];
  const map = mapDrawing(setup,
    `Map of the loss over ${names[0]} to the right and ${names[1]} upwards. With the keyboard: the arrow keys move the start.`,
    (point, to) => backToStart(point ?? start.map((value, i) => value + to[i] * cell[i])));
  const fall = descentChart();
  const one = button("Step", () => step(1), { class: "primary" }), ten = button("10 steps", () => step(10));
  const again = button("To the start", () => backToStart());
  const [low, high] = setup.rates.map(Math.log), STOPS = 60;
  const rates = Array.from({ length: STOPS + 1 }, (_, i) => Number(Math.exp(low + (i / STOPS) * (high - low)).toPrecision(2)));
  const startRate = Math.round(((Math.log(rate) - low) / (high - low || 1)) * STOPS);
  rates[startRate] = Number(rate.toPrecision(2));
  rate = rates[startRate];
  const rateSlider = slider("Learning rate η", rates, startRate, readable, (chosen) => {
    rate = chosen;
    show(message.textContent);
  });
  const message = h("p", { role: "status", class: "message" });
  const facts = h("dl", {}), which = h("h3"), formulas = h("div", { class: "formulas" });

  function show(text, before) {
    map.draw(points);
    fall.draw(losses);
    say(message, text);
    const rows = [
      ["Steps", `${points.length - 1}`],
      ["Loss here", found ? readable(found.loss) : "not computed"],
      ...names.map((name, i) => [`Slope in ${name}`, found ? readable(found.slope[i]) : "not computed"]),
    ];
    facts.replaceChildren(...rows.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
    const at = before?.point ?? points.at(-1), slope = before?.slope ?? found?.slope;
    const signed = (value) => (value < 0 ? `(${readable(value)})` : readable(value));
    say(which, before ? `Step ${points.length - 1}` : "The next step");
    formulas.replaceChildren(...(slope ? names.map((name, i) => h("p", {}, `${name} ← ${readable(at[i])} − ${readable(rate)} · ${signed(slope[i])} = ${readable(at[i] - rate * slope[i])}`)) : []));
    for (const node of [one, ten]) allow(node, found && points.length <= MOST_STEPS);
    allow(again, points.length > 1);
  }
  backToStart();

  const edges = setup.levels.map(readable);
  const key = h("div", { class: "levels", role: "img", "aria-label": `Colours from ${edges[0]} to ${edges.at(-1)}; lines at ${edges.slice(1, -1).join(", ")}` },
    ...edges.slice(1).map((_, i) => {
      const band = h("span", {}, h("i"), h("b", {}, i ? edges[i] : ""));
      band.style.setProperty("--level", (i + 0.5) / (edges.length - 1));
      return band;
    }));
  const node = h(
    "section",
    { class: "mnist-panel descend", "aria-label": "Go down a loss" },
    h("div", { class: "buttons" }, one, ten, again),
    h("div", { class: "columns" },
      h("div", {}, map.node, h("p", { class: "help" }, "The loss on the lines of the map:"), key),
      h("div", {}, rateSlider.node, message, facts, which, formulas, h("h3", {}, "Loss by step (log scale)"), fall.node,
        h("p", { class: "help" }, "Press or drag on the map to choose another start; with the keyboard, the arrow keys move it. The loss was computed at the points of a grid. Between them the map is a smooth surface through those points, and the slope is that of this surface.")),
    ),
  );
  return { node, leave() {} };
}
