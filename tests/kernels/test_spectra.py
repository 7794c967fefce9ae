"""Every face evaluates the formulas, and the solution is where the energy is least."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kernels.reference.spectra as reference
from kernels.spectra import conjugate_gradients, misfit, solution, weigh

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


def system(rows, cols, seed, share=0.3):
    """Data of which a share of the pixels is unknown, and factors from `weigh` under a plausible blur."""
    rng = np.random.default_rng(seed)
    pixels = rng.random((rows, cols), np.float32)
    spectrum = np.fft.rfft2(pixels).astype(np.complex64)
    misfit, unknown = rng.normal(size=(rows, cols)).astype(np.float32), rng.random((rows, cols)) < share
    power, prior = rng.random(spectrum.shape, np.float32), 0.5 + rng.random(spectrum.shape, np.float32)
    _, unexplained, easing = reference.weigh(power, prior, np.ones_like(power), 2.0, 0.01)
    return pixels, spectrum, misfit, unknown, easing, unexplained


def gone(face, arrays, steps, tolerance=0.0):
    """The pixels and their spectrum after so many steps."""
    there = [*map(face.put, arrays)]
    face.spectra.conjugate_gradients(*there, steps=steps, tolerance=tolerance)
    return [face.get(array) for array in there[:2]]


@given(rows=st.integers(2, 40), cols=st.integers(2, 60), seed=st.integers(0, 99), steps=st.integers(0, 3))
def test_conjugate_gradients_equal_the_reference(face, rows, cols, seed, steps):
    arrays = system(rows, cols, seed)
    expected = [array.copy() for array in arrays]
    reference.conjugate_gradients(*expected, steps=steps, tolerance=1e-8)
    pixels, spectrum = gone(face, arrays, steps, 1e-8)
    np.testing.assert_allclose(pixels, expected[0], atol=1e-4)
    np.testing.assert_array_equal(pixels[~arrays[3]], arrays[0][~arrays[3]])
    np.testing.assert_allclose(spectrum, np.fft.rfft2(pixels), atol=1e-5 * rows * cols)


def test_conjugate_gradients_solve_the_system(face):
    arrays = system(30, 21, 0)
    pixels, _ = gone(face, arrays, 40)
    *_, misfit, unknown, _, unexplained = arrays
    left = misfit + np.fft.irfft2(unexplained * np.fft.rfft2(pixels - arrays[0]), pixels.shape)
    assert np.abs(left[unknown]).max() < 1e-4
    # More steps find only the errors of rounding, and leave the solution as it is.
    np.testing.assert_allclose(gone(face, arrays, 80)[0], pixels, atol=1e-4)


def test_conjugate_gradients_end_where_the_residual_is_small(face):
    arrays = system(30, 21, 0)
    power = np.square(arrays[2][arrays[3]]).mean()
    np.testing.assert_array_equal(gone(face, arrays, 5, 1.01 * power)[0], arrays[0])
    once = gone(face, arrays, 1)
    assert np.abs(once[0] - arrays[0]).max() > 0.1
    # One step leaves less than a third of the residual, and more steps would change the pixels.
    for found, expected in zip(gone(face, arrays, 5, 0.1 * power), once, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6 * np.abs(expected).max())
    assert np.abs(gone(face, arrays, 5)[0] - once[0]).max() > 1e-3


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_conjugate_gradients_where_nothing_or_all_is_unknown(face, share):
    arrays = system(9, 10, 1, share)
    expected = [array.copy() for array in arrays]
    reference.conjugate_gradients(*expected, steps=3, tolerance=1e-8)
    for found, array in zip(gone(face, arrays, 3, 1e-8), expected[:2], strict=True):
        np.testing.assert_allclose(found, array, atol=1e-4)


def test_conjugate_gradients_on_a_plane_of_many_blocks(face):
    arrays = system(500, 560, 2)
    expected = [array.copy() for array in arrays]
    reference.conjugate_gradients(*expected, steps=1, tolerance=1e-8)
    np.testing.assert_allclose(gone(face, arrays, 1, 1e-8)[0], expected[0], atol=1e-4)


REAL, COMPLEX = np.ones((4, 3), "f4"), np.ones((4, 3), "c8")


def ease(**changes):
    plane = np.ones((4, 4), "f4")
    arguments = {"pixels": plane, "spectrum": COMPLEX, "misfit": plane, "unknown": plane > 0, "easing": REAL}
    conjugate_gradients(**(arguments | {"unexplained": REAL, "steps": 1, "tolerance": 0.0} | changes))


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
        (lambda: ease(spectrum=COMPLEX[:, :1]), ValueError, r"spectrum must have shape \(4, 3\), got \(4, 1\)"),
        (lambda: ease(unknown=np.zeros((4, 4), "f4")), TypeError, "unknown must be bool, got float32"),
        (lambda: ease(easing=REAL[1:]), ValueError, "easing must have shape"),
        (lambda: ease(steps=-1), ValueError, "must not be negative, got -1"),
        (lambda: ease(tolerance=np.nan), ValueError, "must not be negative"),
        (lambda: ease(pixels=np.zeros((0, 4), "f4")), ValueError, "give at least one"),
    ],
)
def test_refuses_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
