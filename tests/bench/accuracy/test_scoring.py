from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import shift

from bench.accuracy.scoring import MAX_PSNR, error_ratio_summary, score
from bench.data.datasets import Sample, luma
from runtime.errors import InvalidArgument

BORDER = 16


@pytest.fixture(scope="module")
def sample(scene):
    return Sample(scene, scene, np.ones((1, 1), np.float32), BORDER)


def moved(plane, dy, dx, fill):
    """Move a plane; what it uncovers is `fill`, and nothing comes back in on the other side."""
    return shift(plane, (dy, dx), order=1 if dy % 1 or dx % 1 else 0, mode="constant", cval=fill)


@given(dy=st.integers(-10, 10), dx=st.integers(-10, 10), fill=st.sampled_from([0.0, 0.5, 1.0]))
@settings(max_examples=15)
def test_a_whole_shift_within_reach_is_forgiven(sample, dy, dx, fill):
    found = score(moved(sample.sharp, dy, dx, fill), sample)
    assert found.psnr == MAX_PSNR
    assert found.ssim > 0.9999
    assert found.ssd < 1e-5


@given(dy=st.integers(-40, 40), dx=st.integers(-40, 40))
@settings(max_examples=15)
def test_a_quarter_pixel_shift_is_forgiven(sample, dy, dx):
    quarters = shift(sample.sharp, (dy / 4, dx / 4), order=5, mode="nearest")
    unmoved = Sample(sample.observed, sample.sharp, sample.kernel, BORDER, max_shift=0)
    assert score(quarters, sample).psnr > 38
    if abs(dy) > 1 or abs(dx) > 1:
        assert score(quarters, unmoved).psnr < score(quarters, sample).psnr - 5


@pytest.mark.parametrize(("dy", "dx"), [(13, 0), (0, -13), (30, 5), (75, 80)])
def test_a_larger_shift_is_not_forgiven_not_even_around_the_sides(sample, dy, dx):
    for wrong in (moved(sample.sharp, dy, dx, 0.5), np.roll(sample.sharp, (dy, dx), (0, 1))):
        assert score(wrong, sample).psnr < 30


def test_nothing_comes_in_around_the_sides(sample, rng):
    # Left of the middle noise, right of it the truth: a score on the pixels that match would be perfect.
    half = sample.sharp.copy()
    middle = half.shape[1] // 2
    half[:, :middle] = rng.random((half.shape[0], middle))
    inside = slice(BORDER, -BORDER), slice(BORDER, -BORDER)
    unmoved = np.square(half[inside].astype(float) - sample.sharp[inside]).sum()
    assert score(half, sample).ssd == pytest.approx(unmoved, rel=0.05)


def test_wrong_results_score_low(sample, rng):
    truth = sample.sharp
    flat = score(np.full_like(truth, truth.mean()), sample)
    for wrong in (truth[::-1, ::-1], 1 - truth, rng.random(truth.shape, np.float32)):
        assert score(wrong, sample).psnr < flat.psnr + 1
        assert score(wrong, sample).ssim < 0.5


@given(dy=st.integers(-10, 10), dx=st.integers(-10, 10), fill=st.sampled_from([0.0, 0.5, 1.0]))
@settings(max_examples=15)
def test_what_covers_a_photograph_makes_no_difference_however_it_is_shifted(sample, dy, dx, fill):
    covered = np.zeros(sample.sharp.shape, bool)
    covered[40:52, 30:70] = True
    stamped = sample.sharp.copy()
    stamped[covered] = fill
    found = score(moved(stamped, dy, dx, fill), replace(sample, covered=np.roll(covered, (dy, dx), (0, 1))))
    assert found.psnr > 60
    assert found.ssim > 0.9999
    assert score(stamped, sample).psnr < 40


def test_a_mask_of_nothing_changes_nothing(sample, rng):
    noisy = (sample.sharp + 0.1 * rng.standard_normal(sample.sharp.shape)).astype(np.float32)
    found = score(noisy, replace(sample, covered=np.zeros(sample.sharp.shape, bool)))
    expected = score(noisy, sample)
    assert (found.psnr, found.ssim, found.ssd) == pytest.approx((expected.psnr, expected.ssim, expected.ssd))


def test_errors_beside_what_covers_a_photograph_count(sample):
    covered = np.zeros(sample.sharp.shape, bool)
    covered[40:50, 30:50] = True
    wrong = sample.sharp.copy()
    wrong[:, 80:] = 1 - wrong[:, 80:]
    apart = score(wrong, replace(sample, covered=covered, max_shift=0))
    assert apart.psnr == pytest.approx(score(wrong, replace(sample, max_shift=0)).psnr, abs=0.5)
    assert apart.psnr < score(wrong, replace(sample, max_shift=0)).psnr
    with pytest.raises(InvalidArgument, match="leaves nothing of it"):
        score(wrong, replace(sample, covered=np.ones_like(covered)))


def test_brightness_is_not_forgiven(sample):
    inside = slice(BORDER, -BORDER), slice(BORDER, -BORDER)
    dim = 0.9 * sample.sharp
    expected = -10 * np.log10(np.mean(np.square(0.1 * sample.sharp[inside].astype(float))))
    assert score(dim, sample).psnr == pytest.approx(expected, abs=0.05)


def test_values_are_clipped_and_the_border_does_not_count(sample, rng):
    truth = sample.sharp
    noisy = truth + 0.02 * rng.standard_normal(truth.shape)
    worse_border = np.where(np.pad(np.zeros((118, 128), bool), 16, constant_values=True), 0.3, noisy)
    assert score(worse_border, sample).psnr == pytest.approx(score(noisy, sample).psnr, abs=1e-6)
    overshoot = np.where(truth > 0.9, 5.0, truth)
    assert score(overshoot, sample) == score(np.where(truth > 0.9, 1.0, truth), sample)


def test_more_error_is_a_lower_score(sample, rng):
    noise = rng.standard_normal(sample.sharp.shape)
    scores = [score(sample.sharp + sigma * noise, sample) for sigma in (0.01, 0.03, 0.1)]
    assert scores[0].psnr > scores[1].psnr > scores[2].psnr
    assert scores[0].ssim > scores[1].ssim > scores[2].ssim
    assert scores[0].ssd < scores[1].ssd < scores[2].ssd
    assert scores[0].psnr == pytest.approx(40, abs=0.3)


def test_a_factor_of_the_values_is_forgiven_where_the_sample_says_so(sample):
    lenient = replace(sample, fit_brightness=True)
    for factor in (0.5, 0.9, 1.0):
        moved_and_dim = factor * np.roll(sample.sharp, (3, -7), (0, 1))
        assert score(moved_and_dim, lenient).psnr == MAX_PSNR
    # The factor that fits best, not one that makes the means alike.
    noisy = sample.sharp + 0.1 * np.random.default_rng(0).standard_normal(sample.sharp.shape)
    assert score(noisy, lenient).psnr > score(noisy, sample).psnr
    # What is added is not a factor.
    assert score(0.3 + 0.5 * sample.sharp, lenient).psnr < 30
    assert score(np.zeros_like(sample.sharp), lenient).psnr < 20


def test_colours_are_scored_by_their_luminance(scene, colour_scene):
    sample = Sample(colour_scene, colour_scene, None, BORDER)
    tinted = colour_scene.copy()
    tinted[..., 2] += 0.1
    plain = Sample(scene, luma(colour_scene), None, BORDER)
    assert score(tinted, sample) == score(luma(tinted), sample) == score(luma(tinted), plain)
    assert score(tinted, sample).psnr == pytest.approx(-20 * np.log10(0.0114), abs=0.1)
    assert score(colour_scene, sample).psnr == MAX_PSNR


def test_a_sample_may_count_to_its_sides(sample):
    whole = replace(sample, border=0, max_shift=0)
    assert score(sample.sharp, whole).psnr == MAX_PSNR
    edge = sample.sharp.copy()
    edge[0] = 1 - edge[0]
    assert score(edge, whole).psnr < 40
    assert score(edge, sample).psnr == MAX_PSNR


def test_what_has_no_truth_or_another_size_has_no_score(sample):
    with pytest.raises(InvalidArgument, match="no sharp image"):
        score(sample.observed, Sample(sample.observed))
    for wrong in (sample.sharp[1:], np.zeros((150, 160, 4), np.float32), np.zeros(5, np.float32)):
        with pytest.raises(InvalidArgument):
            score(wrong, sample)
    with pytest.raises(InvalidArgument, match="leaves nothing"):
        score(sample.sharp, replace(sample, border=80))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_result_that_is_not_finite_has_no_score(sample, value):
    broken = sample.sharp.copy()
    broken[70, 70] = value
    with pytest.raises(InvalidArgument, match="NaN"):
        score(broken, sample)


def test_error_ratios_are_summed_up():
    summary = error_ratio_summary([1.0, 2.0, 3.0, 10.0])
    assert summary == {
        "ratio_mean": 4.0,
        "ratio_95": pytest.approx(8.95),
        "ratio_max": 10.0,
        "ratio_within_2": 0.5,
        "ratio_within_3": 0.75,
        "ratio_within_5": 0.75,
    }
