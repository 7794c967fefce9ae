import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter, shift

from runtime.errors import InvalidArgument
from runtime.metrics import align, psnr


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
