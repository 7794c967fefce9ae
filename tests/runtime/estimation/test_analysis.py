import numpy as np
import pytest
from scipy.signal import fftconvolve

from runtime.errors import InvalidModel
from runtime.estimation import analysis
from runtime.estimation.analysis import AnalysisNetwork, KernelAnalysis, PairAssumptions, is_cut_off
from runtime.inference.devices import CPU
from tests.support.pairs import ASSUMES, SIDE, write_pair_bundle


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    return AnalysisNetwork(write_pair_bundle(tmp_path_factory.mktemp("models") / "pair", 0.1), device=CPU)


@pytest.fixture
def network(alone):
    return KernelAnalysis(alone)


def grain(height, width):
    """White noise: without blur its auto-correlation is a point."""
    return np.random.default_rng(0).normal(0.5, 0.1, (height, width)).astype(np.float32)


def row(length):
    return np.full((1, length), 1 / length)


def test_without_blur_the_kernel_is_a_point(network):
    kernel = network.estimate(grain(64, 80))
    assert kernel.shape == (SIDE, SIDE)
    assert kernel.dtype == np.float32
    assert kernel[SIDE // 2, SIDE // 2] > 0.99


def test_the_correlations_of_the_features_make_the_kernel(network):
    blurred = fftconvolve(grain(200, 240), row(6), "valid").astype(np.float32)
    kernel = network.estimate(blurred)
    # The auto-correlation of a box is a triangle.
    expected = np.maximum(1 - np.abs(np.arange(SIDE) - SIDE // 2) / 6 - 0.1, 0)
    np.testing.assert_allclose(kernel[SIDE // 2], expected / expected.sum(), atol=0.02)
    assert kernel[SIDE // 2].sum() > 0.95


def test_a_kernel_alone_is_as_the_network_has_it(alone):
    kernel = alone.estimate(grain(64, 80))
    assert (alone.side, kernel.shape, kernel.dtype) == (SIDE, (SIDE, SIDE), np.float64)
    assert kernel.sum() == pytest.approx(1)


def test_what_is_faint_is_left_out_of_a_kernel(network, alone, monkeypatch):
    made = np.zeros((SIDE, SIDE))
    made[10, 8:13] = 1
    made[9, 10], made[2, 2] = 0.02, 0.05
    monkeypatch.setattr(alone, "estimate", lambda luminance: made / made.sum())
    kernel = network.estimate(grain(64, 64))
    assert np.flatnonzero(kernel.ravel()).tolist() == [10 * SIDE + col for col in range(8, 13)]
    assert kernel.sum() == pytest.approx(1)


def test_brightness_and_contrast_do_not_matter(network):
    image = grain(64, 64)
    np.testing.assert_allclose(network.estimate(0.2 + 0.5 * image), network.estimate(image), atol=1e-3)


def test_a_kernel_wider_than_its_frame_is_found_at_half_the_size(network):
    calls = []
    blurred = fftconvolve(grain(260, 300), row(30), "valid").astype(np.float32)
    kernel = network.estimate(blurred, progress=lambda stage, fraction: calls.append((stage, fraction)))
    assert kernel.shape == (2 * SIDE - 1,) * 2
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    along = kernel[SIDE - 1]
    assert (along[SIDE - 1 - 14 : SIDE - 1 + 15] > 0).all()
    assert calls == [(analysis.STAGE, 0.8), (analysis.STAGE, 1.0)]


def test_a_photograph_too_small_to_be_halved_keeps_its_frame(network):
    blurred = fftconvolve(grain(30, 80), row(30), "valid").astype(np.float32)
    assert network.estimate(blurred).shape == (SIDE, SIDE)


def test_a_kernel_to_be_used_alone_has_the_least_frame_that_fits_into_the_photograph(network, alone, monkeypatch):
    blurred = fftconvolve(grain(200, 240), row(6), "valid").astype(np.float32)
    for support, side in ((None, 11), (7, 7)):
        kernel = network.estimate_alone(blurred, support)
        assert kernel.shape == (side, side)
        assert kernel.sum() == pytest.approx(1)
    assert network.estimate_alone(blurred[:16]).shape == (7, 7)
    seen = []
    monkeypatch.setattr(analysis, "PIXELS", 100 * 120)
    monkeypatch.setattr(alone, "estimate", lambda luminance: seen.append(luminance.size) or np.ones((1, 1)))
    network.estimate_alone(blurred)
    assert 0 < seen[0] <= 100 * 120


def test_the_photograph_and_half_of_it_give_a_start_each(network):
    calls = []
    blurred = fftconvolve(grain(200, 240), row(6), "valid").astype(np.float32)
    starts = network.starts(blurred, 31, lambda stage, fraction: calls.append(fraction))
    assert len(starts) == 2
    for start in starts:
        assert start.dtype == np.float64
        assert start.sum() == pytest.approx(1)
        assert start.min() >= 0
        assert len(start) <= 31
        assert len(start) % 2
    # The auto-correlation of a box of 6 px is a triangle of 11, above the threshold of the bundle a little less.
    assert np.count_nonzero(starts[0].sum(axis=0)) == 11
    assert calls == [0.8, 1.0]


def test_half_of_the_photograph_may_have_a_network_of_its_own(alone, tmp_path):
    other = AnalysisNetwork(write_pair_bundle(tmp_path / "other", 0.5), device=CPU)
    blurred = fftconvolve(grain(200, 240), row(6), "valid").astype(np.float32)
    own, both = (KernelAnalysis(alone, each).starts(blurred, 31) for each in (None, other))
    np.testing.assert_array_equal(both[0], own[0])
    np.testing.assert_array_equal(both[1], KernelAnalysis(other).starts(blurred, 31)[1])
    assert np.count_nonzero(both[1]) < np.count_nonzero(own[1])


def test_starts_are_no_larger_than_asked_for(network):
    blurred = fftconvolve(grain(200, 240), row(12), "valid").astype(np.float32)
    assert [len(start) for start in network.starts(blurred, 9)] == [9, 9]


def test_a_photograph_too_small_to_be_halved_gives_one_start(network):
    assert len(network.starts(grain(3, 80), 1)) == 1


def test_what_lies_at_the_margin_is_cut_off():
    inner = np.zeros((SIDE, SIDE))
    inner[8:13, 8:13] = 0.04
    assert not is_cut_off(inner)
    inner[10, 0] = 0.05
    assert is_cut_off(inner)


@pytest.mark.parametrize(
    "wrong", [{"lags": (87, 43)}, {"lags": (85, 42)}, {"contrast": 0.0}, {"unit": 0}, {"noise": (0.1, 0.01)}]
)
def test_assumptions_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match=r"must be|positive"):
        PairAssumptions(**wrong)


def test_bundles_of_something_else_are_refused(tmp_path):
    assumes = {**ASSUMES, "side": 31, "lags": [31], "contrast": 1e-3}
    with pytest.raises(InvalidModel, match="correlations1"):
        AnalysisNetwork(write_pair_bundle(tmp_path / "wrong", assumes=assumes), device=CPU)
