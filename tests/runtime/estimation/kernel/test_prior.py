"""The prior pads, crops and scales for its network, which here is a few nodes made by hand."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from export.kernel_prior.onnx import probe_evidence
from runtime.blur.kernel import normalise
from runtime.errors import InvalidArgument, InvalidModel, ModelNotFound
from runtime.estimation.kernel import prior as prior_module
from runtime.estimation.kernel.evidence import CHANNELS, evidence_for
from runtime.estimation.kernel.prior import MODEL, PART, KernelPrior, load_prior
from runtime.estimation.kernel.pyramid import BlurredImage
from runtime.estimation.kernel.refine import sharp_edges
from runtime.inference import bundle as bundle_module
from runtime.inference.bundle import MANIFEST, SEARCH_VARIABLE, load_model, write_bundle
from runtime.inference.devices import Device
from tests.support.cuda_stand_in import ndarray

ASSUMES = load_model(MODEL).assumes


def write_prior(folder, *, part=PART, entry="evidence", precision="fp32", graph=None, assumes=ASSUMES):
    """Write a bundle whose kernel is the second plane of the evidence, and whose "error" is the side of the planes."""
    folder.mkdir(parents=True, exist_ok=True)
    nodes = [
        helper.make_node("Gather", [entry, "second"], ["kernel"], axis=1),
        helper.make_node("Shape", [entry], ["side"], start=3, end=4),
        helper.make_node("Cast", ["side"], ["log_error"], to=TensorProto.FLOAT),
    ]
    shapes = {
        entry: ["batch", CHANNELS, "side", "side"],
        "kernel": ["batch", "side", "side"],
        "log_error": ["batch"],
    }
    tensors = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()}
    made = helper.make_graph(
        nodes,
        "second plane",
        [tensors[entry]],
        [tensors["kernel"], tensors["log_error"]],
        [numpy_helper.from_array(np.array(1), "second")],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    (folder / "prior.onnx").write_bytes(model.SerializeToString() if graph is None else graph)
    specs = [{"name": name, "type": "float32", "shape": shape} for name, shape in shapes.items()]
    network = {"graphs": {precision: "prior.onnx"}, "opset": 21, "inputs": specs[:1], "outputs": specs[1:]}
    return write_bundle(
        folder,
        {
            "name": MODEL,
            "version": "1",
            "method": MODEL,
            "description": "for tests",
            "licence": "Apache-2.0",
            "parts": {part: network},
            "assumes": assumes,
        },
    )


@pytest.fixture
def prior(tmp_path):
    return KernelPrior(write_prior(tmp_path / MODEL))


def evidence_of(second):
    evidence = np.random.default_rng(0).random((CHANNELS, *second.shape)).astype(np.float32)
    evidence[1] = second
    return evidence


@pytest.mark.parametrize("side", [1, 7, 8, 9, 26])
def test_the_kernel_is_cropped_to_sum_one(prior, side):
    second = np.random.default_rng(side).random((side + 3, side + 3)).astype(np.float32)
    ((kernel, found_side),) = prior.improve([evidence_of(second)], [np.zeros((side, side))])
    np.testing.assert_allclose(kernel, second[:side, :side] / second[:side, :side].sum(dtype=float), rtol=1e-6)
    assert kernel.dtype == np.float64
    assert found_side == side + 3


def test_where_nothing_is_left_the_estimate_stays(prior):
    estimate = np.full((7, 7), 1 / 49)
    assert prior.improve([evidence_of(np.zeros((7, 7)))], [estimate])[0][0] is estimate


def test_evidence_of_another_layout_is_refused(prior):
    for planes in (np.zeros((CHANNELS - 1, 8, 8), np.float32), np.zeros((CHANNELS, 8, 8))):
        with pytest.raises(InvalidArgument, match="takes C-contiguous float32"):
            prior.improve([planes], [np.zeros((8, 8))])


def test_a_bundle_of_another_part_or_precision_is_refused(tmp_path):
    with pytest.raises(InvalidModel, match="no part named 'prior'"):
        KernelPrior(write_prior(tmp_path / "part", part="network"))
    with pytest.raises(InvalidArgument, match="precision 'fp32'"):
        KernelPrior(write_prior(tmp_path / "precision", precision="fp16"))


@pytest.mark.parametrize(("unit", "side"), [(2, 8), (16, 16)])
def test_evidence_is_made_as_the_bundle_assumes(tmp_path, unit, side):
    blurred = BlurredImage(
        np.random.default_rng(0).random((60, 60)).astype(np.float32), np.ones((60, 60), bool), None, 0.01
    )
    kernel = normalise(np.ones((7, 7)))
    edges = sharp_edges(blurred, kernel)[0]
    gathered = []
    for level in (3.0, 1.5):
        assumes = KernelPrior(write_prior(tmp_path / "a", assumes=ASSUMES | {"level": level, "unit": unit})).assumes
        gathered.append(evidence_for(kernel, blurred.image, blurred.noise, edges, assumes)[0])
    assert gathered[0].shape == (side, side)
    assert not gathered[0][7:].any()
    assert not gathered[0][:, 7:].any()
    np.testing.assert_allclose(gathered[0], 2 * gathered[1], rtol=1e-6)


def test_a_device_improves_kernels_of_one_frame_at_once(stand_in):
    """As the CPU improves each of them: to 1e-5 of a kernel's largest value, and of the logarithm of an error."""
    sides = 9, 12, 25, 11
    evidence = [probe_evidence(1, side, seed)[0] for seed, side in enumerate(sides)]
    kernels = [normalise(each[0, :side, :side]) for each, side in zip(evidence, sides, strict=True)]
    expected = load_prior().improve(evidence, kernels)
    there, ran = load_prior(Device("cuda")), []
    run = there._session.run
    there._session.run = lambda evidence: ran.append(evidence.shape) or run(evidence=evidence)
    stand_in.clear()
    found = there.improve(*([ndarray(each) for each in several] for several in (evidence, kernels)))
    assert stand_in.waits == stand_in.uploads == []
    assert ran == [(3, CHANNELS, 12, 12), (1, CHANNELS, 28, 28)]
    for (kernel, log_error), (wanted, wanted_error) in zip(found, expected, strict=True):
        assert kernel.dtype == np.float64
        np.testing.assert_allclose(kernel.array, wanted, atol=1e-5 * wanted.max())
        assert float(log_error) == pytest.approx(float(wanted_error), abs=1e-5)


def test_where_nothing_is_left_the_estimate_stays_on_a_device(stand_in, tmp_path):
    prior = KernelPrior(write_prior(tmp_path / MODEL), Device("cuda"))
    evidence = evidence_of(np.zeros((8, 8)))
    kernel = normalise(evidence[0])
    ((found, _),) = prior.improve([ndarray(evidence)], [ndarray(kernel)])
    np.testing.assert_allclose(found.array, kernel, rtol=1e-5)


@pytest.mark.parametrize(
    ("assumes", "message"),
    [
        ({}, "missing"),
        (ASSUMES | {"turns": 3}, "assumes turns, unknown to this version"),
        (ASSUMES | {"smallest": 9}, "knows kernels of 9 px or more"),
        (ASSUMES | {"unit": 0}, "unit must be a whole number"),
        (ASSUMES | {"strongest": 0.2}, "shares, the former smaller"),
        (ASSUMES | {"level": "3"}, "cannot be used"),
        (ASSUMES | {"ridges": [0.1]}, "ridges is"),
    ],
)
def test_assumptions_that_cannot_be_met_are_refused_in_one_line(tmp_path, assumes, message):
    with pytest.raises(InvalidModel, match=message) as caught:
        KernelPrior(write_prior(tmp_path / "other", assumes=assumes))
    assert "\n" not in str(caught.value)


def test_a_network_with_another_input_is_refused(tmp_path):
    with pytest.raises(InvalidModel, match=r"takes \{'planes'"):
        KernelPrior(write_prior(tmp_path / "input", entry="planes"))


def test_a_graph_that_is_none_is_refused(tmp_path):
    with pytest.raises(InvalidModel, match="cannot load it"):
        KernelPrior(write_prior(tmp_path / "graph", graph=b"no graph"))


class TestLoadPrior:
    """The bundle is looked for by name."""

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path, monkeypatch):
        monkeypatch.setenv(SEARCH_VARIABLE, str(tmp_path))
        monkeypatch.setattr(bundle_module, "SHIPPED", tmp_path / "none")
        prior_module._bundle.cache_clear()
        yield
        prior_module._bundle.cache_clear()

    def test_finds_it(self, tmp_path):
        write_prior(tmp_path / MODEL)
        ((kernel, _),) = load_prior().improve([evidence_of(np.eye(8))], [np.ones((8, 8))])
        np.testing.assert_allclose(kernel, np.eye(8) / 8)

    def test_says_that_it_is_not_there(self):
        with pytest.raises(ModelNotFound, match=f"no model named '{MODEL}'"):
            load_prior()

    def test_sees_damage(self, tmp_path):
        write_prior(tmp_path / MODEL)
        (tmp_path / MODEL / "prior.onnx").write_bytes(b"something else")
        with pytest.raises(InvalidModel, match="altered or damaged"):
            load_prior()
        (tmp_path / MODEL / MANIFEST).write_text("{}")
        with pytest.raises(InvalidModel, match="format"):
            load_prior()
