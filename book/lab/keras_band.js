// The band beside a retrain panel's curves: what Keras made of the setting that is nearest to the panel's, of those in
// keras_results.json (tools/keras_grid.py). What it made of the article's stands in the setup, and is there at once.

import { changedSettings, settingsOf } from "./panel/recipe_settings.js";

let results = null;
const loadResults = () => (results ??= fetch(new URL("keras_results.json", import.meta.url)).then((response) => response.json()));

export function showFirstBand(session) {
  const band = bandFor(session, session.setup.keras);
  session.band = band?.same ? band : null;
}

// Once for each setting; if the results do not come, there is no band.
export async function showBand(session) {
  const { settings } = session;
  if (session.bandOf === settings) return;
  session.bandOf = settings;
  const keras = await loadResults().catch(() => null);
  if (!keras || settings !== session.settings) return; // which are others when other images are taken, too
  session.band = bandFor(session, keras);
  session.tell("live");
}

// The grid's run that is nearest to a setting: controls count by how many choices they are apart, menus double.
function bandFor(session, keras) {
  const { controls } = session.setup;
  const [recipe] = session.job;
  const wanted = settingsOf(recipe, 0, session.setup);
  let best = null, least = Infinity;
  for (const run of keras.runs) {
    const settings = { ...keras.base, ...run.settings };
    let distance = 0;
    for (const { name, kind, choices } of controls) {
      if (["seed", "epochs", "training_images"].includes(name) && !(name === "training_images" && session.most === keras.most)) continue;
      const [a, b] = [settings[name], wanted[name]];
      if (a !== b) distance += kind === "slider" ? Math.abs(choices.indexOf(a) - choices.indexOf(b)) : 2;
    }
    if (distance < least) [best, least] = [{ ...run, settings }, distance];
  }
  if (!best || session.most !== keras.most) return null;
  const differs = changedSettings(
    Object.fromEntries(Object.entries(best.settings).filter(([name]) => !["seed", "epochs"].includes(name))),
    wanted,
  );
  return {
    same: !differs,
    title: `Keras, ${differs ? `nearest setting (${differs})` : "this setting"}, mean ± standard deviation, ${keras.seeds} seeds`,
    epochs: session.job[0].epochs,
    validation: [best.val_loss, best.val_accuracy],
  };
}
