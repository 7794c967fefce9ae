"""The true blur explains a photograph better, or leaves it sparser, than other kernels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from runtime.blind.judge import judge
from runtime.blind.kernel_shape import centre, delta, fit, normalise
from runtime.blind.refine import Views
from runtime.nonblind.boundary import unsaturated
from runtime.nonblind.noise import estimate_noise


def views_of(image):
    return Views(image, unsaturated(image), None, estimate_noise(image))


@pytest.fixture(scope="module")
def views(blurred):
    return views_of(blurred)


@pytest.fixture(scope="module")
def truth(kernel):
    return centre(kernel)


@pytest.fixture(scope="module")
def true(views, truth):
    return judge(views, truth)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda kernel: kernel.T,
        lambda kernel: kernel[::-1],
        lambda kernel: kernel[::-1, ::-1],
        lambda kernel: np.full((17, 17), 1 / 289),
        lambda kernel: normalise(kernel * (np.random.default_rng(1).random(kernel.shape) < 0.7)),
    ],
    ids=["turned", "upside down", "reversed", "box", "with gaps"],
)
def test_prefers_the_true_blur(views, truth, true, wrong):
    assert true < judge(views, wrong(truth))


def test_the_frame_does_not_matter(views, truth, true):
    assert judge(views, fit(truth, 31)) == pytest.approx(true, abs=1e-9)


def test_leaving_saturated_pixels_out_keeps_the_score_nearer_to_what_it_was(views, truth, true):
    image = views.image.copy()
    image[100:120, 90:120] = 1
    spoiled = replace(views_of(image), noise=views.noise)
    careful, credulous = judge(spoiled, truth), judge(replace(spoiled, known=np.ones_like(spoiled.known)), truth)
    assert abs(careful - true) < abs(credulous - true)


@pytest.mark.parametrize("level", [0.3, 1.0])
def test_scores_of_images_without_content_are_finite(level):
    views = views_of(np.full((40, 50), level, np.float32))
    assert np.isfinite(judge(views, delta((3, 3))))
