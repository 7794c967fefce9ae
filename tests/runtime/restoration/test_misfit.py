import numpy as np
import pytest

from runtime.restoration.misfit import find_misfit


def test_the_misfit_counts_what_is_inside_and_not_saturated():
    observed = np.full((160, 200), 0.5, np.float32)
    blurred = observed + 0.1
    blurred[:35], blurred[:, :35], blurred[-35:], blurred[:, -35:] = 9, 9, 9, 9
    observed[80, 100], blurred[80, 100] = 1, 0
    assert find_misfit(blurred, observed) == pytest.approx(0.1, rel=1e-4)


def test_where_no_pixel_counts_there_is_no_misfit():
    assert find_misfit(np.zeros((50, 60), np.float32), np.ones((50, 60), np.float32)) == 0


def test_unknown_pixels_do_not_count():
    observed, known = np.full((60, 70), 0.5, np.float32), np.ones((60, 70), bool)
    blurred = observed + 0.1
    blurred[30:34], known[30:34] = 7, False
    assert find_misfit(blurred, observed, known) == pytest.approx(0.1, rel=1e-4)
