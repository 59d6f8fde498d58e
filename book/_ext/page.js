// A button that prints; the theme's own has its program in an attribute, which the pages' policy forbids.
for (const button of document.querySelectorAll("[data-print]")) button.addEventListener("click", () => print());

// A formula that is wider than its place is scrolled, and so has to be reached by the keyboard.
{
  const watch = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
      else target.removeAttribute("tabindex");
    }
  });
  for (const formula of document.querySelectorAll("div.math")) watch.observe(formula);
}
