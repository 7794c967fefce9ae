import numpy as np
import pytest

from bench.operations import OPERATIONS, Geometry, grid_for

SMALL = Geometry(patch=9, core=5, stride=2)
BY_NAME = {operation.name: operation for operation in OPERATIONS}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_faces_do_the_same_work(operation):
    results = [operation.work(face, SMALL, 7)() for face in operation.faces(gpu=False)]
    assert all(isinstance(result, np.ndarray) and result.dtype == np.float32 for result in results)
    assert results[0].any()
    np.testing.assert_allclose(results[0], results[1], atol=1e-4)


def test_a_gpu_adds_its_face_and_the_other_ways_of_it():
    assert BY_NAME["overlap_add"].faces(gpu=False) == ["reference", "cpu"]
    assert BY_NAME["overlap_add"].faces(gpu=True) == ["reference", "cpu", "cuda"]
    alternatives = BY_NAME["filter_patches"].faces(gpu=True)[3:]
    assert alternatives
    module = pytest.importorskip("kernels.cuda.fourier")
    assert all(callable(getattr(module, BY_NAME["filter_patches"].alternatives[face])) for face in alternatives)


@pytest.mark.gpu
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_cuda_faces_do_the_same_work(operation):
    expected = operation.work("reference", SMALL, 7)()
    for face in operation.faces(gpu=True)[2:]:
        np.testing.assert_allclose(operation.work(face, SMALL, 7)().get(), expected, atol=1e-4)


@pytest.mark.parametrize("batch", [1, 2, 16, 17, 256])
def test_the_grid_has_as_many_patches_as_the_batch(batch):
    grid = grid_for(SMALL, batch)
    assert batch <= len(grid) <= batch + 2 * int(batch**0.5)


def test_bytes_are_those_of_the_arrays():
    geometry = Geometry()
    patch, core, spectrum = np.empty((65, 65)), np.empty((33, 33)), np.empty((2, 65, 33))
    new_pixels = np.empty((8, 8))
    moved = {
        "extract_patches": patch.size + new_pixels.size,
        "overlap_add": core.size + 2 * new_pixels.size,
        "filter_patches": patch.size + spectrum.size + core.size,
    }
    assert {name: operation.bytes(geometry) / 4 for name, operation in BY_NAME.items()} == moved


def test_operations_of_the_filter_are_those_of_its_products():
    # Rows, terms and columns of the products with cosines and sines: down and across, there and back.
    there = [(33, 33, 65), (32, 32, 65), (65, 33, 33), (65, 32, 32)]
    back = [(17, 33, 65), (16, 32, 65), (33, 33, 17), (33, 32, 16)]
    products = sum(2 * m * k * n for m, k, n in there + back)
    assert BY_NAME["filter_patches"].flops(Geometry()) == products + 6 * 65 * 33
    assert products == pytest.approx(0.76e6, rel=0.01)
