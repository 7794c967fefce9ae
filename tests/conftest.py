"""What all tests share: the report's header, the reasons to skip, the data folder."""

import os
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import settings

# Some tests import ONNX Runtime by themselves; see `runtime.inference.onnx_runtime`.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# Some import Ray by themselves, which reads this once. A thread that a batch left behind would connect again after the
# end, and Ray ends the process of whoever is connected to a cluster that is shut down.
os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")

# What is left of Ray in a process when its cluster has gone ends the process after so many seconds, by default 60.
os.environ.setdefault("RAY_gcs_rpc_server_reconnect_timeout_s", "3600")

# Compiling takes the first example of a kernel past any deadline.
settings.register_profile("deblur", deadline=None, max_examples=30)
settings.load_profile("deblur")


def pytest_report_header():
    return [
        f"onnxruntime {_version('onnxruntime')}: {_providers()}",
        f"numba {_version('numba')}, cupy {_version('cupy')}, GPU: {_missing_gpu() or 'present'}",
        f"data: {_missing_data() or os.environ['DEBLUR_DATA']}",
    ]


def pytest_collection_modifyitems(items):
    reasons = {"gpu": _missing_gpu(), "data": _missing_data()}
    for item in items:
        for mark, reason in reasons.items():
            if reason and item.get_closest_marker(mark):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def data_root():
    """Folder of the evaluation data; for tests marked `data`."""
    return Path(os.environ["DEBLUR_DATA"])


def _version(name):
    try:
        return import_module(name).__version__
    except ImportError:
        return "not installed"


def _providers():
    try:
        return ", ".join(import_module("onnxruntime").get_available_providers())
    except ImportError:
        return "no providers"


@cache
def _missing_gpu():
    try:
        import cupy
    except ImportError:
        return "needs a GPU: CuPy is not installed"
    try:
        cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return f"needs a GPU: {error}"
    return None


@cache
def _missing_data():
    folder = os.environ.get("DEBLUR_DATA")
    if folder is None:
        return "needs the evaluation data: DEBLUR_DATA names no folder"
    if not Path(folder).is_dir():
        return f"needs the evaluation data: DEBLUR_DATA names {folder}, which is no folder"
    return None
