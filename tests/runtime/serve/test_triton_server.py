"""The model repository on Triton itself: the server in the wheel nvidia-pytriton, where that is installed."""

import ctypes.util
import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import venv
from pathlib import Path

import numpy as np
import pytest

import runtime
from runtime.images import read_file, write_file
from runtime.serve.triton import Repository, write_repository
from runtime.warming import _photograph

ROOT = Path(__file__).parents[3]
PATIENCE = 120
"""Seconds after which a server that does not get ready fails the test."""
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
SETTINGS = Repository(options={"quality": "fast"}, delay=0.2)
PHOTOGRAPH = _photograph()[:90, :100].copy()


def distribution():
    """The folder of the server in the wheel; the test is skipped where it cannot run."""
    spec = importlib.util.find_spec("pytriton")
    if spec is None or importlib.util.find_spec("tritonclient") is None:
        pytest.skip("needs Triton: pip install --no-deps nvidia-pytriton && pip install 'tritonclient[http]'")
    if ctypes.util.find_library(f"python{PYTHON}") is None:
        pytest.skip(f"the server of Triton needs the shared library of Python {PYTHON}")
    return Path(spec.origin).parent / "tritonserver"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def python_with_our_packages(folder):
    """Make an environment, since the backend takes packages from that of the first Python on the path alone."""
    venv.create(folder / "environment", symlinks=True)
    packages = folder / "environment" / "lib" / f"python{PYTHON}" / "site-packages"
    (packages / "ours.pth").write_text("\n".join([str(ROOT), *filter(os.path.isdir, sys.path)]))
    return folder / "environment" / "bin"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A client of a server with a repository that restores at ``fast``, and the address."""
    source, folder = distribution(), tmp_path_factory.mktemp("triton")
    import tritonclient.http as triton

    backends = folder / "backends"
    shutil.copytree(source / "backends", backends)
    # The backend looks for its stub, of which the wheel has one for each Python, beside itself.
    shutil.copy(source / "python_backend_stubs" / PYTHON / "triton_python_backend_stub", backends / "python")
    write_repository(folder / "models", "chakrabarti", SETTINGS, overwrite=False)
    address = f"127.0.0.1:{free_port()}"
    command = [
        str(source / "bin" / "tritonserver"), "--model-repository", str(folder / "models"),
        "--backend-directory", str(backends), "--http-address", "127.0.0.1", "--http-port", address.rpartition(":")[2],
        "--allow-grpc", "false", "--allow-metrics", "false",
    ]  # fmt: skip
    environment = {
        **os.environ,
        "HOME": str(folder),
        "PATH": os.pathsep.join([str(python_with_our_packages(folder)), os.environ["PATH"]]),
        "LD_LIBRARY_PATH": str(source.parent.parent / "nvidia_pytriton.libs"),
    }
    log = folder / "log"
    with log.open("w") as stream:
        process = subprocess.Popen(command, env=environment, stdout=stream, stderr=stream, cwd=folder)
    try:
        client = triton.InferenceServerClient(address, concurrency=6, network_timeout=PATIENCE)
        end = time.monotonic() + PATIENCE
        while not is_ready(client) and process.poll() is None and time.monotonic() < end:
            time.sleep(0.2)
        assert is_ready(client), log.read_text()
        yield client, address
    finally:
        process.terminate()
        process.wait(60)


def is_ready(client):
    try:
        return client.is_model_ready("deblur")
    except OSError:
        return False


def ask(client, photograph, **parameters):
    """Send a request without waiting for its answer; the client is not for threads."""
    import tritonclient.http as triton

    image = triton.InferInput("image", photograph.shape, "UINT8")
    image.set_data_from_numpy(photograph)
    return client.async_infer("deblur", [image], parameters=parameters or None)


@pytest.mark.slow
def test_the_client_of_the_documentation_gets_the_photograph_of_the_library(server, tmp_path, monkeypatch):
    _, address = server
    text = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    (example,) = (block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "tritonclient" in block)
    assert "127.0.0.1:8000" in example
    monkeypatch.chdir(tmp_path)
    write_file(tmp_path / "photo.jpg", PHOTOGRAPH)
    found = {}
    exec(example.replace("127.0.0.1:8000", address), found)
    pixels, _ = read_file("photo.jpg")
    expected = runtime.Deblurrer(device="cpu").restore(pixels, quality="fast")
    np.testing.assert_array_equal(found["restored"], expected.image)
    assert found["confidence"] == pytest.approx(expected.confidence, abs=1e-6)
    assert found["code"] == (expected.code or "")


@pytest.mark.slow
def test_requests_of_several_sizes_are_batched_and_answered_each(server):
    client, _ = server
    flat = [np.full((1, 70 + 5 * number, 80, 3), 60 + number, np.uint8) for number in range(6)]
    before = client.get_inference_statistics("deblur")["model_stats"][0]
    asked = [ask(client, photograph) for photograph in flat]
    answers = [request.get_result(timeout=PATIENCE) for request in asked]
    after = client.get_inference_statistics("deblur")["model_stats"][0]
    for photograph, answer in zip(flat, answers, strict=True):
        np.testing.assert_array_equal(answer.as_numpy("restored"), photograph)
        assert bytes(answer.as_numpy("code")[0]).rstrip(b"\0") == b"flat"
    executed = after["execution_count"] - before.get("execution_count", 0)
    assert after["inference_count"] - before.get("inference_count", 0) == len(flat)
    assert executed < len(flat)


@pytest.mark.slow
def test_errors_arrive_with_their_words(server):
    from tritonclient.utils import InferenceServerException

    client, _ = server
    for photograph, parameters, words in (
        (PHOTOGRAPH[None, :20, :20].copy(), {}, "give a larger crop"),
        (PHOTOGRAPH[None], {"quality": "perfect"}, "quality 'perfect'"),
        (PHOTOGRAPH[None], {"model": "other"}, "there is no parameter model: give quality or strength"),
    ):
        with pytest.raises(InferenceServerException, match=words):
            ask(client, photograph, **parameters).get_result(timeout=PATIENCE)
