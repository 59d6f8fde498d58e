// Has the browser keep the book for reading without a network (service_worker.js), once the page has settled. Where it
// cannot, as on file:// or without HTTPS, or where a reader saves data, nothing happens.

addEventListener("load", () =>
  (globalThis.requestIdleCallback ?? setTimeout)(() => {
    if (navigator.connection?.saveData) return;
    navigator.serviceWorker?.register(`${document.documentElement.dataset.content_root}service_worker.js`).catch(() => {});
  }),
);
