import gc
import weakref

import numpy as np
import pytest

from kernels.device_tables import constants, constants_of


def test_constants_are_built_once():
    calls = []

    def build(size):
        calls.append(size)
        return (np.arange(size),)

    like = np.zeros(1)
    assert constants(like, build, 5)[0] is constants(like, build, 5)[0]
    constants(like, build, 6)
    assert calls == [5, 6]


class Owner:
    """Something that has tables."""


def test_constants_of_an_object_are_built_once_and_go_with_it():
    calls, owner, like = [], Owner(), np.zeros(1)

    def build(owner):
        calls.append(owner)
        return (np.arange(4),)

    table = constants_of(owner, like, build)[0]
    assert constants_of(owner, like, build)[0] is table
    assert constants_of(owner, like, lambda owner: (np.arange(5),))[0].size == 5
    assert calls == [owner]
    gone, calls[:] = weakref.ref(table), []
    del owner, table
    gc.collect()
    assert gone() is None


@pytest.mark.gpu
def test_constants_lie_on_the_device():
    import cupy

    (table,) = constants(cupy.zeros(1), lambda: (np.arange(4),))
    assert isinstance(table, cupy.ndarray)
    np.testing.assert_array_equal(cupy.asnumpy(table), np.arange(4))
