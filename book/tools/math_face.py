"""Make the face of the formulas, `book/assets/fonts/stix-two-math.woff2`, anew from the whole of STIX Two Math.

The whole is in npm's `@fontsource/stix-two-math` 5.3.0: `npm pack @fontsource/stix-two-math@5.3.0`, unpack it, and
`python book/tools/math_face.py package/files/stix-two-math-latin-400-normal.woff2`.
"""

import sys
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont

FACE = Path(__file__).parents[1] / "assets" / "fonts" / "stix-two-math.woff2"
RADICALS = 2  # heights of the root's sign
CHARACTERS = (
    [chr(code) for code in range(0x20, 0x7F)]
    + [chr(code) for code in range(0x391, 0x3CA)]  # Greek
    + ["\N{PLANCK CONSTANT}", *map(chr, range(0x1D434, 0x1D468)), *map(chr, range(0x1D6E2, 0x1D71C))]  # slanted
    + list(" ±·×÷′…ℓℝ←→↔↦∂∇∈∉∏∑−√∞∣∫≈≠≤≥≪≫⊙⊤⋅⋮⋯‖\u0302\u0303\u0304\u2061\u2062")
)


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(f"Name the file of the whole face, and nothing else.\n{__doc__}")
    font = TTFont(sys.argv[1], recalcTimestamp=False)
    variants = font["MATH"].table.MathVariants
    root = variants.VertGlyphConstruction[variants.VertGlyphCoverage.glyphs.index(font.getBestCmap()[ord("√")])]
    # Chromium gives every root the width of its widest sign, so that a gap follows a low one.
    root.GlyphAssembly = None
    del root.MathGlyphVariantRecord[RADICALS:]
    options = subset.Options(layout_features=["ssty"], hinting=False, desubroutinize=True, notdef_outline=True)
    subsetter = subset.Subsetter(options)
    subsetter.populate(text="".join(CHARACTERS))
    subsetter.subset(font)
    font.flavor = "woff2"
    font.save(FACE)
    print(f"Written: {FACE}, {FACE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
