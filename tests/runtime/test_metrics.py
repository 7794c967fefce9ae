import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter, shift

from runtime.errors import InvalidArgument
from runtime.metrics import align, parts, psnr, unevenness


@pytest.fixture(scope="module")
def scene():
    return gaussian_filter(np.random.default_rng(7).random((90, 100)), 2) * 4 - 1.5


def test_psnr_is_that_of_the_definition(rng):
    reference = rng.random((20, 30))
    assert psnr(reference + 0.1, reference) == pytest.approx(20)
    assert psnr(reference.astype(np.float32) + np.float32(0.01), reference) == pytest.approx(40, abs=1e-4)
    assert psnr(reference, reference) == math.inf


def test_psnr_ignores_the_border(rng):
    reference = rng.random((20, 30, 3))
    image = reference + 0.1
    image[:4] = image[-4:] = 9
    image[:, :4] = image[:, -4:] = 9
    assert psnr(image, reference, border=4) == pytest.approx(20)
    assert psnr(image, reference, border=3) < 0


@given(st.integers(-10, 10), st.integers(-10, 10))
@settings(max_examples=25, deadline=None)
def test_a_whole_shift_is_found(scene, dy, dx):
    aligned = align(np.roll(scene, (dy, dx), (0, 1)), scene, border=12)
    assert psnr(aligned, scene, border=12) > 200


@given(st.integers(-40, 40), st.integers(-40, 40))
@settings(max_examples=15, deadline=None)
def test_a_quarter_pixel_shift_is_found(scene, dy, dx):
    moved = shift(scene, (dy / 4, dx / 4), order=5, mode="grid-wrap")
    assert psnr(align(moved, scene, border=12), scene, border=12) > 45


def test_larger_shifts_are_found_on_request_alone(scene):
    moved = np.roll(scene, 17, axis=1)
    assert psnr(align(moved, scene, border=20), scene, border=20) < 30
    assert psnr(align(moved, scene, border=20, max_shift=18), scene, border=20) > 200


def test_an_image_in_place_stays_there(scene, rng):
    noisy = scene + 0.01 * rng.standard_normal(scene.shape)
    assert np.allclose(align(noisy, scene, border=12), noisy)


BAD = [
    (lambda: psnr(np.zeros((4, 5)), np.zeros((5, 4))), "one shape"),
    (lambda: psnr(np.zeros((4, 5)), np.zeros((4, 5)), border=2), "leaves nothing"),
    (lambda: align(np.zeros((40, 50, 3)), np.zeros((40, 50, 3)), border=12), "luminance"),
    (lambda: align(np.zeros((40, 50)), np.zeros((40, 51)), border=12), "one shape"),
    (lambda: align(np.zeros((40, 50)), np.zeros((40, 50)), border=10), "wider"),
    (lambda: align(np.zeros((24, 50)), np.zeros((24, 50)), border=12), "leaves nothing"),
    (lambda: psnr(np.full((4, 5), np.nan), np.zeros((4, 5))), "NaN"),
    (lambda: align(np.full((40, 50), np.inf), np.zeros((40, 50)), border=12), "NaN"),
]


@pytest.mark.parametrize(("call", "remedy"), BAD)
def test_what_cannot_be_scored_is_refused(call, remedy):
    with pytest.raises(InvalidArgument, match=remedy):
        call()


SIZES = [100] * 9


def sums(misfits, counts=100.0):
    """Return what `unevenness` takes, of root mean square misfits of nine parts."""
    counts = np.broadcast_to(np.asarray(counts, float), 9)
    return np.stack([np.square(misfits) * counts, counts])


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
    assert unevenness(sums(misfits), SIZES) == pytest.approx(3)


def test_parts_that_are_hardly_known_do_not_count():
    misfits, counts = np.full(9, 0.01), np.full(9, 100.0)
    misfits[3], counts[3] = 5, 9
    assert unevenness(sums(misfits, counts), SIZES) == pytest.approx(1)
    counts[3] = 11
    assert unevenness(sums(misfits, counts), SIZES) == pytest.approx(500)


def test_parts_that_show_nothing_do_not_count():
    misfits, contrasts = np.full(9, 0.01), np.full(9, 1e-2)
    misfits[4:], contrasts[4:] = 0.001, 1e-5
    misfits[0] = 0.02
    assert unevenness(sums(misfits), SIZES, 100 * contrasts) == pytest.approx(2)
    assert unevenness(sums(misfits), SIZES) == pytest.approx(20)


@pytest.mark.parametrize("counts", [0, [100, 100, *[0] * 7]])
def test_two_parts_are_too_few(counts):
    assert unevenness(sums(np.geomspace(1e-3, 1, 9), counts), SIZES) == 1


def test_a_perfect_explanation_is_even():
    assert np.isfinite(unevenness(sums(np.zeros(9)), SIZES))
