import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from kernels._dispatch import check_array, check_output, check_positive, check_size, implementation


class FakeCudaArray:
    """What the dispatch looks at in a CuPy array."""

    def __init__(self, device=0):
        self.device = SimpleNamespace(id=device)
        self.shape, self.ndim, self.dtype = (2, 3), 2, np.dtype("f4")
        self.flags = SimpleNamespace(c_contiguous=True)


@pytest.fixture
def fake_cupy(monkeypatch):
    module = ModuleType("cupy")
    module.ndarray = FakeCudaArray
    module.cuda = SimpleNamespace(Device=lambda: SimpleNamespace(id=0))
    monkeypatch.setitem(sys.modules, "cupy", module)


def test_numpy_arrays_go_to_the_cpu():
    assert implementation("patches", np.zeros(1), None).__name__ == "kernels.cpu.patches"


def test_cupy_arrays_go_to_cuda(fake_cupy):
    assert implementation("patch_filters", FakeCudaArray(), None).__name__ == "kernels.cuda.patch_filters"


def test_mixed_arrays_are_refused(fake_cupy):
    with pytest.raises(TypeError, match="move all of them to one device"):
        implementation("patches", np.zeros(1), FakeCudaArray())


def test_arrays_on_another_device_than_the_current_are_refused(fake_cupy):
    with pytest.raises(ValueError, match=r"is on CUDA device 1, but device 0 is current: call inside `with"):
        implementation("patches", FakeCudaArray(), FakeCudaArray(device=1))


def test_check_array_accepts_what_fits(fake_cupy):
    check_array("x", np.zeros((2, 3, 4), "f4"), None)
    check_array("x", np.zeros((2, 3), "f4"), (None, 3))
    check_array("x", np.zeros((2, 3), "c8"), (2, 3), np.complex64)
    check_array("x", FakeCudaArray(), (2, None))
    check_output("x", FakeCudaArray(), (2, 3))


@pytest.mark.parametrize(
    ("array", "error", "message"),
    [
        (np.zeros((2, 3), int), TypeError, "x must be float32, got int64: convert it with astype"),
        (np.zeros((2, 4), "f4"), ValueError, r"x must have shape \(any, 3\), got \(2, 4\)"),
        (np.zeros(3, "f4"), ValueError, r"x must have shape \(any, 3\), got \(3,\)"),
        (np.zeros((3, 2), "f4").T, ValueError, "x must be C-contiguous"),
        ((1.0, 2.0), TypeError, "expected a numpy or cupy array, got tuple"),
    ],
)
def test_check_array_refuses_what_does_not_fit(array, error, message):
    with pytest.raises(error, match=message):
        check_array("x", array, (None, 3))


def test_check_array_names_the_dtype_that_it_wants():
    with pytest.raises(TypeError, match="x must be complex64, got float32"):
        check_array("x", np.zeros(3, "f4"), (3,), np.complex64)


def test_check_size():
    assert check_size("core", np.int16(3)) == 3
    with pytest.raises(ValueError, match="core must be at least 1, got 0"):
        check_size("core", 0)
    with pytest.raises(TypeError, match="core must be an integer, got str"):
        check_size("core", "3")


def test_check_positive():
    for value in (0.5, 3, np.float32(0.5), np.int64(2)):
        number = check_positive("data", value)
        assert type(number) is float
        assert number == value
    for value in (0, 0.0, -1.0, np.inf, np.nan):
        with pytest.raises(ValueError, match="data must be positive and finite, got"):
            check_positive("data", value)
    for value in ("1", True, None, np.ones(1)):
        with pytest.raises(TypeError, match="data must be a number, got"):
            check_positive("data", value)
