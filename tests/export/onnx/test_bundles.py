"""What holds for the bundles of all kinds of networks."""

from __future__ import annotations

import dataclasses
import filecmp

import numpy as np
import pytest
import torch

from export.loop.checkpoints import read_checkpoint, write_slim
from export.onnx.bundles import check_bundle, export_bundle, read_weights
from export.registry import load
from runtime.errors import InvalidModel
from runtime.inference.bundle import list_models, load_model
from tests.export.kinds import CONFIGS, make

LAST = {
    "chakrabarti": ("network", "head.bias"),
    "wieschollek": ("fusion", "fusion.head.bias"),
    "eboli": ("motion", "trunk.3.bias"),
    "kernel-prior": ("prior", "correction.bias"),
    "repair": ("repair", "tail.bias"),
    "kaufman": ("stage2", "synthesis.stages.1.tail.bias"),
    "analysis": ("shape", "shape.tail.3.weight"),
    "kernel-classifier": ("scores", "scores.classify.bias"),
    "synthesis": ("stage2", "stages.1.tail.bias"),
    "schuler": ("scale1_stage1", "scales.0.0.features.last.weight"),
}
"""By kind a part, and a weight whose change shows."""


@pytest.fixture(scope="module", params=CONFIGS)
def trained(request):
    return make(request.param)


@pytest.fixture(scope="module")
def bundle(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles") / trained.config.name
    return export_bundle(trained, folder, trained_on=["made-up pictures, CC0"])


def altered(trained, amount):
    """The same network but for one weight or bias."""
    name = LAST[trained.checkpoint.method][1]
    weights = {key: value.clone() for key, value in trained.checkpoint.weights.items()}
    weights[name] += amount
    network = type(trained.network)(trained.config.network)
    network.load_state_dict(weights)
    checkpoint = dataclasses.replace(trained.checkpoint, weights=weights)
    return dataclasses.replace(trained, checkpoint=checkpoint, network=network.eval().requires_grad_(False))


def test_a_bundle_says_what_it_is(trained, bundle):
    assert load_model(bundle.path) == bundle
    assert (bundle.name, bundle.method) == (trained.config.name, trained.checkpoint.method)
    assert bundle.description == "for tests"
    assert bundle.patch == trained.spec.patch
    assert bundle.training["data"] == ["made-up pictures, CC0"]
    assert (bundle.training["samples"], bundle.training["examples"]) == (64, 8)
    assert bundle.training["config"] == trained.config.to_dict()
    assert bundle.assumes
    bundle.read_assumptions(type(trained.spec.assumes(trained.config)))
    assert set(bundle.parts) == set(trained.spec.parts)
    for name, spec in trained.spec.parts.items():
        part = bundle.part(name)
        assert {tensor.name: tensor.shape for tensor in part.inputs} == dict(spec.inputs)
        assert {tensor.name: tensor.shape for tensor in part.outputs} == dict(spec.outputs)
        assert {f"{name}.weights", *(f"{name}.{precision}.onnx" for precision in spec.tolerance)} <= set(bundle.files)
        assert set(part.parity) == set(part.graphs) == set(spec.tolerance)
        for precision, found in part.parity.items():
            assert 0 <= found["max_abs"] <= spec.tolerance[precision]


def test_the_shipped_bundle_of_a_kind_has_the_same_parts(trained):
    of_a_kind = [each for each in list_models() if each.method == trained.checkpoint.method and each.files]
    assert of_a_kind
    for shipped in of_a_kind:
        for name, spec in trained.spec.parts.items():
            assert {tensor.name: tensor.shape for tensor in shipped.part(name).inputs} == dict(spec.inputs)
            assert {tensor.name: tensor.shape for tensor in shipped.part(name).outputs} == dict(spec.outputs)
        fields = dataclasses.fields(trained.spec.assumes(trained.config))
        assert set(shipped.assumes) == {field.name for field in fields}
        assert shipped.patch == trained.spec.patch


def test_export_is_deterministic_and_replaces_what_was_there(trained, bundle, tmp_path):
    again = tmp_path / "again"
    again.mkdir()
    (again / "stale.onnx").touch()
    export_bundle(trained, again, trained_on=["made-up pictures, CC0"])
    names = sorted(file.name for file in bundle.path.iterdir())
    assert names == sorted(file.name for file in again.iterdir())
    assert filecmp.cmpfiles(bundle.path, again, names, shallow=False)[0] == names
    assert [path.name for path in tmp_path.iterdir()] == ["again"]


def test_a_slim_checkpoint_exports_to_the_same_bundle(trained, bundle, tmp_path):
    write_slim(tmp_path / "slim.pt", trained.checkpoint, dict(trained.network.named_parameters()))
    export_bundle(load(tmp_path / "slim.pt"), tmp_path / "bundle", trained_on=["made-up pictures, CC0"])
    names = sorted(file.name for file in bundle.path.iterdir())
    assert filecmp.cmpfiles(bundle.path, tmp_path / "bundle", names, shallow=False)[0] == names
    assert read_checkpoint(tmp_path / "slim.pt").resume is None


def test_a_bundle_agrees_with_its_network_and_with_no_other(trained, bundle):
    found = check_bundle(bundle.path, trained)
    assert found.keys() == bundle.parts.keys()
    assert all(set(found[name]) == set(part.parity) for name, part in bundle.parts.items())
    with pytest.raises(InvalidModel, match="export that checkpoint again"):
        check_bundle(bundle.path, altered(trained, 1.0))
    other = make("repair" if bundle.method != "repair" else "eboli")
    with pytest.raises(InvalidModel, match="is of method"):
        check_bundle(bundle.path, other)


def test_a_graph_that_differs_is_not_written(trained, tmp_path):
    parts = {
        name: dataclasses.replace(part, tolerance=dict.fromkeys(part.tolerance, -1.0))
        for name, part in trained.spec.parts.items()
    }
    strict = dataclasses.replace(trained, spec=dataclasses.replace(trained.spec, parts=parts))
    with pytest.raises(InvalidModel, match="in PyTorch by"):
        export_bundle(strict, tmp_path / "bundle")
    assert not list(tmp_path.iterdir())


def test_a_bundle_gives_its_weights_back(trained, bundle):
    weights = read_weights(bundle, trained.spec, trained.network)
    assert weights.keys() == trained.network.state_dict().keys()
    for name, value in trained.network.state_dict().items():
        if "analysis.mean" in name:
            continue
        assert torch.equal(weights[name], value), name
    found = load(bundle.path)
    for name, part in trained.spec.parts.items():
        ours, theirs = (each.network.get_submodule(part.module) for each in (found, trained))
        inputs = [torch.from_numpy(array) for array in part.probes(None)[0]]
        expected = theirs(*inputs)
        for one, other in zip(*(r if isinstance(r, tuple) else (r,) for r in (ours(*inputs), expected)), strict=True):
            np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-4, err_msg=name)


def test_other_assumptions_are_noticed(trained, bundle):
    spec = dataclasses.replace(trained.spec, assumes=lambda config: dataclasses.make_dataclass("Other", ["gamma"])(2.2))
    with pytest.raises(InvalidModel, match=r"assumes .* the checkpoint"):
        check_bundle(bundle.path, dataclasses.replace(trained, spec=spec))
