import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import convolve1d, gaussian_filter, maximum_filter
from scipy.signal import fftconvolve
from skimage import data

from bench.data.camera import lights
from bench.data.photographs import shake_kernel
from runtime.preparation import overlays as things
from runtime.preparation.overlays import FOREIGN, find_covered, find_edges, narrow

NOISE = 0.004


def find_overlays(planes, noise, saturated=np.inf):
    """Return the mask of overlays; None where only those of one translucent layer may be so many."""
    found = things.find_overlays(planes, noise, saturated)
    return None if found is None or found.many else found.mask


@pytest.fixture(scope="module")
def sharp():
    return data.astronaut()[40:340, 60:440].astype(np.float32) / 255


@pytest.fixture(scope="module")
def blurred(sharp):
    planes = np.stack([gaussian_filter(sharp[..., channel], 2) for channel in range(3)], axis=-1)
    planes += np.random.default_rng(0).normal(0, NOISE, planes.shape)
    return np.rint(planes.clip(0, 1) * 255).astype(np.uint8)


def date(draw, width, height):
    draw.text((width - 180, height - 36), "28.11.2026 07:47", (255, 140, 0, 255), ImageFont.load_default(18))


def white_text(draw, width, height):
    draw.text((20, 20), "12:30", (255, 255, 255, 255), ImageFont.load_default(40))


def logo(draw, width, height):
    draw.rectangle((20, 20, 100, 80), (20, 60, 200, 255))


def title(draw, width, height):
    draw.text((40, height // 2), "Sample text", (255, 255, 255, 255), ImageFont.load_default(48))


def dead_pixels(draw, width, height):
    for number in range(30):
        draw.point((12 * number + 5, 9 * number + 7), (0, 255, 0, 255))


def stamp(photograph, draw_on):
    picture = Image.fromarray(photograph).convert("RGBA")
    layer = Image.new("RGBA", picture.size)
    draw_on(ImageDraw.Draw(layer), *picture.size)
    return Image.alpha_composite(picture, layer).convert("RGB")


def as_planes(picture):
    return np.ascontiguousarray(np.asarray(picture, np.float32).transpose(2, 0, 1) / 255)


@pytest.mark.parametrize("draw_on", [date, white_text, logo, title, dead_pixels])
def test_a_stamp_is_found_and_hardly_anything_else(blurred, draw_on):
    picture = stamp(blurred, draw_on)
    changed = (np.abs(np.asarray(picture).astype(int) - blurred) > 25).any(axis=2)
    found = find_overlays(as_planes(picture), NOISE)
    assert found[changed].mean() > 0.97
    assert found.mean() < 0.1


def test_a_stamp_is_found_in_a_compressed_photograph(blurred):
    stream = io.BytesIO()
    stamp(blurred, white_text).save(stream, "JPEG", quality=85)
    picture = Image.open(stream)
    changed = (np.asarray(stamp(blurred, white_text)) != blurred).any(axis=2)
    assert find_overlays(as_planes(picture), NOISE)[changed].mean() > 0.9


def small_white_text(draw, width, height):
    draw.text((8, 6), "07:47", (255, 255, 255, 255), ImageFont.load_default(16))


def small_yellow_text(draw, width, height):
    draw.text((width - 80, height - 24), "28.11.26", (255, 220, 0, 255), ImageFont.load_default(14))


def box_at_the_border(draw, width, height):
    draw.rectangle((0, height - 14, 40, height - 1), (20, 60, 200, 255))


@pytest.mark.parametrize("draw_on", [small_white_text, small_yellow_text, box_at_the_border])
@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee"])
def test_small_things_on_a_small_photograph_are_found(name, draw_on):
    sharp = getattr(data, name)()[100:300, 60:310].astype(np.float32)
    blurred = np.stack([gaussian_filter(sharp[..., channel], 2.5) for channel in range(3)], axis=-1)
    blurred = np.rint(blurred + np.random.default_rng(0).normal(0, 1, blurred.shape)).clip(0, 255).astype(np.uint8)
    picture = stamp(blurred, draw_on)
    changed = (np.abs(np.asarray(picture).astype(int) - blurred) > 25).any(axis=2)
    found = find_overlays(as_planes(picture), NOISE, 0.98)
    assert found[changed].mean() > 0.9
    assert found.mean() < 0.03


@pytest.mark.parametrize(("name", "axis"), [("rocket", 0), ("brick", 0), ("coffee", 1)])
def test_edges_along_the_motion_are_no_overlays(name, axis):
    """They stay sharp: the horizon, a mast, the courses of a wall."""
    sharp = getattr(data, name)()[:400, :500].astype(np.float32) / 255
    moved = convolve1d(sharp, np.full(15, 1 / 15, np.float32), axis=axis)
    moved = moved + np.random.default_rng(0).normal(0, NOISE, moved.shape)
    planes = np.moveaxis(np.atleast_3d(moved.clip(0, 1)), -1, 0).astype(np.float32)
    found = find_overlays(np.ascontiguousarray(planes), NOISE, 0.98)
    assert found is None or found.mean() < 0.001


def test_lamps_are_no_overlays_and_what_is_drawn_beside_them_is_one():
    sharp = data.coffee()[40:340, 100:500].astype(np.float32) / 255
    seen, _ = lights(sharp, shake_kernel(21).astype(np.float32), (0,))
    planes = np.ascontiguousarray(np.moveaxis(seen, -1, 0))
    assert (planes >= 0.98).all(axis=0).mean() > 0.05
    found = find_overlays(planes, NOISE, 0.98)
    assert found is None or found.mean() < 0.001
    picture = stamp(np.rint(seen * 255).astype(np.uint8), small_yellow_text)
    changed = np.asarray(picture) != np.rint(seen * 255)
    assert find_overlays(as_planes(picture), NOISE, 0.98)[changed.any(axis=2)].mean() > 0.9


def test_rounded_corners_are_found(blurred):
    picture = Image.fromarray(blurred)
    mask = Image.new("L", picture.size, 255)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, picture.width - 1, picture.height - 1), 50, 0)
    picture.paste((255, 0, 0), mask=mask)
    corners = np.asarray(mask) == 255
    assert find_overlays(as_planes(picture), NOISE)[corners].mean() > 0.97


SHAKE = shake_kernel(13)


def shaken(name):
    sharp = getattr(data, name)()[:330, :330].astype(np.float32) / 255
    sharp = sharp if sharp.ndim == 3 else np.stack([sharp] * 3, axis=-1)
    moved = np.stack([fftconvolve(sharp[..., channel], SHAKE, "valid") for channel in range(3)], axis=-1)
    moved += np.random.default_rng(0).normal(0, 0.01, moved.shape)
    return np.rint(moved.clip(0, 1) * 255).astype(np.uint8)


def signature(draw, width, height):
    points = [(180 + 2 * step, 260 + int(14 * np.sin(0.6 * step))) for step in range(50)]
    draw.line(points, (20, 20, 120, 255), 2)


def grey_signature(draw, width, height):
    points = [(20 + 2 * step, 150 + int(20 * np.sin(0.6 * step))) for step in range(60)]
    draw.line(points, (128, 128, 128, 255), 2)


@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea"])
@pytest.mark.parametrize("draw_on", [signature, grey_signature])
def test_ink_is_found_beside_what_stands_out_more(name, draw_on):
    photograph = shaken(name)
    picture = stamp(photograph, draw_on)
    changed = (np.asarray(picture) != photograph).any(axis=2)
    assert find_overlays(as_planes(picture), 0.007, 0.98)[changed].all()


@pytest.mark.parametrize("name", ["astronaut", "camera", "coffee", "rocket"])
def test_all_around_a_round_photograph_is_found(name):
    photograph = shaken(name)
    rows, cols = np.mgrid[: len(photograph), : photograph.shape[1]] / len(photograph) - 0.5
    outside = np.hypot(rows, cols) >= 0.5
    photograph[outside] = 0
    found = find_overlays(as_planes(photograph), 0.007, 0.98)
    assert found[outside].mean() > 0.99
    assert found[~outside].mean() < 0.04


@pytest.mark.parametrize("draw_on", [signature, grey_signature])
def test_edges_that_a_thing_touches_are_no_part_of_it(draw_on):
    photograph = shaken("coffee")
    picture = stamp(photograph, draw_on)
    changed = (np.asarray(picture) != photograph).any(axis=2)
    found = find_overlays(as_planes(picture), 0.007, 0.98)
    assert not (found & ~maximum_filter(changed, 13)).any()


@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea"])
@pytest.mark.parametrize("draw_on", [signature, grey_signature])
def test_hardly_any_pixel_beside_ink_is_taken_for_it(name, draw_on):
    """Their surroundings show how the photograph goes on, with its slopes."""
    photograph = shaken(name)
    picture = stamp(photograph, draw_on)
    changed = (np.asarray(picture) != photograph).any(axis=2)
    planes = as_planes(picture)
    found = narrow(planes, find_overlays(planes, 0.01, 0.98), 0.01)
    assert found[(np.abs(np.asarray(picture).astype(int) - photograph) > 25).any(axis=2)].all()
    assert (found & ~changed).sum() < 0.3 * changed.sum()


def test_a_blurred_photograph_has_none(blurred):
    assert find_overlays(as_planes(blurred), NOISE) is None


def test_a_sharp_photograph_has_no_overlays_but_edges(sharp):
    random = np.random.default_rng(0)
    busy = np.kron(random.uniform(size=(60, 80)), np.ones((4, 4))).astype(np.float32)[None]
    assert find_overlays(busy, NOISE) is None
    assert find_edges(busy[0], 0.1)[0].mean() > 0.12


def test_noise_is_no_edge():
    noise = np.random.default_rng(0).normal(0.5, 0.05, (1, 200, 300)).astype(np.float32)
    assert find_overlays(noise, 0.05) is None


def test_edges_do_not_depend_on_the_tiles(monkeypatch, blurred):
    plane = as_planes(stamp(blurred, date))[0]
    whole = find_edges(plane, 0.1)
    monkeypatch.setattr("runtime.preparation.overlays._TILE", 64)
    for one, other in zip(whole, find_edges(plane, 0.1), strict=True):
        # Steps are not measured at the border of a tile with its surroundings, which lies outside the tile.
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("given", "columns"), [((), {4, 5}), ((0.0,), {4, 5, 6}), ((1.0,), {5})])
def test_beside_covered_pixels_those_covered_in_part_count(given, columns):
    """A line covers pixels, those on its left in part."""
    expected = np.full((3, 9, 11), 0.4, np.float32)
    observed = expected.copy()
    observed[:, :, 5] = 1
    observed[1, :, 4] += 0.7 * FOREIGN
    observed[2, :, 6] += 0.3 * FOREIGN
    suspected = np.ones((9, 11), bool)
    suspected[:2] = False
    covered = find_covered(observed, expected, suspected, 0.0, *given)
    assert set(np.flatnonzero(covered.any(axis=0))) == columns
    assert not covered[:2].any()
    assert covered[2:, sorted(columns)].all()


def test_narrowed_overlays_cover_the_ink_and_less_beside_it(blurred):
    planes = as_planes(stamp(blurred, title))
    ink = np.abs(planes - as_planes(blurred)).max(axis=0) > 2 * FOREIGN
    overlays = find_overlays(planes, NOISE)
    less = narrow(planes, overlays, NOISE)
    assert not (less & ~overlays).any()
    assert less[ink].sum() > 0.98 * overlays[ink].sum()
    assert (less & ~ink).sum() < 0.8 * (overlays & ~ink).sum()


def test_what_a_logo_shows_like_its_surroundings_is_covered_all_the_same():
    """A rectangle whose left half has the colour of the sky around it."""
    planes = np.random.default_rng(0).normal(0.6, NOISE, (3, 120, 160)).astype(np.float32)
    planes[:, 40:80, 50:110] = 0.6
    planes[:, 40:80, 80:110] = 0.1
    overlays = np.zeros((120, 160), bool)
    overlays[38:82, 48:112] = True
    less = narrow(planes, overlays, NOISE)
    assert less[42:78, 52:108].all()
    assert not less[38:82, 48].any()
    assert not (less & ~overlays).any()
