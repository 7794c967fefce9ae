"""The shared libraries of CUDA: what a loader's or CUDA's own complaint means, and what to install."""

from __future__ import annotations

import contextlib
import ctypes
import io
import re
from pathlib import Path

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
"""The package that brings each library, without its ``lib``."""

_CUDA_12 = {
    ("cublas", "12"),
    ("cublasLt", "12"),
    ("cudart", "12"),
    ("cufft", "11"),
    ("nvJitLink", "12"),
    ("nvrtc", "12"),
}

_LIBRARY = re.compile(r"lib([A-Za-z]+)[\w-]*\.so(?:\.(\d+))?")
_MISSING = re.compile(r"cannot open shared object file|Failure finding|No such file|not found|unavailable")

_DRIVER = "install an NVIDIA driver for CUDA 13 (580 or newer)"
FORKED = (
    "this process was forked from one that had used CUDA, which does not survive that: start processes by "
    "multiprocessing.set_start_method('spawn')"
)

_COMPLAINTS = {
    "driver version is insufficient": f"the NVIDIA driver is missing or older than CUDA 13: {_DRIVER}",
    "cudaErrorInitializationError": FORKED,
    "VERSION_MISMATCH": "the libraries of cuDNN do not fit each other: pip install --force-reinstall nvidia-cudnn-cu13",
    "cuDNN": "cuDNN is missing or does not fit: pip install nvidia-cudnn-cu13",
    "CUDNN_STATUS_NOT_INITIALIZED": "cuDNN is missing or does not fit: pip install nvidia-cudnn-cu13",
    "cuFFT is unavailable": "libcufft is missing: pip install nvidia-cufft",
    "no kernel image is available": "this GPU is too old for the installed packages: one of 2018 or newer is needed",
}
"""What the driver, cuDNN and ONNX Runtime say without naming a file."""


def explain(message: str) -> str | None:
    """Say which library of CUDA a message complains of and what to install, or ``None`` if it complains of none.

    Parameters
    ----------
    message
        The text of an error of the dynamic loader, CuPy, ONNX Runtime or CUDA.
    """
    for match in _LIBRARY.finditer(message):
        name, number = match.groups()
        if name == "cuda":
            return f"{match[0]}, the library of the NVIDIA driver, is missing: {_DRIVER}"
        if (name, number) in _CUDA_12:
            return f"{match[0]} is of CUDA 12, and what asks for it is too: pip install --upgrade 'deblur-runtime[gpu]'"
        if name in _PACKAGES:
            state = "is missing" if _MISSING.search(message) else "does not fit"
            return f"{match[0]} {state}: pip install --upgrade {_PACKAGES[name]}"
    return next((meaning for sign, meaning in _COMPLAINTS.items() if sign in message), None)


def preload() -> None:
    """Load the libraries of the installed ``nvidia-*`` packages, where the dynamic loader does not search.

    ONNX Runtime prints what it does not find; standard output may be an image.
    """
    import onnxruntime

    with contextlib.redirect_stdout(io.StringIO()):
        onnxruntime.preload_dlls()


def missing_library() -> str | None:
    """Load what ONNX Runtime needs on a GPU; say what does not load and what to install, or ``None`` if all does.

    ONNX Runtime itself writes the reason to standard error only, and goes on with the CPU.
    """
    import onnxruntime

    folder = Path(onnxruntime.__file__).parent / "capi"
    provider = folder / "libonnxruntime_providers_cuda.so"
    if not provider.exists():
        return "this ONNX Runtime knows no CUDA: pip uninstall onnxruntime, pip install 'deblur-runtime[gpu]'"
    for library in (folder / "libonnxruntime_providers_shared.so", provider, "libcudnn.so.9"):
        try:
            ctypes.CDLL(str(library))
        except OSError as error:
            return explain(str(error)) or str(error)
    return None
