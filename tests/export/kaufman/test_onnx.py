import dataclasses

import numpy as np
import pytest
import torch

from export.kaufman.analysis.network import AnalysisConfig
from export.kaufman.onnx import assumptions, constants, unpack
from export.onnx.bundles import export_bundle
from runtime.estimation.analysis import AnalysisNetwork, PairAssumptions
from runtime.inference.devices import CPU
from tests.export.kinds import make


@pytest.fixture(scope="module")
def trained():
    return make("kaufman")


@pytest.fixture(scope="module")
def bundle(trained, tmp_path_factory):
    return export_bundle(trained, tmp_path_factory.mktemp("bundle") / "kaufman")


def test_all_parts_agree_with_the_network(bundle):
    assert set(bundle.parts) == {"features", "shape", "stage1", "stage2"}
    assert bundle.part("features").parity["fp32"]["max_abs"] <= 1e-4


def test_the_runtime_finds_the_kernels_of_the_network(trained, bundle):
    observed = np.random.default_rng(0).random((48, 64), np.float32)
    found = AnalysisNetwork(bundle, device=CPU).estimate(observed)
    with torch.no_grad():
        expected = trained.network.analysis(torch.from_numpy(observed)[None])[0].numpy()
    # Maps of random weights are nearly flat: what is left of them without their mean has few digits.
    np.testing.assert_allclose(found, expected, atol=5e-3 * expected.max())


def test_the_bundle_states_what_the_runtime_needs(bundle):
    assumed = bundle.read_assumptions(PairAssumptions)
    assert (assumed.lags, assumed.side, assumed.unit) == ((41, 21, 11), 85, 4)
    assert bundle.load_constants("analysis")["mix"].shape == (3, 24, 12, 12)


def test_weights_survive_the_constants(trained):
    restored = unpack(constants(trained.checkpoint.weights))
    assert set(restored) == {"analysis.mix", "synthesis.log_deviations"}
    np.testing.assert_array_equal(restored["analysis.mix"], trained.checkpoint.weights["analysis.mix"].half())


def test_networks_of_other_sizes_are_not_exported(trained):
    network = dataclasses.replace(trained.config.network, analysis=AnalysisConfig(maps=8))
    with pytest.raises(ValueError, match="exported"):
        assumptions(dataclasses.replace(trained.config, network=network))
