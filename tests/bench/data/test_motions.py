import numpy as np
import pytest
from scipy.io import savemat
from scipy.signal import fftconvolve

from bench.data.motions import MODERATE, SEVERE, blur_along, published, synthetic, turning_field
from runtime.blur.motion import motion_kernel
from tests.bench.conftest import write_picture


@pytest.fixture(scope="module")
def folder(tmp_path_factory, colour_scene):
    data = tmp_path_factory.mktemp("data")
    write_picture(data / "eval" / "sharp_cid22_val" / "1.png", colour_scene)
    case = data / "eval" / "eboli_cpcr"
    for name in ("blurry", "gt"):
        write_picture(case / f"nonuniform_{name}.png", colour_scene)
    stored = np.full((*colour_scene.shape[:2], 2), (11.0, 130.0))
    savemat(case / "nonuniform_motion.mat", {"mfmap": stored})
    return data


def test_the_published_case_counts_its_angles_from_the_vertical(folder):
    (case,) = published(folder)
    sample = case.load()
    np.testing.assert_allclose(sample.field[0, 0], (11, 140))
    assert sample.field.shape == (*sample.observed.shape[:2], 2)
    assert sample.max_shift == 0


def test_synthetic_cases_are_blurred_moderately_and_severely(folder):
    for case, longest in zip(synthetic(folder), (MODERATE, SEVERE), strict=True):
        sample = case.load()
        assert sample.observed.shape == sample.sharp.shape
        assert sample.field[..., 0].max() == pytest.approx(longest, abs=1e-3)
        assert 1e-3 < np.square(sample.observed - sample.sharp).mean() < 0.1
        again = case.load()
        np.testing.assert_array_equal(again.observed, sample.observed)


def test_fields_turn():
    field = turning_field((60, 80), 20, np.random.default_rng(3))
    assert field.dtype == np.float32
    assert field[..., 0].min() >= 0
    assert 0 <= field[..., 1].min() <= field[..., 1].max() <= 180
    assert np.ptp(field[..., 0]) > 1


@pytest.mark.parametrize(("length", "angle"), [(9, 0), (15, 30), (21, 120)])
def test_blur_along_a_constant_field_is_that_of_its_kernel(colour_scene, length, angle):
    field = np.full((*colour_scene.shape[:2], 2), (length, angle), np.float32)
    blurred = blur_along(colour_scene, field)[..., 0]
    expected = fftconvolve(colour_scene[..., 0], motion_kernel(length, angle), mode="same")
    wrong = fftconvolve(colour_scene[..., 0], motion_kernel(length, -angle - 45), mode="same")
    inside = slice(20, -20), slice(20, -20)
    error = np.abs(blurred - expected)[inside].mean()
    assert error < 0.2 * np.abs(blurred - colour_scene[..., 0])[inside].mean()
    assert error < 0.3 * np.abs(blurred - wrong)[inside].mean()
