import numpy as np
import pytest
from scipy.signal import fftconvolve

from runtime.burst.agreement import agreement, view
from tests.support.bursts import scene, shaken, shaken_each, walking_box


def agreed(frame, reference):
    return agreement(view(frame), view(reference), float(np.percentile(reference, 99)))


def blurred(planes, length):
    """Blurred downwards by a path of some length, the frame mirrored beyond its border."""
    padded = np.pad(planes, ((0, 0), (length, length), (0, 0)), mode="symmetric")
    kernel = np.full((1, length, 1), 1 / length)
    return fftconvolve(padded, kernel, mode="same")[:, length:-length].astype(np.float32)


@pytest.mark.parametrize("noise", [0, 0.02])
def test_frames_that_differ_by_shake_and_noise_agree(noise):
    frames = shaken(scene(), 4, noise=noise)
    for frame in frames[1:]:
        assert (agreed(frame, frames[0]) == 1).all()


@pytest.mark.parametrize("swapped", [False, True])
def test_a_far_longer_blur_contradicts_little_where_light_is_mixed(swapped):
    """As in a camera: light is blurred, of which the values are the root."""
    sharp = scene()
    pair = sharp, np.sqrt(blurred(sharp**2, 25).clip(0, 1))
    assert agreed(*(pair[::-1] if swapped else pair)).mean() > 0.99


@pytest.mark.parametrize("scale", [1.0, 1 / 16, 100.0, 1e15, 1e30])
def test_an_object_that_moved_contradicts_where_it_was_and_where_it_is(scale):
    reference, frame = (scale * planes for planes in shaken_each(walking_box(scene(), 2, step=120)))
    grid = agreed(frame, reference)
    boxes = np.zeros(grid.shape, bool)
    boxes[24:29, 3:9] = boxes[24:29, 33:39] = True
    assert grid[boxes].max() == 0
    far = np.zeros(grid.shape, bool)
    far[:14], far[:, 16:26] = True, True
    assert grid[far].min() == 1


def test_frames_without_detail():
    dark, bright = np.zeros((1, 20, 24), np.float32), np.ones((1, 20, 24), np.float32)
    assert (agreed(bright, bright) == 1).all()
    assert (agreed(dark, bright) == 0).all()
    assert (agreed(dark, dark) == 1).all()
