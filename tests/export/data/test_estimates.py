from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export.data import estimates
from export.data.estimates import ORIGINS, UNKNOWN, estimate_kernel, spoil
from export.data.kernels import random_kernel
from export.data.scenes import make_scene
from runtime.blur.kernel import align, fit, similarity
from tests.export.kinds import config_of

SCENES = config_of("repair").scenes

NOISE = 0.005


@pytest.fixture(scope="module")
def scene(planes):
    return make_scene(planes, SCENES, np.random.default_rng(3), "uniform")


def likeness(kernel, truth):
    """Similarity of two kernels where they fit best."""
    side = 2 * max(kernel.shape[0], truth.shape[0]) + 1
    reference = fit(truth, side)
    return similarity(align(fit(kernel, side), reference), reference)


@pytest.mark.parametrize("origin", [None, *ORIGINS])
def test_estimates_are_kernels_with_an_expected_error(scene, prior, origin):
    found = estimate_kernel(scene, NOISE, prior, np.random.default_rng(0), origin)
    side = found.kernel.shape[0]
    assert found.kernel.shape == (side, side)
    assert side % 2 == 1
    assert found.kernel.min() >= 0
    assert found.kernel.sum() == pytest.approx(1)
    assert math.isfinite(found.log_error)


def test_an_estimate_that_begins_with_the_truth_stays_near_it(scene, prior):
    found = estimate_kernel(scene, NOISE, prior, np.random.default_rng(0), "true")
    assert likeness(found.kernel, scene.kernel) > 0.8


def test_random_kernels_that_nobody_judged_have_any_error(scene, prior, monkeypatch):
    monkeypatch.setattr(estimates, "POLISHED", 0)
    errors = [estimate_kernel(scene, NOISE, prior, np.random.default_rng(k), "random").log_error for k in range(20)]
    low, high = estimates.LOG_ERRORS
    assert low <= min(errors) < -0.9
    assert -0.3 < max(errors) <= high


def test_without_a_true_kernel_one_is_searched_or_drawn(planes, prior):
    blurred = make_scene(planes, SCENES, np.random.default_rng(0), "depth")
    found = estimate_kernel(blurred, NOISE, prior, np.random.default_rng(0))
    assert found.kernel.sum() == pytest.approx(1)
    with pytest.raises(ValueError, match="origin must be one of searched, random for this scene"):
        estimate_kernel(blurred, NOISE, prior, np.random.default_rng(0), "true")


def test_shares_make_wholes():
    assert sum(ORIGINS.values()) == sum(UNKNOWN.values()) == pytest.approx(1)


def test_unknown_origins_are_named(scene, prior):
    with pytest.raises(ValueError, match="origin must be one of true, wrong, searched, random"):
        estimate_kernel(scene, NOISE, prior, np.random.default_rng(0), "guessed")


@settings(max_examples=40)
@given(size=st.integers(3, 40), seed=st.integers(0, 1000))
def test_spoilt_kernels_are_other_kernels(size, seed):
    rng = np.random.default_rng(seed)
    kernel = random_kernel(size, rng)
    spoilt = spoil(kernel, rng)
    assert spoilt.shape[0] == spoilt.shape[1]
    assert spoilt.shape[0] % 2 == 1
    assert spoilt.min() >= 0
    assert spoilt.sum() == pytest.approx(1)


def test_spoilt_kernels_are_like_the_truth_but_not_it():
    rng = np.random.default_rng(0)
    kernel = random_kernel(25, rng, "shake")
    found = [likeness(spoil(kernel, rng), kernel) for _ in range(12)]
    assert min(found) > 0.3
    assert np.median(found) > 0.6
    assert max(found) < 0.999
