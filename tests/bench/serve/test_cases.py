import numpy as np
import pytest

import runtime
from bench.serve.cases import bad_cases, good_cases, photographs
from runtime.images import decode


def test_photographs_are_the_same_every_time_and_large_enough():
    first, second = photographs(5, 66), photographs(5, 66)
    assert all(np.array_equal(*pair) for pair in zip(first, second, strict=True))
    assert min(min(pixels.shape[:2]) for pixels in first) >= 66


def test_good_cases_expect_what_the_library_gives():
    deblurrer = runtime.Deblurrer(device="cpu")
    for case in good_cases(deblurrer, 3, 66):
        assert case.status == 200
        assert case.pixels.shape == decode(case.body)[0].shape
        assert not np.array_equal(case.pixels, decode(case.body)[0])
        assert "quality=fast" in case.query


@pytest.mark.parametrize("case", bad_cases(66), ids=lambda case: case.name)
def test_bad_cases_expect_no_photograph(case):
    assert case.pixels is None
    assert case.status in (0, 400, 413, 415, 422)
