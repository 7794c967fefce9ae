"""The shared libraries of CUDA: the meaning of errors of the loader and of CUDA, and what to install."""

from __future__ import annotations

import contextlib
import ctypes
import io
import re
import sys
from pathlib import Path

from runtime.inference.onnx_runtime import load_onnxruntime

_PACKAGES = {
    "cublas": "nvidia-cublas",
    "cublasLt": "nvidia-cublas",
    "cudart": "nvidia-cuda-runtime",
    "cudnn": "nvidia-cudnn-cu13",
    "cufft": "nvidia-cufft",
    "curand": "nvidia-curand",
    "nvJitLink": "nvidia-nvjitlink",
    "nvrtc": "nvidia-cuda-nvrtc",
}
"""The package that contains each library, whose name is given without ``lib``."""

_CUDA_12_LIBRARIES = {
    ("cublas", "12"),
    ("cublasLt", "12"),
    ("cudart", "12"),
    ("cufft", "11"),
    ("nvJitLink", "12"),
    ("nvrtc", "12"),
}
"""Names and major versions of the libraries of CUDA 12."""

_LIBRARY = re.compile(r"lib([A-Za-z]+)[\w-]*\.so(?:\.(\d+))?")
_MISSING = re.compile(r"cannot open shared object file|Failure finding|No such file|not found|unavailable")

_INSTALL_DRIVER = "install an NVIDIA driver for CUDA 13 (580 or newer)"
FORKED = (
    "this process was forked from one that had used CUDA, which does not work after a fork: start processes with "
    "multiprocessing.set_start_method('spawn')"
)
"""Why CUDA cannot be used in a forked process."""

_MESSAGES = {
    "driver version is insufficient": f"the NVIDIA driver is missing or older than CUDA 13: {_INSTALL_DRIVER}",
    "cudaErrorInitializationError": FORKED,
    "VERSION_MISMATCH": "the libraries of cuDNN do not fit each other: pip install --force-reinstall nvidia-cudnn-cu13",
    "cuDNN": "cuDNN is missing or does not fit: pip install nvidia-cudnn-cu13",
    "CUDNN_STATUS_NOT_INITIALIZED": "cuDNN is missing or does not fit: pip install nvidia-cudnn-cu13",
    "cuFFT is unavailable": "libcufft is missing: pip install nvidia-cufft",
    "no kernel image is available": "this GPU is too old for the installed packages: one of 2018 or newer is needed",
}
"""Explanations of messages of the driver, cuDNN and ONNX Runtime that name no file."""


def explain(message: str) -> str | None:
    """Return which CUDA library an error message is about and what to install, or ``None`` if it is about none.

    Parameters
    ----------
    message
        The text of an error of the dynamic loader, CuPy, ONNX Runtime or CUDA.
    """
    for match in _LIBRARY.finditer(message):
        name, number = match.groups()
        if name == "cuda":
            return f"{match[0]}, the library of the NVIDIA driver, is missing: {_INSTALL_DRIVER}"
        if (name, number) in _CUDA_12_LIBRARIES:
            return f"{match[0]} is of CUDA 12, but CUDA 13 is needed: pip install --upgrade 'deblur-runtime[gpu]'"
        if name in _PACKAGES:
            state = "is missing" if _MISSING.search(message) else "does not fit"
            return f"{match[0]} {state}: pip install --upgrade {_PACKAGES[name]}"
    return next((meaning for text, meaning in _MESSAGES.items() if text in message), None)


def preload() -> None:
    """Load the libraries of the installed ``nvidia-*`` packages, which the dynamic loader does not search.

    ONNX Runtime prints the names of libraries that it does not find. This output is discarded, because an image may be
    written to standard output.
    """
    onnxruntime = load_onnxruntime()
    with contextlib.redirect_stdout(io.StringIO()):
        onnxruntime.preload_dlls()


def missing_library() -> str | None:
    """Load the libraries of ONNX Runtime on CUDA; return which fails and what to install, or ``None`` if all load.

    ONNX Runtime itself writes the reason to standard error only, and falls back to the CPU.
    """
    if sys.platform != "linux":
        return "CUDA has been tried on Linux only; ONNX Runtime says more on standard error"
    folder = Path(str(load_onnxruntime().__file__)).parent / "capi"
    provider = folder / "libonnxruntime_providers_cuda.so"
    if not provider.exists():
        return "this ONNX Runtime is built without CUDA: pip uninstall onnxruntime, pip install 'deblur-runtime[gpu]'"
    for library in (folder / "libonnxruntime_providers_shared.so", provider, "libcudnn.so.9"):
        try:
            ctypes.CDLL(str(library))
        except OSError as error:
            return explain(str(error)) or str(error)
    return None
