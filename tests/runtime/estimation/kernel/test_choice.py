import math

import numpy as np
import pytest

from runtime.blur.kernel import fit, shift
from runtime.deconvolution.saturation import unsaturated
from runtime.estimation.kernel import choice as module
from runtime.estimation.kernel.choice import same_kernel, weighted_mean
from runtime.estimation.kernel.pyramid import BlurredImage
from runtime.estimation.kernel.refine import KernelCandidate
from tests.support.jobs import begun, ended

better_in_both, choose = ended(module.better_in_both), ended(module.choose)
close_candidates, rank = ended(module.close_candidates), ended(module.rank)


@pytest.fixture(scope="module")
def image(blurred):
    part = blurred[:160, :160]
    return BlurredImage(part, unsaturated(part), None, 0.01)


@pytest.fixture(scope="module")
def candidates(kernel):
    """The true kernel, another, and no blur."""
    true = fit(kernel, 25)
    return [KernelCandidate(each, -2.0) for each in (true, true[::-1].copy(), fit(np.ones((1, 1)), 25))]


def test_the_kernel_that_explains_the_photograph_is_chosen(image, candidates):
    assert choose(image, candidates[::-1]) is candidates[0]
    costs = [cost for cost, _ in rank(image, candidates, 0.003)]
    assert costs == sorted(costs)


def test_close_candidates_are_the_best_and_at_most_another_that_differs(image, candidates):
    best, *others = close_candidates(image, [*candidates, KernelCandidate(shift(candidates[0].kernel, 1, 0), -2.0)])
    assert same_kernel(best.kernel, candidates[0].kernel)
    assert len(others) <= 1
    assert not any(same_kernel(each.kernel, best.kernel) for each in others)


def test_a_shifted_kernel_in_another_frame_is_the_same_and_a_turned_one_another(candidates):
    kernel = candidates[0].kernel
    assert same_kernel(kernel, shift(fit(kernel, 31), 2, -1))
    assert not same_kernel(kernel, kernel[::-1])


@pytest.mark.parametrize(
    ("polished", "searched", "cheaper", "taken"),
    [(-1.0, -4.0, 0.1, "searched"), (-1.0, -4.0, -0.1, "polished"), (-1.0, -0.5, 0.1, "polished"),
     (math.nan, math.nan, 0.1, "polished"), (-2.9, -2.3, 0.1, "polished"), (-2.9, -2.3, 0.5, "searched"),
     (-2.9, -1.9, 0.5, "polished")],
)  # fmt: skip
def test_a_searched_kernel_has_to_be_better_in_both_ways_or_certain_and_much_better_in_one(
    image, candidates, monkeypatch, polished, searched, cheaper, taken
):
    found = {name: KernelCandidate(candidates[0].kernel, error) for name, error in
             (("polished", polished), ("searched", searched))}  # fmt: skip
    monkeypatch.setattr(module, "cost_of", begun(lambda _, each, *__: -cheaper * (each is found["searched"])))
    assert better_in_both(image, found["polished"], found["searched"]) is found[taken]


class TestWeightedMean:
    path = np.zeros((9, 9))
    path[4, 2:7] = 0.2

    @pytest.mark.parametrize("log_error", [-1.5, math.nan])
    def test_the_same_kernel_in_another_place_and_frame_agrees(self, log_error):
        kernels = [self.path, shift(self.path, 2, 1), fit(self.path, 13)]
        mean, agreement = weighted_mean([KernelCandidate(kernel, log_error) for kernel in kernels])
        np.testing.assert_allclose(fit(mean, 9), self.path, atol=1e-12)
        assert agreement == pytest.approx(1)

    def test_prefers_the_lowest_expected_error(self):
        found = [
            KernelCandidate(self.path.T, -0.5),
            KernelCandidate(self.path, -3.0),
            KernelCandidate(self.path.T, -0.5),
        ]
        mean, agreement = weighted_mean(found)
        np.testing.assert_allclose(fit(mean, 9), self.path, atol=1e-4)
        assert agreement < 0.5

    def test_where_no_error_is_known_all_count_alike(self):
        cross = (self.path + self.path.T) / 2
        mean, _ = weighted_mean([KernelCandidate(kernel, math.nan) for kernel in (self.path, cross)])
        np.testing.assert_allclose(fit(mean, 9), 0.75 * self.path + 0.25 * self.path.T, atol=1e-12)
