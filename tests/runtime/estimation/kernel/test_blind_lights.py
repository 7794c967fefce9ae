"""Where lights are clipped: what the search leaves out, what it looks at besides, and the streaks of lamps."""

from __future__ import annotations

import numpy as np
import pytest

from runtime.blur.kernel import delta, fit
from runtime.deconvolution.saturation import unsaturated
from runtime.estimation.kernel import blind as module
from runtime.estimation.kernel.blind import find_kernel
from runtime.estimation.kernel.refine import KernelCandidate
from runtime.options import Options
from runtime.response import LINEAR, SRGB
from runtime.run import Run
from tests.support.jobs import begun

SUPPORT = 25


@pytest.fixture(scope="module")
def observed(blurred):
    return blurred[:160, :160]


def unlit(image, response=LINEAR):
    return module.unlit(image, Run(Options(), response=response))


@pytest.mark.parametrize(("response", "reach"), [(LINEAR, 7), (SRGB, 4)])
def test_more_is_left_out_of_stored_values_than_of_light(response, reach):
    image = np.full((90, 100), 0.4, np.float32)
    image[40:50, 50:60] = 1
    known, lit = unlit(image, response)
    expected = np.ones(image.shape, bool)
    expected[40 - reach : 50 + reach, 50 - reach : 60 + reach] = False
    np.testing.assert_array_equal(known, expected)
    assert lit


def test_a_few_clipped_pixels_are_no_lights():
    image = np.full((90, 100), 0.4, np.float32)
    image[40, 50:53] = 1
    known, lit = unlit(image)
    np.testing.assert_array_equal(known, unsaturated(image))
    assert not lit


def test_enough_remains():
    image = np.full((96, 96), 0.4, np.float32)
    image[::12, ::12] = 1
    known, _ = unlit(image)
    assert 0.25 < known.mean() < 0.6
    image[::6, ::6] = 1
    known, lit = unlit(image)
    assert 0.2 < known.mean() < 0.4
    assert lit


def test_without_clipped_pixels_all_remain(observed):
    known, lit = unlit(0.9 * observed.clip(0, 1))
    assert known.all()
    assert not lit


@pytest.mark.parametrize("better", [0, 1])
def test_what_is_far_from_lights_is_searched_too_and_judges(observed, monkeypatch, better):
    """A light changes stored values as far away as its blur reaches."""
    images, judged = [], []
    candidates = [KernelCandidate(fit(np.ones((1, side)) / side, SUPPORT), -2.0) for side in (3, 5)]

    def search(blurred, support, effort, prior, report):
        report("blur kernel", 1.0)
        images.append(blurred)
        return candidates[len(images) - 1], (0.4, 0.6)[len(images) - 1]

    monkeypatch.setattr(module, "search", begun(search))
    monkeypatch.setattr(
        module, "better_in_both", begun(lambda blurred, *found: judged.append(blurred) or found[better])
    )
    monkeypatch.setattr(module, "find_streak", lambda light, support: None)
    bright = observed.copy()
    bright[40:56, 40:56] = 1
    fractions = []
    run = Run(Options(quality="fast"), search="first", progress=lambda stage, fraction: fractions.append(fraction))
    found = find_kernel(bright, run, support=SUPPORT)
    near, far = (image.known for image in images)
    assert far.mean() < near.mean()
    assert not (far & ~near).any()
    assert judged == [images[1]]
    np.testing.assert_array_equal(found.kernel, candidates[better].kernel.astype(np.float32))
    assert found.agreement == (0.4, 0.6)[better]
    assert fractions == [0.5, 1.0]


@pytest.mark.parametrize("response", [LINEAR, SRGB])
def test_it_is_not_where_little_is_far_or_the_values_are_light(observed, monkeypatch, response):
    masks = []
    candidate = KernelCandidate(fit(delta((3, 3)), SUPPORT), -2.0)
    monkeypatch.setattr(module, "search", begun(lambda blurred, *rest: masks.append(blurred.known) or (candidate, 1.0)))
    monkeypatch.setattr(module, "find_streak", lambda light, support: None)
    bright = observed.copy()
    if response is LINEAR:
        bright[::12, ::12] = 1
    else:
        bright[40:56, 40:56] = 1
    found = find_kernel(bright, Run(Options(quality="fast"), search="first", response=response), support=SUPPORT)
    assert found.lit
    assert len(masks) == 1


def test_a_streak_is_one_more_hypothesis(observed, monkeypatch):
    """It is polished at the photograph's own scale, and taken if it explains the photograph better."""
    asked, drawn = [], KernelCandidate(fit(delta((5, 5)), SUPPORT), -4.0)
    monkeypatch.setattr(module, "has_lights", lambda image, saturated: True)
    monkeypatch.setattr(module, "find_streak", lambda light, support: asked.append(light) or delta((5, 5)))
    monkeypatch.setattr(module, "polish_start", begun(lambda *arguments: drawn))
    monkeypatch.setattr(module, "choose", begun(lambda blurred, candidates, allowed: candidates[1]))
    found = find_kernel(observed, Run(Options(quality="fast"), search="first"), support=SUPPORT)
    np.testing.assert_array_equal(found.kernel, drawn.kernel.astype(np.float32))
    np.testing.assert_allclose(asked[0], SRGB.to_light(observed), rtol=1e-6)
