"""A kernel that is nearly right is made better or left."""

from __future__ import annotations

import math

import numpy as np
import pytest

from runtime.blur.kernel import centre, delta
from runtime.deconvolution.saturation import unsaturated
from runtime.estimation.kernel import score
from runtime.estimation.kernel import search as module
from runtime.estimation.kernel.prior import load_prior
from runtime.estimation.kernel.pyramid import BlurredImage
from runtime.estimation.kernel.refine import STARTS, KernelCandidate
from runtime.noise import estimate_noise
from runtime.quality import LEVELS, Comparison
from tests.support.jobs import begun, ended

score_kernel, refine_repeatedly = ended(score.score_kernel), ended(module.refine_repeatedly)
polish_start, polish_starts = ended(module.polish_start), ended(module.polish_starts)
search, estimate_hypotheses = ended(module.search), ended(module.estimate_hypotheses)


@pytest.fixture(scope="module")
def observed(blurred):
    return blurred[:160, :160]


def identity_prior(photographs, evidence, kernels):
    """A prior that changes nothing."""
    return [(kernel, np.float64(-1)) for kernel in kernels]


identity_prior.assumes = load_prior().assumes


class TestRefineRepeatedly:
    @pytest.fixture
    def photo(self, observed):
        return BlurredImage(observed, unsaturated(observed), None, estimate_noise(observed))

    @pytest.mark.parametrize("rounds", [1, 2])
    def test_never_ends_with_a_kernel_that_explains_less(self, photo, kernel, rounds):
        effort = LEVELS["fast"].search._replace(rounds=rounds, polishing=1)
        for start in (centre(kernel), centre(kernel).T):
            settled = refine_repeatedly(photo, KernelCandidate(start, -1.0), identity_prior, effort)
            assert score_kernel(photo, settled.kernel).cost() <= score_kernel(photo, start).cost()

    def test_without_a_prior_or_rounds_nothing_changes(self, photo, kernel):
        best = KernelCandidate(kernel, -1.0)
        assert refine_repeatedly(photo, best, None, LEVELS["best"].search) is best
        assert refine_repeatedly(photo, best, identity_prior, LEVELS["best"].search._replace(rounds=0)) is best


@pytest.mark.parametrize(("log_error", "doubtful"), [(-3.0, False), (-1.0, True), (math.nan, False)])
def test_a_polished_kernel_is_doubtful_by_its_predicted_error(log_error, doubtful):
    assert module.is_doubtful(KernelCandidate(delta((9, 9)), log_error)) == doubtful


def test_of_several_starts_that_which_suits_the_photograph_best_is_kept(observed, kernel):
    photo = BlurredImage(observed, unsaturated(observed), None, estimate_noise(observed))
    effort, support = LEVELS["fast"].search, 31
    near, far = centre(kernel), centre(kernel[::-1])
    best, agreement = polish_starts(photo, support, effort, identity_prior, [far, near])
    alone = polish_start(photo, support, effort, identity_prior, near)
    assert best.kernel.shape == (support, support)
    np.testing.assert_array_equal(best.kernel, alone.kernel)
    assert 0 < agreement < 0.93
    assert polish_starts(photo, support, effort, identity_prior, [near])[1] == pytest.approx(1)
    assert polish_starts(photo, support, effort, identity_prior, [near, near])[1] == pytest.approx(1)


@pytest.mark.parametrize(
    ("log_errors", "costs", "taken"),
    [
        ((-2.0,), (1.0,), 0),
        ((-1.0, -2.0), (1.0, 0.0), 1),
        ((-1.0, -1.5, -1.7), (1.0, 0.0, 2.0), 1),
        ((math.nan,), (1.0,), 0),
    ],
)
def test_doubtful_kernels_are_searched_for_at_other_scales(observed, monkeypatch, log_errors, costs, taken):
    """Up to the first that is sure; of all that came of it the best is taken."""
    made, reports = [], []

    def search_at(steps, starts, blurred, support, effort, prior, report):
        made.append((steps, starts))
        report("blur kernel", 0.5)
        number = len(made) - 1
        return KernelCandidate(np.full((3, 3), costs[number]), log_errors[number]), 0.1 * number

    monkeypatch.setattr(module, "_search_at", begun(search_at))
    monkeypatch.setattr(
        module, "choose", begun(lambda _, found, allowed: min(found, key=lambda each: each.kernel[0, 0]))
    )
    photo = BlurredImage(observed, unsaturated(observed), None, 0.01)
    comparisons = (
        Comparison(observed.size),
        Comparison(observed.size // 2, 4),
        Comparison(observed.size // 2, 4),
        Comparison(observed.size // 2 - 1),
    )
    effort = LEVELS["fast"].search._replace(comparisons=comparisons)
    best, agreement = search(photo, 9, effort, None, lambda stage, fraction: reports.append(fraction))
    assert made == [(0, 1), (1, 4), (2, 1)][: len(log_errors)]
    assert best.log_error == pytest.approx(log_errors[taken], nan_ok=True)
    assert agreement == pytest.approx(0.1 * taken)
    assert reports == sorted(reports)
    assert reports[-1] == 1


@pytest.mark.parametrize(
    ("pixels", "comparisons", "trials"),
    [
        (400_000, [(500_000, 1), (50_000, 4)], [(0, 1), (3, 4)]),
        (400_000, [(50_000, 4), (500_000, 1)], [(3, 4), (0, 1)]),
        (40_000, [(500_000, 1), (50_000, 4)], [(0, 1), (0, 4)]),
        (40_000, [(50_000, 4), (500_000, 1)], [(0, 4)]),
    ],
)
def test_what_a_comparison_has_tried_at_a_scale_is_not_tried_again(pixels, comparisons, trials):
    """The scales of a small photograph coincide; more starts there are something else."""
    image = np.zeros((pixels // 200, 200), np.float32)
    photo = BlurredImage(image, np.ones(image.shape, bool), None, 0.01)
    effort = LEVELS["fast"].search._replace(comparisons=tuple(Comparison(*each) for each in comparisons))
    assert module._trials(photo, effort) == trials


@pytest.mark.parametrize(
    ("side", "sides", "long"),
    [
        (31, [11, 15, 15, 15, 21, 21, 21, 31, 31, 31], {15, 21, 31}),
        (13, [5, 7, 9, 13, 13, 13], {13}),
        (9, [3, 5, 7, 9], set()),
    ],
)
def test_long_kernels_are_estimated_from_several_starts(observed, monkeypatch, side, sides, long):
    made, reports = [], []

    def estimate(blurred, side, prior, start):
        made.append((side, start))
        return KernelCandidate(np.full((side, side), 1 / side**2), -1.0)

    monkeypatch.setattr(module, "coarse_to_fine", begun(estimate))
    photo = BlurredImage(observed, unsaturated(observed), None, 0.01)
    found = estimate_hypotheses(photo, side, 4, 3, None, reports.append)
    assert [len(each.kernel) for each in found] == sides
    assert set(made) == {(each, start) for each in sides for start in (STARTS[:3] if each in long else STARTS[:1])}
    assert len(made) == len(found)
    assert reports == pytest.approx(np.arange(1, len(sides) + 1) / len(sides))
