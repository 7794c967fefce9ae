"""Every face evaluates the formulas, and the solution is where the energy is least."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kernels.reference.spectra as reference
from kernels.spectra import misfit, solution, weigh

# A few products and one division in float32.
ROUNDING = 2e-5


def case(rows, cols, seed):
    rng = np.random.default_rng(seed)
    complexes = rng.normal(size=(3, 2, rows, cols)).astype(np.float32)
    transfer, spectrum, pull = complexes[:, 0] + 1j * complexes[:, 1]
    power = (transfer * transfer.conj()).real
    prior, trust = (0.1 + rng.random((2, rows, cols))).astype(np.float32)
    return transfer, spectrum, pull, power, prior, trust


@given(rows=st.integers(1, 40), cols=st.integers(1, 30), seed=st.integers(0, 99), data=st.floats(0.1, 1e4))
def test_equals_reference(face, rows, cols, seed, data):
    transfer, spectrum, pull, power, prior, trust = case(rows, cols, seed)
    weights = reference.weigh(power, prior, trust, data, 0.01)
    found_weights = face.spectra.weigh(*map(face.put, (power, prior, trust)), data, 0.01)
    for found, expected in zip(map(face.get, found_weights), weights, strict=True):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=ROUNDING)
    inverse, unexplained, _ = weights
    arrays = transfer, spectrum, pull, trust, inverse
    for name, last in (("misfit", unexplained), ("solution", data)):
        given_ = [*map(face.put, arrays), last if name == "solution" else face.put(last)]
        found = face.get(getattr(face.spectra, name)(*given_))
        expected = getattr(reference, name)(*arrays, last)
        assert found.dtype == np.complex64
        np.testing.assert_allclose(found, expected, atol=ROUNDING * np.abs(expected).max())


@pytest.mark.parametrize("data", [0.5, 200.0])
def test_the_solution_is_where_the_gradient_of_the_energy_vanishes(face, data):
    transfer, spectrum, pull, power, prior, trust = case(20, 11, 3)
    inverse, unexplained, easing = map(face.get, face.spectra.weigh(*map(face.put, (power, prior, trust)), data, 0.01))
    arrays = [*map(face.put, (transfer, spectrum, pull, trust, inverse))]
    latent = face.get(face.spectra.solution(*arrays, data))
    gradient = data * trust * transfer.conj() * (transfer * latent - spectrum) + prior * latent - pull
    assert np.abs(gradient).max() < 1e-3 * np.abs(pull).max()
    left = trust * (spectrum - transfer * latent)
    np.testing.assert_allclose(face.get(face.spectra.misfit(*arrays, face.put(unexplained))), left, atol=2e-4)
    np.testing.assert_allclose(easing * (unexplained + 0.01 * trust), 1, rtol=1e-5)


REAL, COMPLEX = np.ones((4, 3), "f4"), np.ones((4, 3), "c8")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: weigh(REAL.tolist(), REAL, REAL, 1.0, 0.1), TypeError, "expected a numpy or cupy array, got list"),
        (lambda: weigh(REAL[0], REAL, REAL, 1.0, 0.1), ValueError, r"power must have shape \(any, any\)"),
        (lambda: weigh(REAL, REAL.astype("f8"), REAL, 1.0, 0.1), TypeError, "prior must be float32, got float64"),
        (lambda: weigh(REAL, REAL, REAL[1:], 1.0, 0.1), ValueError, r"trust must have shape \(4, 3\), got \(3, 3\)"),
        (lambda: weigh(REAL, REAL, REAL, 0.0, 0.1), ValueError, "data must be positive"),
        (lambda: weigh(REAL, REAL, REAL, 1.0, "much"), TypeError, "ease must be a number, got str"),
        (lambda: misfit(COMPLEX, REAL, COMPLEX, REAL, REAL, REAL), TypeError, "spectrum must be complex64"),
        (lambda: misfit(REAL, COMPLEX, COMPLEX, REAL, REAL, REAL), TypeError, "transfer must be complex64"),
        (lambda: misfit(COMPLEX, COMPLEX, COMPLEX[:, 1:], REAL, REAL, REAL), ValueError, "pull must have shape"),
        (lambda: misfit(COMPLEX, COMPLEX, COMPLEX, REAL, REAL, REAL[1:]), ValueError, "unexplained must have shape"),
        (lambda: solution(COMPLEX, COMPLEX, COMPLEX, COMPLEX, REAL, 1.0), TypeError, "trust must be float32"),
        (lambda: solution(COMPLEX, COMPLEX, COMPLEX, REAL, REAL[::-1], 1.0), ValueError, "inverse must be C-contig"),
        (lambda: solution(COMPLEX, COMPLEX, COMPLEX, REAL, REAL, np.nan), ValueError, "data must be positive"),
    ],
)
def test_refuses_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
