// The plain Keras program of a setting, as mnist_helpers/program.py writes it; a test holds the two to each other.

const wrapped = (text, width) => {
  const lines = [];
  for (const word of text.split(" "))
    if (lines.length && lines.at(-1).length + 1 + word.length <= width) lines[lines.length - 1] += ` ${word}`;
    else lines.push(word);
  return lines;
};

// As Python writes a value in source text.
export function literal(value, whole = false) {
  if (value === true) return "True";
  if (value === false) return "False";
  if (typeof value === "string") return `'${value}'`;
  if (whole) return String(value);
  const [mantissa, exponent] = value.toExponential().split("e");
  if (value !== 0 && (exponent < -4 || exponent >= 16)) return `${mantissa}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
  return Number.isInteger(value) ? `${value}.0` : String(value);
}

const FRACTIONS = ["dropout", "weight_decay", "learning_rate", "label_smoothing", "rotation", "zoom", "shift", "shear", "elastic", "ema_momentum"];

export function recipeInWords(recipe, article) {
  const changed = Object.keys(article).filter((name) => recipe[name] !== article[name]);
  return changed.map((name) => `${name}=${literal(recipe[name], !FRACTIONS.includes(name))}`).join(", ") || "the article's recipe";
}

// `total` is how many training images the page has, of Keras's 54,000.
export function kerasProgram(recipe, seed, article, total) {
  const f = (name) => literal(recipe[name]);
  const smoothed = recipe.label_smoothing > 0;
  const distortions = ["rotation", "zoom", "shift", "shear", "elastic"];
  const distorted = distortions.some((name) => recipe[name]);
  const leaking = recipe.validation === "leaking";
  const few = total < 54_000;
  const head = [
    ...wrapped(`${recipeInWords(recipe, article)}; seed ${seed}`, 76),
    "Keras draws other random numbers than the page: expect its result within the",
    `spread over seeds.${smoothed ? " Its val_loss is smoothed." : ""}`,
  ].map((line) => `# ${line}`);
  const imports = [
    "import keras",
    ...(recipe.ema_momentum ? [] : ["import numpy as np"]),
    ...(leaking || distorted ? ["import tensorflow as tf"] : []),
    "",
    ...(distorted ? ["from mnist_helpers.augment import distort"] : []),
    "from mnist_helpers.data import load_mnist",
  ];
  const range = recipe.training_images === 54_000 ? "" : `[:${recipe.training_images}]`;
  const step = few ? "[::3]" : "";
  const data = ["mnist = load_mnist()  # with the path of other data, if trained on these"];
  if (leaking)
    data.push(
      ...["images", "labels"].map((name) => {
        const part = name === "images" ? "flat" : name;
        return `${name} = np.concatenate(\n    [mnist.train.${part}${range}, mnist.validation.${part}${step}]\n)`;
      }),
    );
  else
    data.push(
      `images, labels = mnist.train.flat${range}, mnist.train.labels${range}`,
      `validation = (mnist.validation.flat${step}, mnist.validation.labels${step})`,
    );
  const categorical = (name) => `keras.utils.to_categorical(${name}, 10)`;
  if (smoothed) data.push(`labels = ${categorical("labels")}`);
  if (smoothed && !leaking) data.push(`validation = (validation[0], ${categorical("validation[1]")})`);
  const shown = distortions.filter((name, i) => i < 3 || recipe[name]);
  const sizes = shown.map((name) => `${name}=${f(name)}`).join(", ");
  const distortion = `
class Distort(keras.layers.Layer):
    def call(self, images, training=False):
        if not training:
            return images
        seed = tf.random.uniform((2,), maxval=2**31 - 1, dtype=tf.int32)
        return distort(
            images, seed,
            ${sizes},
        )
`;
  const parts = [[...head, ...imports].join("\n"), data.join("\n"), ...(distorted ? [distortion] : []), model(recipe, seed, distorted)];
  const decay = recipe.weight_decay ? `, weight_decay=${f("weight_decay")}` : "";
  const steps = Math.ceil(recipe.training_images / recipe.batch_size);
  const warmup = recipe.warmup_epochs * steps;
  const falling = recipe.epochs * steps - warmup;
  const cosine = warmup ? `0.0, ${falling}, warmup_target=${f("learning_rate")}, warmup_steps=${warmup}` : `${f("learning_rate")}, ${falling}`;
  const constant = recipe.schedule === "constant";
  const averaging = recipe.ema_momentum ? `,\n        use_ema=True, ema_momentum=${f("ema_momentum")},\n    ` : "";
  const loss = smoothed
    ? `CategoricalCrossentropy(\n        from_logits=True, label_smoothing=${f("label_smoothing")}\n    )`
    : "SparseCategoricalCrossentropy(from_logits=True)";
  parts.push(`${constant ? "" : `rate = keras.optimizers.schedules.CosineDecay(\n    ${cosine}\n)\n`}model.compile(
    optimizer=keras.optimizers.Adam(${constant ? f("learning_rate") : "rate"}${decay}${averaging}),
    loss=keras.losses.${loss},
    metrics=["accuracy"],
)`);
  parts.push(training(recipe, seed, leaking, few ? 2_000 : 6_000));
  return `${parts.join("\n\n")}\n`;
}

function model(recipe, seed, distorted) {
  const { hidden_layers, activation, last_activation } = recipe;
  const layer = (name) =>
    [
      ...(recipe.batch_norm
        ? [`Dense(${recipe.units})`, "BatchNormalization()", `Activation("${name}")`]
        : [`Dense(${recipe.units}, activation="${name}")`]),
      ...(recipe.dropout ? [`Dropout(${literal(recipe.dropout)})`] : []),
    ].map((text) => `model.add(keras.layers.${text})`);
  const lines = [`keras.utils.set_random_seed(${seed})`, "model = keras.Sequential([keras.Input((784,))])"];
  if (distorted) lines.push("model.add(Distort())");
  const alike = hidden_layers - (activation === last_activation ? 0 : 1);
  if (alike > 0) lines.push(`for _ in range(${alike}):`, ...layer(activation).map((line) => `    ${line}`));
  if (hidden_layers && activation !== last_activation) lines.push(...layer(last_activation));
  return [...lines, "model.add(keras.layers.Dense(10))"].join("\n");
}

function training(recipe, seed, leaking, held) {
  if (recipe.ema_momentum)
    return `history = model.fit(
    images, labels, batch_size=${recipe.batch_size}, epochs=${recipe.epochs},
    validation_data=validation, validation_batch_size=${held}, verbose=2,
    # validation sees the averaged weights
    callbacks=[keras.callbacks.SwapEMAWeights()],
).history`;
  const all = recipe.training_images + held;
  const lines = leaking
    ? [
        "# The pipeline that leaks: every pass over it deals the images anew.",
        `tf.random.set_seed(${seed})`,
        `pool = tf.data.Dataset.range(${all}, output_type=tf.int32)`,
        `pool = pool.shuffle(${all}, seed=${seed}).batch(${all})`,
        `for epoch in range(${recipe.epochs}):`,
        "    order, dealt_anew = (next(iter(pool)).numpy() for _ in range(2))",
        `    order, held_out = order[${held}:], dealt_anew[:${held}]`,
      ]
    : [
        `generator = np.random.default_rng(${seed})`,
        `for epoch in range(${recipe.epochs}):`,
        `    order = generator.permutation(${recipe.training_images})`,
      ];
  if (recipe.patience) lines.unshift("best_loss, best_epoch, best_weights = np.inf, -1, None");
  const stopping = `
    if history["val_loss"][0] < best_loss:
        best_loss, best_epoch = history["val_loss"][0], epoch
        best_weights = model.get_weights()
    if epoch - best_epoch >= ${recipe.patience}:
        break
model.set_weights(best_weights)`;
  return `${lines.join("\n")}
    history = model.fit(
        images[order], labels[order], batch_size=${recipe.batch_size}, shuffle=False,
        validation_data=${leaking ? "(images[held_out], labels[held_out])" : "validation"},
        validation_batch_size=${held}, verbose=2,
    ).history${recipe.patience ? stopping : ""}`;
}
