"""A packed network behind every door of the runtime, none of which knows of it."""

import json

import numpy as np
import pytest

import runtime
from runtime.images import Header, decode, encode, read_file, write_file
from runtime.packing import Packing, pack_network
from tests.support import triton_stand_in
from tests.support.networks import write_network

DEADLINE = 120
"""Seconds after which a test that hangs fails."""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A packed network, which is found by its name too."""
    graph = write_network(tmp_path / "network.onnx", "mean")
    pack_network(graph, tmp_path / "models" / "softener", Packing(patch=64))
    monkeypatch.setenv("DEBLUR_MODELS", str(tmp_path / "models"))
    return tmp_path / "models" / "softener"


@pytest.fixture
def pixels(rng):
    return rng.integers(0, 256, (90, 101, 3), np.uint8)


@pytest.fixture
def expected(folder, pixels):
    restored = runtime.deblur(pixels, model=folder, device="cpu")
    assert np.abs(restored.astype(int) - pixels).mean() > 10
    return restored


def test_python(folder, pixels, expected):
    assert "softener" in [bundle.name for bundle in runtime.list_models()]
    deblurrer = runtime.Deblurrer(model="softener", device="cpu")
    (result,) = deblurrer.restore_many([pixels])
    np.testing.assert_array_equal(result.image, expected)
    assert result.model == "softener"


def test_the_service(folder, pixels, expected):
    pytest.importorskip("fastapi", reason="needs the extra serve")
    from runtime.serve.service import Service
    from runtime.serve.settings import Settings
    from runtime.serve.tickets import Request

    service = Service(Settings(devices=("cpu",)))
    service.start()
    try:
        assert service.wait_until_ready(DEADLINE)
        request = Request("deblur", [encode(pixels, Header("PNG"))], {"model": "softener"})
        response = service.submit(request).settled.result(DEADLINE)
    finally:
        service.drain(DEADLINE)
    np.testing.assert_array_equal(decode(response.photograph)[0], expected)
    assert response.report["model"] == "softener"


def test_triton(folder, pixels, expected, tmp_path, monkeypatch):
    from runtime.serve.triton import Repository, TritonPythonModel, write_repository

    triton_stand_in.install(monkeypatch)
    written = write_repository(tmp_path / "repository", "softener", Repository(), overwrite=False)
    model = TritonPythonModel()
    parameters = {name: {"string_value": "{}"} for name in ("options", "loading")}
    model.initialize(
        {
            "model_config": json.dumps({"parameters": parameters}),
            "model_instance_kind": "CPU",
            "model_instance_device_id": "0",
            "model_repository": str(written),
            "model_version": "1",
        }
    )
    (answer,) = model.execute([triton_stand_in.Request({"image": pixels[None]})])
    assert answer.error is None
    np.testing.assert_array_equal(answer.tensors["restored"][0], expected)


def test_a_worker_of_a_ray_cluster(folder, pixels, expected, tmp_path, monkeypatch):
    pytest.importorskip("ray", reason="needs the extra ray")
    from runtime.serve.batch import ray as module

    monkeypatch.setattr(module, "confine_to_cores", lambda cores: set())
    write_file(tmp_path / "in.png", pixels)
    options = {"quality": "balanced", "strength": 1.0, "refine": True, "neural": True}
    worker = module.Worker(
        module._Work({"model": str(folder), "device": "cpu"}, options, False, 1), lambda number: None
    )
    source, target = (str(tmp_path / name).encode() for name in ("in.png", "out.png"))
    report = worker({"number": [0], "source": [source], "target": [target], "existed": [False]})
    assert json.loads(report["outcome"][0])["status"] == "done"
    np.testing.assert_array_equal(read_file(tmp_path / "out.png")[0], expected)
