import numpy as np
import pytest

from bench.fuzz.calls import Calls, check_image
from bench.fuzz.case import Broken, generator
from tests.bench.fuzz.short import check_family


@pytest.mark.slow
def test_calls_give_images_or_errors():
    check_family("calls", results=20, refusals=40)


def test_a_case_is_made_again_from_its_number(tmp_path):
    titles = [[Calls().make(generator("calls", 5, number), tmp_path).title for number in range(30)] for _ in range(2)]
    assert [title.partition(" at 0x")[0] for title in titles[0]] == [
        title.partition(" at 0x")[0] for title in titles[1]
    ]
    assert len({title.partition("(")[0] for title in titles[0]}) > 5


def test_a_result_is_like_its_input():
    image = np.full((4, 5, 3), 0.5, np.float32)
    masked = np.ma.MaskedArray(image, image > 1)
    check_image(image.copy(), image)
    check_image(masked.copy(), masked)
    check_image(None, None)
    wrong = [
        image[:3], image.astype(np.float64), image * np.nan, image.tolist(), masked, image[..., 0],
    ]  # fmt: skip
    for result in wrong:
        with pytest.raises(Broken):
            check_image(result, image)
    with pytest.raises(Broken, match="mask"):
        check_image(np.ma.MaskedArray(image, image < 1), masked)
    with pytest.raises(Broken, match="bytes"):
        check_image(image, b"x")
