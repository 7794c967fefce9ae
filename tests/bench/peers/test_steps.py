import numpy as np
import pytest

from bench.peers.steps import RUNTIME, step_makers
from kernels.patches import PatchGrid
from kernels.reference.patch_filters import filter_patches
from kernels.reference.patches import extract_patches, overlap_add

pytest.importorskip("torch")

GRIDS = [PatchGrid(70, 61, 65, 33, 8), PatchGrid(40, 97, 65, 33, 11)]


@pytest.fixture(scope="module")
def filters():
    spectra = np.fft.rfft2(np.random.default_rng(5).standard_normal((12, 65, 65)) / 65)
    return np.ascontiguousarray(np.stack([spectra.real, spectra.imag], 1), np.float32)


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_every_library_does_the_same(grid, filters, rng):
    plane = rng.random((grid.height, grid.width), np.float32)
    expected = np.zeros_like(plane)
    step = 12 // grid.cols * grid.cols
    for start in range(0, len(grid), step):
        patches = extract_patches(plane, grid, start, min(start + step, len(grid)))
        overlap_add(filter_patches(patches, filters[: len(patches)], 33), grid, start, expected)
    makers = step_makers(plane, filters, grid, gpu=False)
    assert list(makers) == [RUNTIME, "PyTorch", "NumPy", "SciPy"]
    for make in makers.values():
        result = make()()
        assert isinstance(result, np.ndarray)
        np.testing.assert_allclose(result, expected, atol=1e-5)


def test_a_gpu_has_its_own_libraries(filters, rng):
    makers = step_makers(rng.random((70, 61), np.float32), filters, GRIDS[0], gpu=True)
    assert list(makers) == [RUNTIME, "PyTorch", "CuPy", "cuCIM"]


@pytest.mark.gpu
@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_cupy_does_the_same(grid, filters, rng):
    import cupy

    plane = rng.random((grid.height, grid.width), np.float32)
    expected = step_makers(plane, filters, grid, gpu=False)[RUNTIME]()()
    makers = step_makers(cupy.asarray(plane), cupy.asarray(filters), grid, gpu=True)
    for name in (RUNTIME, "CuPy"):
        np.testing.assert_allclose(makers[name]()().get(), expected, atol=1e-5)
