from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export.chakrabarti.bands import BANDS, Band, half_basis, real_basis, ring, smoother, spectrum_basis, taper

PATCH = 65


def _dft_band(patch: np.ndarray, band: Band) -> np.ndarray:
    """The band as the paper defines it: DFT of the central window, independent coefficients, real and imaginary."""
    start = (len(patch) - band.window) // 2
    inner = patch[start : start + band.window, start : start + band.window]
    spectrum = np.fft.fft2(inner)
    scalars = []
    for u in range(-band.high, band.high + 1):
        for v in range(-band.high, band.high + 1):
            if not band.low < max(abs(u), abs(v)) or (u, v) < (0, 0):
                continue
            value = spectrum[u, v]
            scalars += [value.real] if u == v == 0 else [value.real, value.imag]
    return np.array(scalars)


def _band(patch: np.ndarray, band: Band) -> np.ndarray:
    basis = real_basis(band.window, band.high, len(patch))
    return (basis @ patch @ basis.T).ravel()[ring(band)]


def test_the_bands_have_the_papers_sizes():
    assert [band.scalars for band in BANDS] == [208, 208, 208, 81]
    assert [ring(band).size for band in BANDS] == [208, 208, 208, 81]


@pytest.mark.parametrize("band", BANDS)
def test_a_band_is_a_linear_bijection_of_the_papers_coefficients(band):
    random = np.random.default_rng(0)
    patches = random.standard_normal((2 * band.scalars, PATCH, PATCH))
    ours = np.stack([_band(patch, band) for patch in patches])
    theirs = np.stack([_dft_band(patch, band) for patch in patches])
    assert theirs.shape == ours.shape
    there = np.linalg.lstsq(theirs, ours, rcond=None)[0]
    np.testing.assert_allclose(theirs @ there, ours, atol=1e-9)
    back = np.linalg.lstsq(ours, theirs, rcond=None)[0]
    np.testing.assert_allclose(ours @ back, theirs, atol=1e-9 * band.window**2)


@settings(max_examples=20, deadline=None)
@given(half=st.integers(1, 20), extra=st.integers(0, 10), data=st.data())
def test_the_real_basis_is_orthonormal(half, extra, data):
    window = 2 * half + 1
    frequencies = data.draw(st.integers(0, half))
    basis = real_basis(window, frequencies, window + 2 * extra)
    np.testing.assert_allclose(basis @ basis.T, np.eye(2 * frequencies + 1), atol=1e-12)
    assert not basis[:, :extra].any()


def test_half_basis_is_the_dft_with_its_origin_at_the_centre():
    cosines, sines = half_basis(PATCH, 32, PATCH)
    signal = np.random.default_rng(0).standard_normal(PATCH)
    expected = np.fft.rfft(np.fft.ifftshift(signal)) / np.sqrt(PATCH)
    np.testing.assert_allclose(cosines @ signal - 1j * (sines @ signal), expected, atol=1e-12)


@pytest.mark.parametrize(("length", "ramp"), [(65, 16), (33, 4), (9, 1)])
def test_taper_is_symmetric_positive_and_of_unit_power(length, ramp):
    window = taper(length, ramp)
    np.testing.assert_allclose(window, window[::-1])
    assert window.min() > 0
    assert np.mean(window**2) == pytest.approx(1)
    assert np.ptp(window[ramp : length - ramp]) == pytest.approx(0)


def test_tapered_spectrum_leaks_less_than_an_open_one():
    ramp = np.arange(PATCH) / PATCH
    tapered = spectrum_basis(PATCH) @ ramp
    cosines, sines = half_basis(PATCH, PATCH // 2, PATCH)
    high = slice(20, 33)
    leak = tapered[:33][high] ** 2 + tapered[33:][high] ** 2
    open_leak = (cosines @ ramp)[high] ** 2 + (sines @ ramp)[high] ** 2
    assert leak.max() < 0.01 * open_leak.min()


@pytest.mark.parametrize("step", [1, 2, 4])
def test_smoother_averages(step):
    matrix = smoother(33, step)
    assert matrix.shape == (len(range(0, 33, step)), 33)
    np.testing.assert_allclose(matrix.sum(1), 1)
    inner = matrix[1:-1] @ np.arange(33)
    np.testing.assert_allclose(inner, np.arange(0, 33, step)[1:-1])
