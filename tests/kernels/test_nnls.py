"""Every face takes the steps of the reference, which lead to the least-squares solution."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import fft, optimize

import kernels.reference.nnls as reference
from kernels.nnls import convolution_nnls, prune
from tests.support import cuda_stand_in
from tests.support.cuda_emulator import MISSING_COMPILER


def problem(support, seed):
    """A convolution with a positive spectrum, a target, and a start, all float32."""
    rng = np.random.default_rng(seed)
    side = fft.next_fast_len(2 * support - 1, real=True)
    spectrum = np.abs(fft.rfft2(rng.random((support, support)) ** 4, s=(side, side))) ** 2
    spectrum += 0.02 * spectrum.max()
    target = convolved(spectrum, np.maximum(rng.random((support, support)) - 0.6, 0))
    target += 0.1 * rng.normal(size=target.shape)
    start = np.full((support, support), support**-2)
    return tuple(each.astype(np.float32) for each in (spectrum, target, start))


def convolved(spectrum, x):
    """Apply the normal matrix."""
    grid = len(spectrum), len(spectrum)
    return fft.irfft2(spectrum * fft.rfft2(x, s=grid), s=grid)[: len(x), : len(x)]


@settings(max_examples=25)
@given(support=st.integers(1, 46), seed=st.integers(0, 999), iterations=st.integers(0, 50))
def test_equals_reference(face, support, seed, iterations):
    spectrum, target, start = problem(support, seed)
    rate = 1 / spectrum.max()
    expected = reference.convolution_nnls(spectrum, target, start, rate, iterations)
    found = face.get(face.nnls.convolution_nnls(*map(face.put, (spectrum, target, start)), float(rate), iterations))
    assert (found.dtype, found.shape) == (np.float32, start.shape)
    np.testing.assert_allclose(found, expected, atol=3e-4 * max(expected.max(), start.max()))


@pytest.mark.parametrize("support", [2, 5, 7])
def test_the_end_is_the_least_squares_solution(face, support):
    spectrum, target, start = problem(support, 1)
    units = np.eye(support**2).reshape(-1, support, support)
    matrix = np.array([convolved(spectrum.astype(np.float64), unit).ravel() for unit in units])
    root = np.linalg.cholesky(matrix).T
    expected = optimize.nnls(root, np.linalg.solve(root.T, target.ravel()))[0].reshape(support, support)
    arrays = map(face.put, (spectrum, target, start))
    found = face.get(face.nnls.convolution_nnls(*arrays, float(1 / spectrum.max()), 2000))
    np.testing.assert_allclose(found, expected, atol=2e-3 * expected.max())
    assert found.min() >= 0


@pytest.mark.parametrize("iterations", [0, 5])
def test_the_arguments_are_left_as_they_were(face, iterations):
    arrays = problem(9, 0)
    put = [*map(face.put, arrays)]
    found = face.nnls.convolution_nnls(*put, float(1 / arrays[0].max()), iterations)
    assert found is not put[2]
    for each, before in zip(put, arrays, strict=True):
        np.testing.assert_array_equal(face.get(each), before)


def spots(shape, seed, share):
    """Values of which a share is positive: components of all shapes."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(shape) < share, rng.random(shape), -rng.random(shape)).astype(np.float32)


@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)), seed=st.integers(0, 999), share=st.floats(0, 0.6),
    relative=st.floats(0, 0.5), island=st.floats(0, 0.2),
)  # fmt: skip
def test_pruning_equals_reference(face, shape, seed, share, relative, island):
    kernel = spots(shape, seed, share)
    found = face.get(face.nnls.prune(face.put(kernel), relative, island))
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, reference.prune(kernel, relative, island), rtol=1e-5, atol=1e-7)
    assert found.sum() == pytest.approx(1)


def test_a_long_winding_component_is_one(face):
    kernel = np.zeros((21, 21), np.float32)
    kernel[::2] = 1
    kernel[1::4, -1] = kernel[3::4, 0] = 1
    np.testing.assert_allclose(face.get(face.nnls.prune(face.put(kernel), 0.1, 0.2)), kernel / kernel.sum(), rtol=1e-6)


def test_islands_go_but_never_the_heaviest(face):
    kernel = np.zeros((9, 9), np.float32)
    kernel[1, 1], kernel[4, 4:7], kernel[8, 8], kernel[6, 0] = 0.05, 1, 0.2, 0.001
    found = face.get(face.nnls.prune(face.put(kernel), 0.01, 0.03))
    np.testing.assert_array_equal(np.argwhere(found), [[4, 4], [4, 5], [4, 6], [8, 8]])
    alone = face.get(face.nnls.prune(face.put(kernel[::-1, ::-1].copy()), 0.01, 1.0))
    np.testing.assert_array_equal(np.argwhere(alone), [[4, 2], [4, 3], [4, 4]])


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_without_a_positive_value_a_delta_is_left(face, value):
    found = face.get(face.nnls.prune(face.put(np.full((4, 5), value, np.float32)), 0.1, 0.1))
    np.testing.assert_array_equal(np.argwhere(found), [[1, 2]])
    assert found[1, 2] == 1


SPECTRUM, TARGET = np.ones((9, 5), "f4"), np.ones((5, 5), "f4")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((SPECTRUM.tolist(), TARGET, TARGET, 1.0, 5), TypeError, "expected a numpy or cupy array, got list"),
        ((SPECTRUM + 0j, TARGET, TARGET, 1.0, 5), TypeError, "spectrum must be float32, got complex"),
        ((SPECTRUM, TARGET.astype("f8"), TARGET, 1.0, 5), TypeError, "target must be float32, got float64"),
        ((SPECTRUM, TARGET[:3], TARGET, 1.0, 5), ValueError, r"target must be square and not empty, got \(3, 5\)"),
        ((SPECTRUM, TARGET[:0, :0], TARGET[:0, :0], 1.0, 5), ValueError, "target must be square and not empty"),
        ((SPECTRUM, TARGET, TARGET[:4, :4].copy(), 1.0, 5), ValueError, r"start must have shape \(5, 5\)"),
        ((SPECTRUM, TARGET, TARGET[:, ::-1], 1.0, 5), ValueError, "start must be C-contiguous"),
        ((SPECTRUM[:8], TARGET, TARGET, 1.0, 5), ValueError, r"grid of at least 9 pixels, got \(8, 5\)"),
        ((SPECTRUM[:, :4].copy(), TARGET, TARGET, 1.0, 5), ValueError, r"half spectrum .* got \(9, 4\)"),
        ((SPECTRUM, TARGET, TARGET, 0.0, 5), ValueError, "rate must be positive"),
        ((SPECTRUM, TARGET, TARGET, 1.0, -1), ValueError, "iterations must be 0 or more"),
        ((SPECTRUM, TARGET, TARGET, 1.0, 5.0), TypeError, "iterations must be an integer, got float"),
    ],
)
def test_refuses_bad_input(arguments, error, message):
    with pytest.raises(error, match=message):
        convolution_nnls(*arguments)


@pytest.mark.parametrize(
    ("kernel", "relative", "island", "error", "message"),
    [
        ([[1.0]], 0.1, 0.1, TypeError, "expected a numpy or cupy array, got list"),
        (TARGET.astype("f2"), 0.1, 0.1, TypeError, "kernel must be float32, got float16"),
        (TARGET[0], 0.1, 0.1, ValueError, r"kernel must have shape \(any, any\), got \(5,\)"),
        (TARGET[:0], 0.1, 0.1, ValueError, "give at least one pixel"),
        (TARGET, -0.1, 0.1, ValueError, r"relative must be in \[0, 1\], got -0.1"),
        (TARGET, 0.1, float("nan"), ValueError, r"island must be in \[0, 1\], got nan"),
        (TARGET, 0.1, None, TypeError, "island must be a number, got NoneType"),
    ],
)
def test_pruning_refuses_bad_input(kernel, relative, island, error, message):
    with pytest.raises(error, match=message):
        prune(kernel, relative, island)


@pytest.mark.skipif(MISSING_COMPILER is not None, reason=str(MISSING_COMPILER))
def test_on_a_device_nobody_waits(monkeypatch):
    traffic = cuda_stand_in.install(monkeypatch)
    arrays = problem(9, 3)
    rate = float(1 / arrays[0].max())
    there = [*map(cuda_stand_in.ndarray, arrays)]
    for given_rate in (rate, cuda_stand_in.ndarray(np.float32(rate))):
        found = convolution_nnls(*there, given_rate, 20)
        pruned = prune(found, 0.1, 0.1)
        assert isinstance(pruned, cuda_stand_in.ndarray)
        assert (traffic.waits, traffic.downloads) == ([], [])
        expected = reference.convolution_nnls(*arrays, rate, 20)
        np.testing.assert_allclose(found.array, expected, atol=3e-4)
        np.testing.assert_allclose(pruned.array, reference.prune(expected, 0.1, 0.1), atol=1e-3)
    with pytest.raises(TypeError, match="rate must be float32, got float64"):
        convolution_nnls(*there, cuda_stand_in.ndarray(np.float64(rate)), 20)
