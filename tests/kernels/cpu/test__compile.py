import numba.core.caching
import numpy as np
import pytest

from kernels.cpu._compile import compiled, compiled_unfused


def double(x):
    return 2 * x


def test_functions_are_compiled_without_the_gil_and_cached():
    function = compiled(double)
    assert function(3) == 6
    assert function.targetoptions["nogil"]
    assert function.stats.cache_path


def test_without_a_folder_to_write_to_functions_are_compiled_all_the_same(monkeypatch):
    monkeypatch.setattr(numba.core.caching.CompileResultCacheImpl, "_locator_classes", [])
    with pytest.raises(RuntimeError, match="cannot cache"):
        numba.njit(cache=True)(double)
    assert compiled(double)(3) == 6


def square_less(x, square):
    return x * x - square


def test_products_are_rounded_where_they_are_not_to_be_fused():
    x = np.float32(1.1)
    assert compiled_unfused(square_less)(x, x * x) == 0
    assert compiled_unfused(square_less).targetoptions["nogil"]
