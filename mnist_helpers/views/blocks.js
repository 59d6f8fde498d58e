// What the views are built of: elements, buttons, fields.
//
// A view shows what something else decides: Python in a notebook, lab/lab.js in the book's pages. That hands over what
// to show under names (a notebook's traits), and a click goes back to it as a message {do: …}. Plain DOM and SVG, so
// that nothing has to be loaded from anywhere.

let counter = 0;
export const freshId = () => `mnist-panel-${Date.now().toString(36)}-${counter++}`;

export function h(tag, attributes = {}, ...children) {
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

// Change a text only when it differs, so that a screen reader is not told the same thing again.
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// Act once the calls have stopped for a while, or at once when flushed.
export function later(milliseconds, act) {
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
