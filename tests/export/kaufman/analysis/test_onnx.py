import dataclasses

import numpy as np
import pytest
import torch

from export.kaufman.analysis.network import AnalysisConfig, Features, Shape
from export.kaufman.analysis.onnx import (
    SPEC,
    assumptions,
    build_features,
    build_shape,
    constants,
    feature_probes,
    shape_probes,
    unpack,
)
from export.onnx.bundles import export_bundle
from export.onnx.graph import Weights
from export.onnx.parity import open_graph
from export.registry import load
from runtime.estimation.analysis import AnalysisNetwork
from runtime.inference.bundle import load_model
from runtime.inference.devices import CPU
from tests.export.kinds import make


@pytest.fixture(scope="module")
def trained():
    return make("analysis")


@pytest.fixture(scope="module")
def bundle(trained, tmp_path_factory):
    return export_bundle(trained, tmp_path_factory.mktemp("bundle") / "analysis")


def test_both_parts_agree_with_the_network(bundle):
    assert set(bundle.parts) == {"features", "shape"}
    assert bundle.part("features").parity["fp32"]["max_abs"] <= 1e-4
    assert bundle.part("shape").parity["fp32"]["max_abs"] <= 1e-4


@pytest.mark.parametrize("levels", [1, 2])
def test_features_of_any_number_of_levels_agree(levels, tmp_path):
    torch.manual_seed(0)
    features = Features(AnalysisConfig(levels=levels)).eval().requires_grad_(False).half().float()
    weights = Weights(tmp_path / "features.weights")
    (tmp_path / "features.onnx").write_bytes(build_features(features, weights).SerializeToString())
    weights.write()
    session = open_graph(tmp_path / "features.onnx")
    for (planes,) in feature_probes(None):
        found = session.run([f"maps{level}" for level in range(1, levels + 1)], {"planes": planes})
        for ours, theirs in zip(found, features(torch.from_numpy(planes)), strict=True):
            np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-4)


def test_the_layers_after_the_correlations_agree_where_kernels_are_not_flat(tmp_path):
    torch.manual_seed(0)
    shape = Shape(AnalysisConfig()).eval().requires_grad_(False)
    shape.tail[-1].weight *= 200
    shape = shape.half().float()
    weights = Weights(tmp_path / "shape.weights")
    (tmp_path / "shape.onnx").write_bytes(build_shape(shape, weights).SerializeToString())
    weights.write()
    session = open_graph(tmp_path / "shape.onnx")
    for arrays in shape_probes(None):
        named = {f"correlations{level}": array for level, array in enumerate(arrays, start=1)}
        (found,) = session.run(["kernels"], named)
        expected = shape(*map(torch.from_numpy, arrays)).numpy()
        assert expected.max() > 1.5 * expected.mean()
        np.testing.assert_allclose(found, expected, atol=1e-3 * expected.max())


def test_the_runtime_finds_the_kernels_of_the_network(trained, bundle):
    observed = np.random.default_rng(0).random((49, 66), np.float32)
    found = AnalysisNetwork(bundle, device=CPU).estimate(observed)
    with torch.no_grad():
        expected = trained.network(torch.from_numpy(observed[:48, :64])[None])[0].numpy()
    # Maps of random weights are nearly flat: what is left of them without their mean has few digits.
    np.testing.assert_allclose(found, expected, atol=5e-3 * expected.max())


def test_a_bundle_gives_its_network_back(trained, bundle):
    again = load(bundle.path)
    assert again.config == trained.config
    for name, value in again.checkpoint.weights.items():
        assert torch.equal(value, trained.checkpoint.weights[name].half().float())


def test_the_shipped_networks_are_those_of_one_class_each():
    kernels = [load(load_model(f"analysis-{name}").path).config.data.extent for name in ("small", "medium", "large")]
    assert kernels == [(1, 13), (15, 25), (27, 41)]


def test_weights_survive_the_constants(trained):
    restored = unpack(constants(trained.checkpoint.weights))
    np.testing.assert_array_equal(restored["mix"], trained.checkpoint.weights["mix"].half())
    assert list(restored) == ["mix"]


def test_networks_of_other_sizes_are_not_exported(trained):
    config = dataclasses.replace(trained.config.network, maps=8)
    with pytest.raises(ValueError, match="exported"):
        assumptions(config)
    with pytest.raises(ValueError, match="exported"):
        SPEC.assumes(dataclasses.replace(trained.config, network=config))
