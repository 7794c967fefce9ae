"""Diagnosis of the installation: what is installed, what works, and why the rest does not."""

from __future__ import annotations

import os
import platform
from typing import Any

from runtime._version import __version__
from runtime.errors import DeblurError, MissingDependency
from runtime.inference.bundle import find_models
from runtime.inference.cuda_libraries import explain
from runtime.inference.devices import Device, cuda_problem, installed_version, on_device
from runtime.inference.onnx_runtime import load_onnxruntime
from runtime.inference.session import open_session

_PACKAGES = (
    "numpy", "scipy", "numba", "pillow", "opencv-python-headless", "onnxruntime", "onnxruntime-gpu", "cupy-cuda13x",
    "nvidia-cublas", "nvidia-cuda-nvrtc", "nvidia-cuda-runtime", "nvidia-cudnn-cu13", "nvidia-cufft", "nvidia-curand",
)  # fmt: skip


def diagnose() -> dict[str, Any]:
    """Report on this installation, as ``deblur doctor`` prints it.

    Returns
    -------
    dict
        ``package``, ``python`` and ``machine``; ``packages``: installed versions, ``None`` where absent;
        ``onnxruntime``: its version and the providers it was built with, or why it does not load; ``cuda``: whether
        a GPU can be used, its name and its memory in bytes, or why it cannot be used and how to fix it; ``models``:
        the bundles that can be loaded by name; ``unusable_models``: why further ones in their folders cannot be.
    """
    models, faults = find_models()
    return {
        "package": __version__,
        "python": platform.python_version(),
        "machine": {"system": platform.platform(), "processor": _processor(), "cores": os.cpu_count()},
        "packages": {name: installed_version(name) for name in _PACKAGES},
        "onnxruntime": _onnxruntime(),
        "cuda": _cuda(),
        "models": [f"{bundle.name} {bundle.version}" for bundle in models],
        "unusable_models": [str(fault) for fault in faults],
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as stream:
            names = [line.split(":", 1)[1].strip() for line in stream if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def _onnxruntime() -> dict[str, Any]:
    try:
        onnxruntime = load_onnxruntime()
    except MissingDependency as error:
        return {"works": False, "problem": str(error)}
    return {"works": True, "version": onnxruntime.__version__, "built_with": onnxruntime.get_available_providers()}


def _cuda() -> dict[str, Any]:
    if problem := cuda_problem():
        return {"works": False, "problem": problem}
    import cupy

    if problems := [problem for problem in (_kernel_problem(), _session_problem()) if problem]:
        return {"works": False, "problem": "; ".join(problems)}
    properties = cupy.cuda.runtime.getDeviceProperties(0)
    free, total = cupy.cuda.runtime.memGetInfo()
    return {
        "works": True,
        "device": properties["name"].decode(),
        "compute_capability": f"{properties['major']}.{properties['minor']}",
        "driver": cupy.cuda.runtime.driverGetVersion(),
        "memory_bytes": total,
        "free_bytes": free,
    }


def _kernel_problem() -> str | None:
    """Return why the CUDA kernels do not run, or ``None``: tries the compiler, the FFT and a matrix product."""
    import cupy

    from kernels.fft import fft_module
    from kernels.patches import PatchGrid, extract_patches

    try:
        with on_device(Device("cuda")):
            plane = cupy.ones((8, 8), cupy.float32)
            patches = extract_patches(plane, PatchGrid(8, 8, patch=5, core=3, stride=3), 0, 1)
            float(fft_module(plane).rfft2(plane @ plane).real.sum() + patches.sum())
    except Exception as error:
        return (
            explain(str(error)) or f"CuPy {cupy.__version__} cannot compute: {next(iter(str(error).splitlines()), '')}"
        )
    return None


def _session_problem() -> str | None:
    """Return why no network starts on the GPU, or ``None``: this shows whether ONNX Runtime finds its libraries."""
    for bundle in find_models()[0]:
        for part in bundle.parts:
            try:
                open_session(bundle, part, device=Device("cuda"))
            except DeblurError as error:
                return str(error)
            return None
    return None
