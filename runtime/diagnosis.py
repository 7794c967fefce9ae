"""What is installed, what works on this machine, and why not the rest."""

from __future__ import annotations

import os
import platform
from typing import Any

from runtime import __version__
from runtime.bundle import list_models
from runtime.devices import Device, cuda_problem, installed_version
from runtime.errors import DeblurError
from runtime.session import open_session

_PACKAGES = (
    "numpy", "scipy", "numba", "pillow", "opencv-python-headless", "onnxruntime", "onnxruntime-gpu", "cupy-cuda13x",
)  # fmt: skip


def diagnose() -> dict[str, Any]:
    """Report on this installation, as ``deblur doctor`` prints it.

    Returns
    -------
    dict
        ``package``, ``python`` and ``machine``; ``packages``: installed versions, ``None`` where absent;
        ``onnxruntime``: its version and the providers it was built with, or why it does not load; ``cuda``: whether
        a GPU can be used, its name and memory, or what is in the way and how to mend it; ``models``: the bundles
        that can be loaded by name.
    """
    return {
        "package": __version__,
        "python": platform.python_version(),
        "machine": {"system": platform.platform(), "processor": _processor(), "cores": os.cpu_count()},
        "packages": {name: installed_version(name) for name in _PACKAGES},
        "onnxruntime": _onnxruntime(),
        "cuda": _cuda(),
        "models": [f"{bundle.name} {bundle.version}" for bundle in list_models()],
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
        import onnxruntime
    except ImportError as error:
        return {"works": False, "problem": f"{error}: pip install 'deblur-runtime[cpu]' or 'deblur-runtime[gpu]'"}
    return {"works": True, "version": onnxruntime.__version__, "built_with": onnxruntime.get_available_providers()}


def _cuda() -> dict[str, Any]:
    if problem := cuda_problem():
        return {"works": False, "problem": problem}
    import cupy

    if problem := _session_problem():
        return {"works": False, "problem": problem}
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


def _session_problem() -> str | None:
    """Start a network on the GPU: only that shows whether ONNX Runtime finds the CUDA libraries it needs."""
    for bundle in list_models():
        for part in bundle.parts:
            try:
                open_session(bundle, part, device=Device("cuda"))
            except DeblurError as error:
                return str(error)
            return None
    return None
