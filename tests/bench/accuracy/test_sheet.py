import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from bench.accuracy.evaluation import BLURRED, NEURAL, TRUE_KERNEL, WHOLE, Result
from bench.accuracy.scoring import MAX_PSNR
from bench.accuracy.sheet import (
    CAPTION,
    CASES,
    GAP,
    HEIGHT,
    INSET,
    MAX_BYTES,
    WIDTH,
    draw_case,
    shown_cases,
    write_sheet,
)
from bench.data.datasets import Sample

SHAPE = (60, 80)
POINT = np.zeros((9, 9), np.float32)
POINT[2, 6] = 1


def case(observed, restored, sharp, kernel=None, scores=None):
    results = {
        BLURRED: Result(observed, None, 0.0),
        NEURAL: Result(observed, None, 0.0),
        WHOLE: Result(restored, POINT, 0.0),
    }
    plain = {method: {} for method in (*results, TRUE_KERNEL)}
    return draw_case("name", Sample(observed, sharp, kernel), results, scores or plain)


def grey(value, *channels):
    return np.full((*SHAPE, *channels), value, np.float32)


def test_a_case_shows_input_result_and_truth_with_their_kernels():
    picture = case(grey(0.2), grey(0.6), grey(1.0), POINT[:3, :7])
    assert picture.size == (3 * WIDTH + 2 * GAP, HEIGHT + CAPTION)
    pixels = np.asarray(picture)
    for number, value in enumerate((51, 153, 255)):
        left = number * (WIDTH + GAP)
        assert np.all(pixels[CAPTION + HEIGHT // 2, left + WIDTH // 2] == value)
        assert pixels[:CAPTION, left : left + WIDTH].min() < 100
    # A kernel is known up to translation: its only pixel is in the middle of the inset.
    for right in (2 * WIDTH + GAP, 3 * WIDTH + 2 * GAP):
        inset = pixels[-INSET:, right - INSET : right]
        assert np.all(inset[INSET // 2, INSET // 2] == 255)
        assert np.all(inset[3, 3] == 0)
    assert np.all(pixels[-INSET:, WIDTH - INSET : WIDTH] == 51)


def test_colours_stay_in_their_order_and_wild_values_are_clipped():
    red = grey(0.0, 3)
    red[..., 0] = 7
    red[..., 2] = -3
    pixels = np.asarray(case(red, red, None))
    assert pixels.shape == (HEIGHT + CAPTION, 2 * WIDTH + GAP, 3)
    for left in (0, WIDTH + GAP):
        assert pixels[CAPTION + 10, left + 10].tolist() == [255, 0, 0]


def test_the_middle_of_a_large_photograph_is_shown_in_detail():
    large = np.zeros((3 * HEIGHT, 4 * WIDTH), np.float32)
    large[HEIGHT : 2 * HEIGHT, WIDTH : 3 * WIDTH] = 1
    pixels = np.asarray(case(large, large, None))
    assert pixels[CAPTION + 5, WIDTH // 2, 0] == 0
    assert np.all(pixels[CAPTION + HEIGHT // 2, 5 : WIDTH - 5] == 255)


def test_a_photograph_that_is_its_own_truth_is_not_shown_twice():
    image = grey(0.5)
    assert case(image, image, image).width == 2 * WIDTH + GAP


def test_captions_tell_what_became_of_the_case():
    scores = {method: {"psnr": 20.0} for method in (BLURRED, NEURAL, WHOLE, TRUE_KERNEL)}
    plain, scored, unsure, unchanged = (
        np.asarray(case(grey(1.0), grey(1.0), grey(1.0), POINT, given))[:CAPTION]
        for given in (
            None,
            scores,
            {**scores, WHOLE: {"psnr": 20.0, "confidence": 0.5}},
            {**scores, WHOLE: {"psnr": 20.0, "confidence": 0.5, "unchanged": True}},
        )
    )
    for one, other in ((plain, scored), (scored, unsure), (unsure, unchanged)):
        assert np.any(one != other)
    # Equal images have no decibels worth telling.
    equal = case(grey(1.0), grey(1.0), grey(1.0), POINT, {method: {"psnr": MAX_PSNR} for method in scores})
    np.testing.assert_array_equal(np.asarray(equal)[:CAPTION, :WIDTH], plain[:, :WIDTH])


@given(st.integers(1, 99))
def test_a_sheet_shows_all_cases_or_a_spread_of_them(count):
    numbers = shown_cases(count)
    assert len(numbers) == min(count, CASES)
    assert numbers == sorted(set(numbers))
    assert set(numbers) <= set(range(count))
    assert {0, count - 1} <= set(numbers)


@pytest.mark.parametrize(("count", "across", "down"), [(1, 1, 1), (3, 1, 3), (5, 2, 3), (8, 2, 4)])
def test_a_sheet_is_laid_out_in_one_or_two_columns(count, across, down, tmp_path):
    write_sheet(tmp_path / "sheet.jpg", [Image.new("RGB", (100, 50), (0, 0, 255))] * count)
    sheet = Image.open(tmp_path / "sheet.jpg")
    assert sheet.size == (2 * GAP + 100 * across + 4 * GAP * (across - 1), GAP + (50 + GAP) * down)
    assert sheet.getpixel((GAP + 50, GAP + 25))[2] > 250


def test_a_sheet_stays_small(tmp_path, rng):
    noise = Image.fromarray(rng.integers(0, 256, (HEIGHT, 3 * WIDTH, 3), np.uint8))
    write_sheet(tmp_path / "sheet.jpg", [noise] * CASES)
    smooth = noise.filter(ImageFilter.GaussianBlur(1.5))
    write_sheet(tmp_path / "smooth.jpg", [smooth] * CASES)
    write_sheet(tmp_path / "one.jpg", [noise])
    assert (tmp_path / "smooth.jpg").stat().st_size <= MAX_BYTES
    # Noise does not fit at any quality, yet is not written at the best.
    assert (tmp_path / "sheet.jpg").stat().st_size < 0.6 * CASES * (tmp_path / "one.jpg").stat().st_size


def test_a_sheet_of_nothing_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no cases"):
        write_sheet(tmp_path / "sheet.jpg", [])
