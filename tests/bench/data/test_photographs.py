import numpy as np
import pytest
from skimage.data import astronaut

from bench.data.photographs import blurred_photograph, moved_photograph, shake_kernel, size_of


@pytest.mark.parametrize("megapixels", [0.01, 0.25, 1, 24])
def test_sizes_are_three_to_two(megapixels):
    height, width = size_of(megapixels)
    assert height * width == pytest.approx(1e6 * megapixels, rel=0.02)
    assert width / height == pytest.approx(1.5, rel=0.03)


@pytest.mark.parametrize("grey", [False, True])
def test_a_photograph_has_the_size_and_channels_asked_for(grey):
    photograph = blurred_photograph(2.0, grey=grey)
    assert photograph.dtype == np.uint8
    assert photograph.shape == (*size_of(2.0), *([] if grey else [3]))
    assert photograph.flags.c_contiguous
    assert photograph.std() > 30


def test_the_blur_is_the_kernel():
    kernel = shake_kernel()
    assert kernel.shape == (25, 25)
    assert kernel.min() >= 0
    assert kernel.sum() == pytest.approx(1)
    place, half = (250, 300), 12
    window = astronaut()[place[0] - 24 : place[0] + 1, place[1] - 24 : place[1] + 1, 0].astype(float)
    seen = blurred_photograph(1.0)[place][0]
    # The kernel's corner is its origin, so the photograph lies half a kernel further on. Noise is 2.55.
    assert abs((window[::-1, ::-1] * kernel).sum() - seen) < 10
    assert half == len(kernel) // 2


def test_motion_blurs_along_itself():
    height, width = size_of(0.06)
    field = np.zeros((height, width, 2), np.float32)
    field[..., 0] = 15
    moved = moved_photograph(0.06, field).astype(float)
    assert moved.shape == (height, width, 3)
    row, inside = astronaut()[150, :width, 0].astype(float), slice(10, width - 10)
    means = np.convolve(row, np.ones(15) / 15, "same")
    errors = [np.abs(moved[150, inside, 0] - seen[inside]).mean() for seen in (means, row)]
    assert errors[0] < min(4, 0.6 * errors[1])


def test_it_continues_over_the_seams_of_its_repeats():
    photograph = blurred_photograph(4.0, grey=True).astype(float)
    steps = np.abs(np.diff(photograph, axis=1)).mean(0)
    assert steps[[511, 1023, 1535]].max() < 2 * np.median(steps)
