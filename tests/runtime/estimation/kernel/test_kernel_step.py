"""The kernel step finds the kernel of planes that a kernel has blurred."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from runtime.blur.kernel import delta, normalise, prune, similarity
from runtime.estimation.kernel.correlations import from_periodic
from runtime.estimation.kernel.kernel_step import solve_kernel


def blurred_planes(kernel, seed, noise=0.0):
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(2, 40, 44)) * (rng.random((2, 40, 44)) < 0.1)
    observed = np.stack([ndimage.convolve(plane, kernel, mode="wrap") for plane in latent])
    observed += noise * rng.normal(size=observed.shape)
    return latent.astype(np.float32), observed.astype(np.float32)


@settings(max_examples=20)
@given(side=st.sampled_from([3, 5, 9, 13]), seed=st.integers(0, 1000), noise=st.sampled_from([0.0, 0.02]))
def test_finds_the_kernel(side, seed, noise):
    truth = prune(np.random.default_rng(seed).random((side, side)) ** 3, relative=0.1)
    latent, observed = blurred_planes(truth, seed, noise)
    found = solve_kernel(from_periodic(latent, observed, side), delta((side, side)))
    assert similarity(found, truth) > 0.95
    assert found.min() >= 0
    assert found.sum() == pytest.approx(1)


def problem(seed, side=7, noise=0.02):
    """Equations, the kernel behind them, and another kernel."""
    truth, other = (prune(np.random.default_rng(seed + n).random((side, side)) ** 3, relative=0.1) for n in (0, 1))
    return from_periodic(*blurred_planes(truth, seed, noise), side), truth, other


def distance(first, second):
    return float(np.linalg.norm(first - second))


@settings(max_examples=15)
@given(seed=st.integers(0, 1000))
def test_a_huge_ridge_returns_the_anchor(seed):
    equations, _, anchor = problem(seed)
    held = solve_kernel(equations, delta(anchor.shape), anchor=anchor, ridge=1e6, prune_below=0.0)
    np.testing.assert_allclose(held, anchor, atol=1e-5)


@settings(max_examples=15)
@given(seed=st.integers(0, 1000))
def test_without_a_ridge_the_anchor_does_not_matter(seed):
    equations, truth, anchor = problem(seed)
    free = solve_kernel(equations, delta(anchor.shape), ridge=0.0)
    tied = solve_kernel(equations, delta(anchor.shape), anchor=anchor, ridge=0.0)
    np.testing.assert_array_equal(tied, free)
    assert similarity(free, truth) > 0.95


@settings(max_examples=15)
@given(seed=st.integers(0, 1000))
def test_the_larger_the_ridge_the_nearer_to_the_anchor(seed):
    equations, _, anchor = problem(seed)
    found = [
        solve_kernel(equations, delta(anchor.shape), anchor=anchor, ridge=ridge, prune_below=0.0)
        for ridge in (0.01, 0.3, 10.0)
    ]
    away = [distance(kernel, anchor) for kernel in found]
    assert away == sorted(away, reverse=True)


@settings(max_examples=15)
@given(seed=st.integers(0, 1000))
def test_the_true_kernel_as_anchor_does_no_harm(seed):
    equations, truth, _ = problem(seed, noise=0.3)
    plain = solve_kernel(equations, delta(truth.shape), prune_below=0.0)
    helped = solve_kernel(equations, delta(truth.shape), anchor=truth, ridge=0.3, prune_below=0.0)
    assert distance(helped, truth) < distance(plain, truth)


@settings(max_examples=15)
@given(seed=st.integers(0, 1000))
def test_the_start_does_not_matter(seed):
    """The problem is convex."""
    equations, _, other = problem(seed)
    first, second = (solve_kernel(equations, start, prune_below=0.0) for start in (delta(other.shape), other))
    np.testing.assert_allclose(first, second, atol=0.01)


def test_small_values_are_set_to_zero():
    equations, _, _ = problem(3, side=9, noise=0.3)
    start = delta((9, 9))
    for prune_below in (0.02, 0.2):
        found = solve_kernel(equations, start, prune_below=prune_below)
        assert found[found > 0].min() >= prune_below * found.max()
    assert np.count_nonzero(solve_kernel(equations, start, prune_below=0.2)) < np.count_nonzero(
        solve_kernel(equations, start, prune_below=0.02)
    )


def test_nothing_to_see_changes_nothing():
    flat = np.zeros((2, 20, 20), np.float32)
    start = normalise(np.random.default_rng(0).random((5, 5)))
    np.testing.assert_allclose(solve_kernel(from_periodic(flat, flat, 5), start), start, rtol=1e-12)
