import numpy as np
import pytest

from kernels.cuda import _module
from kernels.cuda._module import launch


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
