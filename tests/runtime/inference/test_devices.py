import logging
import os
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from runtime.errors import DeviceUnavailable, InvalidArgument
from runtime.inference import devices


@pytest.fixture(autouse=True)
def fresh_choice():
    devices._automatic.cache_clear()
    yield
    devices._automatic.cache_clear()


@pytest.fixture
def no_cuda(monkeypatch):
    monkeypatch.setattr(devices, "cuda_problem", lambda index=0: "the driver is too old: install a newer one")


def installed(monkeypatch, **versions):
    names = {name.replace("_", "-"): version for name, version in versions.items()}
    monkeypatch.setattr(devices, "installed_version", names.get)


def test_the_cpu_is_always_there():
    assert devices.resolve_device("cpu") == devices.CPU
    assert str(devices.CPU) == "cpu"
    assert devices.device_of(np.zeros(1)) == devices.CPU


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", "", None, 0])
def test_an_unknown_device_is_refused(device):
    with pytest.raises(InvalidArgument, match="give 'auto', 'cpu', 'cuda' or 'cuda:N'"):
        devices.resolve_device(device)


def test_cuda_that_cannot_be_had_raises_and_says_why(no_cuda):
    with pytest.raises(DeviceUnavailable, match="'cuda:1' cannot be used: the driver is too old"):
        devices.resolve_device("cuda:1")


def test_auto_falls_back_once_with_the_reason_in_the_log(no_cuda, caplog):
    with caplog.at_level(logging.INFO, logger="runtime"):
        assert devices.resolve_device("auto") == devices.CPU
        assert devices.resolve_device("auto") == devices.CPU
    assert [record.getMessage() for record in caplog.records] == [
        "running on the CPU: the driver is too old: install a newer one"
    ]


def test_auto_takes_the_gpu_where_nothing_is_in_the_way(monkeypatch):
    monkeypatch.setattr(devices, "cuda_problem", lambda index=0: None)
    assert devices.resolve_device("auto") == devices.Device("cuda", 0)
    assert str(devices.resolve_device("cuda:2")) == "cuda:2"


def test_both_runtimes_installed_is_named(monkeypatch):
    installed(monkeypatch, onnxruntime="1.31", onnxruntime_gpu="1.31")
    assert "both onnxruntime and onnxruntime-gpu" in devices.cuda_problem()


def test_the_cpu_runtime_is_named(monkeypatch):
    installed(monkeypatch, onnxruntime="1.31")
    assert "pip install 'deblur-runtime[gpu]'" in devices.cuda_problem()


def test_a_machine_without_a_driver_is_named(monkeypatch):
    cupy = pytest.importorskip("cupy")

    def no_driver():
        raise cupy.cuda.runtime.CUDARuntimeError(35)

    installed(monkeypatch, onnxruntime_gpu="1.31")
    monkeypatch.setattr(cupy.cuda.runtime, "getDeviceCount", no_driver)
    assert "install an NVIDIA driver" in devices.cuda_problem()


def test_a_gpu_that_is_not_there_is_named(monkeypatch):
    cupy = pytest.importorskip("cupy")
    installed(monkeypatch, onnxruntime_gpu="1.31")
    monkeypatch.setattr(cupy.cuda.runtime, "getDeviceCount", lambda: 1)
    assert devices.cuda_problem(3) == "there is no GPU number 3; this machine has 1"


class FakeCudaArray:
    """The attributes of a CuPy array that `runtime.inference.devices` reads."""

    device = SimpleNamespace(id=1)


@pytest.fixture
def fake_cupy(monkeypatch):
    module = ModuleType("cupy")
    module.ndarray = FakeCudaArray
    module.asarray = lambda array: ("on the GPU", array)
    module.asnumpy = lambda array: ("on the host", array)
    monkeypatch.setitem(sys.modules, "cupy", module)


def test_arrays_go_to_the_gpu_and_back(fake_cupy):
    array, there = np.zeros(3), FakeCudaArray()
    assert devices.upload(array, devices.CPU) is devices.download(array) is array
    assert devices.upload(array, devices.Device("cuda", 1)) == ("on the GPU", array)
    assert devices.upload(there, devices.Device("cuda", 1)) is there
    assert devices.download(there) == ("on the host", there)


@pytest.mark.parametrize("device", [devices.CPU, devices.Device("cuda", 0)])
def test_an_array_on_a_gpu_goes_nowhere_else(fake_cupy, device):
    with pytest.raises(InvalidArgument, match=f"lies on cuda:1 but the work is on {device}: give device='cuda:1'"):
        devices.upload(FakeCudaArray(), device)


class TooOld(RuntimeError):
    """The exception of CuPy for a driver of an earlier CUDA version."""


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (TooOld("cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version"), "580"),
        (ImportError("libcudart.so.13: cannot open shared object file: No such file or directory"), "cuda-runtime"),
        (TooOld("cudaErrorInitializationError: initialization error"), "'spawn'"),
        (TooOld("cudaErrorNoDevice: no CUDA-capable device is detected"), "no CUDA-capable device"),
    ],
)
def test_what_the_driver_says_is_explained(monkeypatch, fake_cupy, error, remedy):
    def count():
        raise error

    sys.modules["cupy"].cuda = SimpleNamespace(runtime=SimpleNamespace(getDeviceCount=count))
    installed(monkeypatch, onnxruntime_gpu="1.31")
    monkeypatch.setattr(devices.util, "find_spec", lambda name: True)
    assert remedy in devices.cuda_problem()


@pytest.fixture
def forked(monkeypatch, stand_in):
    """A process that was forked after CUDA had been initialised."""
    monkeypatch.setattr(devices, "_cuda_process", os.getpid() + 1)


def test_a_process_that_uses_cuda_keeps_it(monkeypatch, stand_in):
    monkeypatch.setattr(devices, "_cuda_process", None)
    assert devices._driver_problem(0) is None
    assert devices._cuda_process == os.getpid()
    assert devices._driver_problem(0) is None


def test_a_forked_process_is_told_to_spawn(forked):
    assert "multiprocessing.set_start_method('spawn')" in devices._driver_problem(0)
    with (
        pytest.raises(DeviceUnavailable, match="cuda:0 cannot be used: this process was forked"),
        devices.on_device(devices.Device("cuda")),
    ):
        pass


def test_a_forked_process_may_choose_again(monkeypatch, forked):
    monkeypatch.setattr(devices, "cuda_problem", devices._driver_problem)
    assert devices.resolve_device("auto") == devices.CPU


def test_memory_is_given_back(stand_in):
    devices.free_unused_memory(devices.CPU)
    assert stand_in.returned_memory == 0
    devices.free_unused_memory(devices.Device("cuda"))
    assert stand_in.returned_memory == 1
