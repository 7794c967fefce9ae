"""Iterations keep the true kernel and improve a wrong one, and the prior is applied twice per scale."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from runtime.blur.kernel import align, centre, centre_offset, delta, extent, fit, normalise, prune, similarity
from runtime.deconvolution.saturation import unsaturated
from runtime.estimation.kernel import refine as module
from runtime.estimation.kernel.evidence import CHANNELS
from runtime.estimation.kernel.prior import load_prior
from runtime.estimation.kernel.pyramid import BlurredImage
from runtime.estimation.kernel.refine import (
    _SPARSE_PRUNE_BELOW,
    SMALLEST_PRIOR_SIDE,
    SPARSE_EXTRA_NOISE,
    SPARSE_RIDGE,
)
from runtime.noise import estimate_noise
from runtime.response import LINEAR, SRGB
from tests.support.jobs import begun, ended

alternate_sharp, alternate_sparse = ended(module.alternate_sharp), ended(module.alternate_sparse)
coarse_to_fine, refine, polish = ended(module.coarse_to_fine), ended(module.refine), ended(module.polish)


def photo_of(image):
    return BlurredImage(image, unsaturated(image), None, estimate_noise(image))


def likeness(estimate, truth, side=41):
    first, second = fit(estimate, side), fit(truth, side)
    return similarity(align(first, second), second)


def gappy(kernel, share=0.3, seed=1):
    """The same kernel with a share of its values missing."""
    kept = np.random.default_rng(seed).random(kernel.shape) >= share
    return centre(normalise(kernel * kept))


class RecordingPrior:
    """A prior that records its inputs, and returns the kernel that it is given or one of `answers`."""

    assumes = load_prior().assumes

    def __init__(self, *answers):
        self.answers = list(answers)
        self.calls = []

    def __call__(self, photographs, evidence, kernels):
        return [self.answer(*each) for each in zip(evidence, kernels, strict=True)]

    def answer(self, evidence, kernel):
        self.calls.append((evidence, kernel))
        answer = self.answers[len(self.calls) - 1] if self.answers else kernel
        return answer, np.float64(-len(self.calls))


@pytest.fixture(scope="module")
def truth(kernel):
    return centre(kernel)


@pytest.fixture(scope="module")
def photo(blurred):
    return photo_of(blurred[:160, :160])


@pytest.fixture(scope="module")
def clean(blur):
    """The same picture almost without noise."""
    return photo_of(blur(0.001)[:160, :160])


def test_sharp_iterations_stay_with_the_true_kernel(photo, truth):
    kernel, improved = alternate_sharp(photo, truth, 3)
    assert likeness(kernel, truth) > 0.9
    assert improved.kernel is kernel
    assert improved.log_error is None


def test_sharp_iterations_leave_the_point_they_start_from(photo, truth):
    found = alternate_sharp(photo, delta(truth.shape), 6)[0]
    assert likeness(found, truth) > 0.85
    assert likeness(found, truth) > likeness(delta(truth.shape), truth) + 0.3


def test_sparse_iterations_stay_with_the_true_kernel(photo, truth):
    kernel = alternate_sparse(photo, truth, 3, SPARSE_EXTRA_NOISE, SPARSE_RIDGE)[0]
    assert similarity(kernel, truth) > 0.97


def test_sparse_iterations_with_a_large_ridge_do_not_move(photo, truth):
    start = gappy(truth)
    held = alternate_sparse(photo, start, 2, SPARSE_EXTRA_NOISE, 1e5)[0]
    np.testing.assert_allclose(held, prune(start, relative=_SPARSE_PRUNE_BELOW), atol=1e-4)
    free = alternate_sparse(photo, start, 2, SPARSE_EXTRA_NOISE, 0.01)[0]
    assert similarity(free, start) < 0.97


@pytest.mark.parametrize(
    "alternate", [alternate_sharp, lambda *args: alternate_sparse(*args, SPARSE_EXTRA_NOISE, SPARSE_RIDGE)]
)
def test_saturated_pixels_are_not_believed(photo, truth, alternate):
    image = photo.image.copy()
    image[40:80, 60:100] = 1
    masked = photo_of(image)
    unmasked = replace(masked, known=np.ones_like(masked.known))
    found, misled = (likeness(alternate(each, truth, 2)[0], truth) for each in (masked, unmasked))
    assert found > 0.9
    assert found > misled + 0.01


@pytest.mark.parametrize("iterations", [1, 3])
def test_without_a_prior_there_are_only_sharp_iterations(photo, truth, iterations):
    found = refine(photo, truth, iterations)
    np.testing.assert_array_equal(found.kernel, centre(alternate_sharp(photo, truth, iterations)[0]))
    assert math.isnan(found.log_error)


def test_the_prior_is_not_asked_about_tiny_kernels(photo):
    tiny = delta((SMALLEST_PRIOR_SIDE - 2,) * 2)
    prior = RecordingPrior()
    assert math.isnan(refine(photo, tiny, 2, prior).log_error)
    assert not prior.calls


def test_a_prior_that_returns_what_it_gets_changes_nothing(photo, truth):
    start, prior = gappy(truth), RecordingPrior()
    found = refine(photo, start, 5, prior)
    sharp = alternate_sharp(photo, start, 2)[0]
    sparse = alternate_sparse(photo, sharp, 3, SPARSE_EXTRA_NOISE, SPARSE_RIDGE)[0]
    assert len(prior.calls) == 2
    for (evidence, asked), expected in zip(prior.calls, (sharp, sparse), strict=True):
        assert evidence.shape == (CHANNELS, *2 * [-(-len(start) // prior.assumes.unit) * prior.assumes.unit])
        np.testing.assert_array_equal(asked, expected)
    np.testing.assert_array_equal(found.kernel, centre(sparse))
    assert found.log_error == -2


def test_sparse_iterations_start_from_the_first_kernel_of_the_prior_and_its_last_is_returned(photo, truth):
    first, last = truth, fit(delta((3, 3)), truth.shape[0])
    prior = RecordingPrior(first, last)
    found = refine(photo, gappy(truth), 4, prior)
    between = alternate_sparse(photo, first, 2, SPARSE_EXTRA_NOISE, SPARSE_RIDGE)[0]
    np.testing.assert_array_equal(prior.calls[1][1], between)
    np.testing.assert_array_equal(found.kernel, last)


def test_refining_mends_a_kernel_with_gaps_and_centres_it(photo, truth):
    start = gappy(truth)
    found = refine(photo, start, 4).kernel
    assert likeness(found, truth) > likeness(start, truth) + 0.05
    assert centre_offset(found) == (0, 0)


def test_coarse_to_fine_finds_the_kernel_from_nothing(photo, truth):
    found = coarse_to_fine(photo, 19)
    assert found.kernel.shape == (19, 19)
    assert found.kernel.min() >= 0
    assert found.kernel.sum() == pytest.approx(1)
    assert likeness(found.kernel, truth) > 0.8
    assert likeness(found.kernel, truth) > likeness(found.kernel, truth[::-1]) + 0.05


@pytest.mark.parametrize("start", module.STARTS)
@pytest.mark.parametrize("lit", [False, True])
def test_coarse_to_fine_starts_where_it_is_told_and_has_enough_edges(monkeypatch, photo, start, lit):
    kernels, shares, enough = [], [], []

    def keep(blurred, kernel, iterations, prior, share):
        kernels.append(kernel)
        shares.append(share)
        enough.append(max(start.share, min(10 * kernel.size / blurred.image.size, 0.3)))
        return module.Improved(kernel, None)

    monkeypatch.setattr(module, "_refine", begun(keep))
    coarse_to_fine(replace(photo, lit=lit), 13, None, start)
    first, middle = kernels[0], len(kernels[0]) // 2
    assert first[middle, middle] == first[middle + start.rows, middle + start.columns] == 0.5
    assert first.sum() == 1
    assert max(enough) > start.share
    assert shares == ([start.share] * len(shares) if lit else enough)


@pytest.mark.parametrize("alternate", [alternate_sharp, partial(alternate_sparse, extra_noise=0.01, ridge=0.3)])
@pytest.mark.parametrize(("lit", "alike"), [(False, False), (True, True)])
def test_gradients_of_light_are_weighted_but_beside_lights(photo, alternate, lit, alike):
    stored, light = (
        alternate(replace(photo, response=response, lit=lit), delta((9, 9)), 2)[0] for response in (LINEAR, SRGB)
    )
    assert np.array_equal(stored, light) == alike


def test_more_edges_make_another_kernel(photo):
    few, many = (alternate_sharp(photo, delta((9, 9)), 2, share=share)[0] for share in (0.04, 0.2))
    assert not np.allclose(few, many, atol=1e-3)


def test_coarse_to_fine_asks_the_prior_twice_a_scale_the_coarsest_first(monkeypatch, photo):
    prior = RecordingPrior()
    monkeypatch.setattr(module, "ITERATIONS", 2)
    found = coarse_to_fine(replace(photo, image=photo.image[:80, :90], known=photo.known[:80, :90]), 11, prior)
    sides = [kernel.shape[0] for _, kernel in prior.calls]
    assert sides == sorted(sides)
    assert sides[-1] == 11
    assert all(sides.count(side) % 2 == 0 for side in sides)
    assert found.log_error == -len(sides)


@pytest.mark.parametrize("which", [0, 1])
def test_polishing_stays_with_the_true_kernel_and_mends_another(clean, truth, which):
    assert likeness(polish(clean, truth, 3, RecordingPrior())[which].kernel, truth) > 0.97
    start = gappy(truth)
    assert likeness(polish(clean, start, 3, RecordingPrior())[which].kernel, truth) > likeness(start, truth) + 0.05


def test_polishing_trusts_a_noisy_photograph_less(photo, truth):
    start = gappy(truth)
    moved = [
        1 - likeness(polish(replace(photo, noise=noise), start, 2, RecordingPrior())[0].kernel, start)
        for noise in (0.001, 0.005, 0.02)
    ]
    assert moved == sorted(moved, reverse=True)
    assert moved[0] > 2 * moved[-1]


def test_the_regularised_kernel_stays_near_to_that_of_the_prior(clean, truth):
    answer = gappy(truth, seed=2)
    prior = RecordingPrior(answer)
    polished, regularised = polish(clean, truth, 2, prior)
    np.testing.assert_array_equal(polished.kernel, centre(prior.calls[0][1]))
    assert likeness(regularised.kernel, answer) > likeness(polished.kernel, answer)
    assert polished.log_error == regularised.log_error == -1


def test_very_small_values_of_the_prior_are_no_part_of_the_regularised_kernel(clean, truth):
    blurry = fit(truth, 41) + 0.02 * truth.max()
    _, regularised = polish(clean, fit(truth, 41), 1, RecordingPrior(normalise(blurry)))
    assert extent(regularised.kernel) < 30


def test_a_tiny_kernel_is_polished_with_room_around_it(clean):
    prior = RecordingPrior()
    for found in polish(clean, delta((3, 3)), 1, prior):
        assert found.kernel.shape == (SMALLEST_PRIOR_SIDE,) * 2
    assert prior.calls[0][1].shape == (SMALLEST_PRIOR_SIDE,) * 2
