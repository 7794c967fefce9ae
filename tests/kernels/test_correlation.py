"""Every face correlates alike, in one tile and in many, and what is correlated is what the formulas say."""

from __future__ import annotations

import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

import kernels.reference.correlation as reference
from kernels import cancellation, correlation
from kernels.correlation import Part, Tiling, correlate, correlate_mixed
from kernels.cuda import _module
from tests.support import cuda_stand_in

# Relative to sqrt(C_ii(0) C_jj(0)): transforms of some thousand pixels in float32.
ROUNDING = 1e-6


def random_maps(rng, *shape):
    """Maps of different means and sizes of values."""
    features = shape[1]
    scale, mean = 10.0 ** rng.integers(-2, 3, (features, 1, 1)), rng.normal(size=(features, 1, 1))
    return (scale * (rng.normal(size=shape) + mean)).astype(np.float32)


def largest(maps):
    """``sqrt(C_ii(0) C_jj(0))`` of all ordered pairs, ``(N, F, F)``."""
    norms = np.sqrt((maps.astype(np.float64) ** 2).sum((2, 3)))
    return norms[:, :, None] * norms[:, None]


def assert_near(found, expected, maps, rounding=ROUNDING):
    """Compare correlations of all pairs."""
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    bounds = largest(maps)[:, *np.triu_indices(maps.shape[1])]
    assert (np.abs(found - expected).max((2, 3)) <= rounding * bounds).all()


def assert_mixed_near(found, expected, maps, weights, rounding=ROUNDING):
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    bounds = np.einsum("cij,nij->nc", np.abs(weights), largest(maps))
    assert (np.abs(found - expected).max((2, 3)) <= rounding * bounds).all()


@pytest.fixture
def little_room(monkeypatch):
    """Let many tiles, in many batches, and many parts of the sums be needed for small maps."""

    def limit(spectra_bytes, sums_bytes):
        monkeypatch.setattr(correlation, "SPECTRA_BYTES", spectra_bytes)
        monkeypatch.setattr(correlation, "SUMS_BYTES", sums_bytes)

    return limit


@settings(max_examples=25)
@given(
    count=st.integers(1, 3),
    features=st.integers(1, 6),
    outputs=st.integers(1, 10),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    reach=st.integers(0, 12),
    seed=st.integers(0, 99),
)
def test_equals_reference(face, count, features, outputs, height, width, reach, seed):
    rng, side = np.random.default_rng(seed), 2 * reach + 1
    maps = random_maps(rng, count, features, height, width)
    weights = rng.normal(size=(outputs, features, features)).astype(np.float32)
    found = face.get(face.correlation.correlate(face.put(maps), side))
    assert_near(found, reference.correlate(maps, side), maps)
    found = face.get(face.correlation.correlate_mixed(face.put(maps), face.put(weights), side))
    assert_mixed_near(found, reference.correlate_mixed(maps, weights, side), maps, weights)


@pytest.mark.parametrize("shape", [(2, 5, 37, 45), (1, 3, 2, 90), (3, 9, 60, 5), (1, 1, 50, 50)])
@pytest.mark.parametrize(("spectra_bytes", "sums_bytes"), [(1, 20_000), (30_000, 1_000), (100_000, 3_000)])
def test_tiles_make_no_difference(face, little_room, shape, spectra_bytes, sums_bytes):
    rng, side = np.random.default_rng(0), 9
    maps, weights = random_maps(rng, *shape), rng.normal(size=(5, shape[1], shape[1])).astype(np.float32)
    expected = reference.correlate(maps, side), reference.correlate_mixed(maps, weights, side)
    little_room(spectra_bytes, sums_bytes)
    assert_near(face.get(face.correlation.correlate(face.put(maps), side)), expected[0], maps)
    found = face.get(face.correlation.correlate_mixed(face.put(maps), face.put(weights), side))
    assert_mixed_near(found, expected[1], maps, weights)


def test_little_room_means_many_tiles_and_parts(little_room):
    """What the test before counts on: cuts along both axes, several batches, and several parts of the pairs."""
    maps = np.zeros((2, 5, 37, 45), np.float32)
    whole = Tiling.cheapest(maps, 9)
    assert (whole.grid, whole.kinds, whole.photographs(2, 5, 15)) == ((1, 1), 1, 2)
    little_room(30_000, 10_000)
    tiling = Tiling.cheapest(maps, 9)
    assert min(tiling.grid) > 1
    assert 1 < tiling.batch(5) < tiling.tiles
    assert 1 < tiling.outputs() < 15
    assert tiling.photographs(2, 5, 15) == 1
    assert tiling.stretch(15) < tiling.frequencies


def test_sums_over_many_tiles_stay_precise(little_room):
    """More batches of tiles than sixteen maps of 30 000 px have, each product of the same sign."""
    rng, side = np.random.default_rng(1), 5
    maps = (1 + 0.1 * rng.normal(size=(1, 2, 300, 270))).astype(np.float32)
    expected = reference.correlate(maps, side)
    little_room(1, 1 << 20)
    tiling = Tiling.cheapest(maps, side)
    assert tiling.tiles // tiling.batch(2) > 2000
    assert_near(correlate(maps, side), expected, maps)


@pytest.mark.parametrize(("height", "width"), [(300, 400), (257, 96)])
def test_maps_of_some_hundred_pixels_are_correlated_as_by_scipy(height, width):
    rng, side = np.random.default_rng(2), 31
    maps = random_maps(rng, 1, 3, height, width)
    pairs = []
    for i, j in zip(*np.triu_indices(3), strict=True):
        full = signal.fftconvolve(maps[0, j].astype(np.float64), maps[0, i, ::-1, ::-1].astype(np.float64))
        pairs.append(full[height - 16 : height + 15, width - 16 : width + 15])
    assert_near(correlate(maps, side), np.array([pairs]), maps)


def test_a_shift_is_where_the_correlation_is_largest(face):
    """``f_2(y, x) = f_1(y - 3, x + 5)`` has its maximum at the lag (3, -5)."""
    rng = np.random.default_rng(3)
    maps = np.zeros((1, 2, 40, 50), np.float32)
    maps[0, 0, 10:-10, 10:-10] = rng.normal(size=(20, 30))
    maps[0, 1] = np.roll(maps[0, 0], (3, -5), (0, 1))
    found = face.get(face.correlation.correlate(face.put(maps), 15))[0]
    places = [np.unravel_index(np.argmax(each), each.shape) for each in found]
    assert places == [(7, 7), (10, 2), (7, 7)]
    energy = (maps[0, 0].astype(np.float64) ** 2).sum()
    np.testing.assert_allclose(found[1, 10, 2], energy, rtol=1e-5)
    np.testing.assert_allclose(found[1, 3:, :10], found[0, :-3, 5:], atol=1e-5 * energy)


def test_a_map_with_itself_is_symmetric(face):
    maps = random_maps(np.random.default_rng(4), 1, 3, 33, 47)
    found = face.get(face.correlation.correlate(face.put(maps), 11))
    for pair, number in ((0, 0), (3, 1), (5, 2)):
        bound = ROUNDING * largest(maps)[0, number, number]
        np.testing.assert_allclose(found[0, pair], found[0, pair, ::-1, ::-1], atol=bound)


def test_mixtures_are_those_of_all_pairs_in_both_orders(face):
    rng, side = np.random.default_rng(5), 9
    maps, weights = random_maps(rng, 2, 4, 25, 31), rng.normal(size=(6, 4, 4)).astype(np.float32)
    pairs = face.get(face.correlation.correlate(face.put(maps), side)).astype(np.float64)
    ordered = np.zeros((2, 4, 4, side, side))
    for pair, (i, j) in enumerate(zip(*np.triu_indices(4), strict=True)):
        ordered[:, i, j] = pairs[:, pair]
        ordered[:, j, i] = pairs[:, pair, ::-1, ::-1]
    found = face.get(face.correlation.correlate_mixed(face.put(maps), face.put(weights), side))
    assert_mixed_near(found, np.einsum("cij,nijst->ncst", weights, ordered), maps, weights, rounding=2 * ROUNDING)


@pytest.mark.parametrize(("i", "j"), [(0, 2), (2, 0), (1, 1)])
def test_one_weight_takes_one_pair_in_its_order(face, i, j):
    maps = random_maps(np.random.default_rng(6), 1, 3, 20, 24)
    weights = np.zeros((1, 3, 3), np.float32)
    weights[0, i, j] = 1
    found = face.get(face.correlation.correlate_mixed(face.put(maps), face.put(weights), 7))
    full = signal.correlate2d(maps[0, j].astype(np.float64), maps[0, i].astype(np.float64))
    expected = full[19 - 3 : 19 + 4, 23 - 3 : 23 + 4]
    assert_mixed_near(found, expected[None, None], maps, weights)


def test_lags_beyond_the_maps_are_zero(face):
    maps = random_maps(np.random.default_rng(7), 1, 2, 3, 4)
    found = face.get(face.correlation.correlate(face.put(maps), 21))
    inside = np.zeros((21, 21), bool)
    inside[8:13, 7:14] = True
    assert (found[..., ~inside] == 0).all()
    assert (found[..., inside] != 0).all()
    weights = face.put(np.ones((1, 2, 2), np.float32))
    mixed = face.get(face.correlation.correlate_mixed(face.put(maps), weights, 21))
    assert (mixed[..., ~inside] == 0).all()


def test_a_batch_is_as_one_by_one(face, little_room):
    rng = np.random.default_rng(8)
    maps, weights = random_maps(rng, 5, 3, 20, 30), rng.normal(size=(2, 3, 3)).astype(np.float32)
    little_room(60_000, 30_000)
    together = face.get(face.correlation.correlate(face.put(maps), 7))
    mixed = face.get(face.correlation.correlate_mixed(face.put(maps), face.put(weights), 7))
    for n in range(5):
        one = face.put(maps[n : n + 1])
        np.testing.assert_array_equal(together[n], face.get(face.correlation.correlate(one, 7))[0])
        alone = face.get(face.correlation.correlate_mixed(one, face.put(weights), 7))[0]
        np.testing.assert_array_equal(mixed[n], alone)


def test_no_photograph_gives_none(face):
    nothing = np.empty((0, 2, 8, 9), np.float32)
    assert face.get(face.correlation.correlate(face.put(nothing), 3)).shape == (0, 3, 3, 3)
    weights = face.put(np.ones((4, 2, 2), np.float32))
    assert face.get(face.correlation.correlate_mixed(face.put(nothing), weights, 3)).shape == (0, 4, 3, 3)


@pytest.mark.parametrize("features", [1, 2, 7, 64])
@pytest.mark.parametrize("size", [1, 3, 1000, 10_000])
def test_parts_have_all_pairs_and_their_maps(features, size):
    parts, (first, second) = Part.all(features, size), np.triu_indices(features)
    assert [part.pairs[0] for part in parts] == [0, *(part.pairs[1] for part in parts[:-1])]
    assert parts[-1].pairs[1] == len(first)
    for part in parts:
        assert part.pairs[1] - part.pairs[0] <= size
        i, j = first[slice(*part.pairs)], second[slice(*part.pairs)]
        assert part.first == (i.min(), i.max() + 1)
        assert part.second == (j.min(), j.max() + 1)


@pytest.mark.parametrize("outputs", [None, 16])
@pytest.mark.parametrize(("features", "side"), [(1, 5), (16, 85), (64, 85), (64, 301)])
def test_memory_depends_neither_on_height_nor_on_width(outputs, features, side):
    for sides in ((600, 600), (6000, 4000), (1, 40_000), (20_000, 30_000)):
        maps = np.broadcast_to(np.float32(0), (1, features, *sides))
        tiling = Tiling.cheapest(maps, side, outputs)
        spectra = 8 * tiling.frequencies * features * tiling.kinds * tiling.batch(features)
        assert spectra <= max(correlation.SPECTRA_BYTES, 8 * (2 * side + 2) ** 2 * features)
        assert 8 * tiling.frequencies * tiling.outputs() <= max(correlation.SUMS_BYTES, 8 * (2 * side + 2) ** 2)
        for length, core, count in zip(sides, tiling.core, tiling.grid, strict=True):
            assert core * (count - 1) < length <= core * count
        for plane, core, reach, count in zip(*tiling, strict=True):
            assert plane >= core + (reach if count == 1 else 2 * reach)


def test_what_is_allocated_is_limited(little_room):
    """For maps of 14 MB, beside the correlations themselves."""
    maps, weights = np.ones((1, 2, 1500, 1200), np.float32), np.ones((1, 2, 2), np.float32)
    little_room(300_000, 100_000)
    for call in (lambda: correlate(maps, 9), lambda: correlate_mixed(maps, weights, 9)):
        call()
        tracemalloc.start()
        call()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 1_000_000


@pytest.mark.parametrize("mixed", [False, True])
def test_the_work_can_be_cancelled_between_tiles(little_room, monkeypatch, mixed):
    class GivenUp(Exception):
        pass

    def beat(stage, fraction):
        beats.append(stage)
        if len(beats) == last:
            raise GivenUp

    monkeypatch.setattr(cancellation, "INTERVAL", 0)
    little_room(1, 20_000)
    maps, weights = np.ones((1, 2, 60, 60), np.float32), np.ones((1, 2, 2), np.float32)
    tiling = Tiling.cheapest(maps, 5, 1 if mixed else None)
    arguments = (maps, weights, 5) if mixed else (maps, 5)
    beats, last = [], None
    with cancellation.reporting(beat):
        (correlate_mixed if mixed else correlate)(*arguments)
    assert len(beats) >= tiling.tiles // tiling.batch(2) > 20
    beats, last = [], 10
    with cancellation.reporting(beat), pytest.raises(GivenUp):
        (correlate_mixed if mixed else correlate)(*arguments)
    assert len(beats) == last


def test_device_arrays_stay_on_the_device(monkeypatch):
    """The whole of a call: one launch to cut, one to multiply, one to mix; nothing is read back."""
    for name, module in cuda_stand_in.make_modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    launched = []

    class Counting(cuda_stand_in.KernelModule):
        def get_function(self, name):
            launched.append(name)
            return super().get_function(name)

    monkeypatch.setattr(_module, "_module", Counting)
    rng = np.random.default_rng(9)
    maps, weights = random_maps(rng, 3, 4, 30, 20), rng.normal(size=(5, 4, 4)).astype(np.float32)
    on_device = cuda_stand_in.ndarray(maps), cuda_stand_in.ndarray(weights)
    correlate_mixed(*on_device, 7)
    cuda_stand_in.traffic.clear()
    launched.clear()
    mixed = correlate_mixed(*on_device, 7)
    assert launched == ["cut_tiles", "multiply_pairs", "mix_pairs"]
    launched.clear()
    pairs = correlate(on_device[0], 7)
    assert launched == ["cut_tiles", "multiply_pairs"]
    traffic = cuda_stand_in.traffic
    assert (traffic.uploads, traffic.downloads, traffic.waits) == ([], [], [])
    assert_mixed_near(mixed.array, reference.correlate_mixed(maps, weights, 7), maps, weights)
    assert_near(pairs.array, reference.correlate(maps, 7), maps)


MAPS, WEIGHTS = np.ones((1, 2, 8, 9), "f4"), np.ones((3, 2, 2), "f4")


@pytest.mark.parametrize(
    ("maps", "side", "error", "message"),
    [
        (MAPS.tolist(), 3, TypeError, "expected a numpy or cupy array, got list"),
        (MAPS.astype("f8"), 3, TypeError, "maps must be float32, got float64"),
        (MAPS[0], 3, ValueError, r"maps must have shape \(any, any, any, any\), got \(2, 8, 9\)"),
        (MAPS[..., ::2], 3, ValueError, "maps must be C-contiguous"),
        (MAPS[:, :0], 3, ValueError, r"maps have shape \(1, 0, 8, 9\): give one map at least"),
        (MAPS[..., :0], 3, ValueError, "give one map at least, of at least one pixel"),
        (MAPS, 4, ValueError, "side must be odd"),
        (MAPS, 0, ValueError, "side must be at least 1"),
        (MAPS, -3, ValueError, "side must be at least 1"),
        (MAPS, 3.0, TypeError, "side must be an integer, got float"),
    ],
)
def test_refuses_bad_maps_and_sides(maps, side, error, message):
    with pytest.raises(error, match=message):
        correlate(maps, side)
    with pytest.raises(error, match=message):
        correlate_mixed(maps, WEIGHTS, side)


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        (WEIGHTS.tolist(), TypeError, "expected a numpy or cupy array, got list"),
        (WEIGHTS + 0j, TypeError, "weights must be float32, got complex"),
        (WEIGHTS[:, :1], ValueError, r"weights must have shape \(any, 2, 2\), got \(3, 1, 2\)"),
        (WEIGHTS[..., ::-1], ValueError, "weights must be C-contiguous"),
        (WEIGHTS[:0], ValueError, "weights have no output"),
    ],
)
def test_refuses_bad_weights(weights, error, message):
    with pytest.raises(error, match=message):
        correlate_mixed(MAPS, weights, 3)
