from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export.data.kernels import KINDS, arc_path, process_path, random_kernel, shake_path
from runtime.blur.kernel import centre_offset, extent


@settings(max_examples=60)
@given(size=st.integers(3, 50), kind=st.sampled_from([None, *KINDS]), seed=st.integers(0, 1000))
def test_kernels_are_kernels(size, kind, seed):
    kernel = random_kernel(size, np.random.default_rng(seed), kind)
    assert kernel.shape == (extent(kernel),) * 2
    assert kernel.min() >= 0
    assert kernel.sum() == pytest.approx(1)
    assert centre_offset(kernel) == (0, 0)


@pytest.mark.parametrize("kind", ["shake", "process", "arc", "disc"])
@pytest.mark.parametrize("size", [5, 12, 40])
def test_kernels_have_about_the_size_asked_for(kind, size):
    for seed in range(8):
        kernel = random_kernel(size, np.random.default_rng(seed), kind)
        span = max(np.ptp(np.flatnonzero(kernel.any(axis))) for axis in (0, 1)) + 1
        assert size - 3 <= span <= size + 4


def test_faint_kernels_are_small_and_some_are_a_point():
    sides = [random_kernel(40, np.random.default_rng(seed), "faint").shape[0] for seed in range(40)]
    assert set(sides) == {1, 3, 5}


def test_shares_make_a_whole():
    assert sum(KINDS.values()) == pytest.approx(1)


@pytest.mark.parametrize("path", [shake_path, process_path, arc_path])
def test_paths_are_connected_and_differ(path):
    first, second = (path(np.random.default_rng(seed)) for seed in (0, 1))
    assert first.shape[1] == 2
    assert np.linalg.norm(np.diff(first, axis=0), axis=1).max() < 0.15 * np.ptp(first, axis=0).max()
    assert not np.allclose(first[:50], second[:50])
    np.testing.assert_array_equal(first, path(np.random.default_rng(0)))


def test_mistakes_are_named():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="at least 3 px"):
        random_kernel(2, rng)
    with pytest.raises(ValueError, match="must be one of shake"):
        random_kernel(9, rng, "star")
