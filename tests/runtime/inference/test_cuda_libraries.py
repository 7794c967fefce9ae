import subprocess
import sys

import onnxruntime
import pytest

from runtime.inference import cuda_libraries
from runtime.inference.cuda_libraries import explain, missing_library, preload

NO_FILE = "cannot open shared object file: No such file or directory"


@pytest.mark.parametrize(
    ("message", "library", "remedy"),
    [
        (f"libcudnn.so.9: {NO_FILE}", "libcudnn.so.9 is missing", "nvidia-cudnn-cu13"),
        (f"libcudnn_graph.so.9: {NO_FILE}", "libcudnn_graph.so.9 is missing", "nvidia-cudnn-cu13"),
        (f"libcublasLt.so.13: {NO_FILE}", "libcublasLt.so.13 is missing", "nvidia-cublas"),
        (f"libcublas.so.13: {NO_FILE}", "libcublas.so.13 is missing", "nvidia-cublas"),
        (f"libcurand.so.10: {NO_FILE}", "libcurand.so.10 is missing", "nvidia-curand"),
        (f"libcudart.so.13: {NO_FILE}", "libcudart.so.13 is missing", "nvidia-cuda-runtime"),
        (f"libnvrtc-builtins.so.13.0: {NO_FILE}", "libnvrtc-builtins.so.13 is missing", "nvidia-cuda-nvrtc"),
        (
            'Failure finding "libcufft.so.12 or libcufft.so.11": No such file: libcufft.so.12 or libcufft.so.11',
            "libcufft.so.12 is missing",
            "nvidia-cufft",
        ),
        (
            "[ONNXRuntimeError] : 1 : FAIL : Failed to load library /lib/libonnxruntime_providers_cuda.so with error: "
            f"libcublasLt.so.13: {NO_FILE}",
            "libcublasLt.so.13 is missing",
            "nvidia-cublas",
        ),
        (
            "/lib/libcublas.so.13: undefined symbol: cublasLtGetVersion, version libcublasLt.so.13",
            "libcublas.so.13 does not fit",
            "nvidia-cublas",
        ),
        (f"libcublasLt.so.12: {NO_FILE}", "libcublasLt.so.12 is of CUDA 12", "deblur-runtime[gpu]"),
        (f"libcufft.so.11: {NO_FILE}", "libcufft.so.11 is of CUDA 12", "deblur-runtime[gpu]"),
        (f"libcuda.so.1: {NO_FILE}", "the library of the NVIDIA driver", "580 or newer"),
        (
            "cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version",
            "driver is missing or older than CUDA 13",
            "580 or newer",
        ),
        ("cudaErrorInitializationError: initialization error", "forked", "spawn"),
        (
            "cuDNN is unavailable for CUDA Execution Provider: cuDNN library was not found",
            "cuDNN is missing",
            "nvidia-cudnn-cu13",
        ),
        ("CUDNN failure 1001: CUDNN_STATUS_NOT_INITIALIZED ; GPU=0", "cuDNN is missing", "nvidia-cudnn-cu13"),
        ("CUDNN_STATUS_SUBLIBRARY_VERSION_MISMATCH", "do not fit each other", "nvidia-cudnn-cu13"),
    ],
)
def test_an_explanation_names_the_library_and_the_package(message, library, remedy):
    meaning = explain(message)
    assert library in meaning
    assert remedy in meaning
    assert "\n" not in meaning


@pytest.mark.parametrize("message", ["", "Protobuf parsing failed.", "libjpeg.so.62: not found", "out of memory"])
def test_any_other_message_has_no_explanation(message):
    assert explain(message) is None


def test_an_onnx_runtime_without_cuda_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(onnxruntime, "__file__", str(tmp_path / "__init__.py"))
    assert "built without CUDA" in missing_library()


def test_the_first_library_that_does_not_load_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(onnxruntime, "__file__", str(tmp_path / "__init__.py"))
    provider = tmp_path / "capi" / "libonnxruntime_providers_cuda.so"
    provider.parent.mkdir()
    provider.touch()
    there = []

    def load(path):
        if "cudnn" in path:
            raise OSError(f"libcudnn.so.9: {NO_FILE}")
        there.append(path)

    monkeypatch.setattr(cuda_libraries.ctypes, "CDLL", load)
    assert missing_library() == "libcudnn.so.9 is missing: pip install --upgrade nvidia-cudnn-cu13"
    assert str(provider) in there


def test_nothing_is_missing_where_all_loads(monkeypatch, tmp_path):
    monkeypatch.setattr(onnxruntime, "__file__", str(tmp_path / "__init__.py"))
    (tmp_path / "capi").mkdir()
    (tmp_path / "capi" / "libonnxruntime_providers_cuda.so").touch()
    monkeypatch.setattr(cuda_libraries.ctypes, "CDLL", lambda path: None)
    assert missing_library() is None


def test_what_onnx_runtime_prints_while_it_loads_is_kept_from_standard_output(monkeypatch, capsys):
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: print("Failed to load libcublas.so.13"))
    preload()
    assert capsys.readouterr().out == ""


def test_importing_loads_no_library():
    report = "import sys, runtime.inference.cuda_libraries; print('onnxruntime' in sys.modules, 'cupy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
