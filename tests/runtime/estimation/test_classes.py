import numpy as np
import pytest
from scipy.ndimage import uniform_filter1d

from runtime.errors import InvalidModel, ModelNotFound
from runtime.estimation import analysis
from runtime.estimation.analysis import AnalysisNetwork, KernelAnalysis
from runtime.estimation.classes import ClassAssumptions, Classifier, ScaleOptimisedAnalysis
from runtime.inference.bundle import load_model
from runtime.inference.devices import CPU
from tests.support.pairs import SIDE, write_classifier_bundle, write_pair_bundle

LENGTHS = {"small": 3, "medium": 10, "large": 30}
THRESHOLDS = {"small": 0.1, "medium": 0.3, "large": 0.5}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A classifier, and an analysis network for each class, told apart by their thresholds."""
    found = tmp_path_factory.mktemp("models")
    write_classifier_bundle(found / "classifier", name="kernel-classifier")
    for name, threshold in THRESHOLDS.items():
        write_pair_bundle(found / name, threshold, name=f"analysis-{name}")
    return found


@pytest.fixture(scope="module")
def general(tmp_path_factory):
    return AnalysisNetwork(write_pair_bundle(tmp_path_factory.mktemp("general") / "pair", 0.7), device=CPU)


@pytest.fixture
def networks(folder, general, monkeypatch):
    monkeypatch.setenv("DEBLUR_MODELS", str(folder))
    return ScaleOptimisedAnalysis(general, device=CPU)


def blurred(length, shape=(200, 240)):
    grain = np.random.default_rng(0).normal(0.5, 0.1, shape)
    return uniform_filter1d(grain, length, mode="wrap").astype(np.float32)


@pytest.mark.parametrize("name", LENGTHS)
def test_the_network_is_that_of_the_class(name, networks, folder):
    observed = blurred(LENGTHS[name])
    found, chosen = networks.choose(observed)
    assert found == name
    own = KernelAnalysis(AnalysisNetwork(load_model(folder / name), device=CPU))
    np.testing.assert_array_equal(chosen.starts(observed, 41)[0], own.starts(observed, 41)[0])


def test_half_of_the_photograph_is_for_the_general_network(networks, general):
    observed = blurred(LENGTHS["medium"])
    _, chosen = networks.choose(observed)
    np.testing.assert_array_equal(chosen.starts(observed, 41)[1], KernelAnalysis(general).starts(observed, 41)[1])


@pytest.mark.parametrize("shape", [(4, 4), (4, 41), (7, 5), (41, 233)])
def test_photographs_of_odd_sizes_have_a_class(shape, networks):
    assert networks.smallest() == 4
    found, _ = networks.choose(blurred(3, shape))
    assert found in LENGTHS


def test_of_a_large_photograph_a_window_is_looked_at(networks, monkeypatch):
    seen = []
    monkeypatch.setattr(analysis, "PIXELS", 100 * 120)
    monkeypatch.setattr(Classifier, "classify", lambda self, luminance: seen.append(luminance.size) or 0)
    networks.choose(blurred(3))
    assert 0 < seen[0] <= 100 * 120


def test_a_network_that_is_missing_is_named(tmp_path, general, monkeypatch):
    monkeypatch.setenv("DEBLUR_MODELS", str(tmp_path))
    assumes = {"range": [0, 1], "colour": "luminance", "lags": [SIDE], "networks": ["no-such", "small", "large"]}
    bundle = write_classifier_bundle(tmp_path / "classifier", assumes=assumes)
    with pytest.raises(ModelNotFound, match="no-such"):
        ScaleOptimisedAnalysis(general, device=CPU, classifier=bundle)


@pytest.mark.parametrize(
    "wrong", [{"lags": (41, 21)}, {"classes": ()}, {"classes": ("a", "b")}, {"extents": (13,)}, {"networks": ("a",)}]
)
def test_assumptions_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match="must be"):
        ClassAssumptions(**{"lags": (41,), **wrong})


def test_a_bundle_with_other_classes_is_refused(tmp_path):
    assumes = {"lags": [SIDE], "classes": ["a", "b"], "extents": [13, 41], "networks": ["c", "d"]}
    with pytest.raises(InvalidModel, match="scores"):
        Classifier(write_classifier_bundle(tmp_path / "classifier", assumes=assumes), device=CPU)
