// Trains in the background, and answers what panel/engine_protocol.js says. Every number comes from the engine
// (engine.c): this file loads images, decides which of them come next, and lets messages in.
"use strict";

const PIXELS = 784;
const ACTIVATIONS = ["relu", "leaky_relu", "sigmoid", "tanh"];
const KINDS = { gamma: 2, movingVariance: 5 };
const ROWS = 500; // images that the engine takes at once; more of them would only fill the processor's caches
const MILLISECONDS_BETWEEN_POINTS = 33;
const MILLISECONDS_AT_A_STRETCH = 10; // then messages are read, and other networks get their turn

// ---------------------------------------------------------------- images

const collections = new Map(); // by address, a promise of {training, validation, test: {images, labels, number}}

function collection(address) {
  if (!collections.has(address)) {
    const promise = load(address);
    collections.set(address, promise);
    promise.catch(() => collections.delete(address)); // so that a retry asks again
  }
  return collections.get(address);
}

// Tells how much has come, 0 again where it did not get to the end.
async function load(address) {
  const tell = (share) => postMessage({ loading: address, share });
  try {
    const data = await fetched(address, (share) => tell(Math.min(share, 0.99)));
    tell(1);
    return data;
  } catch (error) {
    tell(0);
    throw error;
  }
}

async function fetched(address, tell) {
  const response = await fetch(address).catch(() => null);
  if (!response?.ok) throw new Error("The images could not be loaded. Check the connection and try again.");
  const total = Number(response.headers.get("content-length")) || Infinity;
  const pieces = [];
  let received = 0;
  const reader = response.body.getReader();
  try {
    for (let piece; !(piece = await reader.read()).done; ) {
      pieces.push(piece.value);
      received += piece.value.length;
      tell(received / total);
    }
  } catch {
    throw new Error("The images were cut off on their way here. Check the connection and try again.");
  }
  let bytes = new Uint8Array(await new Blob(pieces).arrayBuffer());
  try {
    // Some servers unpack it themselves.
    if (bytes[0] === 0x1f && bytes[1] === 0x8b)
      bytes = new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer());
    return parse(bytes);
  } catch {
    throw new Error("The images arrived damaged. Try again; if that does not help, the book's server has a damaged file.");
  }
}

// A line of JSON, {version, pixels, splits: {training, validation, test}}, how many images each has, and then of each, in
// this order, the images and the labels.
function parse(bytes) {
  const end = bytes.indexOf(10);
  const { version, pixels, splits } = JSON.parse(new TextDecoder().decode(bytes.subarray(0, end)));
  if (version !== 1 || pixels !== PIXELS) throw new Error("another version");
  let place = end + 1;
  const take = (number) => bytes.subarray(place, (place += number));
  const result = {};
  for (const name of ["training", "validation", "test"]) {
    const number = splits[name], images = take(number * PIXELS), labels = take(number);
    // The engine takes a label for a place in its memory.
    if (labels.length !== number || labels.some((label) => label > 9)) throw new Error("no labels");
    result[name] = { number, images, labels };
  }
  if (place !== bytes.length) throw new Error("another length");
  return result;
}

// ---------------------------------------------------------------- the engine

// Modules of a few bytes with one instruction of each kind, which a browser that lacks it refuses.
const SIMD = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11];
const RELAXED = [0, 97, 115, 109, 1, 0, 0, 0, 1, 8, 1, 96, 3, 123, 123, 123, 1, 123, 3, 2, 1, 0, 10, 13, 1, 11, 0, 32, 0, 32, 1, 32, 2, 253, 133, 2, 11];
const can = (bytes) => WebAssembly.validate(new Uint8Array(bytes));
const FILE = can(RELAXED) ? "engine-relaxed.wasm" : can(SIMD) ? "engine.wasm" : "engine-plain.wasm";
let compiled = null;

function engine() {
  compiled ??= fetch(FILE)
    .then((response) => (response.ok ? response.arrayBuffer() : Promise.reject()))
    .then((bytes) => WebAssembly.compile(bytes))
    .catch(() => {
      compiled = null;
      throw new Error("The engine could not be loaded. Check the connection and try again.");
    });
  return compiled;
}

const upTo8 = (number) => Math.ceil(number / 8) * 8;

// How a network's parameters follow each other in what is kept of it, in strips of eight outputs.
function* layoutOf({ hidden_layers, units, batch_norm }) {
  for (let layer = 0, inputs = PIXELS; layer <= hidden_layers; layer++, inputs = units) {
    const outputs = layer < hidden_layers ? units : 10;
    const kinds = layer < hidden_layers && batch_norm ? KINDS.movingVariance : KINDS.gamma - 1;
    for (let kind = 0; kind <= kinds; kind++) yield { layer, kind, inputs, outputs, length: (kind ? 1 : upTo8(inputs)) * upTo8(outputs) };
  }
}

// One network in an engine of its own; dropping it gives its memory back.
class Network {
  static async create(recipe, seed, rows) {
    const module = await engine();
    return new Network(new WebAssembly.Instance(module).exports, recipe, seed, rows);
  }

  constructor(exports, recipe, seed, rows) {
    const { hidden_layers, units, activation, last_activation, batch_norm, ema_momentum } = recipe;
    Object.assign(this, { exports, recipe, rows });
    const [inner, outer] = [activation, last_activation].map((name) => ACTIVATIONS.indexOf(name));
    if (!exports.create(hidden_layers, units, inner, outer, Number(batch_norm), rows, seed) || (ema_momentum && !exports.keep_averages()))
      throw new Error("This network is too large for the memory of this page. Take fewer units or a smaller batch.");
    this.order = exports.allocate(4 * 60_000);
    this.bytes = new Uint8Array(exports.memory.buffer);
    this.pixels = exports.pixels();
    this.labels = exports.labels();
  }

  // Copy the images at these places in the splits, counted through, to where the engine reads them.
  put(splits, places) {
    for (let row = 0; row < places.length; row++) {
      let place = places[row], split = splits[0];
      if (place >= split.number) (place -= split.number), (split = splits[1]);
      this.bytes.set(split.images.subarray(place * PIXELS, (place + 1) * PIXELS), this.pixels + row * PIXELS);
      this.bytes[this.labels + row] = split.labels[place];
    }
  }

  shuffled(number) {
    const order = new Int32Array(this.exports.memory.buffer, this.order, number);
    for (let i = 0; i < number; i++) order[i] = i;
    this.exports.shuffle(this.order, number);
    return order.slice();
  }

  *parameters() {
    for (const { layer, kind, length } of layoutOf(this.recipe))
      yield new Float32Array(this.exports.memory.buffer, this.exports.parameter(layer, kind), length);
  }

  get weights() {
    const all = [...this.parameters()];
    const copy = new Float32Array(all.reduce((sum, { length }) => sum + length, 0));
    let place = 0;
    for (const values of all) {
      copy.set(values, place);
      place += values.length;
    }
    return copy;
  }

  set weights(copy) {
    let place = 0;
    for (const values of this.parameters()) values.set(copy.subarray(place, (place += values.length)));
  }

  // Put the running averages, if there are any, in the weights' place; a second time undoes it.
  exchangeAverages() {
    if (this.recipe.ema_momentum) this.exports.exchange_averages();
  }

  // How many units the first layer has, and the weights of some, a picture of 784 pixels each.
  pictures(first, number) {
    const { hidden_layers, units } = this.recipe;
    const total = hidden_layers ? units : 10;
    const kernel = new Float32Array(this.exports.memory.buffer, this.exports.parameter(0, 0), upTo8(total) * PIXELS);
    const pictures = Array.from({ length: Math.max(0, Math.min(number, total - first)) }, (_, i) => {
      const unit = first + i;
      const picture = new Float32Array(PIXELS);
      for (let pixel = 0; pixel < PIXELS; pixel++) picture[pixel] = kernel[((unit >> 3) * PIXELS + pixel) * 8 + (unit & 7)];
      return picture;
    });
    return { total, units: pictures };
  }

  gradientNorms() {
    return Array.from({ length: this.recipe.hidden_layers + 1 }, (_, layer) => this.exports.gradient_norm(layer));
  }

  probabilities(pixels) {
    this.bytes.set(pixels, this.pixels);
    return Array.from(new Float32Array(this.exports.memory.buffer, this.exports.predict(), 10));
  }
}

// The share of the hidden units whose output is 0 for every image of a split.
async function deadShare(network, split) {
  const { hidden_layers, units } = network.recipe;
  const alive = Array.from({ length: hidden_layers }, () => new Uint8Array(units));
  const places = everyPlace(split);
  // The engine fills rows up to fours; network.rows is such a number.
  for (let start = 0; start < places.length; start += network.rows) {
    const some = places.subarray(start, start + network.rows);
    network.put([split], some);
    network.exports.evaluate(some.length);
    alive.forEach((seen, layer) => {
      const outputs = new Float32Array(network.exports.memory.buffer, network.exports.outputs(layer), upTo8(units) * network.rows);
      for (let unit = 0; unit < units; unit++)
        for (let row = 0; row < some.length && !seen[unit]; row++)
          if (outputs[((unit >> 3) * network.rows + row) * 8 + (unit & 7)] !== 0) seen[unit] = 1;
    });
    await turn();
  }
  return 1 - alive.reduce((sum, seen) => sum + seen.reduce((count, one) => count + one, 0), 0) / (hidden_layers * units);
}

// Mean loss and accuracy on some images; letting others have their turn, until `ended` says that it is not wanted.
async function evaluate(network, splits, places, ended = () => false) {
  let loss = 0, right = 0;
  const answers = new Uint8Array(places.length), losses = new Float32Array(places.length);
  for (let start = 0; start < places.length && !ended(); start += network.rows) {
    const some = places.subarray(start, start + network.rows);
    network.put(splits, some);
    loss += network.exports.evaluate(some.length);
    right += network.exports.right();
    answers.set(network.bytes.subarray(network.exports.answers(), network.exports.answers() + some.length), start);
    losses.set(new Float32Array(network.exports.memory.buffer, network.exports.losses(), some.length), start);
    await turn();
  }
  return { loss: loss / places.length, accuracy: right / places.length, answers, losses };
}

const everyPlace = (split) => Int32Array.from({ length: split.number }, (_, place) => place);

// ---------------------------------------------------------------- taking turns

let stretch = performance.now();
const channel = new MessageChannel();
const waiting = [];
channel.port1.onmessage = () => waiting.shift()();

// Nothing, or, after a while, a moment for messages and for the other networks; a timer would take 4 ms of it.
function turn() {
  if (performance.now() - stretch < MILLISECONDS_AT_A_STRETCH) return;
  return new Promise((resolve) => {
    waiting.push(() => {
      stretch = performance.now();
      resolve();
    });
    channel.port2.postMessage(null);
  });
}

// ---------------------------------------------------------------- training

const running = new Map(); // by id, {network, stopped}

async function train({ id, recipe, seed, address }) {
  const run = { network: null, stopped: false, started: performance.now() };
  running.set(id, run);
  orders.prepare({ address });
  try {
    const data = await collection(address);
    if (run.stopped) return report(id, { ended: "stopped", weights: null });
    // Batch norm needs a batch as a whole.
    const rows = Math.min(recipe.batch_size, recipe.batch_norm ? recipe.training_images : ROWS);
    run.network = await Network.create(recipe, seed, Math.max(Math.ceil(rows / 4) * 4, 100));
    await epochs(id, run, recipe, data);
    run.network.exchangeAverages();
    if (run.best) run.network.weights = run.best.weights;
    const weights = run.network.weights;
    report(id, { ended: run.stopped ? "stopped" : "finished", weights }, [weights.buffer]);
  } catch (error) {
    report(id, { ended: "failed", why: error.message });
  } finally {
    running.delete(id);
  }
}

function report(id, what, handedOver) {
  postMessage({ id, elapsed: secondsSince(running.get(id).started), ...what }, handedOver);
}

const secondsSince = (started) => (performance.now() - started) / 1000;

async function epochs(id, run, recipe, data) {
  const { network } = run;
  const leaking = recipe.validation === "leaking";
  const splits = [data.training, data.validation];
  const everything = data.training.number + data.validation.number;
  const ended = () => run.stopped;
  const steps = Math.ceil(recipe.training_images / recipe.batch_size);
  // Early stopping ends where no epoch has had a lower validation loss than the best one for so long.
  for (let epoch = 0; epoch < recipe.epochs && !(run.best && epoch - run.best.epoch > recipe.patience); epoch++) {
    const started = performance.now();
    // The leak: training and validation images are dealt anew from all of them, in every epoch and for each of the two.
    const order = leaking ? network.shuffled(everything).subarray(data.validation.number) : network.shuffled(recipe.training_images);
    const sums = await trainEpoch(id, run, recipe, splits, order, epoch, steps);
    if (run.stopped) return;
    const held = leaking ? network.shuffled(everything).subarray(0, data.validation.number) : everyPlace(data.validation);
    network.exchangeAverages();
    const validation = await evaluate(network, leaking ? splits : [data.validation], held, ended);
    network.exchangeAverages();
    if (run.stopped) return;
    if (!Number.isFinite(validation.loss)) throw diverged("validation loss", validation.loss, epoch, recipe, steps, steps);
    if (recipe.patience && !(run.best?.loss <= validation.loss)) run.best = { epoch, loss: validation.loss, weights: network.weights };
    report(id, {
      epoch: epoch + 1,
      loss: sums.loss / order.length,
      accuracy: sums.right / order.length,
      val_loss: validation.loss,
      val_accuracy: validation.accuracy,
      seconds: secondsSince(started),
    });
  }
}

async function trainEpoch(id, run, recipe, splits, order, epoch, steps) {
  const { network } = run;
  const { dropout, label_smoothing, rotation, zoom, shift, shear, elastic } = recipe;
  const epochSums = { loss: 0, right: 0 };
  let point = { loss: 0, right: 0, images: 0 }, pointed = performance.now(), done = 0;
  for (let step = 0; step < steps; step++) {
    const batch = order.subarray(step * recipe.batch_size, (step + 1) * recipe.batch_size);
    for (let start = 0; start < batch.length; start += network.rows) {
      const some = batch.subarray(start, start + network.rows);
      network.put(splits, some);
      const loss = network.exports.accumulate(some.length, dropout, label_smoothing, rotation, zoom, shift, shear, elastic);
      if (!Number.isFinite(loss)) throw diverged("training loss", loss, epoch, recipe, step + 1, steps);
      const right = network.exports.right();
      for (const sums of [epochSums, point]) (sums.loss += loss), (sums.right += right);
      point.images += some.length;
      await turn();
      if (run.stopped) return epochSums;
    }
    // The first point comes at once, and the last of an epoch with the epoch's own.
    const due = performance.now() - pointed >= MILLISECONDS_BETWEEN_POINTS || (epoch === 0 && step === 0) || step === steps - 1;
    const gradients = due && network.gradientNorms(); // which the update takes away
    network.exports.update(learningRate(recipe, steps, epoch * steps + step), recipe.weight_decay);
    if (recipe.ema_momentum) network.exports.average(recipe.ema_momentum);
    done += batch.length;
    if (due) {
      const before = done - point.images;
      report(id, {
        at: epoch + (before + done) / 2 / order.length,
        fraction: (epoch + done / order.length) / recipe.epochs,
        loss: point.loss / point.images,
        accuracy: point.right / point.images,
        gradients,
      });
      point = { loss: 0, right: 0, images: 0 };
      pointed = performance.now();
    }
  }
  return epochSums;
}

// Of a step, counted from 0: as it is, or along the cosine schedule of mnist_helpers/training.py.
function learningRate({ learning_rate, schedule, warmup_epochs, epochs }, stepsInEpoch, step) {
  if (schedule === "constant") return learning_rate;
  const warmup = warmup_epochs * stepsInEpoch;
  if (step < warmup) return (learning_rate * step) / warmup;
  return learning_rate * 0.5 * (1 + Math.cos((Math.PI * (step - warmup)) / (epochs * stepsInEpoch - warmup)));
}

const diverged = (what, value, epoch, recipe, step, steps) =>
  new Error(
    `the ${what} is ${value} in epoch ${epoch + 1} of ${recipe.epochs}, at step ${step} of ${steps}, where the learning rate is ` +
      `${recipe.learning_rate}; expected a finite number. A lower learning rate usually helps.`,
  );

// ---------------------------------------------------------------- questions about a network

let asked = { id: null, network: null }; // the finished network of the last question

// A network that is training answers as it stands; a finished one is made anew from its weights.
async function networkOf({ id, recipe, weights }) {
  if (running.get(id)?.network) return running.get(id).network;
  if (asked.id !== id) {
    const network = await Network.create({ ...recipe, ema_momentum: 0 }, 0, ROWS);
    network.weights = weights;
    asked = { id, network };
  }
  return asked.network;
}

const answers = {
  async load({ address }) {
    return Boolean(await collection(address));
  },
  async images({ address, split, places, like, number }) {
    const { images, labels } = (await collection(address))[split];
    const wanted = places ?? closest(images, labels.length, like, number);
    return wanted.map((place) => ({ place, pixels: images.slice(place * PIXELS, (place + 1) * PIXELS), label: labels[place] }));
  },
  probabilities: async (message) => (await networkOf(message)).probabilities(message.pixels),
  pictures: async (message) => (await networkOf(message)).pictures(message.first, message.number),
  dead: async (message) => deadShare(await networkOf(message), (await collection(message.address)).validation),
  async split(message) {
    const data = (await collection(message.address))[message.split];
    return { ...(await evaluate(await networkOf(message), [data], everyPlace(data))), labels: data.labels };
  },
  program: async ({ recipe, seed, total }) => (await part("keras_program")).kerasProgram(recipe, seed, total),
  file: async (message) => (await part("run_file")).fileOf(message, layoutOf),
  open: async ({ file }) => (await part("run_file")).runIn(file, layoutOf),
};

const part = (name) =>
  import(`./${name}.js`).catch(() => {
    throw new Error("A part of the lab could not be loaded. Check the connection and try again.");
  });

async function answer(message) {
  const { question } = message;
  try {
    postMessage({ question, answer: await answers[message.do](message) });
  } catch (error) {
    postMessage({ question, why: error.message });
  }
}

function closest(images, number, like, wanted) {
  const distances = new Float64Array(number);
  for (let place = 0; place < number; place++) {
    let sum = 0;
    for (let i = 0, at = place * PIXELS; i < PIXELS; i++, at++) sum += (images[at] - like[i]) ** 2;
    distances[place] = sum;
  }
  return Array.from(distances.keys()).sort((a, b) => distances[a] - distances[b]).slice(0, wanted);
}

const orders = {
  train,
  prepare({ address }) {
    for (const needed of [collection(address), engine()]) needed.catch(() => {}); // if it does not come now, who trains asks again
  },
  stop({ id }) {
    if (running.has(id)) running.get(id).stopped = true;
  },
  measure() {}, // it costs next to nothing here, so each point has them
  forget({ id, address }) {
    collections.delete(address);
    orders.stop({ id });
    if (asked.id === id) asked = { id: null, network: null };
  },
};

onmessage = ({ data }) => (orders[data.do] ?? answer)(data);
