import numpy as np
import pytest

from bench.speed.correlations import MIXTURE, PAIRS, Correlations, correlate_whole_planes, mix_whole_planes
from kernels.correlation import correlate, correlate_mixed


@pytest.mark.parametrize("side", [1, 7, 51])
def test_numpy_alone_does_the_same(side):
    rng = np.random.default_rng(0)
    maps, weights = rng.normal(size=(2, 3, 24, 31)).astype("f4"), rng.normal(size=(4, 3, 3)).astype("f4")
    np.testing.assert_allclose(correlate_whole_planes(maps, side), correlate(maps, side), atol=3e-3)
    np.testing.assert_allclose(mix_whole_planes(maps, weights, side), correlate_mixed(maps, weights, side), atol=1e-2)


def test_what_is_timed_are_mixtures_and_all_pairs():
    assert (PAIRS.pairs, MIXTURE.pairs) == (528, 136)
    assert PAIRS.prepare(correlate, np, 20)().shape == (1, 528, 85, 85)
    assert MIXTURE.prepare(correlate_mixed, np, 20)().shape == (1, 16, 85, 85)


def test_operations_of_one_tile_are_counted():
    """Of one map: a transform there and one back, and at half as many frequencies a product, its sum, or its part."""
    # 20 pixels and 19 lags, the most that overlap, on a side of 40.
    transforms = 2 * 2.5 * np.log2(1600) * 1600
    assert Correlations(1, None).flops(20) == pytest.approx((transforms + 800 * (8 + 2)) / 400)
    assert Correlations(1, 1).flops(20) == pytest.approx((transforms + 800 * (8 + 4)) / 400)


def test_more_outputs_take_more_operations_and_bytes():
    few, many = Correlations(16, 1), Correlations(16, 64)
    assert few.flops(500) < many.flops(500)
    assert few.bytes(500) < many.bytes(500)
