// What happens behind the panels of a page: settings, runs one at a time, and what they gave. It does for the page
// what mnist_helpers/session.py does for a notebook, with the same names; the worker trains.

const MOST_POINTS = 400; // of a training curve, an even number; more cannot be told apart on a screen
const MOST_TRIALS = 40; // then the oldest that is not pinned is forgotten
const SILENCE = 20_000; // milliseconds without a word from a worker that trains, after which it counts as lost
const LOST = "The page's training stopped answering, and was started anew. What was finished is still here: press Train again.";

// ---------------------------------------------------------------- the one worker of a page

class Trainer {
  #worker = null;
  #runs = new Map(); // by id, what to tell
  #questions = new Map();
  #next = 1;
  #heard = 0;
  #watch = null;
  loading = new Set(); // told of {address, received, total}

  #start() {
    this.#worker = new Worker(new URL("./worker.js", import.meta.url));
    this.#worker.onmessage = ({ data }) => this.#hear(data);
    this.#worker.onerror = () => this.lose();
    this.#watch = setInterval(() => this.#runs.size && performance.now() - this.#heard > SILENCE && this.lose(), 1000);
  }

  #post(message) {
    if (!this.#worker) this.#start();
    this.#worker.postMessage(message);
  }

  #hear(data) {
    this.#heard = performance.now();
    if (data.loading) for (const tell of this.loading) tell(data);
    else if (data.question) {
      const { resolve, reject } = this.#questions.get(data.question) ?? {};
      this.#questions.delete(data.question);
      if (data.why) reject?.(new Error(data.why));
      else resolve?.(data.answer);
    } else {
      const tell = this.#runs.get(data.id);
      if (data.ended) this.#runs.delete(data.id);
      tell?.(data);
    }
  }

  // The worker is gone or hangs: say so to all who wait for it. The next message starts another.
  lose() {
    this.#worker?.terminate();
    this.#worker = null;
    clearInterval(this.#watch);
    const runs = [...this.#runs.values()], questions = [...this.#questions.values()];
    this.#runs.clear();
    this.#questions.clear();
    for (const tell of runs) tell({ ended: "failed", why: LOST });
    for (const { reject } of questions) reject(new Error(LOST));
  }

  train(order, tell) {
    const id = this.#next++;
    this.#heard = performance.now();
    this.#runs.set(id, tell);
    this.#post({ do: "train", id, ...order });
    return id;
  }

  stop(id) {
    if (this.#runs.has(id)) this.#post({ do: "stop", id });
  }

  ask(message) {
    const question = this.#next++;
    return new Promise((resolve, reject) => {
      this.#questions.set(question, { resolve, reject });
      this.#post({ ...message, question });
    });
  }
}

export const trainer = new Trainer();

// What a view reads and what it asks for, as it is between JupyterLab and Python.
export class Port {
  #values = {};
  #listeners = [];

  constructor(obey) {
    this.send = ({ do: what, ...message }) => obey[what]?.(message);
  }

  get(name) {
    return this.#values[name];
  }

  on(name, listener) {
    this.#listeners.push([name, listener]);
  }

  set(name, value) {
    this.#values[name] = value;
    this.tell(name, value);
  }

  tell(name, value) {
    for (const [wanted, listener] of this.#listeners) if (wanted === name) listener(value);
  }
}

// ---------------------------------------------------------------- a recipe in controls

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
function problemOf(recipe, seed, most, { rules, controls }) {
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

export const write = (value) =>
  value === true ? "on" : value === false ? "off"
  : typeof value === "number" ? (value >= 1000 ? value.toLocaleString("en-GB") : value.toFixed(10).replace(/\.?0+$/, ""))
  : String(value).replaceAll("_", " ");

export function changedSettings(settings, origin) {
  const changed = Object.keys(settings).filter((name) => settings[name] !== origin[name]);
  return changed.map((name) => `${name.replaceAll("_", " ")} ${write(settings[name])}`).join(", ");
}

export function duration(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 100) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 100 ? `${minutes} min` : `${(seconds / 3600).toFixed(1)} h`;
}

const percent = (share) => `${(100 * share).toFixed(2)}%`;

// ---------------------------------------------------------------- a session

export class Session {
  trials = [];
  shown = null; // the trial whose curve is drawn in full
  running = null;
  message = "";
  automatic = false;
  images = null; // {address, training, validation, test}: how many images of each there are, and where
  #listeners = new Set();
  #number = 0;
  #pace = 1;

  constructor(setup, base, seed) {
    this.setup = setup;
    this.base = base;
    this.images = setup.collections[0]; // of those that can be loaded, the small one
    this.origin = settingsOf({ ...base, training_images: Math.min(base.training_images, this.most) }, seed, setup);
    this.settings = { ...this.origin };
  }

  get most() {
    return this.images.training;
  }

  get job() {
    return recipeOf(this.settings, this.base, this.setup);
  }

  get problem() {
    const [recipe, seed] = this.job;
    return problemOf(recipe, seed, this.most, this.setup);
  }

  get changed() {
    return this.running !== null && !same(this.running.settings, this.settings);
  }

  listen(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  // `live` alone, many times a second, or everything.
  #tell(what = "all") {
    for (const listener of this.#listeners) listener(what);
  }

  set(name, value) {
    if (!(name in this.settings)) return;
    this.settings = { ...this.settings, [name]: value };
    this.#moved();
  }

  reset() {
    this.settings = { ...this.origin };
    this.#moved();
  }

  #moved() {
    this.message = "";
    if (this.automatic) this.train();
    else this.#tell();
  }

  setAutomatic(on) {
    this.automatic = on;
    this.#tell();
  }

  train() {
    if (this.problem) {
      this.message = "This setting cannot be trained.";
      return this.#tell();
    }
    if (this.running && !this.changed) return;
    this.#abandon();
    const known = this.trials.find((trial) => trial.state === "finished" && trial.images === this.images && same(trial.settings, this.settings));
    if (known) {
      this.shown = known;
      known.hidden = false;
      this.message = `${titleOf(known)} had this setting already: here it is again, at once.`;
      return this.#tell();
    }
    const [recipe, seed] = this.job;
    const trial = {
      number: ++this.#number, recipe, seed, settings: this.settings, images: this.images, state: "training",
      curve: [], pointsInLast: 1, reportsAPoint: 1, history: { loss: [], accuracy: [], val_loss: [], val_accuracy: [], seconds: [] },
      fraction: 0, started: performance.now(), first: null, seconds: 0, weights: null, test: null, name: "", pinned: false, hidden: false,
    };
    this.message = "";
    this.shown = this.running = trial;
    trial.id = trainer.train({ recipe, seed, address: this.images.address }, (report) => this.#hear(trial, report));
    this.#tell();
  }

  // Another setting takes the place of what is training.
  #abandon() {
    if (!this.running) return;
    trainer.stop(this.running.id);
    this.running.state = "replaced";
    this.running = null;
  }

  stop() {
    if (!this.running || this.running.state !== "training") return;
    this.running.state = "stopped";
    trainer.stop(this.running.id);
    this.#tell();
  }

  #hear(trial, report) {
    if (trial.state === "replaced") return;
    trial.seconds = (performance.now() - trial.started) / 1000;
    if (report.ended) return this.#end(trial, report);
    if (report.at) {
      draw(trial, [report.at, report.loss, report.accuracy]);
      trial.fraction = report.fraction;
      trial.first ??= [trial.seconds, trial.fraction];
    } else for (const name of Object.keys(trial.history)) trial.history[name].push(report[name]);
    this.#tell("live");
  }

  #end(trial, { ended, why, weights }) {
    this.running = null;
    trial.weights = weights ?? null;
    // A stop that came when all was done has stopped nothing.
    trial.state = ended;
    const epochs = trial.history.val_loss.length;
    if (ended === "stopped") {
      const epoch = Math.min(Math.floor(trial.fraction * trial.recipe.epochs) + 1, trial.recipe.epochs);
      this.message = `${titleOf(trial)} was stopped in epoch ${epoch} of ${trial.recipe.epochs}; what it reached is kept.`;
    } else if (ended === "failed") this.message = `Training failed: ${why}`;
    else {
      this.#pace *= trial.seconds / this.expectedSeconds({ ...trial.recipe, epochs });
      this.message = `${titleOf(trial)} has finished: validation accuracy ${percent(trial.history.val_accuracy[epochs - 1])} after the last epoch.`;
    }
    this.trials = [...this.trials, trial];
    if (this.trials.length > MOST_TRIALS) {
      const oldest = this.trials.find((other) => !other.pinned) ?? this.trials[0];
      this.trials = this.trials.filter((other) => other !== oldest);
    }
    this.#tell();
  }

  #numbered(number) {
    return this.trials.find((trial) => trial.number === number);
  }

  change(number, { name, pinned, hidden }) {
    const trial = this.#numbered(number);
    if (!trial) return;
    trial.name = (name ?? trial.name).slice(0, 40);
    trial.pinned = pinned ?? trial.pinned;
    trial.hidden = hidden ?? trial.hidden;
    this.#tell();
  }

  clear() {
    this.trials = this.trials.filter(({ pinned }) => pinned);
    if (this.shown !== this.running && !this.trials.includes(this.shown)) this.shown = null;
    this.message = "";
    this.#tell();
  }

  restore(number) {
    const trial = this.#numbered(number);
    if (!trial) return;
    this.settings = { ...trial.settings };
    if (!this.running) this.shown = trial;
    this.#moved();
  }

  async openTestSet(number) {
    const trial = this.#numbered(number);
    if (!trial?.weights || trial.test !== null) return;
    try {
      trial.test = (await this.ask("split", trial, { split: "test" })).accuracy;
    } catch (error) {
      this.message = error.message;
    }
    this.#tell();
  }

  // Ask a question about a trial's network, as it stands.
  ask(what, trial, more) {
    return trainer.ask({ do: what, id: trial.id, recipe: trial.recipe, weights: trial.weights, address: trial.images.address, ...more });
  }

  // The trial whose network answers: the one that is shown, or the newest that has one.
  get network() {
    const candidates = [this.shown, ...[...this.trials].reverse()];
    return candidates.find((trial) => trial?.weights || (trial && trial === this.running && trial.curve.length)) ?? null;
  }

  // Take all 60,000 images from now on; throws if they do not come.
  async loadAll() {
    const all = this.setup.collections[1];
    await trainer.ask({ do: "load", address: all.address });
    this.images = all;
    this.origin = { ...this.origin, training_images: Math.min(this.base.training_images, this.most) };
    this.settings = { ...this.settings, training_images: this.origin.training_images };
    this.message = "All 60,000 images are here: 54,000 to train on, 6,000 for validation.";
    this.#tell();
  }

  async program() {
    if (this.problem) return `# ${this.problem.sentence}\n`;
    const [recipe, seed] = this.job;
    const { kerasProgram } = await import("./program.js");
    return kerasProgram(recipe, seed, this.setup.article, this.most);
  }

  // By what was measured on one machine, and by what this page has trained.
  expectedSeconds(recipe) {
    const calculations = 6 * parameterCount(recipe) * (recipe.training_images + this.images.validation / 3);
    const { rotation, zoom, shift, shear, elastic } = recipe;
    const distorting = (rotation || zoom || shift || shear || elastic ? 1e-5 : 0) + (elastic ? 1e-5 : 0);
    return this.#pace * recipe.epochs * (calculations / 4e10 + distorting * recipe.training_images + 0.004);
  }

  // ---- what the panel shows, under the names of the notebook's

  get state() {
    const [recipe] = this.job;
    const { problem } = this;
    return {
      settings: this.settings,
      problem,
      parameters: parameterCount(recipe).toLocaleString("en-GB"),
      expected: duration(this.expectedSeconds(recipe)),
      training: this.running !== null && this.running.state === "training",
      changed: this.changed,
      automatic: this.automatic,
      message: this.message,
      shown: this.shown?.number ?? null,
    };
  }

  get live() {
    const trial = this.running;
    if (!trial) return null;
    const { epochs } = trial.recipe;
    let text = `${titleOf(trial)} is getting ready`;
    if (trial.fraction) {
      const [seconds, fraction] = trial.first;
      const expected = this.expectedSeconds(trial.recipe) * (1 - trial.fraction);
      const left = trial.fraction - fraction < 0.03 ? expected : ((trial.seconds - seconds) / (trial.fraction - fraction)) * (1 - trial.fraction);
      text = `${titleOf(trial)}: epoch ${Math.min(Math.floor(trial.fraction * epochs) + 1, epochs)} of ${epochs}, ${duration(left)} left`;
    }
    return { ...this.view(trial), progress: { fraction: trial.fraction, text } };
  }

  view(trial) {
    const { history, curve } = trial;
    const best = Math.max(...history.val_accuracy);
    return {
      number: trial.number,
      title: titleOf(trial),
      state: trial.state,
      stored: false,
      differs: changedSettings(trial.settings, this.origin) + (trial.images.training < this.most ? " (fewer images loaded)" : ""),
      epochs: trial.recipe.epochs,
      curve: [0, 1, 2].map((axis) => curve.map((point) => point[axis])),
      validation: [history.val_loss, history.val_accuracy],
      best: history.val_accuracy.length ? percent(best) : null,
      seconds: duration(trial.seconds),
      test: trial.test === null ? null : percent(trial.test),
      openable: trial.weights !== null,
      pinned: trial.pinned,
      hidden: trial.hidden,
    };
  }
}

export const titleOf = (trial) => trial.name || `Run ${trial.number}`;

const same = (first, second) => Object.keys(first).every((name) => first[name] === second[name]);

// Add a point to a trial's curve; when there are too many, make two into one, then and from then on.
function draw(trial, point) {
  const { curve } = trial;
  if (trial.pointsInLast < trial.reportsAPoint) {
    const last = curve.at(-1);
    curve[curve.length - 1] = last.map((mean, i) => mean + (point[i] - mean) / (trial.pointsInLast + 1));
    trial.pointsInLast++;
    return;
  }
  if (curve.length === MOST_POINTS) {
    for (let i = 0; i < MOST_POINTS / 2; i++) curve[i] = curve[2 * i].map((value, axis) => (value + curve[2 * i + 1][axis]) / 2);
    curve.length = MOST_POINTS / 2;
    trial.reportsAPoint *= 2;
  }
  curve.push(point);
  trial.pointsInLast = 1;
}
