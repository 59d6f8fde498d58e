// <mnist-lab>: the panels of the notebooks in the page, with the reader's own browser as the machine that trains.
//
//     <mnist-lab view="retrain" recipe='{"epochs": 5}' controls="units epochs" seed="0"> … a still … </mnist-lab>
//
// What differs from the article's recipe is in `recipe`; without `controls` all of them are shown. The views "draw" and
// "explore" ask the network of the retrain panel before them, and "challenge" judges its runs. Until a reader comes near
// nothing is loaded, and what stands inside the element is seen; it is also what is printed.

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

class MnistLab extends HTMLElement {
  #opening = null;

  connectedCallback() {
    const watch = new IntersectionObserver((entries) => {
      if (!entries.some(({ isIntersecting }) => isIntersecting)) return;
      watch.disconnect();
      this.open();
    }, { rootMargin: "700px" });
    watch.observe(this);
  }

  // Once, whoever asks for it: the reader who comes near, or a panel that needs this one's network.
  open() {
    return (this.#opening ??= this.#build());
  }

  async #build() {
    try {
      if (typeof WebAssembly === "undefined" || typeof DecompressionStream === "undefined") throw new Error("old browser");
      const view = this.getAttribute("view");
      const [setup, panels] = await Promise.all([loadSetup(), import(view === "retrain" ? "./retraining.js" : "./companions.js")]);
      const panel = await panels[view](this, setup);
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
      trouble.textContent = "This browser is too old to train here, so this is a picture. A newer one trains the network in the page.";
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
