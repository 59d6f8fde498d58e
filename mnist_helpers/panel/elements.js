// What the views are built of: elements, buttons, fields, pictures. Plain DOM and SVG, so that nothing has to be loaded
// from anywhere.

const own = Math.random().toString(36).slice(2); // each widget of a notebook has a copy of this program
let counter = 0;
export const freshId = () => `mnist-panel-${own}-${counter++}`;

export function h(tag, attributes = {}, ...children) {
  const svg = ["svg", "g", "path", "line", "text", "circle", "rect", "title"].includes(tag);
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

export const button = (text, click, attributes = {}) => h("button", { type: "button", onclick: click, ...attributes }, text);

// A field that is done with on leaving it or on Enter, of which JupyterLab lets no change event come.
export function field(attributes, done) {
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

// A slider over some values, with its name and the value that it shows; it begins with the one at `place`.
export function slider(label, values, place, written, moved) {
  const id = freshId(), value = h("span", { class: "value", "aria-hidden": "true" });
  const input = h("input", { type: "range", min: 0, max: values.length - 1, step: 1, id, oninput: () => (show(), moved(values[input.value])) });
  function show() {
    say(value, written(values[input.value]));
    input.setAttribute("aria-valuetext", value.textContent);
  }
  function set(to) {
    input.value = to;
    show();
  }
  set(place);
  return { node: h("div", { class: "control slider" }, h("label", { for: id }, label), input, value), set };
}

// A number as it is read: three decimals, fewer where it is large, and two digits where it is smaller than that.
export function readable(number) {
  const size = Math.abs(number);
  if (size >= 1e5 || (size > 0 && size < 1e-4)) return number.toExponential(1).replace("+", "").replace(/-/g, "−");
  const decimals = Math.max(0, 3 - Math.floor(Math.log10(Math.max(1, size))));
  return String(Number(size < 0.01 ? number.toPrecision(2) : number.toFixed(decimals))).replace("-", "−");
}

// A button that keeps the keyboard's focus when there is nothing for it to do.
export function allow(node, allowed) {
  node.setAttribute("aria-disabled", String(!allowed));
}

// Change a text only when it differs, so that a screen reader is not told the same thing again.
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// Act once the calls have stopped for a while.
export function later(milliseconds, act) {
  let timer = null;
  return (value) => {
    clearTimeout(timer);
    timer = setTimeout(act, milliseconds, value);
  };
}

// A picture of 28 × 28 pixels from their values: grey values as ink on paper, or signed weights, at most 1 in size, as
// red and blue.
export function picture(values, { signed = false, label = "" } = {}) {
  const canvas = h("canvas", { width: 28, height: 28, role: "img", "aria-label": label, title: label });
  paint(canvas, values, signed);
  return canvas;
}

export function paint(canvas, values, signed = false) {
  const context = canvas.getContext("2d");
  const image = context.createImageData(28, 28);
  values.forEach((value, place) => {
    const fade = 255 * (1 - Math.abs(signed ? value : value / 255)); // below 0 it counts as 0
    const colour = !signed ? [fade, fade, fade] : value > 0 ? [255, fade, fade] : [fade, fade, 255];
    image.data.set([...colour, 255], 4 * place);
  });
  context.putImageData(image, 0, 0);
}
