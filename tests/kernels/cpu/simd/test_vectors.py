import numba
import numpy as np
import pytest

from kernels.cpu.simd.vectors import (
    LANES,
    larger,
    load,
    load_backwards,
    load_even,
    load_odd,
    splat,
    square_root,
    store,
    store_backwards,
    store_interleaved,
    transpose,
)


@numba.njit
def copy(source, target, col, count):
    store(target, 1, col, count, load(source, 1, col, count))


@numba.njit
def copy_backwards(source, target, col, count):
    store_backwards(target, 1, col, count, load_backwards(source, 1, col, count))


@numba.njit
def turn_round(source, target, col, count):
    store(target, 1, 2, count, load_backwards(source, 1, col, count))


@numba.njit
def compute(x, y, target, number):
    first, second = load(x, 0, 0, LANES), load(y, 0, 0, LANES)
    store(target, 0, 0, LANES, (first + second) * splat(number) - second)


@pytest.fixture
def source():
    return np.random.default_rng(0).random((3, 3 * LANES), np.float32)


@pytest.mark.parametrize("count", [0, 1, LANES - 1, LANES, LANES + 5])
def test_no_more_elements_are_copied_than_counted(source, count):
    target, expected, col = np.zeros_like(source), np.zeros_like(source), LANES
    copied = min(count, LANES)
    copy(source, target, col, count)
    expected[1, col : col + copied] = source[1, col : col + copied]
    np.testing.assert_array_equal(target, expected)

    target[:], expected[:] = 0, 0
    copy_backwards(source, target, col, count)
    expected[1, col - copied + 1 : col + 1] = source[1, col - copied + 1 : col + 1]
    np.testing.assert_array_equal(target, expected)


@pytest.mark.parametrize("count", [1, 3, LANES])
def test_backwards_means_reversed(source, count):
    target, col = np.zeros_like(source), 2 * LANES
    turn_round(source, target, col, count)
    np.testing.assert_array_equal(target[1, 2 : 2 + count], source[1, col - count + 1 : col + 1][::-1])
    assert np.count_nonzero(target) == count


def test_arithmetic(source):
    x, y, target = source[:1], source[1:2], np.zeros((1, LANES), np.float32)
    compute(x, y, target, np.float32(3))
    np.testing.assert_allclose(target, ((x + y) * 3 - y)[:, :LANES], rtol=1e-6)


@numba.njit
def divide_and_choose(x, y, target):
    first, second = load(x, 0, 0, LANES), load(y, 0, 0, LANES)
    store(target, 0, 0, LANES, square_root(first) / second)
    store(target, 1, 0, LANES, larger(first, second, splat(np.float32(2)), first))


def test_quotients_roots_and_choices():
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 3, (2, 1, LANES)).astype(np.float32)
    target = np.zeros((2, LANES), np.float32)
    divide_and_choose(x, y, target)
    with np.errstate(divide="ignore", invalid="ignore"):
        np.testing.assert_allclose(target[0], np.sqrt(x[0]) / y[0], rtol=1e-6)
    np.testing.assert_array_equal(target[1], np.where(x > y, 2, x)[0])


@numba.njit
def split(source, evens, odds, col, count):
    store(evens, 0, 0, LANES, load_even(source, 1, col, count))
    store(odds, 0, 0, LANES, load_odd(source, 1, col, count))


@numba.njit
def merge(evens, odds, target, col, count):
    store_interleaved(target, 1, col, count, load(evens, 0, 0, LANES), load(odds, 0, 0, LANES))


@numba.njit
def turn(source, rows, cols, target, to_rows, to_cols):
    transpose(source, 1, 2, rows, cols, target, 3, 1, to_rows, to_cols)


@pytest.mark.parametrize("count", [0, 1, LANES // 2, LANES // 2 + 1, LANES - 1, LANES, LANES + 4])
def test_every_second_element(source, count):
    evens, odds, taken = np.ones((1, LANES), np.float32), np.ones((1, LANES), np.float32), min(count, LANES)
    split(source, evens, odds, 3, count)
    for found, first in ((evens, 3), (odds, 4)):
        np.testing.assert_array_equal(found[0, :taken], source[1, first : first + 2 * taken : 2])
        assert not found[0, taken:].any()
    target, expected = np.zeros_like(source), np.zeros_like(source)
    merge(evens, odds, target, 3, count)
    expected[1, 3 : 3 + 2 * taken] = source[1, 3 : 3 + 2 * taken]
    np.testing.assert_array_equal(target, expected)


@pytest.mark.parametrize("rows", [0, 1, LANES - 1, LANES, 2 * LANES])
@pytest.mark.parametrize("cols", [1, LANES // 2, LANES, LANES + 1])
def test_a_square_is_transposed_as_far_as_it_is_there(rows, cols):
    rng = np.random.default_rng(rows)
    source = rng.random((1 + min(rows, LANES), LANES + 2), np.float32)
    target = np.full((LANES + 4, LANES + 2), 7, np.float32)
    turn(source, rows, cols, target, LANES, LANES)
    square = np.zeros((LANES, LANES), np.float32)
    there = source[1:, 2 : 2 + min(cols, LANES)]
    square[: there.shape[0], : there.shape[1]] = there
    np.testing.assert_array_equal(target[3 : 3 + LANES, 1 : 1 + LANES], square.T)
    target[:] = 7
    turn(source, rows, cols, target, cols, rows)
    written = target[3:, 1:][: there.shape[1], : there.shape[0]]
    np.testing.assert_array_equal(written, there.T)
    assert (target == 7).sum() == target.size - written.size
