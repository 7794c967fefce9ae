import numpy as np
import pytest

from runtime.estimation.kernel.pyramid import BlurredImage
from runtime.estimation.poses.parts import split


@pytest.mark.parametrize("shape", [(40, 50), (400, 620), (151, 900)])
def test_parts_cover_a_photograph(shape):
    covered = np.zeros(shape, int)
    parts = split(shape, 150, 16)
    for part in parts:
        covered[part.rows, part.cols] += 1
        assert abs(part.place[0]) <= shape[0] / 2
        assert abs(part.place[1]) <= shape[1] / 2
    assert covered.min() == 1
    # Seams lie at whole pixels, so that the mean is not exactly 0.
    assert np.abs(np.mean([part.place for part in parts], axis=0)).max() <= 1


def test_a_part_is_cut_out_of_everything(sharp):
    blurred = BlurredImage(sharp, sharp < 0.9, sharp, 0.01)
    part = split(sharp.shape, 100, 8)[-1]
    cropped = part.crop(blurred)
    np.testing.assert_array_equal(cropped.image, sharp[part.rows, part.cols])
    np.testing.assert_array_equal(cropped.known, sharp[part.rows, part.cols] < 0.9)
    assert (cropped.initial, cropped.noise) == (None, 0.01)
