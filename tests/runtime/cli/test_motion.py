import numpy as np
import pytest

from runtime.cli.motion import motion_picture


def field(length, angle, shape=(40, 60)):
    return np.broadcast_to(np.float32([length, angle]), (*shape, 2))


def coloured(picture):
    """Return the pixels whose channels differ."""
    rows, cols = np.nonzero(np.ptp(picture.astype(int), axis=-1) > 40)
    return rows, cols


def test_lines_run_along_the_motion():
    grey = np.full((40, 60), 128, np.uint8)
    rows, cols = coloured(motion_picture(field(11, 0), grey))
    assert len(np.unique(cols)) > 30
    assert len(np.unique(rows)) <= 2 * len(range(6, 40, 12))
    rows, cols = coloured(motion_picture(field(11, 90), grey))
    assert len(np.unique(rows)) > len(np.unique(cols))


def test_angles_count_counter_clockwise():
    rows, cols = coloured(motion_picture(field(9, 45, (13, 13)), np.zeros((13, 13), np.uint8)))
    assert np.corrcoef(rows, cols)[0, 1] < -0.8


def test_opposite_motions_look_alike():
    grey = np.zeros((40, 60), np.uint8)
    np.testing.assert_array_equal(motion_picture(field(9, 30), grey), motion_picture(field(9, 210), grey))


def test_what_stands_still_is_a_point():
    picture = motion_picture(field(1, 77), np.full((40, 60), 255, np.uint8))
    assert not coloured(picture)[0].size
    assert (picture == 0).all(axis=-1).sum() == 3 * 5


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [None, 1, 3, 4])
def test_every_kind_of_photograph(dtype, channels):
    top = np.iinfo(dtype).max if dtype != np.float32 else 1
    pixels = np.full((5, 4) if channels is None else (5, 4, channels), top, dtype)
    picture = motion_picture(field(1, 0, (5, 4)), pixels)
    assert (picture.dtype, picture.shape) == (np.uint8, (5, 4, 3))
    assert (picture == 255).all()
