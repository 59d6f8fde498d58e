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
    const value = kind === "number" ? whole(text, choices) : choices.find((choice) => String(choice) === text);
    if (value !== undefined && (name !== "training_images" || value <= session.most)) found[name] = value;
  }
  return found;
}

const whole = (text, [lowest, highest]) => (/^\d+$/.test(text) && text >= lowest && text <= highest ? Number(text) : undefined);

// That part of an address which tells a setting, for the panel at this place.
export function searchOf(place, settings, origin, { searchParams } = new URL(location)) {
  for (const [name, value] of Object.entries(settings))
    if (value === origin[name]) searchParams.delete(key(place, name));
    else searchParams.set(key(place, name), value);
  return `?${searchParams}`;
}

export function toAddress(place, session) {
  moved.set(place, session);
  write();
}

const moved = new Map(); // by place, the sessions that the address may not tell of yet

// Browsers refuse to have the address changed hundreds of times in a row.
const write = later(300, () => {
  const address = new URL(location);
  for (const [place, { settings, origin }] of moved) searchOf(place, settings, origin, address);
  moved.clear();
  if (address.href !== location.href) history.replaceState(history.state, "", address);
});
