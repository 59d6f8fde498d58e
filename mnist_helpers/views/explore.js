// The exploring panel: images, the confusion matrix, and the weights of the first layer.

import { button, field, freshId, h, say } from "./blocks.js";
import { picture } from "./pictures.js";

export function exploreView(port) {
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
