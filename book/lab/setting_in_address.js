// The setting of a retrain panel in the page's address, so that it can be handed on as a link.

import { later } from "./panel/elements.js";

// The first panel of a page has plain names, the others their number before them: ?units=30&2.epochs=5
const key = (place, name) => (place === 1 ? name : `${place}.${name}`);

export function fromAddress(place, session, names) {
  const wanted = new URLSearchParams(location.search);
  const found = {};
  for (const { name, kind, choices } of session.setup.controls) {
    const text = wanted.get(key(place, name));
    if (text === null || !names.includes(name)) continue;
    const value = kind === "number" ? Number(text) : choices.find((choice) => String(choice) === text);
    if (value !== undefined && (name !== "training_images" || value <= session.most)) found[name] = value;
  }
  return found;
}

export function toAddress(place, session) {
  const wanted = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(session.settings))
    if (value === session.origin[name]) wanted.delete(key(place, name));
    else wanted.set(key(place, name), value);
  const query = wanted.size ? `?${wanted}` : "";
  if (query !== location.search) write(query);
}

// Browsers refuse to have the address changed hundreds of times in a row.
const write = later(300, (query) => history.replaceState(history.state, "", location.pathname + query + location.hash));
