from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.signal import fftconvolve

from export.data.scenes import (
    BRIGHTNESS,
    GRAIN,
    KINDS,
    SceneConfig,
    add_grain,
    brighten,
    develop,
    expose,
    light,
    make_scene,
    process,
)
from runtime.response import LINEAR, SRGB
from tests.export.kinds import config_of

SCENES = config_of("repair").scenes

CLEAN = dataclasses.replace(
    SCENES, noise=(1e-6, 1e-6), rounded=0, compressed=0, linear=0, saturated=0, grainy=0, lit=0, processed=0
)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", [None, *KINDS])
def test_scenes_have_the_size_asked_for(planes, kind, seed):
    scene = make_scene(planes, SCENES, np.random.default_rng(seed), kind)
    assert scene.observed.shape == scene.sharp.shape == (80, 80)
    assert scene.observed.dtype == scene.sharp.dtype == np.float32
    assert np.isfinite(scene.observed).all()
    assert scene.sharp.min() >= 0
    assert scene.sharp.max() <= 1
    if kind is not None:
        assert (scene.kernel is not None) == (kind in ("uniform", "light", "turning"))


def test_shares_make_a_whole():
    assert sum(KINDS.values()) == pytest.approx(1)


@pytest.mark.parametrize("seed", range(3))
def test_a_uniform_scene_is_blurred_by_its_kernel(planes, seed):
    scene = make_scene(planes, CLEAN, np.random.default_rng(seed), "uniform")
    reach = scene.kernel.shape[0] // 2
    inside = slice(reach, 80 - reach)
    expected = fftconvolve(scene.sharp, scene.kernel, "valid")
    np.testing.assert_allclose(scene.observed[inside, inside], expected, atol=1e-4)


def test_blur_in_linear_light_brightens_edges(planes):
    plain, linear = (
        make_scene(planes, dataclasses.replace(CLEAN, linear=share, sizes=(9, 9)), np.random.default_rng(3), "uniform")
        for share in (0, 1)
    )
    np.testing.assert_array_equal(plain.sharp, linear.sharp)
    # The mean of squares is never under the square of the mean, and the exponent is above 1.
    assert (linear.observed - plain.observed).min() > -1e-3
    assert (linear.observed - plain.observed).max() > 0.01


@pytest.mark.parametrize("seed", range(3))
def test_a_scene_as_a_camera_makes_it_is_blurred_as_light(planes, seed):
    scene = make_scene(planes, CLEAN, np.random.default_rng(seed), "light")
    reach = scene.kernel.shape[0] // 2
    inside = slice(reach, 80 - reach)
    expected = SRGB.from_light(fftconvolve(SRGB.to_light(scene.sharp), scene.kernel, "valid").astype(np.float32))
    as_stored = fftconvolve(scene.sharp, scene.kernel, "valid")
    # The noise of a sensor is left.
    wrong, wrong_as_stored = (np.square(scene.observed[inside, inside] - each).mean() for each in (expected, as_stored))
    assert wrong <= min(1.001 * wrong_as_stored, 0.03**2)


def test_scenes_are_restored_as_light_or_as_stored(planes):
    rng = np.random.default_rng(0)
    for kind, least, most in (("light", 0.6, 0.99), ("turning", 0.1, 0.7), ("uniform", 0, 0.3)):
        scenes = [make_scene(planes, CLEAN, rng, kind) for _ in range(30)]
        assert least <= np.mean([not scene.response.linear for scene in scenes]) <= most
        for scene in scenes[:4]:
            stored = scene.observed if scene.response is LINEAR else SRGB.to_light(scene.observed)
            np.testing.assert_array_equal(scene.light, stored)


def test_highlights_are_brighter_than_they_were_stored(planes):
    scene = SRGB.to_light(planes[0][:120, :120].astype(np.float32) / 255)
    for seed in range(5):
        bright = brighten(scene, np.random.default_rng(seed))
        assert 1.9 < bright.max() < 21
        assert 0 < (bright > scene + 1e-6).mean() < 0.35
        assert (bright >= scene - 1e-6).all()


def test_a_sensor_has_more_noise_where_there_is_more_light():
    levels = np.repeat(np.float32([0.01, 0.5]), 20000).reshape(2, -1)
    dark, bright = SRGB.to_light(expose(levels, np.random.default_rng(1)))
    assert bright.std() > 1.5 * dark.std()
    assert dark.mean() == pytest.approx(0.01, abs=1e-3)
    assert expose(np.full((4, 4), 7.0), np.random.default_rng(0)).max() == pytest.approx(1)


def test_a_phone_sharpens_what_it_has_smoothed(planes):
    stored = planes[0][:100, :100].astype(np.float32) / 255
    changed = process(stored, np.random.default_rng(0))
    assert 0 <= changed.min() < changed.max() <= 1
    assert 0 < np.abs(changed - stored).mean() < 0.05
    np.testing.assert_allclose(process(np.full_like(stored, 0.3), np.random.default_rng(1)), 0.3, atol=1e-5)


def test_a_turning_camera_blurs_the_border_more(planes):
    still, turned = (
        make_scene(planes, dataclasses.replace(CLEAN, turn=(reach, reach)), np.random.default_rng(2), "turning")
        for reach in (1e-6, 8)
    )
    np.testing.assert_array_equal(still.kernel, turned.kernel)
    difference = np.abs(still.observed - turned.observed)
    assert difference[30:50, 30:50].mean() < 0.5 * difference.mean()


def test_an_object_that_moves_is_blurred_unlike_what_is_behind(planes):
    wide = dataclasses.replace(CLEAN, side=160)
    scene = make_scene(planes, wide, np.random.default_rng(1), "moving")
    difference = np.abs(scene.observed - scene.sharp)
    assert difference.max() > 0.05
    blocks = difference.reshape(8, 20, 8, 20).mean((1, 3))
    assert blocks.max() > 4 * np.median(blocks)


def test_depth_blurs_one_side_only(planes):
    wide = dataclasses.replace(CLEAN, side=160, sizes=(20, 20))
    differences = []
    for seed in range(4):
        scene = make_scene(planes, wide, np.random.default_rng(seed), "depth")
        differences.append(np.abs(scene.observed - scene.sharp))
        assert differences[-1][:, :10].max() < 1e-4
    # A few kernels blur next to nothing.
    assert max(difference[:, -20:].mean() for difference in differences) > 0.01


def test_faint_blur_is_faint(planes):
    for seed in range(6):
        scene = make_scene(planes, CLEAN, np.random.default_rng(seed), "faint")
        assert np.abs(scene.observed - scene.sharp).mean() < 0.05


def test_a_camera_adds_noise_rounds_and_compresses():
    grey = np.full((200, 200), 0.5, np.float32)
    grey[:, 100:] = 0.9

    def developed(**settings):
        config = dataclasses.replace(CLEAN, noise=(0.01, 0.01), **settings)
        return develop(grey, config, np.random.default_rng(0))

    assert (developed() - grey).std() == pytest.approx(0.01, rel=0.05)
    rounded = 255 * developed(rounded=1)
    np.testing.assert_allclose(rounded, np.rint(rounded), atol=1e-4)
    faithful, coarse = (
        np.abs(developed(compressed=1, quality=(quality, quality)) - developed(rounded=1)).mean()
        for quality in (100, 20)
    )
    assert faithful < 0.004 < coarse


def test_lights_are_brighter_than_white_and_few(planes):
    sharp = planes[0][:120, :120].astype(np.float32) / 255
    for seed in range(5):
        lit = light(sharp, np.random.default_rng(seed))
        assert 0.9 * BRIGHTNESS[0] < lit.max() < 1.1 * BRIGHTNESS[1]
        assert 0 < (lit != sharp).mean() < 0.1
        assert (lit >= sharp - 1e-6).all()


def test_a_camera_clips_lights_and_so_does_the_truth(planes):
    bright = dataclasses.replace(CLEAN, saturated=1)
    scenes = [make_scene(planes, bright, np.random.default_rng(seed), "uniform") for seed in range(4)]
    # Of some scenes the lights lie beyond the border.
    assert max(scene.observed.max() for scene in scenes) <= 1
    assert max(scene.sharp.max() for scene in scenes) == 1


def test_grain_is_as_strong_as_it_says_and_blurred_with_the_rest(planes):
    flat = np.full((200, 200), 0.5, np.float32)
    for seed in range(5):
        assert 0.99 * GRAIN[0] < add_grain(flat, np.random.default_rng(seed)).std() < 1.01 * GRAIN[1]
    grainy = dataclasses.replace(CLEAN, grainy=1)
    scene = make_scene(planes, grainy, np.random.default_rng(1), "uniform")
    reach = scene.kernel.shape[0] // 2
    inside = slice(reach, 80 - reach)
    expected = fftconvolve(scene.sharp, scene.kernel, "valid")
    np.testing.assert_allclose(scene.observed[inside, inside], expected, atol=2e-3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"side": 100}, "side must be a multiple of 8"),
        ({"side": 56}, "from 64 px up"),
        ({"sizes": (2, 9)}, r"sizes must be a range \(low, high\) within 3 to 20"),
        ({"sizes": (4, 21)}, "sizes must be a range"),
        ({"sizes": (9, 4)}, "sizes must be a range"),
        ({"noise": (0, 0.1)}, "noise must be a range"),
        ({"turn": (0, 1)}, "turn must be a range"),
        ({"quality": (0, 90)}, "quality must be a range"),
        ({"linear": 1.1}, "linear must be a share"),
        ({"rounded": -0.1}, "rounded must be a share"),
        ({"compressed": 2}, "compressed must be a share"),
        ({"saturated": 2}, "saturated must be a share"),
        ({"grainy": -1}, "grainy must be a share"),
        ({"lit": 1.5}, "lit must be a share"),
        ({"processed": -0.5}, "processed must be a share"),
        ({"shrinking": ()}, "shrinking must be factors"),
        ({"shrinking": (0.5,)}, "shrinking must be factors"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(ValueError, match=message):
        SceneConfig(**{"side": 80, "sizes": (4, 9)} | settings)


def test_mistakes_are_named(planes):
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="kind must be one of uniform"):
        make_scene(planes, SCENES, rng, "fog")
    with pytest.raises(ValueError, match="give larger ones"):
        make_scene([planes[0][:70]], SCENES, rng, "faint")
