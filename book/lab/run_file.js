// A run's network, recipe and curve as a file: what mnist_helpers/network_file.py does in Python, and says what is in it.

import { readNpz, writeNpz } from "./npz.js";
import { parameterCount, problemOf } from "./panel/recipe_settings.js";

const VERSION = 1;
const CURVES = ["loss", "accuracy", "val_loss", "val_accuracy", "seconds"];
const KINDS = ["kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance"];

// The file, in base64; the weights lie as `layoutOf` says, in strips of eight outputs.
export function fileOf({ recipe, seed, history, weights }, layoutOf) {
  const about = { version: VERSION, recipe, seed, digest: "", versions: {}, hardware: "" };
  const arrays = { run: JSON.stringify(about) };
  for (const name of CURVES) arrays[name] = { shape: [history[name].length], values: Float64Array.from(history[name]) };
  let start = 0;
  for (const part of layoutOf(recipe)) {
    const values = new Float32Array(shapeOf(part).reduce((product, length) => product * length));
    eachPlace(part, (strip, plain) => (values[plain] = weights[start + strip]));
    arrays[nameOf(part)] = { shape: shapeOf(part), values };
    start += part.length;
  }
  return base64(writeNpz(arrays));
}

// What a file holds: {recipe, seed, history, weights}; throws a sentence if that is no run.
export async function runIn(file, layoutOf) {
  const setup = await (await fetch(new URL("setup.json", import.meta.url))).json();
  const arrays = await readNpz(Uint8Array.from(atob(file), (letter) => letter.charCodeAt(0)), setup.most_bytes);
  const { recipe, seed } = aboutIn(arrays, setup);
  const history = Object.fromEntries(CURVES.map((name) => [name, [...checked(arrays, name, "f8", [arrays.loss?.values.length])]]));
  if (history.loss.length > recipe.epochs) throw refused(`it has ${history.loss.length} epochs of ${recipe.epochs}`);
  const held = Object.entries(arrays).reduce((sum, [name, { values }]) => sum + (name.startsWith("layer_") ? values.length : 0), 0);
  if (held !== parameterCount(recipe)) throw refused(`it has ${held} parameters; its recipe has ${parameterCount(recipe)}`);
  const layout = [...layoutOf(recipe)];
  const weights = new Float32Array(layout.reduce((sum, { length }) => sum + length, 0));
  let start = 0;
  for (const part of layout) {
    const values = checked(arrays, nameOf(part), "f4", shapeOf(part));
    eachPlace(part, (strip, plain) => (weights[start + strip] = values[plain]));
    start += part.length;
  }
  return { recipe, seed, history, weights };
}

const refused = (why) => new Error(`This is not a run with its network (${why}); expected what write_network or a panel's Save wrote.`);

function aboutIn(arrays, setup) {
  let about = null;
  try {
    about = JSON.parse(arrays.run.values[0]);
  } catch {
    // said below
  }
  if (!about?.recipe) throw refused("there is no text that tells its recipe");
  if (about.version !== VERSION) throw refused(`its version is ${about.version}`);
  const recipe = { ...setup.article, ...about.recipe };
  const wrong = Object.keys(recipe).find((name) => !accepted(name, recipe[name], setup));
  if (wrong) throw refused(`its ${wrong} is ${JSON.stringify(recipe[wrong])}`.slice(0, 100));
  const problem = problemOf(recipe, about.seed, setup.whole.training_images[1], setup);
  if (problem) throw refused(problem.sentence);
  return { recipe, seed: about.seed };
}

// Whether a hyperparameter is known here, and its value one that can be.
function accepted(name, value, { article, whole, fractions, controls }) {
  if (!Object.hasOwn(article, name)) return false;
  const [lowest, highest] = whole[name] ?? [0, Infinity];
  if (whole[name] || fractions.includes(name)) return Number.isFinite(value) && value >= lowest && value <= highest && (!whole[name] || Number.isInteger(value));
  return controls.find((control) => control.name === name).choices.includes(value);
}

function checked(arrays, name, dtype, shape) {
  const array = Object.hasOwn(arrays, name) ? arrays[name] : null;
  if (!array || array.dtype !== dtype || array.shape.join() !== shape.join() || !array.values.every(Number.isFinite))
    throw refused(`${name} is missing or another; expected finite numbers of the type ${dtype} and of shape (${shape.join(", ")})`);
  return array.values;
}

const nameOf = ({ layer, kind }) => `layer_${layer + 1}_${KINDS[kind]}`;
const shapeOf = ({ kind, inputs, outputs }) => (kind ? [outputs] : [inputs, outputs]);

// Call with the place of each parameter in its strips, and in rows of outputs.
function eachPlace({ kind, inputs, outputs, length }, act) {
  const rows = kind ? 1 : inputs, filled = kind ? 1 : length / (8 * Math.ceil(outputs / 8));
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < outputs; column++) act(kind ? column : ((column >> 3) * filled + row) * 8 + (column & 7), row * outputs + column);
}

function base64(bytes) {
  let text = "";
  for (let start = 0; start < bytes.length; start += 0x8000) text += String.fromCharCode(...bytes.subarray(start, start + 0x8000));
  return btoa(text);
}
