import copy
import dataclasses

import numpy as np
import pytest
import torch

from export.kaufman.analysis.network import AnalysisConfig
from export.kaufman.classifier.network import ClassifierConfig
from export.kaufman.classifier.onnx import assumptions
from export.kaufman.data import synthesise_examples
from export.onnx.bundles import export_bundle
from export.registry import load, read_config
from runtime.estimation.classes import ClassAssumptions, Classifier
from runtime.inference.bundle import load_model
from runtime.inference.devices import CPU
from tests.export.kinds import make


@pytest.fixture(scope="module")
def trained():
    return make("kernel-classifier")


@pytest.fixture(scope="module")
def bundle(trained, tmp_path_factory):
    return export_bundle(trained, tmp_path_factory.mktemp("bundle") / "classifier")


def test_both_parts_agree_with_the_network(bundle):
    assert set(bundle.parts) == {"features", "scores"}
    assert bundle.part("features").parity["fp32"]["max_abs"] <= 1e-4
    assert bundle.part("scores").parity["fp32"]["max_abs"] <= 1e-4


def test_the_runtime_chooses_as_the_network_does(trained, tmp_path):
    network = copy.deepcopy(trained.network)
    observed = torch.rand(12, 48, 64).cumsum(1).cumsum(2).sin().abs()
    # Random weights would find all planes alike.
    network.scores.classify.bias.copy_(-network(observed).mean(0))
    checkpoint = dataclasses.replace(trained.checkpoint, weights=network.state_dict())
    bundle = export_bundle(dataclasses.replace(trained, network=network, checkpoint=checkpoint), tmp_path / "made")
    classifier, expected = Classifier(bundle, device=CPU), network(observed).argmax(1).tolist()
    assert len(set(expected)) > 1
    assert [classifier.classify(plane.numpy()) for plane in observed] == expected


def test_the_shipped_classifier_tells_larger_kernels_from_smaller_ones(photographs):
    classifier = Classifier(load_model("kernel-classifier"), device=CPU)
    config, means = read_config("kernel-classifier").data, []
    for extent in ((1, 9), (17, 23), (31, 41)):
        data = dataclasses.replace(config, extent=extent)
        examples = synthesise_examples(photographs, data, 16, torch.Generator().manual_seed(0))
        means.append(np.mean([classifier.classify(plane.numpy()) for plane in examples.observed]))
    assert means[0] + 0.25 < means[1] < means[2] - 0.25


def test_the_bundle_states_what_the_runtime_needs(bundle):
    assumed = bundle.read_assumptions(ClassAssumptions)
    assert (assumed.lags, assumed.extents) == ((41,), (13, 25, 41))
    assert assumed.networks == ("analysis-small", "analysis-medium", "analysis-large")


def test_a_bundle_gives_its_network_back(trained, bundle):
    again = load(bundle.path)
    assert again.config == trained.config
    for name, value in again.checkpoint.weights.items():
        assert torch.equal(value, trained.checkpoint.weights[name].half().float())


@pytest.mark.parametrize(
    "network",
    [ClassifierConfig(AnalysisConfig(levels=1, maps=8)), ClassifierConfig(extents=(13, 41))],
)
def test_networks_of_other_sizes_are_not_exported(trained, network):
    names = ("a", "b", "c")[: len(network.extents)]
    config = dataclasses.replace(trained.config, network=network, classes=names, networks=names)
    with pytest.raises(ValueError, match="exported"):
        assumptions(config)
