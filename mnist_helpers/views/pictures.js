// Pictures of 28 × 28 pixels.

import { h } from "./blocks.js";

// A 28 × 28 picture from bytes, in base64 or as they are: grey values as ink on paper, or signed weights as red and blue.
export function picture(encoded, { signed = false, label = "" } = {}) {
  const canvas = h("canvas", { width: 28, height: 28, role: "img", "aria-label": label, title: label });
  paint(canvas, encoded, signed);
  return canvas;
}

export function paint(canvas, encoded, signed = false) {
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
