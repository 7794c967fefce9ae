import numpy as np
import pytest

from runtime.unevenness import compare, parts

SIZES = [100] * 9


def sums(misfits, counts=100.0, contrasts=1.0):
    """Return what `compare` takes, of root mean square misfits and mean squared gradients of nine parts."""
    counts, contrasts = (np.broadcast_to(np.asarray(each, float), 9) for each in (counts, contrasts))
    return np.stack([np.square(misfits) * counts, counts, contrasts * counts])


@pytest.mark.parametrize("shape", [(9, 9), (10, 14), (2, 20), (1, 1)])
def test_parts_are_the_whole(shape):
    plane = np.arange(np.prod(shape), dtype=float).reshape(shape)
    found = parts(plane)
    assert sorted(np.concatenate([part.ravel() for part in found])) == sorted(plane.ravel())
    assert len(found) == min(3, shape[0]) * min(3, shape[1])


def test_stacks_of_planes_have_the_same_parts():
    planes = np.random.default_rng(0).random((2, 12, 15))
    for both, first in zip(parts(planes), parts(planes[0]), strict=True):
        np.testing.assert_array_equal(both[0], first)


def test_the_worst_part_is_compared_with_the_median():
    misfits = np.array([1, 1, 2, 1, 6, 2, 2, 1, 2]) / 100
    assert compare(sums(misfits), SIZES) == pytest.approx(3)


def test_parts_that_are_hardly_known_do_not_count():
    misfits, counts = np.full(9, 0.01), np.full(9, 100.0)
    misfits[3], counts[3] = 5, 9
    assert compare(sums(misfits, counts), SIZES) == pytest.approx(1)
    counts[3] = 11
    assert compare(sums(misfits, counts), SIZES) == pytest.approx(500)


def test_parts_that_show_nothing_do_not_count():
    misfits, contrasts = np.full(9, 0.01), np.full(9, 1e-2)
    misfits[4:], contrasts[4:] = 0.001, 1e-5
    misfits[0] = 0.02
    assert compare(sums(misfits, contrasts=contrasts), SIZES) == pytest.approx(2)
    assert compare(sums(misfits), SIZES) == pytest.approx(20)


@pytest.mark.parametrize("counts", [0, [100, 100, *[0] * 7]])
def test_two_parts_are_too_few(counts):
    assert compare(sums(np.geomspace(1e-3, 1, 9), counts), SIZES) == 1


def test_a_perfect_explanation_is_even():
    assert np.isfinite(compare(sums(np.zeros(9)), SIZES))
