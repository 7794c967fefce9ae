import numpy as np
import pytest

from export.kaufman.data import KaufmanData
from export.kaufman.synthesis.network import SynthesisConfig
from export.kaufman.synthesis.onnx import SHAPES, assumptions, constants, probe, unpack
from export.onnx.bundles import export_bundle
from runtime.deconvolution.synthesis import CONSTANTS, SynthesisAssumptions
from tests.export.kinds import make


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return export_bundle(make("synthesis"), tmp_path_factory.mktemp("bundle") / "synthesis")


def test_both_stages_agree_with_the_network_in_both_precisions(bundle):
    assert set(bundle.parts) == {"stage1", "stage2"}
    for part in bundle.parts.values():
        assert 0 < part.parity["fp32"]["max_abs"] <= 5e-5
        assert 0 < part.parity["fp16"]["max_abs"] <= 2e-2


def test_the_bundle_states_what_the_runtime_needs(bundle):
    assert bundle.read_assumptions(SynthesisAssumptions) == SynthesisAssumptions(unit=4, noise=(0.02, 0.02))
    assert bundle.load_constants(CONSTANTS)["deviations"].tolist() == pytest.approx([0.02], rel=1e-2)


def test_deviations_survive_the_constants():
    weights = make("synthesis").checkpoint.weights
    restored = unpack(constants(weights))
    np.testing.assert_allclose(restored["log_deviations"], weights["log_deviations"].half(), rtol=1e-6)


def test_probes_have_the_shapes_that_they_are_asked_for():
    for height, width in SHAPES:
        planes, kernels, noise = probe(3, (height, width))
        assert planes.shape == (3, 3, height, width)
        np.testing.assert_allclose(kernels.sum((1, 2)), 1, atol=1e-4)
        assert noise.shape == (3,)


@pytest.mark.parametrize("other", [{"inverse": False}, {"stages": 3}, {"side": 31}])
def test_networks_of_other_kinds_are_not_exported(other):
    with pytest.raises(ValueError, match="exported"):
        assumptions(SynthesisConfig(**other), KaufmanData())
