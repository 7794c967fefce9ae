import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.preparation.fill import fill_unknown


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 99))
def test_known_pixels_stay_and_the_others_lie_within_their_range(height, width, seed):
    random = np.random.default_rng(seed)
    planes = random.uniform(-1, 3, (2, height, width)).astype(np.float32)
    known = random.uniform(size=(height, width)) < 0.3
    known.flat[random.integers(known.size)] = True
    filled = np.where(known, planes, np.nan).astype(np.float32)
    fill_unknown(filled, known)
    assert np.array_equal(filled[:, known], planes[:, known])
    for before, after in zip(planes, filled, strict=True):
        assert before[known].min() - 1e-5 <= after.min()
        assert after.max() <= before[known].max() + 1e-5


def test_a_constant_is_continued_and_a_ramp_nearly():
    known = np.ones((40, 60), bool)
    known[10:25, 20:40] = False
    ramp = np.linspace(0, 1, 60, dtype=np.float32)[None, None].repeat(40, axis=1)
    planes = np.concatenate([np.full_like(ramp, 0.3), ramp])
    planes[:, ~known] = 9
    fill_unknown(planes, known)
    assert planes[0] == pytest.approx(0.3)
    assert np.abs(planes[1] - ramp[0]).max() < 0.1


def test_nothing_known_gives_zero():
    planes = np.full((1, 5, 4), np.nan, np.float32)
    fill_unknown(planes, np.zeros((5, 4), bool))
    assert not planes.any()
