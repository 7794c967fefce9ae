import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import kernels.reference.patch_filters as reference
from kernels.patch_filters import filter_patches
from kernels.patches import PatchGrid

# Of the largest pixel of the whole filtered patch, whose every pixel sums all its frequencies in float32.
TOLERANCE = 1e-5

SIZES = st.sampled_from([1, 3, 5, 7, 13, 15, 17, 29, 31, 33, 47, 65])


@pytest.fixture(scope="module")
def apply(face):
    """Apply filters to NumPy patches by each way that a face has, the results one after the other."""
    names = ("filter_patches", "_filter_fused", "_filter_by_matmul", "_filter_by_fft")
    ways = [getattr(face.patch_filters, name) for name in names if hasattr(face.patch_filters, name)]

    def results(patches, filters, core):
        return np.stack([face.get(way(face.put(patches), face.put(filters), core)) for way in ways])

    return results


@st.composite
def cases(draw):
    """Random patches, filters that need not be Hermitian, and a core."""
    size, count = draw(SIZES), draw(st.integers(0, 9))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    patches = rng.random((count, size, size), np.float32)
    filters = rng.standard_normal((count, 2, size, size // 2 + 1), np.float32)
    return patches, filters, draw(st.integers(1, size))


def spectra(kernels):
    """Half spectra of real kernels with their origin at pixel (0, 0), in the planar layout."""
    transformed = np.fft.rfft2(kernels)
    return np.stack([transformed.real, transformed.imag], axis=1).astype(np.float32)


def middle(patches, core):
    margin = (patches.shape[1] - core) // 2
    return patches[:, margin : margin + core, margin : margin + core]


@given(cases())
def test_equals_reference_also_for_filters_that_are_not_hermitian(apply, case):
    patches, filters, core = case
    whole = reference.filter_patches(patches, filters, patches.shape[1])
    scale = np.abs(whole).max(initial=1)
    for result in apply(patches, filters, core):
        np.testing.assert_allclose(result, middle(whole, core), atol=TOLERANCE * scale, rtol=0)


@given(SIZES, st.data())
def test_unit_filter_gives_the_middle_of_the_patch(apply, size, data):
    core = data.draw(st.integers(1, size))
    patches = np.random.default_rng(size).random((3, size, size), np.float32)
    filters = np.zeros((3, 2, size, size // 2 + 1), np.float32)
    filters[:, 0] = 1
    for result in apply(patches, filters, core):
        np.testing.assert_allclose(result, middle(patches, core), atol=TOLERANCE)


@given(SIZES, st.data())
def test_filter_of_a_displaced_point_shifts_the_patch_cyclically(apply, size, data):
    down, right = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size - 1))
    patches = np.random.default_rng(size).random((2, size, size), np.float32)
    points = np.zeros((2, size, size))
    points[:, down, right] = 1
    shifted = np.roll(patches, (down, right), axis=(1, 2))
    for result in apply(patches, spectra(points), size):
        np.testing.assert_allclose(result, shifted, atol=TOLERANCE)


@given(st.sampled_from([3, 5, 9, 15]), st.integers(0, 2**32))
def test_filtering_is_circular_convolution(apply, size, seed):
    rng = np.random.default_rng(seed)
    patches, kernels = rng.random((2, size, size), np.float32), rng.random((2, size, size))
    kernels /= kernels.sum((1, 2), keepdims=True)
    expected = np.zeros(patches.shape)
    for down, right in np.ndindex(size, size):
        expected += kernels[:, down, right, None, None] * np.roll(patches, (down, right), axis=(1, 2))
    for result in apply(patches, spectra(kernels), size):
        np.testing.assert_allclose(result, expected, atol=TOLERANCE)


def test_imaginary_part_at_frequency_zero_has_no_effect(apply):
    patches = np.random.default_rng(0).random((1, 9, 9), np.float32)
    filters = np.zeros((1, 2, 9, 5), np.float32)
    filters[0, 1, 0, 0] = 7
    for result in apply(patches, filters, 9):
        np.testing.assert_allclose(result, np.zeros((1, 9, 9)), atol=TOLERANCE)


def test_each_patch_has_its_own_filter(apply):
    patches = np.ones((3, 5, 5), np.float32)
    filters = np.zeros((3, 2, 5, 3), np.float32)
    filters[:, 0, 0, 0] = [1, 2, 3]
    expected = np.ones((3, 3, 3)) * np.array([1, 2, 3])[:, None, None]
    for result in apply(patches, filters, 3):
        np.testing.assert_allclose(result, expected, rtol=TOLERANCE)


@pytest.mark.parametrize("size", [67, 69, 71, 101])
def test_patches_around_the_size_that_fills_the_shared_memory_of_a_block(face, size):
    rng = np.random.default_rng(size)
    patches = rng.random((2, size, size), np.float32)
    filters = rng.standard_normal((2, 2, size, size // 2 + 1), np.float32)
    expected = reference.filter_patches(patches, filters, 33)
    result = face.get(face.patch_filters.filter_patches(face.put(patches), face.put(filters), 33))
    np.testing.assert_allclose(result, expected, atol=TOLERANCE * np.abs(expected).max())


def test_what_is_not_finite_stays_in_its_patch(apply):
    rng = np.random.default_rng(0)
    patches, filters = rng.random((3, 17, 17), np.float32), rng.random((3, 2, 17, 9), np.float32)
    expected = reference.filter_patches(patches, filters, 9)
    patches[1, 8, 8] = np.nan
    for result in apply(patches, filters, 9):
        assert np.isnan(result[1]).all()
        np.testing.assert_allclose(result[::2], expected[::2], atol=TOLERANCE * np.abs(expected).max())


@pytest.mark.data
def test_photograph_passes_unharmed_through_all_kernels(face, data_root):
    path = min((data_root / "eval" / "sharp_cid22_val").glob("*.*"))
    image = np.asarray(Image.open(path).convert("L").resize((120, 90)), np.float32) / 255
    grid = PatchGrid(90, 120, patch=65, core=33, stride=8)
    filters = np.zeros((len(grid), 2, 65, 33), np.float32)
    filters[:, 0] = 1
    patches = face.patches.extract_patches(face.put(image), grid, 0, len(grid))
    cores = face.patch_filters.filter_patches(patches, face.put(filters), 33)
    restored = face.patches.overlap_add(cores, grid, 0, face.put(np.zeros_like(image)))
    np.testing.assert_allclose(face.get(restored), image, atol=TOLERANCE)


@pytest.mark.gpu
def test_kernels_run_on_the_current_stream():
    import cupy

    rng = np.random.default_rng(0)
    patches, filters = rng.random((9, 65, 65), np.float32), rng.random((9, 2, 65, 33), np.float32)
    with cupy.cuda.Stream(non_blocking=True) as stream:
        cores = filter_patches(cupy.asarray(patches), cupy.asarray(filters), 33)
        stream.synchronize()
    expected = reference.filter_patches(patches, filters, 33)
    np.testing.assert_allclose(cores.get(), expected, atol=TOLERANCE * np.abs(expected).max())


def test_output_given_is_filled_and_returned(face):
    rng = np.random.default_rng(0)
    patches = face.put(rng.random((2, 9, 9), np.float32))
    filters = face.put(rng.random((2, 2, 9, 5), np.float32))
    out = face.put(np.zeros((2, 4, 4), np.float32))
    assert face.patch_filters.filter_patches(patches, filters, 4, out) is out
    np.testing.assert_array_equal(face.get(out), face.get(face.patch_filters.filter_patches(patches, filters, 4)))


PATCHES, FILTERS = np.zeros((2, 9, 9), "f4"), np.zeros((2, 2, 9, 5), "f4")


@pytest.mark.parametrize(
    ("patches", "filters", "core", "out", "error", "message"),
    [
        (PATCHES.astype("f8"), FILTERS, 3, None, TypeError, "patches must be float32"),
        (PATCHES[0], FILTERS, 3, None, ValueError, "patches must have shape"),
        (np.zeros((2, 8, 8), "f4"), FILTERS, 3, None, ValueError, "square with an odd side, got 8 x 8"),
        (np.zeros((2, 9, 7), "f4"), FILTERS, 3, None, ValueError, "square with an odd side, got 9 x 7"),
        (PATCHES[:, ::-1], FILTERS, 3, None, ValueError, "patches must be C-contiguous"),
        (PATCHES, FILTERS[:1], 3, None, ValueError, r"filters must have shape \(2, 2, 9, 5\), got \(1, 2, 9, 5\)"),
        (PATCHES, FILTERS[:, 0] + 0j, 3, None, TypeError, "filters must be float32, got complex"),
        (PATCHES, FILTERS, 0, None, ValueError, "core must be at least 1"),
        (PATCHES, FILTERS, 10, None, ValueError, "choose a core from 1 to 9"),
        (PATCHES, FILTERS, 3.0, None, TypeError, "core must be an integer, got float"),
        (PATCHES, FILTERS, 3, np.zeros((2, 4, 4), "f4"), ValueError, r"out must have shape \(2, 3, 3\)"),
        (PATCHES.tolist(), FILTERS, 3, None, TypeError, "expected a numpy or cupy array, got list"),
    ],
)
def test_refuses_bad_input(patches, filters, core, out, error, message):
    with pytest.raises(error, match=message):
        filter_patches(patches, filters, core, out)
