// Sphinx 7 looks words up in plain objects, in which "constructor" and "__proto__" are found although no page has them; and
// it takes its time over a query of a thousand words, which nobody types. What it quotes from a page shall be text, and not
// what stands in figures and their tables.
{
  const { setIndex, performSearch, htmlToText } = Search, { hasOwnProperty } = Object.prototype;
  Search.setIndex = (index) => {
    for (const words of [index.terms, index.titleterms]) Object.setPrototypeOf(words, { __proto__: null, hasOwnProperty });
    setIndex(index);
  };
  Search.performSearch = (query) => performSearch(query.slice(0, 200));
  const DRAWN = /<svg .*?<\/svg>|<details class="numbers">.*?<\/details>/gs;
  Search.htmlToText = (page, anchor) => htmlToText(page.replace(DRAWN, ""), anchor);
}
