"""The kernel step finds the kernel of planes that a kernel has blurred."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from runtime.blind.kernel_shape import delta, prune, similarity
from runtime.blind.kernel_step import solve_kernel
from runtime.blind.normal_equations import from_periodic


def blurred_planes(kernel, seed, noise=0.0):
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(2, 40, 44)) * (rng.random((2, 40, 44)) < 0.1)
    observed = np.stack([ndimage.convolve(plane, kernel, mode="wrap") for plane in latent])
    observed += noise * rng.normal(size=observed.shape)
    return latent.astype(np.float32), observed.astype(np.float32)


@settings(max_examples=20, deadline=None)
@given(side=st.sampled_from([3, 5, 9, 13]), seed=st.integers(0, 1000), noise=st.sampled_from([0.0, 0.02]))
def test_finds_the_kernel(side, seed, noise):
    truth = prune(np.random.default_rng(seed).random((side, side)) ** 3, relative=0.1)
    latent, observed = blurred_planes(truth, seed, noise)
    found = solve_kernel(from_periodic(latent, observed, side), delta((side, side)))
    assert similarity(found, truth) > 0.95
    assert found.min() >= 0
    assert found.sum() == pytest.approx(1)


def test_nothing_to_see_changes_nothing():
    flat = np.zeros((2, 20, 20), np.float32)
    np.testing.assert_array_equal(solve_kernel(from_periodic(flat, flat, 5), delta((5, 5))), delta((5, 5)))
