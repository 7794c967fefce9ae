import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kernels.cpu.simd.matmul import ROWS, aligned_zeros, multiply
from kernels.cpu.simd.vectors import LANES


@given(st.integers(0, 5), st.integers(0, 40), st.integers(0, 8), st.integers(0, 3))
def test_multiply_equals_numpy_also_for_parts_of_matrices(tiles, depth, vectors, offset):
    rng = np.random.default_rng(tiles + depth)
    rows, cols = tiles * ROWS, vectors * LANES
    left = rng.random((rows + offset, depth + offset), np.float32)[offset:, offset:]
    right = rng.random((depth + offset, cols + offset), np.float32)[offset:, offset:]
    whole = np.full((rows + 2 * offset, cols + 2 * offset), np.float32(-1))
    out = whole[offset : offset + rows, offset : offset + cols]
    multiply(left, right, out)
    np.testing.assert_allclose(out, left @ right, rtol=1e-5)
    out[...] = -1
    assert (whole == -1).all()


@given(st.integers(1, 9), st.integers(1, 50))
def test_aligned_zeros_start_at_a_cache_line(rows, cols):
    matrix = aligned_zeros(rows, cols)
    assert matrix.shape == (rows, cols)
    assert matrix.dtype == np.float32
    assert matrix.ctypes.data % 64 == 0
    assert not matrix.any()
