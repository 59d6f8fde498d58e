// Keeps the book for when there is no network.
//
// What the network gives is always what is shown, so that nothing old stands in for something new; what is kept is shown
// only where the network gives nothing. A file is kept under its path and its hash, so that of the next edition only what
// is new is fetched. If the network gives a newer page than this worker knows of, that is kept under its path alone, until
// the worker of its edition takes over.

// Each file's path and the beginning of its hash, filled in by book/_ext/offline.py: those that are fetched as soon as a
// reader has opened a page, and those that are kept if a page has asked for them.
const AT_ONCE = new Map(/* at once */);
const LATER = new Map(/* later */);

const HASHES = new Map([...AT_ONCE, ...LATER]);
const BOOK = `kept of ${registration.scope}`; // an origin may have several books

const placeOf = (path) => `${path}?${HASHES.get(path)}`;

function pathOf(url) {
  const [address] = url.split(/[?#]/);
  return address.startsWith(registration.scope) ? address.slice(registration.scope.length) || "index.html" : null;
}

async function hashOf(response) {
  const hash = await crypto.subtle.digest("SHA-256", await response.arrayBuffer());
  return btoa(String.fromCharCode(...new Uint8Array(hash))).slice(0, 12);
}

// One after the other, so that what a reader is waiting for does not wait for this.
async function fill() {
  skipWaiting();
  const book = await caches.open(BOOK);
  for (const [path, hash] of AT_ONCE) {
    if (await book.match(placeOf(path))) continue;
    const response = await fetch(path, { cache: "no-cache" });
    // Half an edition would be worth nothing; the next page that is opened tries again.
    if (!response.ok || (await hashOf(response.clone())) !== hash) throw new Error(`${path} is not of this edition`);
    await book.put(placeOf(path), response);
  }
}

// What belongs to another edition goes, and all open pages are served from now on.
async function takeOver() {
  const book = await caches.open(BOOK);
  const own = new Set([...HASHES.keys()].map((path) => registration.scope + placeOf(path)));
  for (const { url } of await book.keys()) if (!own.has(url)) await book.delete(url);
  await clients.claim();
}

async function answer(event, path) {
  const isPage = path.endsWith(".html");
  try {
    // Not a page that the browser happens to have, for which the server would have another.
    const response = await fetch(event.request, isPage ? { cache: "no-cache" } : {});
    event.waitUntil(keep(path, isPage, response.clone()).catch(() => {})); // there may be no room for it
    return response;
  } catch (error) {
    const book = await caches.open(BOOK);
    const kept = (await book.match(path)) ?? (await book.match(placeOf(path)));
    if (kept) return kept;
    throw error;
  }
}

async function keep(path, isPage, response) {
  const book = await caches.open(BOOK), place = placeOf(path);
  if (response.status === 404) {
    await Promise.all([path, place].map((gone) => book.delete(gone)));
  } else if (response.status === 200) {
    const ofThisEdition = (await hashOf(response.clone())) === HASHES.get(path);
    if (ofThisEdition) {
      await book.delete(path);
      if (!(await book.match(place))) await book.put(place, response);
    } else if (isPage) await book.put(path, response);
  }
}

oninstall = (event) => event.waitUntil(fill());
onactivate = (event) => event.waitUntil(takeOver());
onfetch = (event) => {
  const { request } = event, path = pathOf(request.url);
  if (request.method === "GET" && HASHES.has(path)) event.respondWith(answer(event, path));
};
