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


def test_a_sentence_that_holds_is_left_alone_and_another_is_marked():
    assert ours.holds(True) == ours.holds(np.float64(2) > 1) == ""
    assert ours.holds(False) == ours.holds(np.float64(1) > 2) == " (not so in this run)"


@pytest.mark.parametrize("given", [1, "yes", None, np.array([True, True])])
def test_what_is_no_comparison_is_refused(given):
    with pytest.raises(TypeError, match=f"holds was given a {type(given).__name__}; expected True or False"):
        ours.holds(given)


def test_a_sentence_of_another_page_that_does_not_hold_is_noted(monkeypatch):
    monkeypatch.setattr(ours, "show", lambda *arguments, **named: None)
    monkeypatch.setattr(ours, "NOT_SO_ELSEWHERE", [])
    ours.glue("wider", ours.holds(False))
    ours.glue("narrower", ours.holds(True))
    assert ours.NOT_SO_ELSEWHERE == ["wider"]


def test_a_value_is_displayed_unless_it_is_asked_not_to(monkeypatch):
    sent = []
    monkeypatch.setattr(ours, "show", lambda bundle, **_: sent.append(set(bundle)))
    ours.glue("accuracy", 0.5)
    ours.glue("accuracy", 0.5, display=False)
    assert sent == [{"text/plain"}, {"application/papermill.record/text/plain"}]
