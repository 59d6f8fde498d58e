// A sheet to draw on, and the small network that reads it. Its file (tools/small_network.py) is all that it needs: no image,
// no worker, no engine.

import { drawView } from "./panel/draw_view.js";
import { GivenNetwork } from "./panel/network_asked.js";

// `answered` is given the ten probabilities, or undefined for a blank sheet.
export async function sheet(answered) {
  const { names, validation_accuracy, layers } = await load();
  const name = `the network that came with this page, ${(100 * validation_accuracy).toFixed(1)}% on the validation set`;
  const network = new GivenNetwork(name, { ask: async ({ pixels }) => probabilities(layers, pixels) });
  return drawView(network, names, answered, true).node;
}

export async function load() {
  const response = await fetch(new URL("small_network.bin", import.meta.url));
  const unpacked = response.body.pipeThrough(new DecompressionStream("gzip"));
  const bytes = new Uint8Array(await new Response(unpacked).arrayBuffer());
  const end = bytes.indexOf(10);
  const network = JSON.parse(new TextDecoder().decode(bytes.subarray(0, end)));
  let place = end + 1;
  for (const layer of network.layers) {
    const number = layer.inputs * layer.biases.length;
    layer.weights = new Int8Array(bytes.buffer, place, number);
    place += number;
  }
  return network;
}

// What the network makes of a picture of 784 grey values: a probability for each class.
export function probabilities(layers, pixels) {
  let values = pixels.map((grey) => grey / 255);
  for (const { weights, step, biases } of layers) {
    const sums = biases.map(() => 0);
    values.forEach((value, input) => {
      // A negative one is none to the next layer: that is ReLU.
      if (value > 0) for (let unit = 0; unit < sums.length; unit++) sums[unit] += value * weights[input * sums.length + unit];
    });
    values = sums.map((sum, unit) => sum * step + biases[unit]);
  }
  const highest = Math.max(...values), powers = values.map((value) => Math.exp(value - highest));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}
