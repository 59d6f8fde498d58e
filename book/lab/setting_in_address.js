// The setting of a retrain panel in the page's address, so that it can be handed on as a link, and the two settings of a
// comparison.

import { later } from "./panel/elements.js";

// The first panel of a page has plain names, the others their number before them: ?units=30&2.epochs=5
const key = (place, name) => (place === 1 ? name : `${place}.${name}`);
const COMPARED = ["compare", "with"]; // each with a setting of its own: ?compare=units%3D30&with=epochs%3D5

export function fromAddress(place, session, names) {
  return settingIn(new URLSearchParams(location.search), place, session, names);
}

// The two settings of a comparison, or null.
export function comparedInAddress(place, session, names) {
  const texts = COMPARED.map((name) => new URLSearchParams(location.search).get(key(place, name)));
  if (texts.includes(null)) return null;
  return texts.map((text) => ({ ...session.origin, ...settingIn(new URLSearchParams(text), 1, session, names) }));
}

function settingIn(wanted, place, session, names) {
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

// The search of the page's address with a setting for the panel at this place.
export function searchOf(place, settings, origin) {
  const { searchParams } = new URL(location);
  tell(searchParams, place, settings, origin);
  return `?${searchParams}`;
}

export function toAddress(place, session) {
  moved.set(place, session);
  write();
}

const moved = new Map(); // by place, the sessions that the address may not tell of yet

// Browsers refuse to have the address changed hundreds of times in a row.
const write = later(300, () => {
  const address = addressNow();
  moved.clear();
  if (address !== location.href) history.replaceState(history.state, "", address);
});

// The address with all that the panels have been set to.
export function addressNow() {
  const address = new URL(location);
  for (const [place, { settings, origin, compared }] of moved) {
    tell(address.searchParams, place, settings, origin);
    COMPARED.forEach((name, side) => {
      const own = new URLSearchParams();
      if (compared) tell(own, 1, compared[side], origin);
      if (compared) address.searchParams.set(key(place, name), own);
      else address.searchParams.delete(key(place, name));
    });
  }
  return address.href;
}

function tell(address, place, settings, origin) {
  for (const [name, value] of Object.entries(settings))
    if (value === origin[name]) address.delete(key(place, name));
    else address.set(key(place, name), value);
}
