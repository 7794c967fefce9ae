"""Compiled loops and whole-array operations give the same, and the solution is where the energy is least."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.deconvolution.spectra import misfit, misfit_plainly, solution, solution_plainly, weigh, weigh_plainly


def case(rows, cols, seed):
    rng = np.random.default_rng(seed)
    complexes = rng.normal(size=(3, 2, rows, cols)).astype(np.float32)
    transfer, spectrum, pull = complexes[:, 0] + 1j * complexes[:, 1]
    power = (transfer * transfer.conj()).real
    prior, trust = (0.1 + rng.random((2, rows, cols))).astype(np.float32)
    return transfer, spectrum, pull, power, prior, trust


@given(rows=st.integers(1, 40), cols=st.integers(1, 30), seed=st.integers(0, 99), data=st.floats(0.1, 1e4))
def test_both_ways_agree(rows, cols, seed, data):
    transfer, spectrum, pull, power, prior, trust = case(rows, cols, seed)
    weights = weigh_plainly(power, prior, trust, data, 0.01)
    for found, expected in zip(weigh(power, prior, trust, data, 0.01), weights, strict=True):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=2e-5)
    inverse, unexplained, _ = weights
    for ours, plain, given_ in (
        (misfit, misfit_plainly, (trust, inverse, unexplained)),
        (solution, solution_plainly, (trust, inverse, data)),
    ):
        found, expected = ours(transfer, spectrum, pull, *given_), plain(transfer, spectrum, pull, *given_)
        assert found.dtype == np.complex64
        np.testing.assert_allclose(found, expected, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize("data", [0.5, 200.0])
def test_the_solution_is_where_the_gradient_of_the_energy_vanishes(data):
    transfer, spectrum, pull, power, prior, trust = case(20, 11, 3)
    inverse, unexplained, easing = weigh(power, prior, trust, data, 0.01)
    latent = solution(transfer, spectrum, pull, trust, inverse, data)
    gradient = data * trust * transfer.conj() * (transfer * latent - spectrum) + prior * latent - pull
    assert np.abs(gradient).max() < 1e-3 * np.abs(pull).max()
    left = trust * (spectrum - transfer * latent)
    np.testing.assert_allclose(misfit(transfer, spectrum, pull, trust, inverse, unexplained), left, atol=2e-4)
    np.testing.assert_allclose(easing * (unexplained + 0.01 * trust), 1, rtol=1e-5)
