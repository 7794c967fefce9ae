import pickle
import shutil
from dataclasses import replace

import click
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import fftconvolve

from bench.accuracy.scoring import score
from bench.data.datasets import (
    BUNDLED,
    DEFAULT_CASES,
    SAMPLES,
    SETS,
    blur_valid,
    choose,
    choose_cases,
    data_folder,
    gopro,
    harmless,
    kohler,
    lai,
    lai_real,
    levin,
    luma,
    samples,
    shake,
    sun_style,
)
from bench.data.drawings import DRAWINGS
from runtime.errors import ImageFileError, InvalidArgument
from runtime.metrics import align, psnr


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


def test_kohler_shots_with_large_blur_are_a_set_of_their_own(data_set):
    cases = kohler(data_set)
    assert [case.name for case in cases] == ["1_1"]
    assert [case.name for case in kohler(data_set, large=True)] == ["1_10", "1_9"]
    sample = cases[0].load()
    assert (sample.border, sample.max_shift, sample.fit_brightness) == (60, 40, True)
    assert sample.kernel is None
    # The shot is dimmer than the truth, and elsewhere.
    assert score(sample.observed, sample).psnr > score(sample.observed, replace(sample, fit_brightness=False)).psnr + 3


def test_lai_kernels_are_flipped_into_convolutions_and_kinds_named(data_set):
    cases = lai(data_set)
    assert [case.name for case in cases] == ["natural_01_kernel_03", "text_01_kernel_03"]
    assert [case.kind for case in cases] == ["natural, people", "text"]
    sample = cases[0].load()
    assert sample.observed.shape == sample.sharp.shape == (150, 160, 3)
    assert sample.border == 20 + 4
    assert sample.kernel.sum() == pytest.approx(1)
    fits, misfits = (
        np.abs(fftconvolve(luma(sample.sharp), kernel, "same") - luma(sample.observed))[20:-20, 20:-20].max()
        for kernel in (sample.kernel, sample.kernel[::-1, ::-1])
    )
    # Eight bits, and no more.
    assert fits < 0.01
    assert misfits > 0.03


def test_colours_keep_their_order(data_set, colour_scene):
    np.testing.assert_allclose(lai(data_set)[0].load().sharp, colour_scene, atol=0.003)


@pytest.mark.parametrize(("load", "name"), [(gopro, "GOPR_avg-8"), (shake, "0009_0")])
def test_pairs_find_their_truth(load, name, data_set):
    (case,) = load(data_set)
    assert case.name == name
    sample = case.load()
    assert (sample.kernel, sample.border, sample.max_shift) == (None, 20, 10)
    assert sample.observed.shape == sample.sharp.shape == (150, 160, 3)
    assert 15 < score(sample.observed, sample).psnr < 40
    assert np.var(luma(sample.sharp)) > np.var(luma(sample.observed))


def test_real_photographs_have_no_truth(data_set):
    (case,) = lai_real(data_set)
    sample = case.load()
    assert (case.name, sample.sharp, sample.kernel) == ("leaf", None, None)
    assert sample.observed.shape == (150, 160, 3)


def test_what_is_harmless_is_its_own_truth(data_set):
    cases = harmless(data_set)
    assert [case.name for case in cases] == ["1234", *DRAWINGS]
    assert [case.kind for case in cases] == ["photograph"] + ["drawing"] * len(DRAWINGS)
    for case in cases:
        sample = case.load()
        assert sample.observed is sample.sharp
        assert (sample.kernel, sample.border, sample.max_shift) == (None, 0, 0)
        assert score(sample.observed, sample).psnr == 100


def test_a_truth_that_is_missing_is_named(data_set, tmp_path):
    shots = tmp_path / "eval" / "kohler2012"
    shutil.copytree(data_set / "eval" / "kohler2012", shots)
    (shots / "GroundTruth1_jpegQ50.jpg").unlink()
    with pytest.raises(ImageFileError, match="GroundTruth1"):
        kohler(tmp_path)[0].load()


@pytest.mark.parametrize("name", list(SETS))
def test_every_case_of_every_set_can_be_handed_to_another_process(name, data_set):
    case = SETS[name](data_set)[-1]
    again = pickle.loads(pickle.dumps(case))
    np.testing.assert_array_equal(again.load().observed, case.load().observed)


@given(st.integers(1, 30), st.integers(1, 30))
def test_luminance_is_that_of_the_runtime(height, width):
    colours = np.random.default_rng(height).random((height, width, 3), np.float32)
    np.testing.assert_allclose(luma(colours), colours @ np.array([0.299, 0.587, 0.114], np.float32), rtol=1e-5)
    plane = colours[..., 0]
    assert luma(plane) is plane


def test_luminance_of_other_shapes_is_refused():
    with pytest.raises(InvalidArgument, match="planes"):
        luma(np.zeros((5, 5, 4), np.float32))


def test_cases_are_chosen_set_by_set(data_set, monkeypatch):
    chosen = choose_cases(str(data_set), ["sun", "levin"], None)
    assert [(name, len(cases)) for name, cases in chosen.items()] == [("sun", 2), ("levin", 2)]
    assert [len(cases) for cases in choose_cases(str(data_set), list(SETS), 1).values()] == [1] * len(SETS)
    monkeypatch.setitem(DEFAULT_CASES, "sun", 1)
    assert [len(cases) for cases in choose_cases(str(data_set), ["sun", "levin"], None).values()] == [1, 2]
    with pytest.raises(click.UsageError, match="no set moon"):
        choose_cases(str(data_set), ["moon"], None)


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


def test_the_samples_need_no_data(monkeypatch, tmp_path):
    monkeypatch.delenv("DEBLUR_DATA", raising=False)
    (cases,) = choose_cases(None, ["samples"], None).values()
    assert [case.name for case in cases] == [case.name for case in samples(tmp_path)]
    assert len(cases) == len(SAMPLES)
    for case, side in zip(cases, SAMPLES.values(), strict=True):
        sample = case.load()
        assert sample.observed.shape == sample.sharp.shape
        assert sample.kernel.shape == (side, side)
        assert sample.kernel.sum() == pytest.approx(1, abs=1e-5)
        planes = np.moveaxis(sample.sharp, -1, 0) if sample.sharp.ndim == 3 else [sample.sharp]
        seen = np.moveaxis(sample.observed, -1, 0) if sample.sharp.ndim == 3 else [sample.observed]
        for plane, observed in zip(planes, seen, strict=True):
            error = (fftconvolve(plane, sample.kernel, "same") - observed)[side:-side, side:-side]
            assert error.std() == pytest.approx(0.01, rel=0.1)
    with pytest.raises(click.UsageError, match="DEBLUR_DATA"):
        choose_cases(None, ["samples", "levin"], None)


@pytest.mark.parametrize("name", sorted({*SETS} - BUNDLED))
def test_a_folder_without_the_set_is_refused(name, tmp_path):
    with pytest.raises(click.UsageError, match="no files"):
        SETS[name](tmp_path)


@pytest.mark.data
def test_the_real_sets_are_as_described(data_root):
    cases = levin(data_root)
    assert len(cases) == 16
    assert len(sun_style(data_root)) == 48
    assert [case.name for case in kohler(data_root)] == ["1_1", "1_2", "1_3", "1_4", "1_6", "2_1", "2_11", "2_5", "2_8"]
    assert [case.name for case in kohler(data_root, large=True)] == ["1_10", "1_9"]
    assert [len(load(data_root)) for load in (lai, lai_real, gopro, shake)] == [20, 10, 1, 3]
    assert sum(case.kind == "natural, people" for case in lai(data_root)) == 8
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


@pytest.mark.data
def test_the_blur_of_lai_is_what_its_kernel_says(data_root):
    sample = lai(data_root)[2].load()
    sides = slice(sample.border, -sample.border), slice(sample.border, -sample.border)
    blurred = fftconvolve(luma(sample.sharp), sample.kernel, "same")
    assert np.std((blurred - luma(sample.observed))[sides]) < 0.01


@pytest.mark.data
def test_a_kohler_shot_fits_its_truth_once_moved(data_root):
    sample = kohler(data_root)[2].load()
    assert score(sample.observed, sample).psnr > score(sample.observed, replace(sample, max_shift=0)).psnr + 5
