// A network of two inputs, two hidden units and two outputs, gone through one quantity at a time: forward to the loss,
// backward to every gradient, and to the update. The letters are those of the chapters, and the indices NumPy's: W1[0,1]
// is the weight from input 0 to hidden unit 1, and dz1 is the slope of the loss in z1.

import { allow, button, h, readable, say, slider } from "./elements.js";

const BOTH = [0, 1];

// ---- The arithmetic ----

// All that one pass forward and backward gives, by letter.
export function passThrough({ x, label, W1, b1, W2, b2 }) {
  const y = BOTH.map((k) => Number(k === label));
  const products1 = BOTH.map((i) => BOTH.map((j) => x[i] * W1[i][j]));
  const z1 = BOTH.map((j) => products1[0][j] + products1[1][j] + b1[j]);
  const a1 = z1.map(Math.tanh);
  const products2 = BOTH.map((j) => BOTH.map((k) => a1[j] * W2[j][k]));
  const z2 = BOTH.map((k) => products2[0][k] + products2[1][k] + b2[k]);
  const shifted = z2.map((z) => Math.exp(z - Math.max(...z2))); // the same shares, and nothing too large for a number
  const p = shifted.map((share) => share / (shifted[0] + shifted[1]));
  const L = Math.log1p(Math.exp(-Math.abs(z2[0] - z2[1]))) + Math.max(...z2) - z2[label];

  const dz2 = BOTH.map((k) => p[k] - y[k]);
  const dW2 = BOTH.map((j) => BOTH.map((k) => a1[j] * dz2[k]));
  const da1 = BOTH.map((j) => W2[j][0] * dz2[0] + W2[j][1] * dz2[1]);
  const dz1 = BOTH.map((j) => da1[j] * (1 - a1[j] ** 2));
  const dW1 = BOTH.map((i) => BOTH.map((j) => x[i] * dz1[j]));
  return { y, products1, z1, a1, products2, z2, p, L, dz2, dW2, db2: dz2, da1, dz1, dW1, db1: dz1 };
}

const descended = (values, slopes, rate) => (Array.isArray(values) ? values.map((value, i) => descended(value, slopes[i], rate)) : values - rate * slopes);

// The network with every weight and bias a step further against its gradient.
export function updatedNetwork(network, pass, learningRate) {
  const moved = ["W1", "b1", "W2", "b2"].map((name) => [name, descended(network[name], pass[`d${name}`], learningRate)]);
  return { ...network, ...Object.fromEntries(moved) };
}

// ---- The steps: what each is called, says and computes, which quantities it makes appear, and what it is about ----

const factor = (number) => (number < 0 ? `(${readable(number)})` : readable(number));
const weightedSum = (factors, weights, bias) => `${factors.map((value, i) => `${readable(value)} · ${factor(weights[i])}`).join(" + ")} + ${factor(bias)}`;

export function stepsThrough(network, pass, learningRate) {
  const { x, label, W1, b1, W2, b2 } = network;
  const { y, z1, a1, z2, p, L, dz2, dW2, da1, dz1, dW1 } = pass;
  const column = (matrix, j) => BOTH.map((i) => matrix[i][j]);
  const edges = (name, j) => BOTH.map((i) => `${name}[${i},${j}]`);
  const forward = [
    ...BOTH.flatMap((j) => [
      {
        title: `Sum of hidden unit ${j}`,
        sentence: `Each input goes over its connection and is multiplied by the weight there. The products and the bias add up to the sum of hidden unit ${j}.`,
        formulas: [`z1[${j}] = x[0] · W1[0,${j}] + x[1] · W1[1,${j}] + b1[${j}]`, `= ${weightedSum(x, column(W1, j), b1[j])} = ${readable(z1[j])}`],
        shows: [...edges("products1", j), `z1[${j}]`],
        about: [...edges("W1", j), `b1[${j}]`],
      },
      {
        title: `Activation of hidden unit ${j}`,
        sentence: `The activation function tanh takes the sum to a number between −1 and 1. That is what hidden unit ${j} hands on.`,
        formulas: [`a1[${j}] = tanh(z1[${j}]) = tanh(${readable(z1[j])}) = ${readable(a1[j])}`],
        shows: [`a1[${j}]`],
        about: [`z1[${j}]`],
      },
    ]),
    ...BOTH.map((k) => ({
      title: `Sum of output ${k}`,
      sentence: `One layer further it is the same rule: the activations of the hidden units take the place of the inputs.`,
      formulas: [`z2[${k}] = a1[0] · W2[0,${k}] + a1[1] · W2[1,${k}] + b2[${k}]`, `= ${weightedSum(a1, column(W2, k), b2[k])} = ${readable(z2[k])}`],
      shows: [...edges("products2", k), `z2[${k}]`],
      about: [...edges("W2", k), `b2[${k}]`],
    })),
    {
      title: "Probabilities",
      sentence: "Softmax makes two probabilities of the two sums: positive, and 1 together.",
      formulas: BOTH.map((k) => `p[${k}] = exp(z2[${k}]) / (exp(z2[0]) + exp(z2[1])) = ${readable(Math.exp(z2[k]))} / (${readable(Math.exp(z2[0]))} + ${readable(Math.exp(z2[1]))}) = ${readable(p[k])}`),
      shows: ["p[0]", "p[1]"],
      about: ["z2[0]", "z2[1]"],
    },
    {
      title: "Loss",
      sentence: `The example belongs to class ${label}. The loss looks at the probability of that class alone: the nearer to 1, the smaller the loss.`,
      formulas: [`L = −ln p[${label}] = −ln ${readable(p[label])} = ${readable(L)}`],
      shows: ["L"],
      about: [`p[${label}]`, `y[${label}]`],
    },
  ];
  const backward = [
    {
      title: "Slope of the loss in the outputs’ sums",
      sentence: "Now backward. dz2 is the slope of the loss in z2: how fast L changes with it. For softmax and cross-entropy together it is the probability less what it should have been.",
      formulas: BOTH.map((k) => `dz2[${k}] = p[${k}] − y[${k}] = ${readable(p[k])} − ${y[k]} = ${readable(dz2[k])}`),
      shows: ["dz2[0]", "dz2[1]"],
      about: ["p[0]", "p[1]", "y[0]", "y[1]"],
    },
    ...BOTH.map((k) => ({
      title: `Gradient of the weights into output ${k}`,
      sentence: `In the sum z2[${k}] each weight is multiplied by an activation. By the chain rule its gradient is that activation times dz2[${k}]. The bias is added as it is, so its gradient is dz2[${k}].`,
      formulas: [...BOTH.map((j) => `dW2[${j},${k}] = a1[${j}] · dz2[${k}] = ${readable(a1[j])} · ${factor(dz2[k])} = ${readable(dW2[j][k])}`), `db2[${k}] = dz2[${k}] = ${readable(dz2[k])}`],
      shows: [...edges("dW2", k), `db2[${k}]`],
      about: ["a1[0]", "a1[1]", `dz2[${k}]`],
    })),
    ...BOTH.flatMap((j) => [
      {
        title: `Slope in the activation of hidden unit ${j}`,
        sentence: `This activation goes into both outputs. What it changes in each is the weight; what that changes in the loss is dz2. Both ways are added.`,
        formulas: [`da1[${j}] = W2[${j},0] · dz2[0] + W2[${j},1] · dz2[1]`, `= ${readable(W2[j][0])} · ${factor(dz2[0])} + ${factor(W2[j][1])} · ${factor(dz2[1])} = ${readable(da1[j])}`],
        shows: [`da1[${j}]`],
        about: [`W2[${j},0]`, `W2[${j},1]`, "dz2[0]", "dz2[1]"],
      },
      {
        title: `Slope in the sum of hidden unit ${j}`,
        sentence: `Where tanh gives a, its own slope is 1 − a². By the chain rule the slope of the loss is multiplied by it.`,
        formulas: [`dz1[${j}] = da1[${j}] · (1 − a1[${j}]²) = ${readable(da1[j])} · ${readable(1 - a1[j] ** 2)} = ${readable(dz1[j])}`],
        shows: [`dz1[${j}]`],
        about: [`da1[${j}]`, `a1[${j}]`],
      },
    ]),
    ...BOTH.map((j) => ({
      title: `Gradient of the weights into hidden unit ${j}`,
      sentence: `The same rule as one layer further on: what came in, here the input, times the slope in the sum that it went into.`,
      formulas: [...BOTH.map((i) => `dW1[${i},${j}] = x[${i}] · dz1[${j}] = ${readable(x[i])} · ${factor(dz1[j])} = ${readable(dW1[i][j])}`), `db1[${j}] = dz1[${j}] = ${readable(dz1[j])}`],
      shows: [...edges("dW1", j), `db1[${j}]`],
      about: ["x[0]", "x[1]", `dz1[${j}]`],
    })),
  ];
  const next = updatedNetwork(network, pass, learningRate);
  const update = {
    title: "Update",
    sentence: `Every weight and every bias moves against its gradient: by η = ${readable(learningRate)} times the gradient. The new values are in green.`,
    formulas: [
      "W ← W − η dW and b ← b − η db, for example",
      `W1[0,0] ← ${readable(W1[0][0])} − ${readable(learningRate)} · ${factor(dW1[0][0])} = ${readable(next.W1[0][0])}`,
      `W2[0,0] ← ${readable(W2[0][0])} − ${readable(learningRate)} · ${factor(dW2[0][0])} = ${readable(next.W2[0][0])}`,
    ],
    shows: ["update"],
    about: [],
  };
  const of = (phase) => (step) => ({ ...step, phase });
  return [...forward.map(of("Forward")), ...backward.map(of("Backward")), { ...update, phase: "Update" }];
}

// ---- The drawing: three rows of boxes, the inputs on top, and the connections between them ----

const DRAWN = { width: 340, line: 16, boxWidth: 160, gap: 122, middles: [81, 259] };
const SIGNS = { product: "⇒ ", "slope edge-slope": "d ", slope: "", number: "" }; // so that not the colour alone tells
const number = ([, a, b]) => (b === undefined ? (values) => values[a] : (values) => values[a][b]);
const quantity = (key) => key.match(/^(\w+)\[?(\d)?,?(\d)?/).slice(1); // "W1[0,1]": its letter and its indices

// A drawing of the network that shows some of its quantities.
function networkDrawing() {
  const texts = []; // each {node, key, kind}
  const marks = []; // each {node, key}: what lights up with a quantity
  const backings = []; // each {node, keys}: what keeps a line from crossing its label, as high as that
  const lines = h("g"), boxes = h("g"), labels = h("g");

  function write(parent, x, y, key, kind, anchor = "middle") {
    const node = h("text", { x, y, "text-anchor": anchor, class: kind });
    texts.push({ node, key, kind });
    parent.append(node);
  }

  // A box: a title, and a line for each quantity: its name, its value, and at the right the slope of the loss in it.
  function box(middle, top, title, rows, width = DRAWN.boxWidth) {
    const left = middle - width / 2, height = DRAWN.line * (rows.length + (title ? 1 : 0)) + 10;
    const frame = h("rect", { x: left, y: top, width, height, rx: 6, class: "unit" });
    boxes.append(frame);
    if (title) boxes.append(h("text", { x: left + 7, y: top + 16, class: "title" }, title), h("text", { x: left + width - 7, y: top + 16, "text-anchor": "end", class: "slope letter heading" }, "slope"));
    rows.forEach(([key, slope], i) => {
      const y = top + 17 + DRAWN.line * (i + (title ? 1 : 0));
      boxes.append(h("text", { x: left + 7, y, class: "letter" }, key));
      write(boxes, left + width / 2 + (title ? 10 : 16), y, key, "number", "end");
      if (slope) write(boxes, left + width - 7, y, slope, "slope", "end");
      for (const one of [key, slope]) if (one) marks.push({ node: frame, key: one });
    });
    return top + height;
  }

  // The connections from one row of boxes to the next, each with its weight, and beneath that its product and gradient.
  function connect(layer, from, to) {
    for (const i of BOTH) for (const j of BOTH) {
      const start = DRAWN.middles[i], end = DRAWN.middles[j], key = `W${layer}[${i},${j}]`;
      const line = h("line", { x1: start, y1: from, x2: end, y2: to, class: "edge" });
      lines.append(line);
      for (const one of [key, `products${layer}[${i},${j}]`, `dW${layer}[${i},${j}]`]) marks.push({ node: line, key: one });
      const straight = i === j, along = straight ? 0.5 : 0.28;
      const x = straight ? start + (i ? 9 : -9) : start + along * (end - start);
      const anchor = straight ? (i ? "start" : "end") : "middle";
      const y = from + along * (to - from) - 17;
      if (!straight) {
        const node = h("rect", { x: x - 27, y: y - 11, width: 54, class: "backing" });
        backings.push({ node, keys: [`products${layer}[${i},${j}]`, `dW${layer}[${i},${j}]`] });
        labels.append(node);
      }
      labels.append(h("text", { x, y, "text-anchor": anchor, class: "letter" }, key));
      write(labels, x, y + 15, key, "number", anchor);
      write(labels, x, y + 30, `products${layer}[${i},${j}]`, "product", anchor);
      write(labels, x, y + 45, `dW${layer}[${i},${j}]`, "slope edge-slope", anchor);
    }
  }

  const [inputsEnd] = BOTH.map((i) => box(DRAWN.middles[i], 2, "", [[`x[${i}]`]], 96));
  const hiddenTop = inputsEnd + DRAWN.gap;
  const [hiddenEnd] = BOTH.map((j) => box(DRAWN.middles[j], hiddenTop, `hidden unit ${j}`, [[`b1[${j}]`, `db1[${j}]`], [`z1[${j}]`, `dz1[${j}]`], [`a1[${j}]`, `da1[${j}]`]]));
  const outputTop = hiddenEnd + DRAWN.gap;
  const [outputEnd] = BOTH.map((k) => box(DRAWN.middles[k], outputTop, `output ${k}`, [[`b2[${k}]`, `db2[${k}]`], [`z2[${k}]`, `dz2[${k}]`], [`p[${k}]`], [`y[${k}]`]]));
  connect(1, inputsEnd, hiddenTop);
  connect(2, hiddenEnd, outputTop);
  for (const middle of DRAWN.middles) lines.append(h("line", { x1: middle, y1: outputEnd, x2: DRAWN.width / 2, y2: outputEnd + 26, class: "edge" }));
  const height = box(DRAWN.width / 2, outputEnd + 26, "", [["L"]], 110) + 2;
  const node = h("svg", { viewBox: `0 0 ${DRAWN.width} ${height}`, role: "img", class: "network" }, lines, boxes, labels);

  // Show quantities: of the network, of the pass what has appeared, and after an update the new weights.
  function draw(network, pass, next, shown, step) {
    const lit = new Set([...(step?.shows ?? []), ...(step?.about ?? [])]), fresh = new Set(step?.shows ?? []);
    for (const { node, key, kind } of texts) {
      const [letter] = quantity(key), read = number(quantity(key));
      const given = letter in network || letter === "y";
      const visible = given || shown.has(key);
      const updated = shown.has("update") && letter in next && /^[Wb]/.test(letter);
      const replaced = shown.has("update") && letter.startsWith("products");
      const value = letter === "L" ? pass.L : read((updated ? next : given && letter !== "y" ? network : pass)[letter]);
      say(node, !visible || replaced ? "" : `${updated && letter[0] === "W" ? "→ " : SIGNS[kind]}${readable(value)}`);
      node.setAttribute("class", `${kind}${updated ? " new" : ""}${fresh.has(key) ? " fresh" : lit.has(key) ? " lit" : ""}`);
    }
    for (const { node, keys } of backings) node.setAttribute("height", 30 + 15 * keys.filter((key) => shown.has(key)).length);
    const about = new Set(marks.filter(({ key }) => fresh.has(key)).map(({ node }) => node));
    for (const { node } of marks) node.classList.toggle("lit", about.has(node));
    node.classList.toggle("sloped", shown.has("dz2[0]"));
    node.dataset.phase = step?.phase ?? "";
  }
  return { node, draw };
}

// ---- The view ----

const LEARNING_RATES = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10];
const INPUTS = Array.from({ length: 41 }, (_, i) => Number((i / 10 - 2).toFixed(1)));
const rising = (values, one) => [...new Set([...values, one])].sort((a, b) => a - b);

// Steps through the network that a setup describes (`step_panel` in learning_panels.py). All that is shown follows from
// the inputs, the learning rate, how many updates have been made, and how many steps taken since the last.
export function stepView(setup) {
  let { network: first, learningRate } = setup;
  let updates = 0, taken = 0;

  // The networks before each update, with what a pass through them gives.
  function rounds() {
    const all = [{ network: first, pass: passThrough(first) }];
    while (all.length <= updates + 1) {
      const { network, pass } = all.at(-1), next = updatedNetwork(network, pass, learningRate);
      all.push({ network: next, pass: passThrough(next) });
    }
    return all;
  }
  const steps = () => {
    const { network, pass } = rounds()[updates];
    return stepsThrough(network, pass, learningRate);
  };

  function forward() {
    if (taken < steps().length) taken++;
    else (updates++, (taken = 0));
    show();
  }
  function back() {
    if (taken) taken--;
    else if (updates) (updates--, (taken = steps().length));
    show();
  }
  // To the last step of the pass that comes next.
  function wholePass() {
    const all = steps();
    if (taken === all.length) return forward();
    const { phase } = all[taken];
    taken = all.findLastIndex((step) => step.phase === phase) + 1;
    show();
  }
  function reset() {
    ({ network: first, learningRate } = setup);
    updates = taken = 0;
    for (const { set, start } of sliders) set(start);
    show();
  }

  const drawing = networkDrawing();
  const onward = button("Forward", forward, { class: "primary" });
  const backward = button("Back", back);
  const where = h("p", { class: "where" });
  const title = h("h3"), sentence = h("p"), formulas = h("div", { class: "formulas" });
  const told = h("div", { class: "told", role: "status" }, title, sentence, formulas);
  const losses = h("p", { class: "losses" });
  const list = h("ol", {});
  const sliderOf = (label, values, value, moved) => {
    const all = rising(values, value), start = all.indexOf(value);
    return { ...slider(label, all, start, readable, (chosen) => (moved(chosen), show())), start };
  };
  const sliders = [
    ...BOTH.map((i) => sliderOf(`Input x[${i}]`, INPUTS, first.x[i], (value) => (first = { ...first, x: first.x.map((old, place) => (place === i ? value : old)) }))),
    sliderOf("Learning rate η", LEARNING_RATES, learningRate, (value) => (learningRate = value)),
  ];

  function show() {
    const all = rounds(), { network, pass } = all[updates], every = stepsThrough(network, pass, learningRate);
    const past = every.slice(0, taken), step = past.at(-1), following = every[taken];
    const shown = new Set(past.flatMap(({ shows }) => shows));
    drawing.draw(network, pass, all[updates + 1].network, shown, step);
    say(onward, following?.phase ?? "Forward");
    allow(backward, taken || updates);
    say(where, `${updates ? `After ${updates} update${updates > 1 ? "s" : ""}, step` : "Step"} ${taken} of ${every.length}${step ? `: ${step.phase.toLowerCase()}` : ""}`);
    say(title, step?.title ?? (updates ? "The new weights" : "Before the first step"));
    say(sentence, step?.sentence ?? (updates
      ? "The updated weights and biases stand in the drawing. Go forward again with the same example, and see whether the loss has become smaller."
      : `Two inputs come in at the top. W1[0,1] is the weight of the connection from input 0 to hidden unit 1, and so on; b1 and b2 are the biases. The example belongs to class ${first.label}, so y is 1 at output ${first.label}, and 0 at the other.`));
    formulas.replaceChildren(...(step?.formulas ?? []).map((formula) => h("p", {}, formula)));
    const known = all.slice(0, updates + (shown.has("L") ? 1 : 0)).map((round) => readable(round.pass.L)).slice(-6);
    say(losses, known.length > 1 ? `Loss before each update: ${known.join(", ")}.` : "");
    list.replaceChildren(...past.map(({ title, formulas }) => h("li", {}, `${title}: ${formulas.join(" ")}`)));
    drawing.node.setAttribute("aria-label", `The network, ${past.length ? `with ${past.length} quantities` : "before the first step"}; the list below has all its numbers.`);
  }

  const node = h(
    "section",
    {
      class: "mnist-panel step", "aria-label": "Step through a small network",
      onkeydown(event) {
        if (event.target.type === "range" || event.altKey || event.ctrlKey || event.metaKey) return;
        const act = { ArrowRight: forward, ArrowLeft: back }[event.key];
        if (!act) return;
        event.preventDefault();
        act();
      },
    },
    h("div", { class: "buttons" }, onward, backward, button("Whole pass", wholePass), button("Reset", reset)),
    h("div", { class: "columns" },
      h("div", { class: "words" }, where, told, losses),
      drawing.node,
      h("div", { class: "settings" },
        h("p", { class: "legend" }, h("span", { class: "number" }, "plain: value"), h("span", { class: "product" }, "blue: weight times what came in (⇒)"), h("span", { class: "slope" }, "red: slope of the loss in it (d)"), h("span", { class: "new" }, "green: after the update (→)")),
        ...sliders.map(({ node }) => node),
        h("p", { class: "help" }, "With the keyboard: once a button has the focus, the arrow keys → and ← step forward and back."),
        h("details", {}, h("summary", {}, "All steps so far, as a list"), list),
      ),
    ),
  );
  show();
  return { node, leave() {} };
}
