// The one worker that computes for all panels of a page (training_worker.js), started anew if it is lost.

import { Engine } from "./panel/engine_protocol.js";

const SILENCE = 20_000; // milliseconds without a word from a worker that trains, after which it counts as lost
const LOST = "The page's training stopped answering, and was started anew. What was finished is still here: press Train again.";

class WorkerEngine extends Engine {
  costs = { step: 0, calculation: 2.5e-11, distortion: 1e-5, epoch: 0.004 };
  waiting = "is getting ready";
  answersWhileTraining = true;
  part = (name) =>
    import(`./panel/${name}.js`).catch(() => {
      throw new Error("A part of the panel could not be loaded. Check the connection and try again.");
    });
  #worker = null;
  #heard; // when
  #watch;

  post(message) {
    if (!this.#worker) this.#start();
    this.#heard = performance.now();
    this.#worker.postMessage(message);
  }

  #start() {
    this.#worker = new Worker(new URL("./training_worker.js", import.meta.url));
    this.#worker.onmessage = ({ data }) => {
      this.#heard = performance.now();
      this.hear(data);
    };
    this.#worker.onerror = () => this.#end();
    this.#watch ??= setInterval(() => this.busy && performance.now() - this.#heard > SILENCE && this.#end(), 1000);
  }

  // The worker is gone or hangs; the next message starts another.
  #end() {
    this.#worker?.terminate();
    this.#worker = null;
    this.loaded.clear();
    this.lose(LOST);
  }
}

export const engine = new WorkerEngine();
