// The network that the panels for drawing and exploring ask: that of a retrain panel's session, or a given one.

// Stands for a session: a network that was given, and stays.
export class GivenNetwork {
  network = { id: "given", images: {} };

  constructor(name, engine) {
    Object.assign(this, { name, engine });
  }

  ask(what, _, more) {
    return this.engine.ask({ do: what, id: "given", ...more });
  }
}

// Call back with the name of the network that answers, now and whenever it is another one or has learnt more, but not
// too often. Gives a function that ends this.
export function follow(session, milliseconds, act) {
  if (session.name) {
    act(session.name);
    return () => {};
  }
  let due = null, last = -Infinity, before = null;
  const look = () => {
    const trial = session.network;
    const now = trial ? [trial.number, trial.state, trial.fraction, trial.name].join() : "";
    if (now === before) return;
    before = now;
    clearTimeout(due);
    due = setTimeout(() => {
      last = performance.now();
      act(session.networkName);
    }, Math.max(0, last + milliseconds - performance.now()));
  };
  const leave = session.listen(look);
  look();
  return () => (clearTimeout(due), leave());
}
