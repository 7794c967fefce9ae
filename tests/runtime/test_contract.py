from typing import ClassVar

import numpy as np
import pytest

from runtime.blur.blurs import KernelBlur
from runtime.contract import BurstMethod, Candidate, Estimate, Method


class Still:
    supported_options: ClassVar[frozenset[str]] = frozenset()

    def restore(self, observed, run):
        return Estimate(observed)


class Fused:
    supported_options: ClassVar[frozenset[str]] = frozenset({"p"})

    def restore_burst(self, frames, run):
        return next(iter(frames))


class Silent:
    """Does not say which options it supports."""

    def restore(self, observed, run):
        return Estimate(observed)


@pytest.mark.parametrize(
    ("kind", "single", "burst"), [(Still, True, False), (Fused, False, True), (Silent, False, False)]
)
def test_a_method_is_what_restores_and_says_which_options_it_supports(kind, single, burst):
    assert isinstance(kind(), Method) == single
    assert isinstance(kind(), BurstMethod) == burst


def test_a_candidate_is_believed_unless_something_is_said():
    candidate = Candidate(KernelBlur(np.ones((1, 1), np.float32)), -2.0)
    assert (candidate.confidence, candidate.noise_factor) == (1.0, 1.0)


def test_an_estimate_of_which_nothing_is_known_is_a_restoration():
    estimate = Estimate(np.zeros((1, 2, 3), np.float32))
    assert estimate.reason is None
    assert estimate.blur is None
