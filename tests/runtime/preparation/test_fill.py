import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from skimage import data

from runtime.preparation import fill
from runtime.preparation.fill import continued, fill_unknown


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


@given(st.integers(1, 24), st.integers(1, 24), st.integers(0, 99), st.floats(0, 1))
def test_a_plane_is_continued_exactly_over_gaps_of_any_shape(height, width, seed, share):
    """A plane has no curvature; what the unknown pixels hold makes no difference."""
    random = np.random.default_rng(seed)
    unknown = random.uniform(size=(height, width)) < 0.4 * share
    unknown.flat[random.integers(unknown.size)] = False
    rows, cols = np.mgrid[:height, :width]
    planes = np.stack([0.3 + 0 * rows, 0.01 * rows - 0.02 * cols]).astype(np.float32)
    exact = planes[:, unknown]
    planes[:, unknown] = random.normal(size=exact.shape)
    values = continued(planes, unknown)
    assert values.shape == exact.shape
    np.testing.assert_allclose(values[0], exact[0], atol=1e-5)
    if unknown[1:-1, 1:-1].sum() == unknown.sum() < 0.2 * unknown.size:
        np.testing.assert_allclose(values[1], exact[1], atol=2e-3)


def test_narrow_gaps_of_a_blurred_photograph_follow_from_their_surroundings():
    photograph = gaussian_filter(data.camera().astype(np.float32)[None] / 255, (0, 2, 2))
    gaps = np.zeros(photograph.shape[1:], bool)
    gaps[100:103, 50:450] = gaps[50:450, 200:204] = True
    error = np.abs(continued(photograph, gaps) - photograph[:, gaps])
    filled = photograph.copy()
    fill_unknown(filled, ~gaps)
    rough = np.abs(filled - photograph)[:, gaps]
    assert error.mean() < 0.004
    assert error.mean() < rough.mean() / 2


def test_gaps_at_the_border_are_continued_and_nothing_is_from_nothing():
    planes = np.full((1, 8, 9), 0.4, np.float32)
    unknown = np.zeros((8, 9), bool)
    unknown[:2] = unknown[:, -1] = True
    planes[:, unknown] = 7
    np.testing.assert_allclose(continued(planes, unknown), 0.4, atol=1e-5)
    assert np.isnan(continued(planes, np.ones_like(unknown))).all()
    assert continued(planes, np.zeros_like(unknown)).shape == (1, 0)


def test_large_photographs_are_continued_part_by_part_without_seams(monkeypatch):
    photograph = gaussian_filter(data.camera()[:200, :230].astype(np.float32)[None] / 255, (0, 2, 2))
    gaps = np.random.default_rng(0).uniform(size=photograph.shape[1:]) < 0.1
    gaps[90:96, 20:200] = gaps[20:180, 110:116] = True
    whole = continued(photograph, gaps)
    monkeypatch.setattr(fill, "_TILE", 48)
    monkeypatch.setattr(fill, "_AROUND", 32)
    np.testing.assert_allclose(continued(photograph, gaps), whole, atol=5e-3)
