import json

import pytest
from click.testing import CliRunner

import runtime
from runtime.cli.info import doctor
from runtime.errors import DeviceUnavailable
from runtime.inference import diagnosis, session


def test_reports_what_is_here():
    report = runtime.diagnose()
    json.dumps(report)
    assert report["package"] == runtime.__version__
    assert report["onnxruntime"]["works"]
    assert "CPUExecutionProvider" in report["onnxruntime"]["built_with"]
    assert report["packages"]["numpy"]
    assert report["machine"]["cores"] >= 1


def test_names_what_keeps_cuda_away(monkeypatch):
    monkeypatch.setattr(diagnosis, "cuda_problem", lambda: "no driver: install one")
    assert runtime.diagnose()["cuda"] == {"works": False, "problem": "no driver: install one"}


def test_a_device_that_works_is_described(stand_in, monkeypatch):
    monkeypatch.setattr(diagnosis, "cuda_problem", lambda: None)
    found = runtime.diagnose()["cuda"]
    assert found["works"]
    assert found["device"] == "Stand-in"
    assert found["compute_capability"] == "9.0"


def test_libraries_of_the_kernels_and_of_the_network_are_named(stand_in, monkeypatch):
    """With the messages of CuPy and ONNX Runtime for a missing package."""
    import cupyx.scipy.fft

    def no_transforms(*arguments, **options):
        raise ImportError('Failure finding "libcufft.so.12 or libcufft.so.11": No such file: libcufft.so.12')

    def no_session(part, precision, device):
        raise DeviceUnavailable("libcudnn.so.9 is missing: pip install --upgrade nvidia-cudnn-cu13")

    monkeypatch.setattr(diagnosis, "cuda_problem", lambda: None)
    monkeypatch.setattr(cupyx.scipy.fft, "rfft2", no_transforms, raising=False)
    monkeypatch.setattr(session, "create_session", no_session)
    report = CliRunner().invoke(doctor)
    assert report.exit_code == 0
    assert "works: no" in report.output
    assert "libcufft.so.12 is missing: pip install --upgrade nvidia-cufft" in report.output
    assert "libcudnn.so.9 is missing: pip install --upgrade nvidia-cudnn-cu13" in report.output


def test_an_unknown_error_is_passed_on(stand_in, monkeypatch):
    import cupy

    def broken(*arguments):
        raise RuntimeError("the device is on fire\nrun")

    monkeypatch.setattr(diagnosis, "cuda_problem", lambda: None)
    monkeypatch.setattr(cupy, "ones", broken, raising=False)
    assert "cannot compute: the device is on fire" in runtime.diagnose()["cuda"]["problem"]


@pytest.mark.gpu
def test_a_gpu_is_named():
    assert runtime.diagnose()["cuda"]["works"]
