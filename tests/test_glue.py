"""What a chapter hands to its text arrives as myst-nb's own `glue` would have sent it."""

import myst_nb
import numpy as np
import pytest
from myst_nb.ext import glue as reference

from mnist_helpers import glue as ours


@pytest.mark.parametrize("display", [True, False])
@pytest.mark.parametrize(
    "value", ["98.8% ± 0.1%", 3, np.float64(0.5), np.arange(3)], ids=lambda value: str(type(value))
)
def test_the_output_is_that_of_myst_nb(monkeypatch, value, display):
    sent = []
    monkeypatch.setattr(ours, "show", lambda *arguments, **named: sent.append((arguments, named)))
    monkeypatch.setattr(reference, "ipy_display", lambda *arguments, **named: sent.append((arguments, named)))
    ours.glue("accuracy", value, display=display)
    myst_nb.glue("accuracy", value, display=display)
    assert sent[0] == sent[1]
    ((bundle,), named), _ = sent
    assert bundle
    assert named["metadata"]["scrapbook"]["name"] == "accuracy"
