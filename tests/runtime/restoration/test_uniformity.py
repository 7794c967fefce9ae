"""What a network sees of a camera that moved straight on, of one that swung, and of kernels that are too wide."""

import numpy as np
import pytest
from scipy.signal import fftconvolve
from skimage.color import rgb2gray
from skimage.data import astronaut

from runtime.blur.motion import motion_kernel
from runtime.blur.operators import blur_along
from runtime.inference.devices import CPU
from runtime.restoration import uniformity as one_kernel
from runtime.restoration.uniformity import MOST_SWAY, MOST_WIDTH, Sight, Witness

NOISE = 0.004


@pytest.fixture(scope="module")
def witness():
    return Witness(device=CPU)


@pytest.fixture(scope="module")
def photograph():
    return np.ascontiguousarray(rgb2gray(astronaut())[:400, 40:500], np.float32)


def noisy(plane):
    return (plane + np.random.default_rng(3).normal(0, NOISE, plane.shape)).astype(np.float32)


@pytest.fixture(scope="module")
def straight(photograph):
    """Blurred by one motion, and its kernel."""
    kernel = motion_kernel(13.0, 30.0)
    return noisy(fftconvolve(photograph, kernel, "same")), kernel


@pytest.fixture(scope="module")
def swung(photograph):
    """Turned about the middle: 17 px to the corners' motion."""
    down, right = (
        place - (size - 1) / 2 for place, size in zip(np.indices(photograph.shape), photograph.shape, strict=True)
    )
    length = np.hypot(down, right)
    field = np.stack([17 * length / length.max(), np.degrees(np.arctan2(right, down)) % 180], axis=-1)
    return noisy(blur_along(photograph[None], field.astype(np.float32))[0])


def test_one_motion_is_not_contradicted(witness, straight):
    sight = witness.look(*straight)
    assert sight.sway < MOST_SWAY
    assert 0.2 < sight.width < 0.4
    assert not sight.contradicts


def test_a_camera_that_swung_sways(witness, swung, straight):
    sight = witness.look(swung, straight[1])
    assert sight.sway > 2 * MOST_SWAY
    assert sight.contradicts


def test_a_kernel_far_wider_than_what_moved_is_contradicted(witness, photograph):
    wide = np.full((61, 61), 1 / 61**2, np.float32)
    sight = witness.look(noisy(photograph), wide)
    assert sight.sway < MOST_SWAY
    assert sight.width > MOST_WIDTH
    assert sight.contradicts


@pytest.mark.parametrize(
    ("sway", "width", "contradicts"),
    [(MOST_SWAY, MOST_WIDTH, False), (MOST_SWAY + 1e-6, 0.1, True), (0.1, MOST_WIDTH + 1e-6, True)],
)
def test_either_contradicts(sway, width, contradicts):
    assert Sight(sway, width).contradicts == contradicts


@pytest.mark.parametrize(("shape", "seen"), [((193, 400), False), ((400, 193), False), ((194, 194), True)])
def test_of_a_small_photograph_nothing_is_seen(witness, photograph, straight, shape, seen):
    small = np.ascontiguousarray(photograph[: shape[0], : shape[1]])
    assert (witness.look(small, straight[1]) is not None) == seen


def test_patches_lie_further_apart_in_a_large_photograph(witness, straight, monkeypatch):
    counts = []
    predict = type(witness._network).predict

    def count(network, luminance, grid):
        counts.append(len(grid))
        return predict(network, luminance, grid)

    monkeypatch.setattr(type(witness._network), "predict", count)
    close = witness.look(*straight)
    monkeypatch.setattr(one_kernel, "MOST_PATCHES", 40)
    apart = witness.look(*straight)
    assert counts[1] < counts[0] / 2
    assert not close.contradicts
    assert not apart.contradicts


def test_a_flat_photograph_is_no_error(witness, straight):
    sight = witness.look(np.full((200, 210), 0.5, np.float32), straight[1])
    assert np.isfinite(sight).all()
