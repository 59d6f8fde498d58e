// The exploring panel: images, the confusion matrix, and the weights of the first layer.

import { button, field, freshId, h, picture, say } from "./elements.js";
import { follow } from "./network_asked.js";

const IMAGES_ON_A_PAGE = 40, UNITS_ON_A_PAGE = 24;
const pageWith = (place, total, page) => Math.floor(Math.max(0, Math.min(place, total - 1)) / page) * page;

// A view of the images and of a session's network, or of what stands for one (network_asked.js). Gives its element, and
// how to take leave of the session.
export function exploreView(session, names) {
  const wish = { split: "validation", label: null, said: null, order: "wrong", start: 0 };
  const results = new Map(); // by split, what the network that is shown makes of it
  let firstUnit = 0, resultOfMatrix = null;

  function resultOf(split) {
    if (!results.has(split)) results.set(split, session.ask("split", session.network, { split }));
    return results.get(split);
  }

  async function show(what) {
    Object.assign(wish, { start: 0 }, what);
    if (!session.network) return;
    const { split, label, said, order } = wish;
    const result = await resultOf(split);
    const { labels, answers, losses } = result;
    const places = Array.from(labels.keys()).filter((place) => (label == null || labels[place] === label) && (said == null || answers[place] === said));
    if (order === "wrong") places.sort((a, b) => losses[b] - losses[a]);
    const start = pageWith(wish.start, places.length, IMAGES_ON_A_PAGE);
    const found = await session.ask("images", session.network, { split, places: places.slice(start, start + IMAGES_ON_A_PAGE) });
    const images = found.map(({ place, pixels, label }) => ({ place, pixels, label, said: answers[place] }));
    if (result !== resultOfMatrix) showMatrix(labels, answers);
    resultOfMatrix = result;
    showImages({ ...wish, start, total: places.length, images });
    showPressed();
  }

  async function showWeights() {
    if (!session.network) return;
    const { total, units } = await session.ask("pictures", session.network, { first: firstUnit, number: UNITS_ON_A_PAGE });
    if (firstUnit < total || total === 0) return showUnits(total, units);
    firstUnit = pageWith(firstUnit, total, UNITS_ON_A_PAGE);
    return showWeights();
  }

  const quietly = (promise) => promise.catch(() => {}); // a run may have been cleared meanwhile
  const move = (change) => quietly(show(change));
  function moveUnits(by) {
    firstUnit = Math.max(0, firstUnit + by);
    quietly(showWeights());
  }

  const menu = (label, options, choose) => {
    const id = freshId();
    const select = h("select", { id, onchange: () => choose(options[select.selectedIndex][0]) }, ...options.map(([, text]) => h("option", {}, text)));
    return { select, options, node: h("span", { class: "choice" }, h("label", { for: id }, label), select) };
  };
  const splits = menu("Images", [["validation", "validation set"], ["training", "training set"]], (split) => move({ split }));
  const classes = menu("True class", [[null, "all"], ...names.map((name, i) => [i, name])], (label) => move({ label, said: null }));
  const orders = menu("Order", [["wrong", "most wrong first"], ["index", "by index"]], (order) => move({ order }));
  const index = field({ type: "number", min: 0, id: freshId() }, (value) => move({ label: null, said: null, order: "index", start: Number(value) || 0 }));
  const before = button("Previous", () => move({ start: wish.start - IMAGES_ON_A_PAGE }));
  const after = button("Next", () => move({ start: wish.start + IMAGES_ON_A_PAGE }));
  const where = h("p", { role: "status", class: "where" });
  const grid = h("div", { class: "images" });
  const matrix = h("table", { class: "confusion" });
  let cells = [];
  const units = h("div", { class: "units" });
  const unitsBefore = button("Previous units", () => moveUnits(-UNITS_ON_A_PAGE));
  const unitsAfter = button("Next units", () => moveUnits(UNITS_ON_A_PAGE));
  const unitsWhere = h("p", { class: "where" });

  function showImages(images) {
    wish.start = images.start;
    for (const { select, options, value } of [{ ...splits, value: images.split }, { ...classes, value: images.label }, { ...orders, value: images.order }])
      select.selectedIndex = options.findIndex(([option]) => option === value);
    const which = (images.label == null ? "" : ` of ${names[images.label]}`) + (images.said == null ? "" : ` that it reads as ${names[images.said]}`);
    const last = Math.min(images.total, images.start + IMAGES_ON_A_PAGE);
    say(where, images.total ? `Images ${images.start + 1} to ${last} of ${images.total.toLocaleString("en-GB")}${which}` : `There are no images${which}.`);
    before.disabled = images.start === 0;
    after.disabled = last >= images.total;
    grid.replaceChildren(...images.images.map((image) => {
      const right = image.label === image.said;
      const text = right ? [names[image.label]] : [`is ${names[image.label]}`, `read as ${names[image.said]}`];
      return h("figure", { class: right ? "right" : "wrong" }, picture(image.pixels, { label: `Image ${image.place}: ${text.join(", ")}` }), h("figcaption", {}, ...text.map((line) => h("span", {}, line))));
    }));
  }

  function showMatrix(labels, answers) {
    const counts = names.map(() => names.map(() => 0));
    labels.forEach((truth, place) => counts[truth][answers[place]]++);
    const worst = Math.max(1, ...counts.flatMap((row, i) => row.filter((_, j) => i !== j)));
    cells = [];
    matrix.replaceChildren(
      h("caption", {}, "Press a number to see its images. Blank means none; blue were read right."),
      h("thead", {}, h("tr", {}, h("td"), h("th", { colspan: names.length }, "Read as")), h("tr", {}, h("th", { scope: "col" }, "Is"), ...names.map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, ...counts.map((row, i) => h("tr", {}, h("th", { scope: "row" }, names[i]), ...row.map((count, j) => {
        const cell = button(count || "", () => move({ label: i, said: j }), { "aria-label": `${count} of ${names[i]} read as ${names[j]}` });
        cells.push({ cell, pressed: () => wish.label === i && wish.said === j });
        cell.style.setProperty("--level", i === j ? 0 : Math.sqrt(count / worst));
        if (i === j) cell.classList.add("right");
        return h("td", {}, cell);
      })))),
    );
  }

  // Without making the cells anew, so that the one that was pressed keeps the focus.
  function showPressed() {
    for (const { cell, pressed } of cells) cell.setAttribute("aria-pressed", String(pressed()));
  }

  function showUnits(total, weights) {
    const last = Math.min(total, firstUnit + UNITS_ON_A_PAGE);
    say(unitsWhere, total ? `Units ${firstUnit + 1} to ${last} of ${total}. Red: ink here raises the unit's sum. Blue: it lowers it. Speckle at the edge is what training began with: hardly a digit has ink there to learn from.` : "This network's first layer does not look at 784 pixels.");
    unitsBefore.disabled = firstUnit === 0;
    unitsAfter.disabled = last >= total;
    units.replaceChildren(...weights.map((unit, i) => {
      const largest = unit.reduce((most, weight) => Math.max(most, Math.abs(weight)), 1e-12);
      return picture(unit.map((weight) => weight / largest), { signed: true, label: `Weights of unit ${firstUnit + i + 1}` });
    }));
  }

  const who = h("p", { class: "who" });
  showImages({ ...wish, total: 0, images: [] });
  showMatrix([], []);
  const leave = follow(session, 250, (name) => {
    say(who, `You see ${name}.`);
    results.clear();
    quietly(showWeights());
    if (session.network?.state !== "training") move({ start: wish.start });
  });
  const node = h(
    "section",
    { class: "mnist-panel explore", "aria-label": "Explore the data and the network" },
    who,
    h("div", { class: "buttons" }, splits.node, classes.node, orders.node, h("span", { class: "choice" }, h("label", { for: index.id }, "Go to index"), index)),
    h("div", { class: "columns" },
      h("div", {}, h("h3", {}, "Images"), where, grid, h("div", { class: "buttons" }, before, after)),
      h("div", {}, h("h3", {}, "Confusion matrix"), h("div", { class: "scroll" }, matrix)),
    ),
    h("h3", {}, "Weights of the first layer"), unitsWhere, units, h("div", { class: "buttons" }, unitsBefore, unitsAfter),
  );
  return { node, leave };
}
