"""The true blur explains a photograph better, or leaves it sparser, than other kernels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from runtime.blur.kernel import centre, delta, fit, normalise
from runtime.deconvolution.saturation import unsaturated
from runtime.estimation.kernel import judge as module
from runtime.estimation.kernel.refine import Views
from runtime.noise import estimate_noise


def views_of(image):
    return Views(image, unsaturated(image), None, estimate_noise(image))


def judge(views, kernel):
    return module.judge(views, kernel).cost()


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


class TestVerdict:
    def test_the_true_blur_explains_all_parts_alike_and_sharpens(self, views, truth):
        verdict = module.judge(views, truth)
        assert verdict.misfit < 2 * views.noise
        assert 1 <= verdict.unevenness < 1.3
        assert verdict.sparsity_gain < 0.85

    def test_one_kernel_does_not_explain_a_blur_of_a_part(self, views, truth, sharp):
        image = views.image.copy()
        image[:80, :90] = sharp[:80, :90]
        partly = module.judge(replace(views, image=image), truth)
        assert partly.unevenness > module.judge(views, truth).unevenness + 0.3

    def test_a_point_makes_nothing_sparser(self, views, truth):
        assert module.judge(views, delta((3, 3))).sparsity_gain > module.judge(views, truth).sparsity_gain + 0.05
