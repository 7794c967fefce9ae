import click
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import fftconvolve

from bench.datasets import SETS, blur_valid, choose, data_folder, levin, sun_style
from runtime.quality import align, psnr


@given(height=st.integers(1, 8), width=st.integers(1, 9), seed=st.integers(0, 99))
def test_a_valid_convolution_lies_where_its_truth_lies(height, width, seed):
    random = np.random.default_rng(seed)
    sharp, kernel = random.random((20, 24)), random.random((height, width))
    observed, cropped = blur_valid(sharp, kernel, 0, (seed,))
    assert observed.shape == cropped.shape == (21 - height, 25 - width)
    # The origin of a kernel is that of "same".
    same = fftconvolve(sharp, kernel, "same")
    top, left = height // 2, width // 2
    expected = same[top : top + observed.shape[0], left : left + observed.shape[1]]
    np.testing.assert_allclose(observed, expected, atol=1e-5)
    np.testing.assert_array_equal(cropped, sharp[top : top + observed.shape[0], left : left + observed.shape[1]])


def test_noise_is_as_strong_as_said_and_always_the_same(scene):
    kernel = np.ones((3, 3)) / 9
    clean, _ = blur_valid(scene, kernel, 0, (1, 2))
    first, _ = blur_valid(scene, kernel, 0.01, (1, 2))
    again, _ = blur_valid(scene, kernel, 0.01, (1, 2))
    other, _ = blur_valid(scene, kernel, 0.01, (1, 3))
    np.testing.assert_array_equal(first, again)
    assert np.std(first - clean) == pytest.approx(0.01, rel=0.05)
    assert np.std(first - other) > 0.01


def test_levin_kernels_are_flipped_into_convolutions(data_set, scene):
    cases = levin(data_set)
    assert [case.name for case in cases] == ["im01_ker01", "im01_ker02"]
    sample = cases[1].load()
    assert sample.border == 15 + 3
    assert sample.kernel.dtype == sample.observed.dtype == sample.sharp.dtype == np.float32
    assert sample.kernel.sum() == pytest.approx(1)
    np.testing.assert_allclose(fftconvolve(sample.sharp, sample.kernel, "same"), sample.observed, atol=1e-5)


def test_sun_style_cases_are_every_photograph_with_every_kernel(data_set):
    cases = sun_style(data_set)
    assert [case.name for case in cases] == ["1234_ker01", "1234_ker02"]
    for case, size in zip(cases, (5, 7), strict=True):
        sample = case.load()
        assert sample.observed.shape == sample.sharp.shape == (151 - size, 161 - size)
        assert sample.border == 50
        blurred = fftconvolve(sample.sharp, sample.kernel, "same")
        inside = slice(8, -8), slice(8, -8)
        assert np.std((blurred - sample.observed)[inside]) == pytest.approx(0.01, rel=0.1)
        np.testing.assert_array_equal(sample.observed, case.load().observed)


def test_a_choice_of_cases_is_fixed_in_order_and_part_of_a_larger_one():
    cases = list(range(16))
    few, more = choose(cases, 3), choose(cases, 7)
    assert few == choose(cases, 3) == sorted(few)
    assert len(few) == 3
    assert set(few) < set(more)
    assert choose(cases, None) == choose(cases, 99) == cases


def test_the_data_folder_is_given_or_in_the_environment(monkeypatch, tmp_path):
    monkeypatch.delenv("DEBLUR_DATA", raising=False)
    with pytest.raises(click.UsageError, match="DEBLUR_DATA"):
        data_folder(None)
    with pytest.raises(click.UsageError, match="no such folder"):
        data_folder(str(tmp_path / "none"))
    assert data_folder(str(tmp_path)) == tmp_path
    monkeypatch.setenv("DEBLUR_DATA", str(tmp_path))
    assert data_folder(None) == tmp_path


@pytest.mark.parametrize("name", list(SETS))
def test_a_folder_without_the_set_is_refused(name, tmp_path):
    with pytest.raises(click.UsageError, match="no files"):
        SETS[name](tmp_path)


@pytest.mark.data
def test_the_real_sets_are_as_described(data_root):
    cases = levin(data_root)
    assert len(cases) == 16
    assert len(sun_style(data_root)) == 48
    # The fixed shift of kernel 4 is (-3, 3): within reach of the score.
    for case in (cases[0], cases[3]):
        sample = case.load()
        blurred = fftconvolve(sample.sharp, sample.kernel, "same")
        flipped = fftconvolve(sample.sharp, sample.kernel[::-1, ::-1], "same")
        fits, misfits = (
            psnr(align(plane, sample.observed, border=sample.border), sample.observed, border=sample.border)
            for plane in (blurred, flipped)
        )
        assert fits > 35
        assert fits > misfits + 1
