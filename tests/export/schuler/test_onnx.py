from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from export.onnx.bundles import export_bundle
from export.registry import load_bundle
from export.schuler.network import SchulerConfig
from export.schuler.onnx import BATCHES, SHAPES, SPEC, pack, probes, unpack
from kernels.quotient import fade, image_quotient, kernel_quotient, shape_kernels
from runtime.estimation.learned import CONSTANTS, QuotientAssumptions, part_name
from runtime.estimation.quotients import KernelNetwork
from runtime.inference.bundle import load_model
from runtime.inference.devices import CPU
from runtime.inference.session import open_session
from tests.export.kinds import make


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle") / "schuler"
    export_bundle(make("schuler"), folder)
    return load_model(folder)


def test_there_is_a_part_for_each_stage_that_agrees_at_all_sizes(bundle):
    assert len(SPEC.parts) == len(bundle.parts) == 18
    assert len({*SHAPES}) >= 2
    for part in bundle.parts.values():
        assert part.parity["fp32"]["max_abs"] <= 1e-4


def test_the_bundle_states_what_the_runtime_needs(bundle):
    assumed = bundle.read_assumptions(QuotientAssumptions)
    config = make("schuler").config.network
    assert (assumed.supports, assumed.filter) == (config.supports, config.side)
    data = make("schuler").config.data
    assert (assumed.content, assumed.noise) == (data.content, data.noise)
    constants = bundle.load_constants(CONSTANTS)
    assert constants["beta"].shape == constants["weight"].shape == constants["threshold"].shape == (6, 3)
    assert constants["trained"].tolist() == [0] * 6
    assert "weights" not in json.dumps(dict(bundle.assumes))


def test_numbers_survive_the_constants():
    weights = make("schuler").checkpoint.weights
    restored = unpack(pack(weights))
    assert set(restored) == {name for name in weights if "features" not in name}
    for name, value in restored.items():
        np.testing.assert_allclose(value, weights[name].half().numpy(), rtol=1e-5)


def test_constants_are_the_same_from_a_slim_checkpoint_and_from_a_bundle():
    weights = {name: value * 1.0001 for name, value in make("schuler").checkpoint.weights.items()}
    packed = pack(weights)[CONSTANTS]
    rounded = {name: torch.from_numpy(value) for name, value in unpack({CONSTANTS: packed}).items()}
    slim = {name: value.half().float() for name, value in weights.items()}
    for other in (slim, rounded):
        for name, array in pack(other)[CONSTANTS].items():
            np.testing.assert_array_equal(array, packed[name])


def test_training_can_start_from_the_bundle(bundle):
    found, trained = load_bundle(bundle), make("schuler")
    observed = torch.rand(1, 60, 70)
    torch.testing.assert_close(found.network(observed)[-1], trained.network(observed)[-1], atol=1e-5, rtol=1e-3)


def test_graphs_and_kernels_together_are_the_network(bundle):
    """Two stages of the coarsest scale, without PyTorch between them."""
    observed = np.random.default_rng(0).random((1, 44, 51), np.float32)
    network, assumed = make("schuler").network, bundle.read_assumptions(QuotientAssumptions)
    numbers = bundle.load_constants(CONSTANTS)
    support, latent, kernel = assumed.supports[0], None, None
    for stage in range(2):
        session = open_session(bundle, part_name(0, stage), device=CPU, precision="fp32")
        planes = observed[:, None] if latent is None else np.stack([observed, latent], 1)
        found = session.run(planes=planes)
        border = round(assumed.fade * support)
        sharp, blurred = (fade(np.ascontiguousarray(found[name]), border) for name in ("sharp", "blurred"))
        raw = kernel_quotient(
            sharp, blurred, support, float(numbers["beta"][0, stage]), kernel if assumed.tied else None
        )
        kernel = shape_kernels(raw, float(numbers["threshold"][0, stage]))
        latent = undo(observed, kernel, float(numbers["weight"][0, stage]), round(assumed.pad * support))
    expected = network(torch.from_numpy(observed), 0, 2)[-1]
    np.testing.assert_allclose(kernel, expected.numpy(), atol=1e-4)


def undo(observed, kernel, weight, pad):
    from kernels.borders import fading, fast_side

    mean = observed.mean()
    wide = np.pad(observed - mean, ((0, 0), (pad, pad), (pad, pad)), mode="edge")
    faded = wide * fading(wide.shape[1], pad)[:, None] * fading(wide.shape[2], pad)
    grown = [(0, fast_side(side) - side) for side in faded.shape[1:]]
    planes = np.ascontiguousarray(np.pad(faded, ((0, 0), *grown)), np.float32)
    found = image_quotient(planes, kernel, weight)[:, pad:-pad, pad:-pad]
    return (found[:, : observed.shape[1], : observed.shape[2]] + mean).astype(np.float32)


def test_photographs_add_probes_of_their_own(photographs):
    made_up, both = probes(2, None), probes(2, photographs)
    assert len(both) == 2 * len(made_up) == 2 * len(SHAPES) * len(BATCHES)
    for (planes,) in both:
        assert planes.shape[1] == 2
        assert planes.dtype == np.float32


def test_validation_is_recorded():
    assert SPEC.accuracy({"33 px, stage 3": 0.31942}) == {"validation_kernel_error": {"33 px, stage 3": 0.3194}}


def test_the_network_of_the_paper_fits_two_megabytes():
    from export.schuler.network import Schuler

    learned = sum(parameter.numel() for parameter in Schuler(SchulerConfig()).parameters())
    assert 2 * learned < 1e6


def test_the_runtime_estimates_what_the_network_estimates(tmp_path):
    trained = make("schuler")
    trained.checkpoint.weights["trained"] = torch.full((6,), 3.0)
    export_bundle(trained, tmp_path / "schuler")
    bundle = load_model(tmp_path / "schuler")
    ours, theirs = KernelNetwork(bundle, device=CPU), load_bundle(bundle).network
    observed = np.random.default_rng(0).random((90, 101), np.float32)
    for scale, support in enumerate(ours.supports):
        for stages in (1, 3):
            with torch.no_grad():
                expected = theirs(torch.from_numpy(observed)[None], scale, stages)[-1][0].numpy()
            found = ours.estimate(observed, support=support, stages=stages)
            np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("sizes", [{"side": 5}, {"images": (2, 2, 4)}])
def test_a_network_of_other_sizes_than_a_manifest_states_is_refused(sizes):
    config = SimpleNamespace(network=SchulerConfig(**sizes))
    with pytest.raises(ValueError, match="cannot be exported"):
        SPEC.assumes(config)
