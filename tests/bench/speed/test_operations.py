from importlib import import_module

import numpy as np
import pytest

from bench.speed.operations import FACES, FAMILIES, FRAMES, OPERATIONS, Geometry, grid_for

SMALL = Geometry(patch=9, core=5, stride=2)
BY_NAME = {operation.name: operation for operation in OPERATIONS}
SIZES = {"patch": 7, "pixel": 12, "frequency": 12}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_faces_do_the_same_work(operation):
    size = SIZES[operation.unit]
    results = [operation.work(face, SMALL, size)() for face in operation.faces_on(gpu=False)]
    assert all(isinstance(result, np.ndarray) and result.dtype == np.float32 for result in results)
    assert results[0].any()
    for result in results[1:]:
        np.testing.assert_allclose(result, results[0], atol=1e-4, rtol=1e-5)


def test_a_gpu_adds_its_face_and_the_other_ways_of_it():
    assert BY_NAME["overlap_add"].faces_on(gpu=False) == ["reference", "cpu"]
    assert BY_NAME["overlap_add"].faces_on(gpu=True) == ["reference", "cpu", "cuda"]
    assert len(BY_NAME["filter_patches"].faces_on(gpu=True)) == 5


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_every_face_is_a_function_of_one_of_the_three_kinds(operation):
    assert operation.family in FAMILIES
    for face, where in operation.faces.items():
        assert face.startswith(FACES)
        module, name = where.split(":")
        assert callable(getattr(import_module(module), name))


def test_all_public_kernels_of_a_gpu_are_there():
    called = {where for operation in OPERATIONS for where in operation.faces.values()}
    for family in ("patches", "patch_filters", "burst", "nonuniform", "correlation"):
        module = import_module(f"kernels.cuda.{family}")
        own = [name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
        assert [name for name in own if not name.startswith("_") and f"kernels.{family}:{name}" not in called] == []


@pytest.mark.gpu
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_cuda_faces_do_the_same_work(operation):
    size = SIZES[operation.unit]
    expected = operation.work("cpu", SMALL, size)()
    for face in operation.faces_on(gpu=True):
        if face.startswith("cuda"):
            result = operation.work(face, SMALL, size)().get()
            np.testing.assert_allclose(result, expected, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("batch", [1, 2, 16, 17, 256])
def test_the_grid_has_as_many_patches_as_the_batch(batch):
    grid = grid_for(SMALL, batch)
    assert batch <= len(grid) <= batch + 2 * int(batch**0.5)


def test_units_are_patches_pixels_and_frequencies():
    assert BY_NAME["filter_patches"].units(17) == 17
    assert BY_NAME["accumulate"].units(13) == np.fft.rfft2(np.zeros((13, 13))).size
    assert BY_NAME["nonuniform_adjoint, motions"].units(13) == 169


def test_bytes_are_those_of_the_arrays():
    patch, core, spectrum = np.empty((65, 65)), np.empty((33, 33)), np.empty((2, 65, 33))
    new_pixels = np.empty((8, 8))
    moved = {
        "extract_patches": patch.size + new_pixels.size,
        "overlap_add": core.size + 2 * new_pixels.size,
        "filter_patches": patch.size + spectrum.size + core.size,
        "rfft2 and irfft2 alone": 2 * patch.size,
        "rfft2 and irfft2 of a plane": 2,
        "forward_differences": 1 + 2,
        "shock_filter, 4 iterations": 1 + 1,
        "mean_magnitudes": 2 * 3 + 1,
        # Spectra, and sums read and written; magnitude, maximum, and total read and written.
        "accumulate": 3 * 2 * 3 + 4,
        "fuse_patches": patch.size + patch.size / FRAMES,
        "fuse_weighted": patch.size + patch.size / FRAMES + spectrum.size / 2,
        # Three planes there and back, four indices and four weights.
        "nonuniform_convolve, motions": 3 + 3 + 8,
        "nonuniform_adjoint, motions": 3 + 3 + 8,
        "nonuniform_convolve, inverses": 3 + 3 + 8,
        # Maps, and 85 x 85 lags of each pair or mixture for 64 x 64 pixels.
        "correlate, 32 maps": 32 + 32 * 33 / 2 * (85 / 64) ** 2,
        "correlate_mixed, 16 maps": 16 + 16 * (85 / 64) ** 2,
    }
    assert {name: operation.bytes(Geometry(), 64) / 4 for name, operation in BY_NAME.items()} == moved


def test_operations_of_the_filter_are_those_of_its_products():
    # Rows, terms and columns of the products with cosines and sines: down and across, there and back.
    there = [(33, 33, 65), (32, 32, 65), (65, 33, 33), (65, 32, 32)]
    back = [(17, 33, 65), (16, 32, 65), (33, 33, 17), (33, 32, 16)]
    products = sum(2 * m * k * n for m, k, n in there + back)
    assert BY_NAME["filter_patches"].flops(Geometry(), 64) == products + 6 * 65 * 33
    assert products == pytest.approx(0.76e6, rel=0.01)


def test_counts_are_those_that_the_docstrings_state():
    convolve, fuse = BY_NAME["nonuniform_convolve, motions"], BY_NAME["fuse_patches"]
    assert convolve.flops(Geometry(), 1000) / 6 - 4 == pytest.approx(82, abs=1)
    assert convolve.cuda_loads(Geometry(), 1000) == pytest.approx(344, abs=4)
    # 15 loads for each place of a motion of 21 pixels, which here are as steep as 15 pixels are wide.
    assert BY_NAME["nonuniform_adjoint, motions"].cuda_loads(Geometry(), 1000) == 21 * 15 * 15
    assert fuse.cuda_bytes(Geometry(), 1024) == pytest.approx(90e3, rel=0.01)
    # Per frame the products of 65 pixels and an eighth of them, two Gaussians of 17 taps, and 15 for the rest.
    products = 4 * 65 * (33**2 + 32**2)
    assert fuse.flops(Geometry(), 1024) == products * 9 / 8 + 65 * 33 * (2 * (9 + 16) + 15)
    assert fuse.flops(Geometry(), 1024) == pytest.approx(0.76e6, rel=0.01)


def test_inverse_filters_have_more_taps_than_motions():
    motions, inverses = (BY_NAME[f"nonuniform_convolve, {name}"] for name in ("motions", "inverses"))
    assert inverses.flops(Geometry(), 100) > 5 * motions.flops(Geometry(), 100)
    assert inverses.cuda_loads(Geometry(), 100) == pytest.approx(inverses.flops(Geometry(), 100) * 2 / 3)
