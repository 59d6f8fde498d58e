// The drawing panel: a sheet, and what a network makes of what is drawn on it.

import { pictureOf } from "./drawn_digit.js";
import { button, h, paint, picture, say } from "./elements.js";
import { follow } from "./network_asked.js";

// A view that asks a session's network, or what stands for one (network_asked.js), about drawings; `answered` is given the
// ten probabilities, or undefined for a blank sheet. Where no training images are at hand, `brief` leaves out the closest
// ones. Gives its element, and how to take leave of the session.
export function drawView(session, names, answered, brief = false) {
  const SIZE = 280;
  let strokes = [];
  let pen = null; // where the keyboard's pen is, and whether it is down
  let waiting = false, dirty = false, asked = 0;

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
  const invitation = h("span", { class: "invitation", "aria-hidden": "true" }, names[0] === "0" ? "draw a digit" : "draw here");
  const verdict = h("p", { class: "verdict", role: "status" });
  const seen = h("canvas", { width: 28, height: 28, role: "img", "aria-label": "What the network sees: your drawing, scaled and centred" });
  const closest = h("div", { class: "nearest" });
  const title = (text) => h(brief ? "h2" : "h3", {}, text); // by itself it stands in no section
  const beside = brief ? [] : [title("The closest training images"), closest, h("p", { class: "help" }, "By the distance between pixels, shown when you lift the pen.")];

  function redraw() {
    context.clearRect(0, 0, SIZE, SIZE);
    invitation.hidden = Boolean(strokes.length || pen);
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

  // One question at a time while the pen moves; what is drawn meanwhile is asked about when the answer has come.
  async function ask(still, drawing = true) {
    redraw();
    if (waiting && !still) { dirty = true; return; }
    waiting = true;
    dirty = false;
    const number = ++asked;
    const answer = { picture: pictureOf(strokes), blank: strokes.length === 0, closest: [] };
    try {
      await answerTo(answer, still, drawing);
    } catch (error) {
      answer.sentence = error.message;
    }
    if (number !== asked) return;
    show(answer);
    answered(answer.probabilities);
  }

  // Fill in what the network says, and, when the pen is up, which training images are closest.
  async function answerTo(answer, still, drawing) {
    if (answer.blank) return;
    const pixels = Array.from(answer.picture);
    if (session.network) answer.probabilities = await session.ask("probabilities", session.network, { pixels });
    else if (!drawing) answer.sentence = "There is no network any more to ask.";
    else {
      session.train(); // the first drawing sets it going, and is answered once there is something to ask
      answer.sentence = "The network is being trained first, and answers in a moment.";
    }
    if (still && !brief) answer.closest = await session.ask("images", null, { split: "training", like: pixels, number: 5 });
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
    say(verdict, result.blank ? (names[0] === "0" ? "Draw a digit." : "Draw one of these.") : result.sentence ? result.sentence : `It reads ${names[best]}, and is ${(100 * shares[best]).toFixed(0)}% sure.`);
    closest.replaceChildren(...result.closest.map(({ pixels, label }) => h("figure", {}, picture(pixels, { label: `A training image of ${names[label]}` }), h("figcaption", {}, names[label]))));
    if (dirty) ask(false);
  }

  const who = h("p", { class: "help" });
  show({ picture: new Uint8Array(784), blank: true, closest: [] });
  // Another network has another opinion of the same drawing.
  const leave = follow(session, 200, (name) => {
    say(who, `You ask ${name}.`);
    ask(true, false);
  });
  const node = h(
    "section",
    { class: brief ? "mnist-panel draw brief" : "mnist-panel draw", "aria-label": "Draw a digit" },
    h("div", {}, title("Draw here"), h("div", { class: "paper" }, canvas, invitation), h("div", { class: "buttons" }, button("Clear", clear))),
    h("div", { class: "answer" }, title("What it thinks"), who, verdict, h("ol", { class: "shares" }, ...bars.map((bar) => bar.node))),
    h("div", { class: "seen" }, title("What the network sees"), seen, ...beside),
  );
  return { node, leave };
}
