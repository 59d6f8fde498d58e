// A button that prints; the theme's own has its program in an attribute, which the pages' policy forbids.
for (const button of document.querySelectorAll("[data-print]")) button.addEventListener("click", () => print());
