"""Every face transforms as NumPy does in double precision, whatever the sides, and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kernels.cpu import transforms as on_cpu
from kernels.cpu.simd.vectors import LANES
from kernels.fft import fft_module
from kernels.transforms import irfft2, rfft2

SIDES = st.integers(1, 3 * LANES + 5)


def planes_of(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def spectra_of(*shape, seed=0):
    real, imag = np.random.default_rng(seed).normal(size=(2, *shape))
    return (real + 1j * imag).astype(np.complex64)


def close(found, expected, tolerance=1e-6):
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * max(np.abs(expected).max(), 1e-6))


@settings(max_examples=60)
@example(height=2 * LANES, width=4 * LANES)
@example(height=1, width=1)
@example(height=61, width=74)
@given(height=SIDES, width=SIDES)
def test_equals_the_reference_for_sides_of_any_factors(face, height, width):
    plane, spectrum = planes_of(height, width), spectra_of(height, width // 2 + 1, seed=1)
    reference = np.fft.rfft2(plane.astype(np.float64)).astype(np.complex64)
    close(face.get(face.transforms.rfft2(face.put(plane))), reference)
    back = np.fft.irfft2(spectrum.astype(np.complex128), s=(height, width)).astype(np.float32)
    close(face.get(face.transforms.irfft2(face.put(spectrum), width)), back)


@given(height=SIDES, width=SIDES, seed=st.integers(0, 99))
def test_back_is_the_inverse(face, height, width, seed):
    plane = planes_of(height, width, seed=seed)
    close(face.get(face.transforms.irfft2(face.transforms.rfft2(face.put(plane)), width)), plane, 2e-6)


@pytest.mark.parametrize("shape", [(3, 20, 30), (2, 2, 9, 16), (0, 8, 8)])
def test_planes_are_transformed_one_by_one(face, shape):
    planes = planes_of(*shape)
    found = face.get(face.transforms.rfft2(face.put(planes)))
    assert found.shape == (*shape[:-1], shape[-1] // 2 + 1)
    for index in np.ndindex(shape[:-2]):
        np.testing.assert_array_equal(found[index], face.get(face.transforms.rfft2(face.put(planes[index]))))
    back = face.get(face.transforms.irfft2(face.put(found), shape[-1]))
    assert back.shape == shape


@pytest.mark.parametrize("radix", [2, 3, 4, 5, 7, 31])
def test_butterflies_of_every_length(radix):
    for length in (radix, radix**2, 4 * radix, 60 * radix):
        plane = planes_of(3, length)
        close(rfft2(plane), np.fft.rfft2(plane.astype(np.float64)).astype(np.complex64))


def test_many_pixels_are_shared_out(monkeypatch):
    plane = planes_of(100, 130)
    alone = rfft2(plane)
    back = irfft2(alone, 130)
    monkeypatch.setattr(on_cpu, "MANY", 1)
    np.testing.assert_array_equal(rfft2(plane), alone)
    np.testing.assert_array_equal(irfft2(alone, 130), back)


def test_a_row_that_is_not_finite_says_nothing_of_other_planes(face):
    planes = planes_of(2, 40, 40)
    planes[0, 3, 3] = np.nan
    found = face.get(face.transforms.rfft2(face.put(planes)))
    assert np.isnan(found[0]).any()
    assert np.isfinite(found[1]).all()


def test_what_does_not_lie_in_one_piece_is_transformed_too():
    planes = planes_of(30, 2, 40).transpose(1, 0, 2)[:, :, ::2]
    np.testing.assert_array_equal(rfft2(planes), rfft2(np.ascontiguousarray(planes)))
    spectra = rfft2(planes)[:, ::2]
    np.testing.assert_array_equal(irfft2(spectra, 20), irfft2(np.ascontiguousarray(spectra), 20))


def test_a_photograph_agrees_with_scipy():
    from skimage import data

    plane = data.camera()[:256, :400].astype(np.float32) / 255
    spectrum = fft_module(plane).rfft2(plane)
    close(rfft2(plane), spectrum)
    close(irfft2(spectrum, 400), plane, 2e-6)


@pytest.mark.parametrize(
    ("planes", "error", "message"),
    [
        ([[1.0]], TypeError, "list"),
        (np.zeros((4, 4)), TypeError, "float32"),
        (np.zeros(4, np.float32), ValueError, "at least one pixel"),
        (np.zeros((4, 0), np.float32), ValueError, "at least one pixel"),
    ],
)
def test_bad_planes_are_refused(planes, error, message):
    with pytest.raises(error, match=message):
        rfft2(planes)


@pytest.mark.parametrize(
    ("spectra", "width", "error", "message"),
    [
        (np.zeros((4, 3), np.complex128), 4, TypeError, "complex64"),
        (np.zeros((4, 3), np.complex64), 6, ValueError, "pass the width of the planes"),
        (np.zeros((4, 3), np.complex64), 4.0, TypeError, "integer"),
        (np.zeros((0, 3), np.complex64), 4, ValueError, "at least one pixel"),
        (np.zeros((4, 1), np.complex64), 0, ValueError, "at least 1"),
    ],
)
def test_bad_spectra_are_refused(spectra, width, error, message):
    with pytest.raises(error, match=message):
        irfft2(spectra, width)
