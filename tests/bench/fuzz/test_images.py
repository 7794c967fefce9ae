import numpy as np
import pytest

from bench.fuzz.case import Broken, generator
from bench.fuzz.images import Images, check_pixels
from tests.bench.fuzz.short import check_family


@pytest.mark.slow
def test_mutated_files_are_decoded_or_refused():
    check_family("images", results=20, refusals=50)


def test_a_case_is_made_again_from_its_number(tmp_path):
    made = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        case = Images().make(generator("images", 5, 6), folder)
        (file,) = folder.iterdir()
        made.append((case.title, file.name, file.read_bytes()))
    assert made[0] == made[1]


def test_what_is_no_image_is_found():
    check_pixels(np.zeros((3, 4, 2), np.uint16))
    for pixels in (
        np.zeros(3, np.uint8),
        np.zeros((0, 3), np.uint8),
        np.zeros((2, 2, 5), np.uint8),
        np.zeros((2, 2), int),
    ):
        with pytest.raises(Broken):
            check_pixels(pixels)
