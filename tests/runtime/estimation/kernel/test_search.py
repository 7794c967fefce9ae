"""A kernel that is nearly right is made better or left, and searched beside where it is doubtful."""

from __future__ import annotations

import math

import numpy as np
import pytest

from runtime.blur.kernel import centre, delta
from runtime.deconvolution.saturation import unsaturated
from runtime.estimation.kernel import search as module
from runtime.estimation.kernel.refine import BlurredImage, KernelCandidate
from runtime.estimation.kernel.score import score_kernel
from runtime.estimation.kernel.search import refine_repeatedly
from runtime.noise import estimate_noise
from runtime.quality import LEVELS


@pytest.fixture(scope="module")
def observed(blurred):
    return blurred[:160, :160]


def identity_prior(photo, edges, kernel):
    """A prior that changes nothing."""
    return kernel, -1.0


class TestRefineRepeatedly:
    @pytest.fixture
    def photo(self, observed):
        return BlurredImage(observed, unsaturated(observed), None, estimate_noise(observed))

    @pytest.mark.parametrize("rounds", [1, 2])
    def test_never_ends_with_a_kernel_that_explains_less(self, photo, kernel, rounds):
        effort = LEVELS["fast"].search._replace(rounds=rounds, polishing=1)
        for start in (centre(kernel), centre(kernel).T):
            settled = refine_repeatedly(photo, KernelCandidate(start, -1.0), identity_prior, effort)
            assert score_kernel(photo, settled.kernel).cost() <= score_kernel(photo, start).cost()

    def test_without_a_prior_or_rounds_nothing_changes(self, photo, kernel):
        best = KernelCandidate(kernel, -1.0)
        assert refine_repeatedly(photo, best, None, LEVELS["best"].search) is best
        assert refine_repeatedly(photo, best, identity_prior, LEVELS["best"].search._replace(rounds=0)) is best


@pytest.mark.parametrize(
    ("polished", "searched", "suits_better", "taken"),
    [(-3.0, -4.0, "searched", "polished"), (-1.0, -4.0, "searched", "searched"), (-1.0, -4.0, "polished", "polished"),
     (-1.0, -0.5, "searched", "polished"), (math.nan, -4.0, "searched", "polished")],
)  # fmt: skip
def test_a_start_that_leaves_doubts_is_searched_beside(monkeypatch, polished, searched, suits_better, taken):
    """Polished is enough if it is certain; else the searched kernel has to be better in both ways."""
    one = delta((9, 9))
    found = {"polished": KernelCandidate(one, polished), "searched": KernelCandidate(one, searched)}
    monkeypatch.setattr(module, "polish_start", lambda *_: found["polished"])
    monkeypatch.setattr(module, "search", lambda *_: (found["searched"], 1.0))
    monkeypatch.setattr(module, "choose", lambda *_: found[suits_better])
    blurred = BlurredImage(np.zeros((30, 30), np.float32), np.ones((30, 30), bool), None, 0.01)
    best = module.search_from(one, blurred, 9, LEVELS["fast"].search, None, lambda *_: None)
    assert best is found[taken]
