import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from scipy.signal import fftconvolve
from skimage import data

import runtime
from bench.data.photographs import shake_kernel
from runtime.preparation.bars import find_bars
from runtime.preparation.photograph import prepare

NOISE = 0.01
KERNEL = shake_kernel(17)


def blurred(sharp, kernel=KERNEL):
    """As planes."""
    moved = np.stack([fftconvolve(plane, kernel, "valid") for plane in sharp])
    return (moved + np.random.default_rng(0).normal(0, NOISE, moved.shape)).clip(0, 1)


def sharp_photograph(name, height=300, width=300):
    sharp = np.atleast_3d(getattr(data, name)()[:height, 60 : 60 + width]).astype(np.float32) / 255
    return np.ascontiguousarray(sharp.transpose(2, 0, 1))


def stored(planes):
    """In 8 bits."""
    return (np.rint(planes.clip(0, 1) * 255) / 255).astype(np.float32)


def under_bar(planes, rows, cols, opacity, colour):
    covered = planes.copy()
    inside = covered[:, slice(*rows), slice(*cols)]
    inside *= 1 - opacity
    inside += opacity * np.array(colour, np.float32)[:, None, None]
    return stored(covered)


@pytest.fixture(scope="module")
def photograph():
    return stored(blurred(sharp_photograph("astronaut")))


@pytest.mark.parametrize(
    ("rows", "cols", "opacity", "colour"),
    [
        ((180, 230), (0, None), 0.5, (0, 0, 0)),
        ((180, 240), (0, None), 0.3, (1, 1, 1)),
        ((60, 110), (40, 240), 0.6, (1, 1, 1)),
        ((190, 260), (30, 200), 0.4, (0.1, 0.25, 0.8)),
        ((0, None), (150, 210), 0.5, (0.8, 0.1, 0.1)),
        ((230, None), (0, None), 0.5, (0, 0, 0)),
        ((0, 60), (0, None), 0.5, (1, 1, 1)),
    ],
)
def test_what_lies_under_a_bar_is_had_back(photograph, rows, cols, opacity, colour):
    planes = under_bar(photograph, rows, cols, opacity, colour)
    seen = planes.copy()
    (bar,), hidden = find_bars(planes, NOISE)
    inside = np.zeros(planes.shape[1:], bool)
    inside[slice(*rows), slice(*cols)] = True
    np.testing.assert_array_equal(bar.covered, inside)
    assert not hidden.any()
    assert bar.opacity == pytest.approx(opacity, abs=0.02)
    assert bar.colour == pytest.approx(np.array(colour), abs=0.03)
    assert np.abs(planes - photograph).max() < 0.03
    bar.add(planes)
    np.testing.assert_allclose(planes, seen, atol=1e-5)


def test_lines_that_a_bar_covers_in_part_are_unknown(photograph):
    planes = photograph.copy()
    for rows, opacity in ((slice(179, 180), 0.2), (slice(180, 230), 0.5), (slice(230, 231), 0.3)):
        planes[:, rows] *= 1 - opacity
    planes = stored(planes)
    (bar,), hidden = find_bars(planes, NOISE)
    np.testing.assert_array_equal(np.flatnonzero(bar.covered.all(axis=1)), np.arange(180, 230))
    np.testing.assert_array_equal(np.flatnonzero(hidden.any(axis=1)), [179, 230])
    assert np.abs(planes - photograph)[:, ~hidden].max() < 0.03


@pytest.mark.parametrize("name", ["astronaut", "camera", "coffee", "rocket", "chelsea", "brick", "page"])
def test_a_photograph_without_a_bar_stays_as_it_is(name):
    sharp = sharp_photograph(name)
    for planes, noise in ((sharp, 0.002), (sharp, NOISE), (stored(blurred(sharp, shake_kernel(9))), NOISE)):
        seen = planes.copy()
        assert find_bars(planes, noise) == ((), None)
        np.testing.assert_array_equal(planes, seen)


def test_stripes_of_a_photograph_are_no_bars():
    random = np.random.default_rng(3)
    for _ in range(6):
        stripes = random.random((3, 12)).repeat(25, axis=1)[..., None] * np.linspace(0.6, 1, 300)
        assert find_bars(stored(blurred(stripes)), NOISE) == ((), None)


@pytest.mark.parametrize("opacity", [0.9, 1.0])
def test_opaque_bars_are_left_to_others(photograph, opacity):
    planes = under_bar(photograph, (180, 230), (40, 240), opacity, (0, 0, 0))
    assert find_bars(planes, NOISE) == ((), None)


def test_a_bar_that_goes_on_to_another_edge_does_not_reach_the_border(photograph):
    planes = under_bar(photograph, (180, 230), (0, None), 0.5, (0, 0, 0))
    # The law of its second edge is another one.
    planes[:, 230:] = stored(0.3 + 0.6 * planes[:, 230:])
    bars, _ = find_bars(planes, NOISE)
    assert not any(bar.covered[-1].any() for bar in bars)


def test_too_small_images_have_no_bars():
    for shape in ((3, 1, 1), (3, 20, 300), (1, 300, 40)):
        assert find_bars(np.full(shape, 0.5, np.float32), NOISE) == ((), None)


def test_text_on_a_bar_is_found_beside_it(photograph):
    planes = under_bar(photograph, (180, 230), (40, 260), 0.5, (0, 0, 0))
    image = Image.fromarray(np.rint(planes.transpose(1, 2, 0) * 255).astype(np.uint8))
    ImageDraw.Draw(image).text((50, 190), "Caption", (255, 255, 255), ImageFont.load_default(24))
    written = np.asarray(image).transpose(2, 0, 1).astype(np.float32) / 255
    ink = np.abs(written - planes).max(axis=0) > 0.1
    prepared = prepare(written.copy())
    assert len(prepared.bars) == 1
    assert (~prepared.known)[ink].mean() > 0.95
    assert np.abs(prepared.planes - photograph)[:, prepared.known & ~ink].max() < 0.03
    again = prepared.with_layer(prepared.planes.copy())
    assert np.abs(again - written)[:, prepared.known].max() < 1e-5


def test_a_photograph_under_a_bar_is_restored_as_well_as_without():
    blurry = blurred(sharp_photograph("astronaut", 240, 240))
    covered = under_bar(blurry, (100, 150), (0, None), 0.5, (0, 0, 0))
    bare, restored = (
        runtime.deconvolve(planes.transpose(1, 2, 0), KERNEL, quality="fast").transpose(2, 0, 1)
        for planes in (stored(blurry), covered)
    )
    away = np.r_[20:96, 154:204]
    assert np.abs(restored - bare)[:, away].mean() < 0.003
    assert np.abs(restored - bare / 2)[:, 104:146].mean() < 0.003
