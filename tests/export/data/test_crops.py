from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.data.crops import FLAT, log_uniform, sharp_crop


def test_crops_show_something(planes):
    blank = np.full((300, 300), 128, np.uint8)
    crop = sharp_crop([blank, planes[0]], 90, (1, 2), np.random.default_rng(0))
    assert crop.shape == (90, 90)
    assert crop.std() > FLAT
    assert crop.min() >= 0
    assert crop.max() <= 1
    for useless in (blank, planes[0][:80, :80]):
        with pytest.raises(ValueError, match="give larger ones"):
            sharp_crop([useless], 90, (1, 2), np.random.default_rng(0))


@given(low=st.floats(1e-3, 10), ratio=st.floats(1, 100), seed=st.integers(0, 100))
def test_log_uniform_keeps_its_bounds(low, ratio, seed):
    drawn = log_uniform(np.random.default_rng(seed), (low, low * ratio))
    assert low * (1 - 1e-9) <= drawn <= low * ratio * (1 + 1e-9)
