"""Draw the book's mark, its favicon and its chapter digits from images of MNIST: `python book/assets/mark.py`."""

from pathlib import Path

import numpy as np

from mnist_helpers.data import load_mnist

HERE = Path(__file__).parent
INK, PAPER, ACCENT = "#17264f", "#e9e6da", "#d2461e"
# Well-written training images, by their place in the training set.
DIGITS = {0: 198, 1: 12, 2: 23, 3: 10, 4: 18, 5: 132, 6: 151, 7: 77, 8: 43, 9: 30}
FIRST_NINE = DIGITS[9]
SECOND_NINE = 42
PER_CENT = (
    f'<g fill="none" stroke="{ACCENT}" stroke-width="2.6" stroke-linecap="round">'
    '<circle cx="39.5" cy="5.5" r="3.6"/><circle cx="49.5" cy="15" r="3.6"/><path d="M50.5 2 38.5 18.5"/></g>'
)


def cropped(image: np.ndarray) -> np.ndarray:
    rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
    return image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def squares(image: np.ndarray, left: float, top: float, ink: str = INK) -> str:
    """Draw one square for each inked pixel, as opaque as the pixel is dark."""
    pixels = "".join(
        f'<rect x="{left + column:g}" y="{top + row:g}" width="1.02" height="1.02" opacity="{value / 255:.2f}"/>'
        for (row, column), value in np.ndenumerate(image)
        if value > 12
    )
    return f'<g fill="{ink}">{pixels}</g>'


def write_svg(name: str, width: int, height: int, body: str) -> None:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">'
    (HERE / name).write_text(f"{head}{body}</svg>\n", encoding="utf-8")


def main() -> None:
    images = load_mnist().train.images
    digits = {digit: cropped(images[place]) for digit, place in DIGITS.items()}
    for digit, image in digits.items():
        if digit:
            write_svg(
                f"digits/{digit}.svg", 20, 20, squares(image, (20 - image.shape[1]) / 2, (20 - image.shape[0]) / 2)
            )
    one, nought = digits[1], digits[0]
    ten = squares(one, 0, 0) + squares(nought, one.shape[1] + 2, 0)
    write_svg("digits/10.svg", one.shape[1] + 2 + nought.shape[1], 20, ten)
    nine = cropped(images[FIRST_NINE])
    for theme, ink in {"light": INK, "dark": PAPER}.items():
        nines = squares(nine, 1, 0, ink) + squares(cropped(images[SECOND_NINE]), 18, 0, ink)
        write_svg(f"mark-{theme}.svg", 55, 20, nines + PER_CENT)
    tile = '<rect width="28" height="28" rx="5" fill="#fffefa"/>'
    write_svg("favicon.svg", 28, 28, tile + squares(nine, (28 - nine.shape[1]) / 2, 4))


if __name__ == "__main__":
    main()
