// What a panel's session says to what computes, and what it hears. An engine is the page's worker
// (book/lab/training_worker.js) or, in a notebook, the kernel (mnist_helpers/kernel_engine.py); tests/test_protocol.py
// asks both the same. All values are such as JSON takes; a sequence of numbers may be a typed array.
//
// Orders, which get no answer:
//   {do: "prepare", recipe, address}                  be ready to train such a recipe; an engine that has to load its
//                                                     images first says {loading: address, share} while they come
//   {do: "train", id, recipe, seed, address, anew}    train; an engine with a store of runs may give a run from it, but
//                                                     not when asked to train anew
//   {do: "measure", id, on}                           measure the gradients of that run from now on, or no longer; an
//                                                     engine to which that costs nothing need not wait to be asked
//   {do: "stop", id}                                  stop that run, and keep what it has reached
//   {do: "forget", id}                                stop that run, and drop its network; in the page, with an
//                                                     {address} for the id, drop the images from there
// Reports of a run, in this order; `elapsed` counts the seconds since it began:
//   {id, at, loss, accuracy, fraction, elapsed}       a point of the training curve: the means over the batches since the
//                                                     last one, around the epoch `at`, a fraction; then the share that
//                                                     is done of the whole run; where they are measured, also
//                                                     `gradients`: of each layer, the output's last, the norm of the
//                                                     gradient of the loss with respect to its weights, on one of
//                                                     these batches, before its update
//   {id, epoch, loss, accuracy, val_loss, val_accuracy, seconds, elapsed}     an epoch, from 1, is finished
//   {id, ended, elapsed, weights, stored, note, why}  "finished", "stopped" or "failed", then with the reason `why`;
//                                                     `weights` is null, or what brings the network back in questions
//                                                     of it; `stored` tells of a run from the store
// Questions, {do, question, …}; the answer is {question, answer} or {question, why}. Of a network: with its id, recipe
// and weights. Images have an address where an engine has several collections.
//   load {address}                                    load the images; true when they are there
//   images {address, split, places}                   images of a split by their places, or, with {like, number} for
//                                                     places, those closest to a picture: [{place, pixels, label}]
//   probabilities {pixels}                            the ten of an image, 784 grey values from 0 to 255
//   split {address, split}                            on all images of a split: {loss, accuracy, answers, losses, labels}
//   pictures {first, number}                          weights of the first layer's units: {total, units}, 784 to a unit
//   dead {address}                                    share of the hidden units that are 0 for all validation images
//   program {recipe, seed, total}                     the plain Keras program, for a page with so many training images
//   file {seed, history}                              the run as a file (mnist_helpers/network_file.py), in base64
//   open {id, file}                                   what such a file holds, to be asked under this id: {recipe, seed,
//                                                     history, weights}
//   follow {id}                                       all reports of a run so far, for a page that is opened again

import { freshId } from "./elements.js";

export class Engine {
  #runs = new Map(); // by id, what to tell
  #questions = new Map();
  loaded = new Map(); // by address, which share of the images has come, 1 when they are there
  loading = new Set(); // called when that has changed

  // To be given by what extends this: `post(message)`; and by what was measured on one machine, how many seconds a
  // step, a calculation, a distorted image and an epoch take: `costs`; and `part(name)`, which brings a module of the
  // panel that is not needed from the beginning.

  hear(message) {
    if (message.loading) {
      this.loaded.set(message.loading, message.share);
      for (const tell of this.loading) tell();
    } else if (message.question) {
      const { resolve, reject } = this.#questions.get(message.question) ?? {};
      this.#questions.delete(message.question);
      if (message.why) reject?.(new Error(message.why));
      else resolve?.(message.answer);
    } else {
      const tell = this.#runs.get(message.id);
      if (message.ended) this.#runs.delete(message.id);
      tell?.(message);
    }
  }

  get busy() {
    return this.#runs.size > 0;
  }

  prepare(recipe, address) {
    this.post({ do: "prepare", recipe, address });
  }

  train(order, tell) {
    const id = freshId();
    this.#runs.set(id, tell);
    this.post({ do: "train", id, ...order });
    return id;
  }

  // Hear of a run that another page has begun: first all that was reported before.
  async follow(id, tell) {
    const reports = await this.ask({ do: "follow", id });
    if (reports.length && !reports.at(-1).ended) this.#runs.set(id, tell);
    for (const report of reports) tell(report);
    return reports.length > 0;
  }

  measure(id, on) {
    if (this.#runs.has(id)) this.post({ do: "measure", id, on });
  }

  stop(id) {
    if (this.#runs.has(id)) this.post({ do: "stop", id });
  }

  forget(id) {
    this.#runs.delete(id);
    this.post({ do: "forget", id });
  }

  ask(message) {
    const question = freshId();
    return new Promise((resolve, reject) => {
      this.#questions.set(question, { resolve, reject });
      this.post({ ...message, question });
    });
  }

  // The engine is gone: say so to all who wait for it.
  lose(why) {
    const runs = [...this.#runs.values()], questions = [...this.#questions.values()];
    this.#runs.clear();
    this.#questions.clear();
    for (const tell of runs) tell({ ended: "failed", why });
    for (const { reject } of questions) reject(new Error(why));
  }
}
