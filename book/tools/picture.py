"""Take the picture of the front page anew, which the README shows, and social networks: `make picture`.

It needs the built site, and a browser, as the tests do.
"""

import json
import sys
from io import BytesIO
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from browsing import NO_BROWSER, SECONDS, draw, launched, served  # noqa: E402
from playwright.sync_api import expect  # noqa: E402

SITE = ROOT / "book" / "_build" / "html"
PICTURE = ROOT / "book" / "assets" / "front-page.png"
SIZE = {"width": 1280, "height": 800}
DRAWINGS = json.loads((ROOT / "tests" / "drawings.json").read_text(encoding="utf-8"))
FIVE = next(drawing["strokes"] for drawing in DRAWINGS if drawing["digit"] == 5)


def take(address: str) -> bytes:
    """Give a picture of the front page, with a digit drawn on its sheet."""
    with launched() as browser:
        if browser is None:
            sys.exit(NO_BROWSER)
        page = browser.new_context(viewport=SIZE, color_scheme="light", reduced_motion="reduce").new_page()
        page.goto(address)
        expect(page.locator(".sheet")).to_be_visible(timeout=20 * SECONDS)
        draw(page, FIVE)
        expect(page.locator(".verdict")).to_contain_text("It reads 5")
        page.evaluate("document.activeElement.blur()")
        return page.screenshot()


def main() -> None:
    if not (SITE / "index.html").exists():
        sys.exit("There is no built site in book/_build/html. Run `make book` first.")
    with served(SITE) as address:
        picture = Image.open(BytesIO(take(f"{address}/index.html")))
    picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(PICTURE, optimize=True)
    print(f"Written: {PICTURE} ({PICTURE.stat().st_size // 1000} kB). The next build of the book takes it along.")


if __name__ == "__main__":
    main()
