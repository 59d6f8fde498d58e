// The plain Keras program of a setting: the text that mnist_helpers/keras_program.py fills in too, as it says there.

const wrapped = (text) => text.match(/\S.{0,75}(?=\s|$)/g); // lines of up to 76 letters, as Python's textwrap makes them

// As Python writes a value in source text.
function literal(value, whole = false) {
  if (value === true) return "True";
  if (value === false) return "False";
  if (typeof value === "string") return `'${value}'`;
  if (whole) return String(value);
  const [mantissa, exponent] = value.toExponential().split("e");
  if (value !== 0 && (exponent < -4 || exponent >= 16)) return `${mantissa}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
  return Number.isInteger(value) ? `${value}.0` : String(value);
}

const grouped = (number) => number.toLocaleString("en-GB").replaceAll(",", "_");

async function fetched(name) {
  const response = await fetch(new URL(name, import.meta.url));
  if (!response.ok) throw new Error("The program could not be loaded. Try again.");
  return response;
}

// `total` is how many training images the page has, of Keras's 54,000.
export async function kerasProgram(recipe, seed, total) {
  const [text, setup] = await Promise.all([fetched("keras_program.txt"), fetched("setup.json")]);
  const lines = (await text.text()).trimEnd().split("\n");
  const { article, augmentations, fractions } = await setup.json();
  const inPython = (name) => literal(recipe[name], !fractions.includes(name));
  const changed = Object.keys(article).filter((name) => recipe[name] !== article[name]);
  const about = changed.map((name) => `${name}=${inPython(name)}`).join(", ") || "the article's recipe";
  const values = { ...recipe, ...derived(recipe, seed, total, about, Object.keys(augmentations.none)) };
  const write = (name) => (typeof values[name] === "number" && name in recipe ? inPython(name) : String(values[name]));
  const program = lines.flatMap((line) => {
    const [, conditions, text] = line.match(/^(?:\[([^\]]*)\] ?)?(.*)$/);
    const holds = (name) => (name.startsWith("!") ? !values[name.slice(1)] : values[name]);
    return (conditions ?? "").split(" ").filter(Boolean).every(holds) ? [text.replace(/{(\w+)}/g, (_, name) => write(name))] : [];
  });
  return `${program.join("\n")}\n`;
}

// What the program needs besides the recipe's own values.
function derived(recipe, seed, total, about, distortions) {
  const { hidden_layers, schedule, learning_rate, training_images, warmup_epochs, epochs } = recipe;
  const odd = hidden_layers > 0 && recipe.activation !== recipe.last_activation;
  const cosine = schedule === "cosine";
  const steps = Math.ceil(training_images / recipe.batch_size);
  const few = total < 54_000;
  const held = few ? 2_000 : 6_000;
  const sizes = distortions.filter((name, i) => i < 3 || recipe[name]);
  const head = wrapped(`${about}; seed ${seed}`);
  const promise = wrapped("Keras draws other random numbers than the page: expect its result within the spread over seeds.");
  return {
    head: [...head, ...promise].map((line) => `# ${line}`).join("\n"),
    seed,
    leaking: recipe.validation === "leaking",
    distorted: distortions.some((name) => recipe[name]),
    distortions: sizes.map((name) => `${name}=${literal(recipe[name])}`).join(", "),
    first: training_images === 54_000 ? "" : `[:${training_images}]`,
    third: few ? "[::3]" : "",
    alike: hidden_layers - odd,
    odd,
    cosine,
    rate: cosine ? "rate" : literal(learning_rate),
    warmup: warmup_epochs * steps,
    falling: (epochs - warmup_epochs) * steps,
    compiled: "", // Keras may decide by itself
    held: grouped(held),
    all: grouped(total + held),
    buffer: grouped(total + held),
  };
}
