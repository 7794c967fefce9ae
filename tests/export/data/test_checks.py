from types import SimpleNamespace

import pytest

from export.data.checks import check_factors, check_range, check_shares


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_shares_are_from_0_to_1(share):
    check_shares(SimpleNamespace(first=0.0, second=1), "first", "second")
    with pytest.raises(ValueError, match="second must be a share from 0 to 1, got"):
        check_shares(SimpleNamespace(first=0.5, second=share), "first", "second")


@pytest.mark.parametrize("sizes", [(2, 5), (6, 5), (4, 11)])
def test_ranges_rise_within_their_bounds(sizes):
    check_range(SimpleNamespace(sizes=(3, 10)), "sizes", 3, 10)
    check_range(SimpleNamespace(sizes=(3, 11)), "sizes", 3)
    with pytest.raises(ValueError, match=r"sizes must be a range \(low, high\) within 3 to 10, got"):
        check_range(SimpleNamespace(sizes=sizes), "sizes", 3, 10)


@pytest.mark.parametrize("factors", [(), (1, 0.5)])
def test_factors_do_not_enlarge(factors):
    check_factors("shrinking", (1, 1.4))
    with pytest.raises(ValueError, match="shrinking must be factors of at least 1, got"):
        check_factors("shrinking", factors)
