"""The true blur explains a photograph better, or leaves it sparser, than other kernels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from runtime.blur.kernel import centre, delta, fit, normalise
from runtime.deconvolution.saturation import unsaturated
from runtime.estimation.kernel import score as module
from runtime.estimation.kernel.pyramid import BlurredImage
from runtime.noise import estimate_noise
from tests.support.jobs import ended

score_kernel = ended(module.score_kernel)


def views_of(image):
    return BlurredImage(image, unsaturated(image), None, estimate_noise(image))


def cost(photo, kernel):
    return score_kernel(photo, kernel).cost()


@pytest.fixture(scope="module")
def photo(blurred):
    return views_of(blurred)


@pytest.fixture(scope="module")
def truth(kernel):
    return centre(kernel)


@pytest.fixture(scope="module")
def true_cost(photo, truth):
    return cost(photo, truth)


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
def test_prefers_the_true_blur(photo, truth, true_cost, wrong):
    assert true_cost < cost(photo, wrong(truth))


def test_the_frame_does_not_matter(photo, truth, true_cost):
    assert cost(photo, fit(truth, 31)) == pytest.approx(true_cost, abs=1e-9)


def test_leaving_saturated_pixels_out_keeps_the_score_nearer_to_what_it_was(photo, truth, true_cost):
    image = photo.image.copy()
    image[100:120, 90:120] = 1
    spoiled = replace(views_of(image), noise=photo.noise)
    masked, unmasked = cost(spoiled, truth), cost(replace(spoiled, known=np.ones_like(spoiled.known)), truth)
    assert abs(masked - true_cost) < abs(unmasked - true_cost)


@pytest.mark.parametrize("level", [0.3, 1.0])
def test_scores_of_images_without_content_are_finite(level):
    photo = views_of(np.full((40, 50), level, np.float32))
    assert np.isfinite(cost(photo, delta((3, 3))))


class TestScore:
    def test_the_true_blur_explains_all_parts_alike_and_sharpens(self, photo, truth):
        score = score_kernel(photo, truth)
        assert score.misfit < 2 * photo.noise
        assert 1 <= score.unevenness < 1.3
        assert score.sparsity_gain < 0.85

    def test_one_kernel_does_not_explain_a_blur_of_a_part(self, photo, truth, sharp):
        image = photo.image.copy()
        image[:80, :90] = sharp[:80, :90]
        partly = score_kernel(replace(photo, image=image), truth)
        assert partly.unevenness > score_kernel(photo, truth).unevenness + 0.3

    def test_a_point_makes_nothing_sparser(self, photo, truth):
        assert score_kernel(photo, delta((3, 3))).sparsity_gain > score_kernel(photo, truth).sparsity_gain + 0.05
