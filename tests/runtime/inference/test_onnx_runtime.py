import os
import subprocess
import sys

import pytest

from runtime.errors import MissingDependency
from runtime.inference.onnx_runtime import load_onnxruntime

RESTORE = "import numpy, runtime; runtime.deblur(numpy.full((70, 70), 0.5, 'f4'), quality='fast', device='cpu')"
IN_A_WORKER = f"""
from multiprocessing import get_context
worker = get_context("spawn").Process(target=exec, args=({RESTORE!r},))
if __name__ == "__main__":
    worker.start()
    worker.join()
    raise SystemExit(worker.exitcode)
"""
PATHS = {
    "library": ["-c", RESTORE],
    "worker": ["-c", IN_A_WORKER],
    "command": ["-m", "runtime.cli", "doctor"],
    "export": ["-c", "from export.onnx.parity import open_graph\ntry: open_graph('none.onnx')\nexcept Exception: pass"],
}


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_left_in_a_fresh_home(path, tmp_path):
    caches = {"HOME": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path / "numba")}
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ORT_", "XDG_"))}
    subprocess.run([sys.executable, *PATHS[path]], check=True, env={**environment, **caches}, capture_output=True)
    left = [file for file in tmp_path.rglob("*") if file.is_file() and tmp_path / "numba" not in file.parents]
    assert not left


def test_the_switch_of_the_user_stays(monkeypatch):
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    load_onnxruntime()
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "0"
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY")
    load_onnxruntime()
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"


def test_without_it_the_error_names_the_extras(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingDependency, match=r"pip install 'deblur-runtime\[cpu\]'"):
        load_onnxruntime()
