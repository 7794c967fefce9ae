import numba
import numpy as np
import pytest

from kernels.cpu._vectors import LANES, load, load_backwards, splat, store, store_backwards


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
