import numpy as np
import pytest
from scipy.signal import fftconvolve

from runtime.errors import InvalidModel
from runtime.estimation.correlated import AnalysisAssumptions, CorrelatedFeatures
from runtime.inference.devices import CPU
from tests.support.pairs import ASSUMES, SIDE, write_pair_bundle


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    return CorrelatedFeatures(write_pair_bundle(tmp_path_factory.mktemp("models") / "pair"), device=CPU)


def grain(height, width):
    return np.random.default_rng(0).normal(0.5, 0.1, (height, width)).astype(np.float32)


@pytest.mark.parametrize("shape", [(200, 240), (63, 41), (5, 3)])
def test_correlations_are_those_of_a_photograph_without_its_mean(features, shape):
    plane = grain(*shape)
    (found,) = features.correlate(plane).values()
    centred = np.float64(plane) - plane.mean(dtype=np.float64)
    whole = np.pad(centred, SIDE)
    lags = fftconvolve(whole, centred[::-1, ::-1], "same") / np.square(centred).sum()
    inner = tuple(slice(at - SIDE // 2, at + SIDE // 2 + 1) for at in np.unravel_index(lags.argmax(), lags.shape))
    assert found.shape == (1, 1, SIDE, SIDE)
    np.testing.assert_allclose(found[0, 0], lags[inner], atol=1e-3)


def test_a_single_pixel_correlates_with_nothing(features):
    assert not features.correlate(grain(1, 1))["correlations1"].any()


def test_brightness_and_contrast_do_not_matter(features):
    plane = grain(64, 64)
    first, second = (features.correlate(each)["correlations1"] for each in (plane, 0.2 + 0.5 * plane))
    np.testing.assert_allclose(first, second, atol=1e-4)


def test_it_says_what_it_makes(features):
    assert features.lags == (SIDE,)
    assert features.shapes == {"correlations1": ("batch", 1, SIDE, SIDE)}
    assert features.smallest() == 2


@pytest.mark.parametrize("wrong", [{"lags": ()}, {"lags": (85, 42)}, {"contrast": 0.0}])
def test_assumptions_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match="must be"):
        AnalysisAssumptions(**wrong)


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ({"constants": {"synthesis": "synthesis.npz"}}, "analysis"),
        ({"assumes": {**ASSUMES, "lags": [SIDE, 11], "contrast": 1e-3}}, "levels"),
        ({"assumes": {**ASSUMES, "lags": "many", "contrast": 1e-3}}, "lags"),
    ],
)
def test_bundles_of_something_else_are_refused(tmp_path, manifest, message):
    with pytest.raises(InvalidModel, match=message):
        CorrelatedFeatures(write_pair_bundle(tmp_path / "wrong", **manifest), device=CPU)
