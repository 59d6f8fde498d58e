// What a panel is, wherever it is shown: its settings, its runs, one at a time, and what is said of them. An engine
// computes (engine_protocol.js); a view shows (retrain_view.js), and others ask the network (draw_view.js, explore_view.js).

import { later } from "./elements.js";
import { changedSettings, parameterCount, problemOf, recipeOf, settingsOf } from "./recipe_settings.js";

const MOST_POINTS = 400; // of a training curve, an even number; more cannot be told apart on a screen
const MOST_TRIALS = 40; // then the oldest that is not pinned is forgotten
const COMING = "The images come first.";

export class Session {
  trials = []; // all runs that have ended, oldest first
  shown = null; // the one whose curve is drawn in full
  running = null;
  message = "";
  automatic = false;
  predicting = false; // whether the reader wants to be asked before a run
  measuring = false; // whether the gradients are measured
  restoring = false;
  compared = null; // two settings that are put beside each other (compare_view.js)
  band = undefined; // in the book's pages, Keras's result of the nearest setting, if there is one, or null
  #listeners = new Set();
  #number = 0;
  #asked = null; // the settings whose result the reader is asked to predict; others take the question away
  #pace = 1; // how long a run takes, as a share of what was expected
  #prepareSoon = later(50, () => this.prepare());
  #trainSoon = later(150, () => this.automatic && this.train());

  // `setup` holds the controls (mnist_helpers/controls.py) and `collections`: of each how many images there are for
  // training, validation and test, and their address. The first one is taken.
  constructor(setup, base, seed, engine) {
    Object.assign(this, { setup, base, engine });
    this.images = setup.collections[0];
    this.origin = settingsOf({ ...base, training_images: Math.min(base.training_images, this.most) }, seed, setup);
    this.settings = { ...this.origin };
    engine.loading.add(() => this.#loaded());
  }

  // Have the engine ready for a run with this setting, its images loaded.
  prepare() {
    if (!this.problem && !this.running) this.engine.prepare(this.job[0], this.images.address);
  }

  get most() {
    return this.images.training;
  }

  // Which share of the images has come; where a kernel computes, they are there.
  get share() {
    return this.images.bytes ? (this.engine.loaded.get(this.images.address) ?? 0) : 1;
  }

  #loaded() {
    const all = this.share === 1;
    if (all && this.message === COMING) this.message = "";
    this.tell(all ? "all" : "live");
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

  // Calls back with "live", many times a second, when a run goes on, and with "all" when anything else has changed.
  listen(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  tell(what = "all") {
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
    this.#prepareSoon();
    if (this.automatic) this.#trainSoon();
    this.tell();
  }

  setAutomatic(on) {
    this.automatic = on;
    this.tell();
  }

  setPredicting(on) {
    if (this.asking) this.message = "";
    this.predicting = on;
    this.#asked = null;
    this.tell();
  }

  // Of the run that trains too, and of each from now on.
  setMeasuring(on) {
    this.measuring = on;
    if (this.running) this.engine.measure(this.running.id, on);
    this.tell();
  }

  get asking() {
    return this.#asked === this.settings;
  }

  // `answer` is what the reader predicts, as it was typed: the first one, still empty, asks. Null trains without asking.
  train(answer = null) {
    if (this.problem) {
      this.message = "This setting cannot be trained.";
      return this.tell();
    }
    if (this.running && !this.changed) return;
    const [recipe, seed] = this.job;
    const known = this.trials.filter((trial) => trial.state === "finished" && trial.images === this.images && trial.seed === seed && same(recipe, trial.recipe));
    const again = known.find((trial) => trial.weights && !(this.measuring && !measuredIn(trial).length));
    if (again) {
      this.#abandon();
      this.shown = again;
      again.hidden = false;
      this.message = `${titleOf(again)} had this setting already: here it is again, at once.`;
      return this.tell();
    }
    const predicted = answer === null || known.length ? null : shareOf(answer);
    if (Number.isNaN(predicted)) {
      this.message = this.asking ? "Enter a number from 0 to 100, or press Skip." : "";
      this.#asked = this.settings;
      return this.tell();
    }
    this.#abandon();
    const trial = this.#newTrial({ number: ++this.#number, recipe, seed, predicted });
    this.message = this.share < 1 ? COMING : "";
    this.#asked = null;
    this.shown = this.running = trial;
    const order = { recipe, seed, address: this.images.address, anew: known.length > 0 || this.measuring };
    trial.id = this.engine.train(order, (report) => this.#hear(trial, report));
    if (this.measuring) this.engine.measure(trial.id, true);
    this.tell();
  }

  #newTrial(known) {
    return {
      settings: settingsOf(known.recipe, known.seed, this.setup), images: this.images, state: "training",
      curve: [], pointsInLast: 1, reportsAPoint: 1, history: { loss: [], accuracy: [], val_loss: [], val_accuracy: [], seconds: [] },
      fraction: 0, first: null, seconds: 0, weights: null, stored: false, ended: false, predicted: null, test: null, name: "", pinned: false, hidden: false, ...known,
    };
  }

  // Take in a run that was trained earlier or elsewhere; its number, if it has one, unless that is taken.
  add(known) {
    const { recipe, history } = known;
    const number = known.number && !this.numbered(known.number) ? known.number : this.#number + 1;
    const state = history.loss.length < recipe.epochs && !recipe.patience ? "stopped" : "finished";
    const curve = history.loss.map((loss, epoch) => [epoch + 0.5, loss, history.accuracy[epoch]]);
    const seconds = history.seconds.reduce((sum, each) => sum + each, 0);
    const fraction = history.loss.length / recipe.epochs;
    const trial = this.#newTrial({ state, curve, seconds, fraction, ended: true, stored: true, ...known, number });
    this.#number = Math.max(this.#number, number);
    this.#append(trial);
    this.shown = trial;
    this.tell();
    return trial;
  }

  // Another setting takes the place of what is training.
  #abandon() {
    if (!this.running) return;
    this.engine.forget(this.running.id);
    this.running = null;
  }

  stop() {
    if (!this.running || this.running.state !== "training") return;
    this.running.state = "stopped";
    this.engine.stop(this.running.id);
    this.tell();
  }

  #hear(trial, report) {
    take(trial, report);
    if (!report.ended) return this.tell("live");
    this.running = null;
    this.message = report.note ?? (report.why ? `Training failed: ${report.why}` : outcome(trial));
    // Without the first epoch, which may have waited for compilation; and no clock of a browser is finer than this.
    const later = trial.history.seconds.slice(1), took = later.reduce((sum, seconds) => sum + seconds, 1e-6);
    if (later.length && !trial.stored) this.#pace *= took / this.expectedSeconds({ ...trial.recipe, epochs: later.length });
    this.#append(trial);
    this.tell();
  }

  #append(trial) {
    const before = this.trials;
    this.trials = [...before, trial];
    if (this.trials.length > MOST_TRIALS) this.#drop([before.find((other) => !other.pinned) ?? before[0]]);
  }

  #drop(trials) {
    this.trials = this.trials.filter((trial) => !trials.includes(trial));
    for (const { id } of trials) this.engine.forget(id);
  }

  numbered(number) {
    return this.trials.find((trial) => trial.number === number);
  }

  change(number, { name, pinned, hidden }) {
    const trial = this.numbered(number);
    if (!trial) return;
    trial.name = (name ?? trial.name).slice(0, 40);
    trial.pinned = pinned ?? trial.pinned;
    trial.hidden = hidden ?? trial.hidden;
    this.tell();
  }

  clear(pinnedToo = false) {
    this.#drop(this.trials.filter(({ pinned }) => pinnedToo || !pinned));
    if (this.shown !== this.running && !this.trials.includes(this.shown)) this.shown = null;
    this.message = "";
    this.tell();
  }

  takeSettingsOf(number) {
    const trial = this.numbered(number);
    if (!trial) return;
    this.settings = { ...trial.settings };
    if (!this.running) this.shown = trial;
    this.#moved();
  }

  async openTestSet(number) {
    const trial = this.numbered(number);
    if (!trial?.weights || trial.test !== null) return;
    try {
      trial.test = (await this.ask("split", trial, { split: "test", why: titleOf(trial) })).accuracy;
    } catch (error) {
      this.message = error.message;
    }
    this.tell();
  }

  // Ask the engine about a trial's network, as it stands, or, without a trial, about the images.
  ask(what, trial, more) {
    const { id, recipe, weights, images } = trial ?? { images: this.images };
    return this.engine.ask({ do: what, id, recipe, weights, address: images.address, ...more });
  }

  // The trial whose network answers: the one that is shown, or the newest that has one.
  get network() {
    const live = this.engine.answersWhileTraining && this.running?.curve.length ? this.running : null;
    return [this.shown, ...[...this.trials].reverse()].find((trial) => trial && (trial.weights || trial === live)) ?? null;
  }

  // As a panel that asks it names it.
  get networkName() {
    const { network } = this;
    if (!network) return "no network yet";
    const state = { training: " (training)", stopped: " (stopped)" }[network.state] ?? "";
    const accuracy = reached(network);
    return `${titleOf(network)}${state}${accuracy === undefined ? "" : `, ${(100 * accuracy).toFixed(1)}% on the validation set`}`;
  }

  // Take all images from now on; throws if they do not come.
  async loadAll() {
    const all = this.setup.collections[1];
    await this.engine.ask({ do: "load", address: all.address });
    this.images = all;
    this.origin = { ...this.origin, training_images: Math.min(this.base.training_images, this.most) };
    this.settings = { ...this.settings, training_images: this.origin.training_images };
    this.message = "All 60,000 images are here: 54,000 to train on, 6,000 for validation.";
    this.tell();
  }

  async program() {
    if (this.problem) return `# ${this.problem.sentence}\n`;
    const [recipe, seed] = this.job;
    return this.engine.ask({ do: "program", recipe, seed, total: this.most }).catch(({ message }) => `# ${message}\n`);
  }

  // By what was measured on one machine, and by what this session has trained.
  expectedSeconds(recipe) {
    const { step, calculation, distortion, epoch } = this.engine.costs;
    const { training_images, elastic } = recipe;
    const distorts = Object.keys(this.setup.augmentations.none).some((name) => recipe[name]);
    const distortions = distorts ? training_images * (elastic ? 2 : 1) : 0;
    const calculations = 6 * parameterCount(recipe) * (training_images + this.images.validation / 3);
    const steps = Math.ceil(training_images / recipe.batch_size);
    return this.#pace * recipe.epochs * (steps * step + calculations * calculation + distortions * distortion + epoch);
  }

  // ---- for a page that is opened again, while the engine has lived on

  get saved() {
    const keep = ({ id, number, recipe, seed, predicted, test, name, pinned, hidden }) => ({ id, number, recipe, seed, predicted, test, name, pinned, hidden });
    const { settings, automatic, predicting, measuring, shown, trials, running } = this;
    return { settings, automatic, predicting, measuring, shown: shown?.number ?? null, trials: [...trials, running].filter(Boolean).map(keep) };
  }

  async restore({ settings, automatic, predicting, measuring, shown, trials = [] }) {
    this.restoring = true;
    Object.assign(this, { settings: settings ?? this.settings, automatic: automatic ?? false, predicting: predicting ?? false, measuring: measuring ?? false });
    this.#number = Math.max(this.#number, ...trials.map(({ number }) => number));
    const before = [...this.trials, this.shown];
    const found = (await Promise.all(trials.map((known) => this.#recall(known)))).filter(Boolean);
    this.trials = [...found.filter(({ ended }) => ended), ...this.trials.filter((trial) => !before.includes(trial))];
    this.running ??= found.find(({ ended }) => !ended) ?? null;
    if (before.includes(this.shown)) this.shown = found.find(({ number }) => number === shown) ?? this.running;
    if (this.shown?.ended) this.message ||= outcome(this.shown);
    this.restoring = false;
    this.tell();
  }

  async #recall(known) {
    const here = [...this.trials, this.running].find((trial) => trial?.id === known.id);
    const trial = Object.assign(here ?? this.#newTrial(known), known);
    const tell = (report) => (trial === this.running ? this.#hear(trial, report) : take(trial, report));
    return here || (await this.engine.follow(trial.id, tell)) ? trial : null;
  }

  // ---- what the retrain panel shows

  get state() {
    const { problem } = this;
    const [recipe] = this.job;
    return {
      settings: this.settings,
      problem,
      parameters: parameterCount(recipe).toLocaleString("en-GB"),
      expected: duration(this.expectedSeconds(recipe)),
      missing: this.share < 1 ? megabytes(this.images.bytes * (1 - this.share)) : "",
      training: this.running !== null && this.running.state === "training",
      changed: this.changed,
      automatic: this.automatic,
      predicting: this.predicting,
      asking: this.asking,
      message: this.message,
      shown: this.shown?.number ?? null,
    };
  }

  get progress() {
    const trial = this.running;
    if (!trial) return null;
    if (this.share < 1) return { fraction: this.share, text: `${titleOf(trial)}: ${Math.round(100 * this.share)}% of ${megabytes(this.images.bytes)} of images loaded` };
    let text = `${titleOf(trial)} ${this.engine.waiting}`;
    if (trial.fraction) {
      const [seconds, fraction] = trial.first;
      const expected = this.expectedSeconds(trial.recipe) * (1 - trial.fraction);
      const left = trial.fraction - fraction < 0.03 ? expected : ((trial.seconds - seconds) / (trial.fraction - fraction)) * (1 - trial.fraction);
      text = `${titleOf(trial)}: epoch ${epochOf(trial)}, ${duration(left)} left`;
    }
    return { fraction: trial.fraction, text };
  }

  // How good the predictions were, of all runs that have come to their end; the run before is what they have to beat.
  get score() {
    const finished = this.trials.filter(({ state }) => state === "finished");
    const predicted = finished.filter((trial) => trial.predicted !== null);
    const misses = predicted.map(missedBy);
    if (misses.length < 2) return misses.length ? `1 finished run predicted: ${verdict(misses[0])}.` : "";
    const sizes = misses.map(Math.abs).sort((a, b) => a - b), last = sizes.length - 1;
    const median = (sizes[Math.floor(last / 2)] + sizes[Math.ceil(last / 2)]) / 2;
    const later = predicted.filter((trial) => trial !== finished[0]);
    const nearer = later.filter((trial) => {
      const before = finished[finished.indexOf(trial) - 1];
      return Math.abs(missedBy(trial)) < Math.abs(points(reached(before), reached(trial)));
    });
    return (
      `${misses.length} finished runs predicted: off by ${median.toFixed(2)} points in the median; ` +
      `${misses.filter((miss) => miss > 0).length} too high, ${misses.filter((miss) => miss < 0).length} too low; ` +
      `${nearer.length} of ${later.length} nearer than what the run before had reached.`
    );
  }

  // Of the shown run, the points of its curve that have the norms of the gradients, and what to say where none has.
  get gradients() {
    const trial = this.shown;
    if (!trial) return null;
    const title = titleOf(trial), none = trial.ended ? `${title} was trained without measuring its gradients. Train its setting again to see them.` : "";
    return { title, none, epochs: trial.recipe.epochs, points: measuredIn(trial) };
  }

  view(trial) {
    const { history, curve, number, state, stored, recipe, seconds, predicted, test, weights, pinned, hidden } = trial;
    const few = trial.images.training < this.most ? " (fewer images loaded)" : "";
    return {
      number, state, stored, pinned, hidden, predicted,
      title: titleOf(trial),
      differs: changedSettings(trial.settings, this.origin) + few,
      epochs: recipe.epochs,
      curve: [0, 1, 2].map((axis) => curve.map((point) => point[axis])),
      validation: [history.val_loss, history.val_accuracy],
      best: history.val_accuracy.length ? percent(Math.max(...history.val_accuracy)) : null,
      seconds: duration(seconds),
      test: test === null ? null : percent(test),
      openable: weights !== null,
      usable: recipe.training_images <= this.most && same(recipe, recipeOf(trial.settings, this.base, this.setup)[0]),
    };
  }
}

export const megabytes = (bytes) => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
export const percent = (share) => `${(100 * share).toFixed(2)}%`;
export const same = (first, second) => Object.keys(first).every((name) => first[name] === second[name]);
const measuredIn = ({ curve }) => curve.filter((point) => point.length > 3);
export const titleOf = (trial) => trial.name || `Run ${trial.number}`;
const epochOf = ({ fraction, recipe: { epochs } }) => `${Math.min(Math.floor(fraction * epochs) + 1, epochs)} of ${epochs}`;

// Which epoch's weights a finished trial has, counted from 0: with early stopping the best one's.
function keptEpoch({ history: { val_loss }, recipe: { patience } }) {
  return patience ? val_loss.indexOf(Math.min(...val_loss)) : val_loss.length - 1;
}

const reached = (trial) => trial.history.val_accuracy[keptEpoch(trial)];

// The share that a reader has typed as a percentage, with two decimals at most, or NaN.
function shareOf(text) {
  if (text.length > 20) return NaN;
  const share = Math.round(100 * (text.trim().replace(/\s*%$/, "").replace(",", ".") || NaN)) / 1e4;
  return share >= 0 && share <= 1 ? share : NaN;
}

// By how many percentage points a share is above another, as both are written.
function points(share, other) {
  const [first, second] = [share, other].map((value) => Number((100 * value).toFixed(2)));
  return Number((first - second).toFixed(2));
}

const missedBy = (trial) => points(trial.predicted, reached(trial));
const verdict = (miss) => (miss ? `${Math.abs(miss).toFixed(2)} points too ${miss > 0 ? "high" : "low"}` : "exactly right");

function outcome(trial) {
  if (trial.state === "failed") return `${titleOf(trial)} failed.`;
  if (trial.stored && !trial.weights) return "This setting was trained before: here is its curve. Press Train to get its network too.";
  if (trial.state === "stopped") return `${titleOf(trial)} was stopped in epoch ${epochOf(trial)}; what it reached is kept.`;
  const kept = keptEpoch(trial), last = kept === trial.history.val_accuracy.length - 1, accuracy = percent(reached(trial));
  if (trial.predicted !== null) {
    const came = `validation accuracy ${accuracy}${last ? "" : ` (epoch ${kept + 1})`}`;
    return `${titleOf(trial)}: ${came}, you predicted ${percent(trial.predicted)}, ${verdict(missedBy(trial))}.`;
  }
  if (trial.stored) return "This setting was trained before: here is the run as it was saved.";
  return `${titleOf(trial)} has finished: validation accuracy ${accuracy} after ${last ? "the last epoch" : `epoch ${kept + 1}, whose weights are kept`}.`;
}

function duration(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 100) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 100 ? `${minutes} min` : `${(seconds / 3600).toFixed(1)} h`;
}

// Take a report of the engine into a trial.
function take(trial, report) {
  trial.seconds = report.elapsed ?? trial.seconds;
  if (report.ended) {
    // A stop that came when all was done has stopped nothing.
    Object.assign(trial, { ended: true, state: report.ended, weights: report.weights ?? null, stored: report.stored ?? false });
  } else if (report.at) {
    addPoint(trial, [report.at, report.loss, report.accuracy, ...(report.gradients ?? [])]);
    trial.fraction = report.fraction;
    trial.first ??= [trial.seconds, trial.fraction];
  } else for (const name of Object.keys(trial.history)) trial.history[name].push(report[name]);
}

// Add a point to a trial's curve; when there are too many, make two into one, then and from then on.
function addPoint(trial, point) {
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
