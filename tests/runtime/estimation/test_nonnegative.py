"""Projected gradients find the minimum, on the same path as the compiled form for convolutions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import fft, optimize

from kernels.nnls import convolution_nnls
from runtime.estimation.nonnegative import projected_gradients


def problem(support, seed):
    """A convolution with a positive spectrum, a target, and a start."""
    rng = np.random.default_rng(seed)
    side = fft.next_fast_len(2 * support - 1, real=True)
    spectrum = np.abs(fft.rfft2(rng.random((support, support)) ** 4, s=(side, side))) ** 2
    spectrum += 0.02 * spectrum.max()

    def normal(kernel):
        return fft.irfft2(spectrum * fft.rfft2(kernel, s=(side, side)), s=(side, side))[:support, :support]

    target = normal(np.maximum(rng.random((support, support)) - 0.6, 0)) + 0.1 * rng.normal(size=(support, support))
    return spectrum, normal, target, np.full((support, support), support**-2)


@settings(max_examples=25)
@given(support=st.integers(1, 40), seed=st.integers(0, 999), iterations=st.integers(0, 50))
def test_agrees_with_the_compiled_form_for_convolutions(support, seed, iterations):
    spectrum, normal, target, start = problem(support, seed)
    rate = 1 / spectrum.max()
    plain = projected_gradients(normal, target, start, rate, iterations)
    single = (each.astype(np.float32) for each in (spectrum, target, start))
    compiled = convolution_nnls(*single, rate, iterations)
    np.testing.assert_allclose(compiled, plain, atol=3e-4 * max(plain.max(), start.max()))


@pytest.mark.parametrize("support", [2, 5, 7])
def test_the_end_is_the_least_squares_solution(support):
    spectrum, normal, target, start = problem(support, 1)
    units = np.eye(support**2).reshape(-1, support, support)
    matrix = np.array([normal(unit).ravel() for unit in units])
    root = np.linalg.cholesky(matrix).T
    expected = optimize.nnls(root, np.linalg.solve(root.T, target.ravel()))[0].reshape(support, support)
    found = projected_gradients(normal, target, start, 1 / spectrum.max(), 2000)
    np.testing.assert_allclose(found, expected, atol=2e-3 * expected.max())
    assert found.min() >= 0
