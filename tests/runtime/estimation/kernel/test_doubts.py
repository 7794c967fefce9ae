"""Reasons against a kernel, and the confidence that remains."""

import math

from hypothesis import given
from hypothesis import strategies as st

from runtime.decisions.reasons import Reason
from runtime.estimation.kernel.doubts import find_doubts
from runtime.estimation.kernel.score import KernelScore

WIDTHS = st.floats(0, 20)
SHARES = st.floats(0, 1)
ERRORS = st.floats(-5, 2)
RATIOS = st.floats(0, 5)


def confidence(width=3.0, agreement=0.95, log_error=-2.0, unevenness=1.1, sparsity_gain=0.6):
    score = KernelScore(noise=0.01, misfit=0.01, unevenness=unevenness, sparsity=1.0, sparsity_gain=sparsity_gain)
    return math.prod(find_doubts(width, agreement, log_error, score).values())


def pairs(values):
    return st.tuples(values, values).map(sorted)


class TestConfidence:
    @given(pairs(WIDTHS), SHARES, ERRORS | st.just(math.nan))
    def test_rises_with_the_width(self, widths, agreement, log_error):
        low, high = (confidence(width, agreement, log_error) for width in widths)
        assert 0 <= low <= high <= 1

    @given(WIDTHS, pairs(SHARES))
    def test_rises_with_the_agreement_where_there_is_no_prior(self, width, agreements):
        low, high = (confidence(width, agreement, math.nan) for agreement in agreements)
        assert low <= high

    @given(pairs(ERRORS))
    def test_falls_with_the_expected_error(self, errors):
        high, low = (confidence(log_error=error) for error in errors)
        assert low <= high

    @given(pairs(RATIOS))
    def test_falls_with_the_unevenness(self, ratios):
        high, low = (confidence(unevenness=ratio) for ratio in ratios)
        assert low <= high

    @given(pairs(RATIOS))
    def test_falls_where_restoring_makes_nothing_sparser(self, ratios):
        high, low = (confidence(sparsity_gain=ratio) for ratio in ratios)
        assert low <= high

    def test_needs_every_reason(self):
        assert confidence() > 0.9
        assert confidence(log_error=math.nan) > 0.9
        assert confidence(width=0.7) < 0.1
        assert confidence(log_error=math.nan, agreement=0.5) < 0.1
        assert confidence(log_error=0.0) < 0.1
        assert confidence(unevenness=2.5) < 0.1
        assert confidence(sparsity_gain=1.0) < 0.1


def test_the_strongest_doubt_is_the_reason():
    score = KernelScore(noise=0.01, misfit=0.01, unevenness=2.5, sparsity=1.0, sparsity_gain=0.6)
    doubts = find_doubts(3.0, 0.95, -2.0, score)
    assert min(doubts, key=doubts.__getitem__) is Reason.NOT_UNIFORM


@given(ERRORS)
def test_where_lights_are_clipped_the_prior_has_to_be_surer(log_error):
    score = KernelScore(noise=0.01, misfit=0.01, unevenness=1.1, sparsity=1.0, sparsity_gain=0.6)
    lit, other = (find_doubts(3.0, 0.95, log_error, score, lit) for lit in (True, False))
    assert lit[Reason.UNCLEAR] <= other[Reason.UNCLEAR]
    assert {reason: doubt for reason, doubt in lit.items() if reason is not Reason.UNCLEAR} == {
        reason: doubt for reason, doubt in other.items() if reason is not Reason.UNCLEAR
    }
