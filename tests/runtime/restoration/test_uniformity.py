"""Uniformity under a straight camera motion and a rotation, and with kernels that are too wide."""

import numpy as np
import pytest
from scipy.signal import fftconvolve
from skimage.color import rgb2gray
from skimage.data import astronaut

from runtime.blur.blurs import KernelBlur, MotionBlur
from runtime.blur.motion import motion_kernel
from runtime.decisions.thresholds import KERNEL_TO_MOTION_WIDTH, MOTION_VARIATION, NO_SINGLE_MOTION
from runtime.inference.devices import CPU
from runtime.restoration import uniformity as module
from runtime.restoration.uniformity import Uniformity, UniformityCheck

NOISE = 0.004


@pytest.fixture(scope="module")
def check():
    return UniformityCheck(CPU)


@pytest.fixture(scope="module")
def photograph():
    return np.ascontiguousarray(rgb2gray(astronaut())[:400, 40:500], np.float32)


def measured(check, plane, kernel):
    return check.measure(plane, KernelBlur(kernel).width)


def noisy(plane):
    return (plane + np.random.default_rng(3).normal(0, NOISE, plane.shape)).astype(np.float32)


@pytest.fixture(scope="module")
def straight(photograph):
    """A photograph blurred by one motion, and its kernel."""
    kernel = motion_kernel(13.0, 30.0)
    return noisy(fftconvolve(photograph, kernel, "same")), kernel


@pytest.fixture(scope="module")
def swung(photograph):
    """A photograph of a camera that rotated about the centre: the corners move by 17 px."""
    down, right = (
        place - (size - 1) / 2 for place, size in zip(np.indices(photograph.shape), photograph.shape, strict=True)
    )
    length = np.hypot(down, right)
    field = np.stack([17 * length / length.max(), np.degrees(np.arctan2(right, down)) % 180], axis=-1)
    return noisy(MotionBlur(field.astype(np.float32)).apply(photograph[None])[0])


def test_one_motion_is_not_contradicted(check, straight):
    seen = measured(check, *straight)
    assert seen.variation < MOTION_VARIATION
    assert 0.2 < seen.width < 0.4
    assert not seen.contradicted


def test_a_camera_that_swung_sways(check, swung, straight):
    seen = measured(check, swung, straight[1])
    assert seen.variation > 2 * MOTION_VARIATION
    assert seen.contradicted


def test_a_kernel_far_wider_than_what_moved_is_contradicted(check, photograph):
    wide = np.full((61, 61), 1 / 61**2, np.float32)
    seen = measured(check, noisy(photograph), wide)
    assert seen.variation < MOTION_VARIATION
    assert seen.width > KERNEL_TO_MOTION_WIDTH
    assert seen.contradicted


@pytest.mark.parametrize(
    ("variation", "width", "varies", "too_short"),
    [
        (MOTION_VARIATION, KERNEL_TO_MOTION_WIDTH, False, False),
        (MOTION_VARIATION + 1e-6, 0.1, True, False),
        (0.1, KERNEL_TO_MOTION_WIDTH + 1e-6, False, True),
    ],
)
def test_what_each_measure_says(variation, width, varies, too_short):
    seen = Uniformity(variation, width)
    assert (seen.varies, seen.too_short) == (varies, too_short)
    assert seen.contradicted == (varies or too_short)


@pytest.mark.parametrize(
    ("share", "unevenness", "ruled_out"), [(1, 1, False), (1.01, 1, True), (0.5, 1.9, False), (0.5, 2.1, True)]
)
def test_motion_that_varies_and_a_misfit_that_is_uneven_rule_one_kernel_out_together(share, unevenness, ruled_out):
    assert Uniformity(share * NO_SINGLE_MOTION, 0.1).ruled_out(unevenness) == ruled_out


@pytest.mark.parametrize(("shape", "seen"), [((193, 400), False), ((400, 193), False), ((194, 194), True)])
def test_of_a_small_photograph_nothing_is_seen(check, photograph, straight, shape, seen):
    small = np.ascontiguousarray(photograph[: shape[0], : shape[1]])
    assert (measured(check, small, straight[1]) is not None) == seen


def test_what_is_unknown_says_little_of_the_motion(check, swung, straight):
    """One half of the photograph is blurred otherwise than the other, but not known."""
    plane, kernel = straight
    mixed, known = plane.copy(), np.ones(plane.shape, bool)
    mixed[:, 260:], known[:, 300:] = 0.5, False
    blur = KernelBlur(kernel).width
    whole, seen = (check.measure(mixed, blur, mask).variation for mask in (None, known))
    assert seen < 0.5 * whole
    everywhere = check.measure(swung, blur, np.ones(plane.shape, bool))
    assert everywhere == pytest.approx(check.measure(swung, blur), rel=1e-5)


def test_patches_lie_further_apart_in_a_large_photograph(check, straight, monkeypatch):
    counts = []
    predict = type(check._network).predict

    def count(network, luminance, grid):
        counts.append(len(grid))
        return predict(network, luminance, grid)

    monkeypatch.setattr(type(check._network), "predict", count)
    close = measured(check, *straight)
    monkeypatch.setattr(module, "_MAX_PATCHES", 40)
    apart = measured(check, *straight)
    assert counts[1] < counts[0] / 2
    assert not close.contradicted
    assert not apart.contradicted


def test_a_flat_photograph_is_no_error(check, straight):
    seen = measured(check, np.full((200, 210), 0.5, np.float32), straight[1])
    assert np.isfinite(seen).all()
