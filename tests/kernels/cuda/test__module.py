import inspect
import logging
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from kernels.cuda import _module
from kernels.cuda._module import launch
from tests.kernels.cuda.test_sources import FAMILIES


class Recorder:
    def __init__(self):
        self.launches = []

    def get_function(self, name):
        return lambda *arguments, **options: self.launches.append((name, *arguments, options))


@pytest.fixture
def recorder(monkeypatch):
    recorder = Recorder()
    monkeypatch.setattr(_module, "_module", lambda family: recorder)
    return recorder


def test_launch_passes_numbers_as_those_of_c(recorder):
    array = np.zeros(3, np.float32)
    launch("patches", "extract_patches", (4,), (256,), array, 7, 0.5, shared_bytes=64)
    ((name, grid, block, (passed, seven, half), options),) = recorder.launches
    assert (name, grid, block, options) == ("extract_patches", (4,), (256,), {"shared_mem": 64})
    assert passed is array
    assert (type(seven), seven) == (np.int32, 7)
    assert (type(half), half) == (np.float32, 0.5)


def test_nothing_is_launched_without_blocks(recorder):
    launch("patches", "overlap_add", (3, 0), (32, 8))
    assert recorder.launches == []


class Refused(Exception):
    """What CuPy raises where the driver does not take a binary."""


@pytest.fixture
def load(monkeypatch):
    """Load a family by a stand-in for CuPy, whose driver may refuse binaries; return what the module was made of."""

    def load(family, *, refuses=False):
        class RawModule(SimpleNamespace):
            def compile(self):
                if refuses and hasattr(self, "path"):
                    raise Refused("CUDA_ERROR_UNSUPPORTED_PTX_VERSION")

        driver = SimpleNamespace(CUDADriverError=Refused)
        cupy = SimpleNamespace(RawModule=RawModule, cuda=SimpleNamespace(driver=driver))
        monkeypatch.setitem(sys.modules, "cupy", cupy)
        return vars(_module._module.__wrapped__(family))

    return load


@pytest.mark.parametrize("family", FAMILIES)
def test_the_binary_of_a_source_is_loaded(load, family):
    assert load(family) == {"path": str(_module.binary(family))}


def test_a_source_that_has_changed_is_compiled(load, monkeypatch):
    before = _module.source("patches")
    for changed in (f"{before} ", before.replace("float", "double", 1)):
        monkeypatch.setattr(_module, "source", lambda family, text=changed: text)
        assert load("patches") == {"code": changed, "options": _module.OPTIONS}


def test_a_source_is_compiled_where_its_binary_was_made_otherwise(load, monkeypatch):
    monkeypatch.setattr(_module, "BINARY_OPTIONS", _module.BINARY_OPTIONS[:-1])
    assert "code" in load("patches")
    monkeypatch.undo()
    monkeypatch.setattr(_module, "RELEASE", "13.1")
    assert "code" in load("patches")


def test_a_source_whose_binary_the_driver_refuses_is_compiled_and_the_log_says_so(load, caplog):
    with caplog.at_level(logging.WARNING, logger="kernels"):
        assert load("patches", refuses=True) == {"code": _module.source("patches"), "options": _module.OPTIONS}
    (record,) = caplog.records
    assert record.getMessage() == (
        f"the driver does not take {_module.binary('patches').name} (CUDA_ERROR_UNSUPPORTED_PTX_VERSION): "
        "compiling patches.cu instead"
    )


def test_cupy_compiles_with_the_arithmetic_of_the_binaries():
    """CuPy adds an option of its own to those given, which the binaries have to have as well."""
    compiler = pytest.importorskip("cupy.cuda.compiler")
    assert "options += ('-ftz=true',)" in inspect.getsource(compiler._compile_with_cache_cuda)
    assert "--ftz=true" in _module.BINARY_OPTIONS


@pytest.mark.gpu
@pytest.mark.parametrize("family", FAMILIES)
def test_the_driver_takes_the_binary(family):
    assert _module._module(family).file_path == str(_module.binary(family))
