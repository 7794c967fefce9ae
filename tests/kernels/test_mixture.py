"""Every face restores patches by the filter of the component that is most likely."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kernels.reference.mixture as reference
from kernels.cpu.mixture import BLOCK
from kernels.cuda import mixture as on_gpu
from kernels.mixture import ROW_UNIT, Tables, average_patches, cut_patches, restore_patches


def tables_of(seed=0, components=5, side=4, noise=0.1):
    """Components of random covariances of several ranks, at a noise level; some directions are left out."""
    rng, size = np.random.default_rng(seed), side**2
    ranks = rng.integers(1, size + 1, components)
    starts = np.concatenate([[0], np.cumsum(-(-ranks // ROW_UNIT) * ROW_UNIT)])
    directions, filters, constants = np.zeros((starts[-1], size)), [], []
    for k, rank in enumerate(ranks):
        vectors = np.linalg.qr(rng.normal(size=(size, size)))[0].T
        variances = np.where(np.arange(size) < rank, rng.uniform(0.01, 0.3, size), 0)
        noisy = variances + noise**2
        directions[starts[k] : starts[k] + rank] = np.sqrt(0.5 / noise**2 - 0.5 / noisy[:rank, None]) * vectors[:rank]
        filters.append((vectors.T * (variances / noisy)) @ vectors)
        constants.append(-0.5 * np.log(noisy).sum())
    tails = np.full(components, 0.5 / noise**2)
    return Tables(
        directions.astype(np.float32),
        starts,
        *(np.array(each, np.float32) for each in (constants, tails, filters)),
    )


def patches_of(count, seed=0, side=4):
    return np.random.default_rng(seed).random((count, side**2)).astype(np.float32)


def margins(patches, tables):
    """By how much the most likely component of each patch leads, relative to the largest term of its likelihood."""
    x = patches - patches.mean(axis=1, keepdims=True, dtype=np.float64)
    sums = np.add.reduceat(np.square(x @ tables.directions.T), tables.starts[:-1], axis=1)
    energy = tables.tails * np.square(x).sum(axis=1, keepdims=True)
    first, second = np.sort(tables.constants + sums - energy, axis=1).T[[-1, -2]]
    return (first - second) / energy.max(axis=1)


@given(
    count=st.integers(0, 200),
    components=st.integers(2, 9),
    side=st.integers(2, 8),
    noise=st.floats(0.02, 0.3),
    seed=st.integers(0, 99),
)
def test_equals_reference(face, count, components, side, noise, seed):
    tables, patches = tables_of(seed, components, side, noise), patches_of(count, seed, side)
    found = face.get(face.mixture.restore_patches(face.put(patches), tables))
    assert (found.dtype, found.shape) == (np.float32, patches.shape)
    differs = np.abs(found - reference.restore_patches(patches, tables)).max(axis=1) > 1e-4
    # Where two components explain a patch equally well, rounding decides between them.
    assert not (differs & (margins(patches, tables) > 1e-5)).any()
    assert differs.sum() <= 0.02 * count


def test_the_filter_is_that_of_the_most_likely_component(face):
    # One component varies along one axis alone, the other along another.
    axes = np.linalg.qr(np.column_stack([np.ones(4), [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]))[0].T
    directions = np.zeros((2 * ROW_UNIT, 4), np.float32)
    directions[0], directions[ROW_UNIT] = axes[1], axes[2]
    filters = np.stack([np.outer(axis, axis) * share for axis, share in ((axes[1], 0.5), (axes[2], 0.25))])
    flat = np.zeros(2, np.float32)
    tables = Tables(directions, np.array([0, ROW_UNIT, 2 * ROW_UNIT]), flat, flat, filters.astype(np.float32))
    patches = (0.3 + np.outer([0.2, -0.2, 0, 0], axes[1]) + np.outer([0.1, 0, 0.2, 0], axes[2])).astype(np.float32)
    expected = 0.3 + np.outer([0.1, -0.1, 0, 0], axes[1]) + np.outer([0, 0, 0.05, 0], axes[2])
    np.testing.assert_allclose(face.get(face.mixture.restore_patches(face.put(patches), tables)), expected, atol=1e-6)


@given(count=st.integers(0, 3 * BLOCK))
def test_every_patch_is_restored_alone(face, count):
    tables, patches = tables_of(), patches_of(count, count)
    together = face.get(face.mixture.restore_patches(face.put(patches), tables))
    alone = [face.get(face.mixture.restore_patches(face.put(patch[None]), tables))[0] for patch in patches[-2:]]
    assert together.shape == patches.shape
    np.testing.assert_allclose(together[-2:], np.reshape(alone, (-1, 16)), atol=1e-5)


def test_chunks_of_patches_are_put_together(face, monkeypatch):
    tables, patches = tables_of(), patches_of(70)
    monkeypatch.setattr(on_gpu, "PRODUCTS", 9 * len(tables.directions))
    found = face.get(face.mixture.restore_patches(face.put(patches), tables))
    np.testing.assert_allclose(found, reference.restore_patches(patches, tables), atol=1e-4)


def test_of_equally_likely_components_the_first_is_chosen(face):
    patches = patches_of(20)
    filters = np.zeros((99, 16, 16), np.float32)
    filters[0] = np.eye(16)
    # Without directions, whose products are rounded one way or another, the likelihoods are equal to the last bit.
    flat = np.ones(99, np.float32)
    tables = Tables(np.zeros((99 * ROW_UNIT, 16), np.float32), ROW_UNIT * np.arange(100), flat, flat, filters)
    np.testing.assert_allclose(face.get(face.mixture.restore_patches(face.put(patches), tables)), patches, atol=1e-6)


def test_many_threads_at_once():
    tables, patches = tables_of(side=8), patches_of(500, side=8)
    expected = restore_patches(patches, tables)
    results = [None] * 4

    def work(index):
        results[index] = restore_patches(patches, tables)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        np.testing.assert_array_equal(result, expected)


@given(
    side=st.integers(1, 8),
    stride=st.integers(1, 8),
    larger=st.tuples(st.integers(0, 40), st.integers(0, 40)),
    origin=st.tuples(st.integers(0, 7), st.integers(0, 7)),
)
def test_patches_are_cut_and_averaged_as_by_the_reference(face, side, stride, larger, origin):
    stride = min(stride, side)
    shape = tuple(side + stride - 1 + more for more in larger)
    grid = stride, tuple(number % stride for number in origin)
    image = np.random.default_rng(side).random(shape, np.float32)
    patches = reference.cut_patches(image, side, *grid)
    found = face.get(face.mixture.cut_patches(face.put(image), side, *grid))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, patches)
    back = face.get(face.mixture.average_patches(face.put(patches), shape, *grid))
    np.testing.assert_allclose(back, image, atol=1e-6)
    other = np.random.default_rng(stride).random(patches.shape, np.float32)
    averaged = face.get(face.mixture.average_patches(face.put(other), shape, *grid))
    assert averaged.dtype == np.float32
    np.testing.assert_allclose(averaged, reference.average_patches(other, shape, *grid), atol=1e-5)


IMAGE = np.zeros((12, 11), np.float32)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: cut_patches(IMAGE.astype("f8"), 8, 4, (0, 0)), TypeError, "image must be float32"),
        (lambda: cut_patches(IMAGE, 8.0, 4, (0, 0)), TypeError, "side must be an integer"),
        (lambda: cut_patches(IMAGE, 8, 9, (0, 0)), ValueError, "stride 9 exceeds the side of a patch, 8"),
        (lambda: cut_patches(IMAGE, 8, 4, (0, 4)), ValueError, r"origin must be from 0 to 3, got \(0, 4\)"),
        (lambda: cut_patches(IMAGE, 8, 5, (0, 0)), ValueError, "too small: its sides must be at least 12"),
        (lambda: average_patches(np.zeros((9, 63), "f4"), (12, 11), 4, (0, 0)), ValueError, r"shape \(9, 49\)"),
        (lambda: average_patches(np.zeros((8, 64), "f4"), (12, 11), 4, (0, 0)), ValueError, r"shape \(9, 64\)"),
    ],
)
def test_refuses_a_grid_that_does_not_fit(call, error, message):
    with pytest.raises(error, match=message):
        call()


PATCHES, TABLES = patches_of(3), tables_of()


@pytest.mark.parametrize(
    ("patches", "change", "error", "message"),
    [
        (PATCHES.tolist(), {}, TypeError, "expected a numpy or cupy array, got list"),
        (PATCHES.astype("f8"), {}, TypeError, "patches must be float32, got float64"),
        (PATCHES[0], {}, ValueError, r"patches must have shape \(any, any\)"),
        (PATCHES[:, ::2], {}, ValueError, "patches must be C-contiguous"),
        (PATCHES[:, :9].copy(), {}, ValueError, r"tables.directions must have shape \(any, 9\)"),
        (PATCHES, {"directions": TABLES.directions.tolist()}, TypeError, "tables.directions must be a numpy array"),
        (PATCHES, {"starts": TABLES.starts.astype("i4")}, TypeError, "tables.starts must be int64"),
        (PATCHES, {"starts": TABLES.starts[1:]}, ValueError, r"tables.starts must have shape \(6\)"),
        (PATCHES, {"starts": TABLES.starts + 4}, ValueError, "tables.starts must go from 0"),
        (PATCHES, {"starts": TABLES.starts[::-1].copy()}, ValueError, "tables.starts must go from 0"),
        (PATCHES, {"starts": TABLES.starts + np.eye(6, dtype=int)[1]}, ValueError, "in positive multiples of 4"),
        (PATCHES, {"tails": TABLES.tails[1:]}, ValueError, r"tables.tails must have shape \(5\)"),
        (PATCHES, {"filters": TABLES.filters[:, 1:]}, ValueError, r"tables.filters must have shape \(5, 16, 16\)"),
    ],
)
def test_refuses_bad_input(patches, change, error, message):
    with pytest.raises(error, match=message):
        restore_patches(patches, TABLES._replace(**change))


def test_refuses_what_are_no_tables():
    with pytest.raises(TypeError, match="tables must be Tables, got tuple"):
        restore_patches(PATCHES, tuple(TABLES))
