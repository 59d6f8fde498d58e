"""What every figure of the book has in common: its look, and the SVG that it is shown as. Floor 3 of the package.

Figures are drawn narrow with large letters, to be read on a phone. No global setting of matplotlib is changed, and
pyplot has no part in it, so that a notebook shows a figure once, as the value of its cell.
"""

import base64
import hashlib
import html
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from types import MappingProxyType
from xml.dom import minidom

import matplotlib
import numpy as np
from cycler import cycler
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path
from PIL import Image

WIDTH = 5.6
PAPER, INK, GREY, GRID = "#fffefa", "#17264f", "#667085", "#e4e2d8"
BLACK = "#000000"  # in either theme
COLOURS = ("#1f4bb8", "#d2461e", "#12806a", "#a86f00", "#7b3fa0", "#5b6474")
STYLE = {
    "font.family": ["Atkinson Hyperlegible Next", "DejaVu Sans"],
    "font.size": 9.5,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": cycler(color=COLOURS),
    "axes.facecolor": PAPER,
    "figure.facecolor": PAPER,
    "figure.constrained_layout.use": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "image.composite_image": False,
    "image.interpolation": "none",  # pixels are kept as they are, however large they are shown
    "legend.columnspacing": 1.4,
    "legend.frameon": False,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "Cracking 99%",  # the same figure is the same file
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}
# So few shades that a picture takes little room, and so many that nobody sees it.
INK_ON_PAPER = LinearSegmentedColormap.from_list("ink_on_paper", [PAPER, "#8fa3d4", "#1f4bb8", INK], N=32)
SIGNED = LinearSegmentedColormap.from_list("signed", [COLOURS[1], PAPER, COLOURS[0]], N=63)  # odd: 0 is paper
MORE_OR_LESS_INK = LinearSegmentedColormap.from_list("more_or_less_ink", [(*to_rgb(INK), 0), (*to_rgb(INK), 1)])
# A picture fills its axes; cut to them once more, it could not be blended into the page.
CLIPPED_PICTURE = re.compile(r'<g clip-path="[^"]*">\s*(<image [^>]*/>)\s*</g>')
# Where the book's own type is missing, the reader's.
TYPE = "'Atkinson Hyperlegible Next',system-ui,'DejaVu Sans',sans-serif"

for _font in sorted((Path(__file__).parent / "fonts").glob("*.ttf")):
    font_manager.fontManager.addfont(_font)


class BookFigure(Figure):
    """A figure that notebooks show as SVG.

    Attributes
    ----------
    numbers : mapping of str to sequence of str
        What a chart shows, as a table: the columns by their titles, of which the first names the rows. The site has it
        below the chart, for those who cannot see it. Empty for a picture.
    """

    numbers: Mapping[str, Sequence[str]] = MappingProxyType({})

    def __init__(self, height: float, **options):
        super().__init__(figsize=(WIDTH, height), **options)

    def _repr_svg_(self) -> str:
        file = io.StringIO()
        with matplotlib.rc_context(STYLE):
            self.savefig(file, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
        return lightened(file.getvalue(), self.numbers)

    def as_image(self, alt: str) -> str:
        """Give the figure as an element of HTML."""
        return svg_image(self._repr_svg_(), alt)


def book_figure(draw: Callable[..., BookFigure]) -> Callable[..., BookFigure]:
    """Draw in the book's style."""

    @wraps(draw)
    def styled(*arguments, **named) -> BookFigure:
        with matplotlib.rc_context(STYLE):
            return draw(*arguments, **named)

    return styled


def look(number: int) -> tuple[str, str]:
    """Give the colour and the marker of a group, by its place in the legend."""
    return COLOURS[number % len(COLOURS)], "osD^vP"[number % 6]


def write_in_cells(axis: Axes, texts: Sequence[Sequence[str]], size: float) -> None:
    """Write a text into each cell of a table that ``imshow`` has drawn, so that it can be read in either theme.

    The dark theme turns shades and texts, but those in the middle stay in the middle: there black is read on both.
    """
    (table,) = axis.images
    cells = table.cmap(table.norm(table.get_array()))[..., :3]
    brightness = np.where(cells > 0.04, ((cells + 0.055) / 1.055) ** 2.4, cells / 12.92) @ (0.2126, 0.7152, 0.0722)
    for (row, column), bright in np.ndenumerate(brightness):
        colour = PAPER if bright < 0.175 else BLACK if bright < 0.4 else INK
        axis.text(column, row, texts[row][column], ha="center", va="center", color=colour, fontsize=size)


def lightened(svg: str, numbers: Mapping[str, Sequence[str]]) -> str:
    """Leave of matplotlib's SVG what is seen, in pixels of the screen, and put the numbers into it.

    What is left has no style sheet and only ids that are referred to, each of which no other figure has.
    """
    svg = CLIPPED_PICTURE.sub(r"\1", svg)
    root = minidom.parseString(svg).documentElement
    _clear(root, set(re.findall(r"#([\w-]+)[\")]", svg)))
    for node in root.getElementsByTagName("image"):
        node.setAttribute("xlink:href", _small(node.getAttribute("xlink:href")))
    for node in root.getElementsByTagName("text"):
        if len(node.firstChild.data) > 4:
            _hold(node)
    for name in ("width", "height"):
        root.setAttribute(name, f"{float(root.getAttribute(name).removesuffix('pt')) * 4 / 3:.0f}")
    root.removeAttribute("version")
    root.setAttribute("font-family", TYPE)
    root.setAttribute("stroke-linejoin", "round")
    if numbers:
        metadata = root.insertBefore(root.ownerDocument.createElement("metadata"), root.firstChild)
        metadata.appendChild(root.ownerDocument.createTextNode(json.dumps(dict(numbers), ensure_ascii=False)))
    text = root.toxml()
    own = hashlib.sha256(text.encode()).hexdigest()[:6]
    return re.sub(r'( id="|url\(#|href="#)', rf"\g<1>f{own}-", text)


def _clear(node: minidom.Element, referred: set[str]) -> None:
    """Take out of an element, and what is in it, whatever does nothing."""
    for name, value in list(node.attributes.items()):
        if name == "id" and value not in referred:
            node.removeAttribute(name)
        elif name in ("d", "x", "y", "width", "height", "viewBox"):
            node.setAttribute(name, re.sub(r" ?([A-Za-z]) ?", r"\1", _rounded(value, 2)))
        elif value.startswith("rotate(-0 "):
            node.removeAttribute(name)
        elif name == "transform":
            node.setAttribute(name, _rounded(value, 4))
        elif name == "style":
            node.setAttribute(name, re.sub(r"font-family: [^;]*(; )?|(?<=[;:]) ", "", _rounded(value, 3)))
    for child in list(node.childNodes):
        blank = child.nodeType == child.TEXT_NODE and not child.data.strip()
        if blank or child.nodeType == child.COMMENT_NODE or child.nodeName == "style":
            node.removeChild(child)
        elif child.nodeType == child.ELEMENT_NODE:
            _clear(child, referred)
            if child.nodeName == "g" and not child.attributes:  # it groups for nothing
                for inner in list(child.childNodes):
                    node.insertBefore(inner, child)
                node.removeChild(child)
            elif child.nodeName == "defs" and not child.childNodes:
                node.removeChild(child)


def _hold(text: minidom.Element) -> None:
    """Give a text the width that it has in the book's type, for when another is wider and would be cut off."""
    style, words = text.getAttribute("style"), text.firstChild.data
    size = float(re.search(r"font-size:([\d.]+)px", style)[1])
    weight = "bold" if "font-weight:700" in style else "normal"
    our_type = FontProperties(family=STYLE["font.family"], weight=weight, size=size)
    width, _, _ = text_to_path.get_text_width_height_descent(words, our_type, ismath=False)
    text.setAttribute("textLength", f"{width:.1f}")
    text.setAttribute("lengthAdjust", "spacingAndGlyphs")


def _rounded(numbers: str, digits: int) -> str:
    def short(match: re.Match) -> str:
        return f"{round(float(match[0]), digits) + 0.0:.{digits}f}".rstrip("0").rstrip(".")  # no -0

    return re.sub(r"-?\d+\.\d+", short, " ".join(numbers.split()))


def _small(picture: str) -> str:
    """Write a PNG of few colours, within an address, with a palette of them."""
    head, packed = picture.split(",")
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(packed))).convert("RGB"))
    colours, shades = np.unique(pixels.reshape(-1, 3), axis=0, return_inverse=True)
    if len(colours) > 256:
        image = Image.fromarray(pixels)
    else:
        image = Image.fromarray(shades.reshape(pixels.shape[:2]).astype(np.uint8))
        image.putpalette(colours.tobytes())
    file = io.BytesIO()
    image.save(file, format="png", optimize=True)
    return f"{head},{base64.b64encode(file.getvalue()).decode()}"


def svg_image(svg: str, alt: str) -> str:
    """Give an SVG as an element of HTML that shows it wherever images are shown."""
    packed = base64.b64encode(svg.encode()).decode()
    return f'<img src="data:image/svg+xml;base64,{packed}" alt="{html.escape(alt)}">'
