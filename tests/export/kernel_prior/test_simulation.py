from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from export.kernel_prior.simulation import SimulationConfig, observe
from runtime.response import LINEAR, SRGB

PLAIN = SimulationConfig(sizes=(4, 9), sides=(80, 100), linear=0, turning=0, rounded=0, light=0)


@pytest.mark.parametrize("seed", range(6))
def test_observations_have_the_sides_asked_for(planes, seed):
    observed = observe(planes, PLAIN, np.random.default_rng(seed))
    side = observed.image.shape[0]
    assert observed.image.shape == (side, side)
    assert 80 <= side <= max(100, 5 * observed.kernel.shape[0])
    assert observed.image.dtype == np.float32
    assert observed.image.std() > 0.01


def test_a_turning_camera_blurs_no_two_corners_alike(planes):
    config = dataclasses.replace(PLAIN, turning=1, sizes=(5, 5), sides=(100, 100), noise=(1e-6, 1e-6))
    still, turned = (
        observe(planes, dataclasses.replace(config, turn=(reach, reach)), np.random.default_rng(2)) for reach in (0, 6)
    )
    np.testing.assert_array_equal(still.kernel, turned.kernel)
    assert still.image.shape == turned.image.shape == (100, 100)
    difference = np.abs(still.image - turned.image)
    assert difference[40:60, 40:60].mean() < 0.5 * difference.mean()


def test_noise_and_rounding_are_as_asked(planes):
    silent, noisy = (dataclasses.replace(PLAIN, noise=(level, level)) for level in (1e-6, 0.02))
    first, second = (observe(planes, config, np.random.default_rng(3)) for config in (silent, noisy))
    np.testing.assert_array_equal(first.kernel, second.kernel)
    assert (second.image - first.image).std() == pytest.approx(0.02, rel=0.05)
    rounded = observe(planes, dataclasses.replace(PLAIN, rounded=1), np.random.default_rng(3)).image * 255
    np.testing.assert_allclose(rounded, np.rint(rounded), atol=1e-4)


def test_blur_in_linear_light_brightens_edges(planes):
    config = dataclasses.replace(PLAIN, noise=(1e-6, 1e-6), sizes=(9, 9))
    plain, linear = (
        observe(planes, dataclasses.replace(config, linear=share), np.random.default_rng(5)).image for share in (0, 1)
    )
    assert plain.shape == linear.shape
    # The mean of squares is never under the square of the mean, and the exponent is above 1.
    assert (linear - plain).min() > -1e-3
    assert (linear - plain).max() > 0.01


@pytest.mark.parametrize("as_light", [0, 1])
def test_a_camera_blurs_light_and_stores_values(planes, as_light):
    config = dataclasses.replace(PLAIN, light=1, lit=0, processed=0, as_light=as_light)
    observed = observe(planes, config, np.random.default_rng(6))
    assert observed.response is (SRGB if as_light else LINEAR)
    assert observed.image.min() >= 0
    assert observed.image.max() <= 1


def test_highlights_of_a_camera_clip(planes):
    clipped = []
    for lit in (0, 1):
        config = dataclasses.replace(PLAIN, light=1, lit=lit, processed=0)
        observed = [observe(planes, config, np.random.default_rng(seed)).image for seed in range(8)]
        clipped.append(np.mean([(image >= 0.98).mean() for image in observed]))
    assert clipped[1] > clipped[0]


def test_photographs_limit_the_sides(planes):
    config = dataclasses.replace(PLAIN, sides=(300, 400))
    observed = observe([planes[0][:120, :200]], config, np.random.default_rng(0))
    assert observed.image.shape[0] + observed.kernel.shape[0] - 1 == 120
    with pytest.raises(ValueError, match="no photograph is large enough for a kernel"):
        observe([planes[0][:30, :200]], config, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sizes": (2, 9)}, "sizes must be a range"),
        ({"sides": (200, 100)}, "sides must be a range"),
        ({"noise": (0, 0.1)}, "noise must be a range"),
        ({"linear": 1.5}, "linear must be a share"),
        ({"shrinking": ()}, "shrinking must be factors"),
        ({"shrinking": (0.5,)}, "shrinking must be factors"),
        ({"longest": 5}, "longest must be at least 7"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(ValueError, match=message):
        SimulationConfig(**settings)
