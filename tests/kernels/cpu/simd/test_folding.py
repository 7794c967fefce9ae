import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels.cpu.simd.folding import (
    back,
    bases_for,
    combine,
    forward,
    read_spectrum,
    scratch_for,
    separate,
    write_spectrum,
)
from kernels.cpu.simd.vectors import LANES

SIZES, SEEDS = st.integers(1, 40), st.integers(0, 2**32)


@numba.njit
def transform(patch, bases, sums, spectrum):
    forward(patch, bases, sums, scratch_for(bases))
    combine(sums, bases, spectrum)


@numba.njit
def transform_back(spectrum, bases, sums, core):
    separate(spectrum, bases, sums)
    back(sums, bases, scratch_for(bases), core)


def empty_spectrum(size):
    half = size // 2 + 1
    return np.zeros((4, half, -(-half // LANES) * LANES), np.float32)


def half_spectrum(spectrum, size):
    """The layout of numpy.fft.rfft2."""
    half = size // 2 + 1
    a, b, c, d = spectrum[:, :, :half]
    whole = np.zeros((size, half), np.complex64)
    whole[:half] = a - 1j * b
    whole[-np.arange(half)] = c + 1j * d
    return whole


def from_the_middle(size):
    """Factors that move the origin from the first pixel to the middle one."""
    factors = np.exp(2j * np.pi * (size // 2) * np.arange(size) / size)
    return factors[:, None] * factors[: size // 2 + 1]


@given(SIZES, SEEDS)
def test_a_patch_is_transformed_as_by_numpy(size, seed):
    patch = np.random.default_rng(seed).standard_normal((size, size), np.float32)
    bases, spectrum = bases_for(size, size), empty_spectrum(size)
    sums = scratch_for(bases)
    transform(patch, bases, sums, spectrum)
    wanted = np.fft.rfft2(patch) * from_the_middle(size)
    np.testing.assert_allclose(half_spectrum(spectrum, size), wanted, atol=1e-5 * size)
    # Vectors that reach over the end of a row hold nothing there.
    assert not spectrum[:, :, size // 2 + 1 :].any()
    assert not sums[:, -LANES:].any()


@given(SIZES, st.data())
def test_the_middle_comes_back(size, data):
    core = size - 2 * data.draw(st.integers(0, (size - 1) // 2))
    patch = np.random.default_rng(size).standard_normal((size, size), np.float32)
    bases, spectrum, middle = bases_for(size, core), empty_spectrum(size), np.zeros((core, core), np.float32)
    sums = scratch_for(bases)
    transform(patch, bases, sums, spectrum)
    transform_back(spectrum, bases, sums, middle)
    start = size // 2 - core // 2
    wanted = patch[start : start + core, start : start + core]
    np.testing.assert_allclose(middle, wanted, atol=1e-5)


@given(SIZES, SEEDS)
def test_half_spectra_are_read_and_written(size, seed):
    given_spectrum = np.fft.rfft2(np.random.default_rng(seed).random((size, size))).astype(np.complex64)
    spectrum, written = empty_spectrum(size), np.zeros_like(given_spectrum)
    read_spectrum(given_spectrum.view(np.float32), spectrum)
    np.testing.assert_allclose(half_spectrum(spectrum, size), given_spectrum, atol=1e-4)
    write_spectrum(spectrum, written.view(np.float32))
    np.testing.assert_allclose(written, given_spectrum, atol=1e-4)


@pytest.mark.parametrize("size", [64, 65])
def test_matrices_are_padded_to_whole_tiles(size):
    bases = bases_for(size, size)
    assert bases is bases_for(size, size)
    assert bases.row_cos.shape[1] % LANES == bases.row_sin.shape[1] % LANES == 0
    # Behind the even columns there is room for the term 0 of the odd ones, which is zero.
    assert bases.row_cos.shape[1] > size // 2 + 1
    assert not bases.row_cos[:, size // 2 + 1 :].any()
