// <mnist-lab>: the panels of the notebooks in the page, with the reader's own browser as the machine that trains.
//
//     <mnist-lab view="retrain" recipe='{"epochs": 5}' controls="units epochs" seed="0"> … a still … </mnist-lab>
//
// What differs from the article's recipe is in `recipe`; without `controls` all of them are shown. The views "draw" and
// "explore" ask the network of the retrain panel before them, or, with a recipe, one of their own, and "challenge" judges
// that panel's runs; "sheet" asks a small network that comes with the page; "step" and "descent" show what stands in
// `setup`. A retrain panel with a button inside waits for that to be pressed, and then trains at once.
//
// Until the page has settled and a reader comes near, nothing is loaded, and what stands inside the element is seen; it is
// also what is printed. Then come the programs, and the images with a wish alone: when a hand or the keyboard's focus
// reaches the panel, so that they are on their way when a button is pressed.

const beside = (name) => new URL(name, import.meta.url).href;

function once(make) {
  let promise = null;
  return () => (promise ??= make().catch((error) => ((promise = null), Promise.reject(error))));
}

const loadSetup = once(async () => {
  const response = await fetch(beside("setup.json"));
  if (!response.ok) throw new Error("missing");
  const setup = await response.json();
  setup.collections.forEach((collection) => (collection.address = beside(collection.file)));
  return setup;
});

const settled = once(async () => {
  if (document.readyState !== "complete") await new Promise((resolve) => addEventListener("load", resolve, { once: true }));
  await new Promise((resolve) => (globalThis.requestIdleCallback ?? setTimeout)(resolve));
});

// Act once, when a reader reaches for an element; a page that passes beneath a resting pointer, or a finger that scrolls,
// is no wish, and who saves data has to click.
function onWish(element, act) {
  const reaching = navigator.connection?.saveData ? ["click"] : ["pointermove", "focusin"];
  const ended = new AbortController();
  const wished = ({ type, pointerType }) => {
    if (type === "pointermove" && pointerType === "touch") return;
    ended.abort();
    act();
  };
  for (const type of reaching) element.addEventListener(type, wished, { signal: ended.signal });
}

// A line on the images that have still to come.
async function imagesLine(session) {
  const { h, say } = await import("./panel/elements.js");
  const { megabytes } = await import("./panel/session.js");
  const text = h("span", { role: "status" });
  const bar = h("progress", { "aria-label": "Images loaded" });
  const show = () => {
    const { share, images: { bytes } } = session;
    say(text, share === 1 ? "" : share ? `${megabytes(bytes)} of images are coming. ` : `This needs ${megabytes(bytes)} of images, which come when you begin.`);
    bar.hidden = share === 0 || share === 1;
    bar.value = share;
  };
  session.engine.loading.add(show);
  show();
  return h("p", { class: "lab-images" }, text, bar);
}

// What asks a session's network: another view when its panel has taken other images, with a session of their own.
async function asking(element, setup, viewOf, wished = (session) => session.prepare()) {
  const holder = document.createElement("div");
  let asked, view;
  async function show() {
    const session = await element.partner(setup);
    if (session === asked) return;
    asked = session;
    view?.leave();
    view = viewOf(session);
    holder.replaceChildren(view.node, await imagesLine(session));
  }
  document.addEventListener("otherimages", show);
  await show();
  onWish(element, () => wished(asked));
  return holder;
}

// Tells the page what was answered to a drawing.
const tellDrawn = (probabilities) => document.dispatchEvent(new CustomEvent("drawn", { detail: probabilities }));

const PANELS = {
  retrain: async (element, setup) => (await import("./retrain_in_page.js")).retrain(element, setup, onWish),
  async challenge(element, setup) {
    const [{ challengeView }, { searchOf }] = await Promise.all([import("./panel/challenge_view.js"), import("./setting_in_address.js")]);
    const session = await element.partner(setup), name = element.getAttribute("which");
    return challengeView(session.mnist ?? session, name, setup.challenges[name], (...setting) => searchOf(1, ...setting)).node;
  },
  async draw(element, setup) {
    const { drawView } = await import("./panel/draw_view.js");
    // Challenges are about MNIST's digits.
    return asking(element, setup, (session) => drawView(session, session.setup.names, session.mnist ? () => tellDrawn() : tellDrawn));
  },
  async explore(element, setup) {
    const { exploreView } = await import("./panel/explore_view.js");
    // A network of its own is trained to be seen.
    return asking(element, setup, (session) => exploreView(session, session.setup.names), (session) => session[session === element.session ? "train" : "prepare"]());
  },
};

// Panels that only show, and have all that they need in the element.
const SHOWN = {
  step: async (setup) => (await import("./panel/step_view.js")).stepView(setup).node,
  descent: async (setup) => (await import("./panel/descent_view.js")).descentView(setup).node,
};

class MnistLab extends HTMLElement {
  #opening = null;

  async connectedCallback() {
    const button = this.querySelector(":scope > button");
    if (button) return button.addEventListener("click", () => this.#begin());
    await settled();
    const watch = new IntersectionObserver((entries) => {
      if (!entries.some(({ isIntersecting }) => isIntersecting)) return;
      watch.disconnect();
      this.open();
    }, { rootMargin: "700px" });
    watch.observe(this);
  }

  // The panel takes the place of the button, and its focus.
  async #begin() {
    this.setAttribute("coming", "");
    await this.open();
    this.removeAttribute("coming");
    if (!this.session) return;
    this.session.train();
    const panel = this.querySelector(".mnist-panel");
    panel.tabIndex = -1;
    panel.focus();
  }

  // Once, whoever asks for it: the reader who comes near, or a panel that needs this one's network.
  open() {
    return (this.#opening ??= this.#build());
  }

  // The session whose network this panel asks and whose runs it judges: that of the retrain panel before it, or, for a
  // network of its own, one of its own.
  async partner(setup) {
    const before = [...document.querySelectorAll('mnist-lab[view="retrain"]')].filter(
      (other) => other.compareDocumentPosition(this) & Node.DOCUMENT_POSITION_FOLLOWING,
    );
    const partner = before.at(-1);
    if (!partner || this.hasAttribute("recipe")) {
      const { sessionOf } = await import("./retrain_in_page.js");
      return (this.session ??= sessionOf(this, setup));
    }
    await partner.open();
    if (!partner.session) throw new Error("the panel that it asks could not be loaded");
    return partner.session;
  }

  async #make() {
    const view = this.getAttribute("view");
    if (SHOWN[view]) return SHOWN[view](JSON.parse(this.getAttribute("setup")));
    if (typeof WebAssembly === "undefined" || typeof DecompressionStream === "undefined") throw new Error("old browser");
    if (view === "sheet") return (await import("./small_network.js")).sheet(tellDrawn);
    return PANELS[view](this, await loadSetup());
  }

  async #build() {
    try {
      const panel = await this.#make();
      this.querySelector(".lab-trouble")?.remove();
      panel.classList.add("lab-live");
      this.append(panel);
      this.setAttribute("open", "");
    } catch (error) {
      this.#opening = null;
      this.#tellTrouble(error);
    }
  }

  #tellTrouble(error) {
    this.querySelector(".lab-trouble")?.remove();
    const trouble = document.createElement("p");
    trouble.className = "lab-trouble";
    trouble.setAttribute("role", "status");
    if (error.message === "old browser") {
      trouble.textContent = "This browser is too old for the live panel, so this is a picture. A newer one has the panel itself.";
    } else {
      trouble.textContent = "The live panel could not be loaded. ";
      const retry = document.createElement("button");
      retry.textContent = "Try again";
      retry.onclick = () => this.open();
      trouble.append(retry);
    }
    this.append(trouble);
  }
}

customElements.define("mnist-lab", MnistLab);
