// The lab's own images for the other libraries: of each split {number, pixels: float32 from 0 to 1, labels}.

const PIXELS = 784;

export async function loadImages(address) {
  const packed = (await fetch(address)).body.pipeThrough(new DecompressionStream("gzip"));
  const bytes = new Uint8Array(await new Response(packed).arrayBuffer());
  // A line of JSON, {version, pixels, splits: {name: number}}, and then of each split the images and the labels.
  const end = bytes.indexOf(10);
  const { splits } = JSON.parse(new TextDecoder().decode(bytes.subarray(0, end)));
  let place = end + 1;
  const take = (number) => bytes.subarray(place, (place += number));
  const result = {};
  for (const [name, number] of Object.entries(splits)) {
    const pixels = Float32Array.from(take(number * PIXELS), (byte) => byte / 255);
    result[name] = { number, pixels, labels: Int32Array.from(take(number)) };
  }
  return result;
}

export function shuffled(number) {
  const order = Int32Array.from({ length: number }, (_, place) => place);
  for (let i = number - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

// What a layer of the network takes and gives: [[784, units], [units, units], …, [units, 10]].
export function shapes({ hidden_layers, units }) {
  const sizes = [PIXELS, ...new Array(hidden_layers).fill(units), 10];
  return sizes.slice(1).map((outputs, layer) => [sizes[layer], outputs]);
}
