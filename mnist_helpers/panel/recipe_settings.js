// A recipe as the controls of a panel show it, and what does not go together in it. `setup` is what
// mnist_helpers/controls.py says of the controls.

export function settingsOf(recipe, seed, setup) {
  const alike = Object.entries(setup.augmentations).find(([, sizes]) => Object.entries(sizes).every(([name, size]) => recipe[name] === size));
  const values = { ...recipe, seed, augmentation: alike ? alike[0] : setup.ownAugmentation };
  return Object.fromEntries(setup.controls.map(({ name }) => [name, values[name]]));
}

export function recipeOf({ seed, augmentation, ...values }, base, setup) {
  const warmup = values.schedule === "constant" ? { warmup_epochs: 0 } : {};
  return [{ ...base, ...values, ...warmup, ...setup.augmentations[augmentation] }, seed];
}

const COMPARISONS = { "==": (a, b) => a === b, "!=": (a, b) => a !== b, ">=": (a, b) => a >= b };

// What is wrong with a setting, of what the controls let through, by the rules of mnist_helpers/recipe.py: {name, sentence}, or null.
export function problemOf(recipe, seed, most, { rules, controls }) {
  const [lowest, highest] = controls.find(({ name }) => name === "seed").choices;
  if (!Number.isInteger(seed) || seed < lowest || seed > highest)
    return { name: "seed", sentence: `seed is ${seed ?? "empty"}; expected a whole number from ${lowest} to ${highest.toLocaleString("en-GB")}.` };
  const values = { ...recipe, most };
  const broken = rules.find(({ case: all }) => all.every(([name, sign, other]) => COMPARISONS[sign](values[name], values[other] ?? other)));
  if (!broken) return null;
  return { name: broken.name, sentence: broken.sentence.replace(/{(\w+)}/g, (_, name) => values[name].toLocaleString("en-GB", { maximumFractionDigits: 9 })) };
}

export function parameterCount({ hidden_layers, units, batch_norm }) {
  let inputs = 784, count = 0;
  for (let layer = 0; layer < hidden_layers; layer++, inputs = units) count += (inputs + 1) * units + (batch_norm ? 4 * units : 0);
  return count + (inputs + 1) * 10;
}

export const written = (value) =>
  value === true ? "on" : value === false ? "off"
  : typeof value === "number" ? (value >= 1000 ? value.toLocaleString("en-GB") : value.toFixed(10).replace(/\.?0+$/, ""))
  : String(value).replaceAll("_", " ");

export function changedSettings(settings, origin) {
  const changed = Object.keys(settings).filter((name) => settings[name] !== origin[name]);
  return changed.map((name) => `${name.replaceAll("_", " ")} ${written(settings[name])}`).join(", ");
}
