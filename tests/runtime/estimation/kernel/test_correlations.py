"""The quadratic form equals the cost computed pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.signal import fftconvolve

from runtime.blur.kernel import delta, normalise
from runtime.estimation.kernel.correlations import from_periodic, from_tiles


def equations_of(latent, observed, reach, support):
    """The form of one tile: planes (N, h, w) with margins of zeros."""
    room = ((0, 0), (reach, reach), (reach, reach))
    padded, target = np.pad(latent, room), np.pad(observed, room)
    return from_tiles([(padded, padded, target)], reach=reach, support=support)


def planes(seed, support, shape=(30, 33)):
    """Filtered planes; the latent ones are zero within the support of the border."""
    rng = np.random.default_rng(seed)
    latent = np.zeros((2, *shape), np.float32)
    latent[:, support:-support, support:-support] = rng.normal(size=(2, shape[0] - 2 * support, shape[1] - 2 * support))
    return latent, rng.normal(size=(2, *shape)).astype(np.float32)


@settings(max_examples=15, deadline=None)
@given(support=st.integers(1, 8), seed=st.integers(0, 1000))
def test_cost_is_exact(support, seed):
    latent, observed = planes(seed, support)
    kernel = normalise(np.random.default_rng(seed + 1).random((support, support)))
    direct = sum(np.sum((fftconvolve(f, kernel, mode="same") - y) ** 2) for f, y in zip(latent, observed, strict=True))
    assert equations_of(latent, observed, support, support).cost(kernel) == pytest.approx(direct, rel=1e-4)


@given(support=st.integers(1, 8))
def test_extract_undoes_embed(support):
    latent, observed = planes(0, 8)
    equations = equations_of(latent, observed, 10, support)
    kernels = np.random.default_rng(1).random((3, support, support))
    np.testing.assert_array_equal(equations.extract(equations.embed(kernels)), kernels)


@given(support=st.integers(2, 8), smaller=st.integers(1, 8))
def test_smaller_kernels_keep_their_origin(support, smaller):
    latent, observed = planes(0, 8)
    equations = equations_of(latent, observed, 10, support)
    side = min(smaller, support)
    np.testing.assert_array_equal(equations.embed(delta((side, side))), equations.embed(delta((support, support))))


def test_tiles_add_up():
    latent, observed = planes(3, 6, shape=(24, 40))
    whole = equations_of(latent, observed, 6, 6)
    room = ((0, 0), (6, 6), (6, 6))
    padded, target = np.pad(latent, room), np.pad(observed, room)
    done = []
    tiles = []
    for left in (0, 20):
        window = np.s_[:, :, left : left + 32]
        core = np.zeros_like(padded[window])
        core[:, 6:-6, 6:-6] = padded[window][:, 6:-6, 6:-6]
        tiles.append((core, padded[window], target[window]))
    halves = from_tiles(tiles, reach=6, support=6, done=lambda: done.append(1))
    assert len(done) == 2
    assert halves.energy == pytest.approx(whole.energy, rel=1e-5)
    np.testing.assert_allclose(halves.auto, whole.auto, atol=1e-3)
    np.testing.assert_allclose(halves.cross, whole.cross, atol=1e-3)


def test_periodic_planes_count_to_their_last_pixel():
    rng = np.random.default_rng(0)
    latent, observed = rng.normal(size=(2, 2, 20, 22)).astype(np.float32)
    kernel = normalise(rng.random((5, 5)))
    direct = sum(
        np.sum((ndimage.convolve(f, kernel, mode="wrap") - y) ** 2) for f, y in zip(latent, observed, strict=True)
    )
    assert from_periodic(latent, observed, 5).cost(kernel) == pytest.approx(direct, rel=1e-4)


@settings(max_examples=30, deadline=None)
@given(height=st.integers(5, 40), width=st.integers(5, 40), support=st.integers(1, 15), seed=st.integers(0, 99))
def test_planes_narrower_than_the_lags_count_as_often_as_they_repeat(height, width, support, seed):
    rng, support = np.random.default_rng(seed), min(support, height, width)
    latent, observed = rng.normal(size=(2, 2, height, width)).astype(np.float32)
    kernel = normalise(rng.random((support, support)))
    # `ndimage` places the origin of an even kernel on the other side.
    centred = np.pad(kernel, ((1 - support % 2, 0),) * 2)
    blurred = [ndimage.convolve(f.astype(np.float64), centred, mode="wrap") for f in latent]
    direct = sum(np.sum((f - y) ** 2) for f, y in zip(blurred, observed, strict=True))
    equations = from_periodic(latent, observed, support)
    assert equations.cost(kernel) == pytest.approx(direct, rel=1e-4)
