import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kernels.reference.patches as reference
from kernels.patches import PatchGrid, extract_patches, overlap_add

# Weights and sums are rounded to float32 a few dozen times, each by at most 6e-8.
ROUNDING = 2e-6


@st.composite
def grids(draw, largest=40):
    core = draw(st.integers(1, 13))
    return PatchGrid(
        height=draw(st.integers(1, largest)),
        width=draw(st.integers(1, largest)),
        patch=core + draw(st.integers(0, 20)),
        core=core,
        stride=draw(st.integers(1, core)),
    )


def random(*shape):
    return np.random.default_rng(sum(shape)).random(shape, np.float32)


def crop(patches, grid):
    kept = slice(grid.margin, grid.margin + grid.core)
    return np.ascontiguousarray(patches[:, kept, kept])


def batches(grid, size):
    return [(start, min(start + size, len(grid))) for start in range(0, len(grid), size)]


# --- the grid ---


@given(grids())
def test_grid_covers_the_image_and_overhangs_it_equally(grid):
    for first, count, size in [(grid.top, grid.rows, grid.height), (grid.left, grid.cols, grid.width)]:
        end = first + (count - 1) * grid.stride + grid.core
        assert first <= 0
        assert end >= size
        assert 0 <= (end - size) + first <= 1
        assert count == 1 or end - size < grid.stride
    assert len(grid) == grid.rows * grid.cols


@given(grids())
def test_weights_are_positive_and_sum_to_one_at_every_pixel(grid):
    for weights in (grid.row_weights(), grid.col_weights()):
        assert weights.dtype == np.float32
        assert (weights > 0).all()
        total = np.zeros((len(weights) - 1) * grid.stride + grid.core)
        for index, row in enumerate(weights):
            total[index * grid.stride : index * grid.stride + grid.core] += row
        np.testing.assert_allclose(total, 1, rtol=ROUNDING)


def test_weights_of_a_single_patch_are_one():
    grid = PatchGrid(3, 5, patch=9, core=7, stride=2)
    np.testing.assert_array_equal(grid.row_weights(), np.ones((1, 7), np.float32))


def test_weights_of_two_patches_are_half_sample_hann_windows_over_their_sum():
    grid = PatchGrid(6, 6, patch=4, core=4, stride=2)
    hann = [0.14644661, 0.85355339, 0.85355339, 0.14644661]
    expected = [[1, 1, hann[2], hann[3]], [hann[0], hann[1], 1, 1]]
    np.testing.assert_allclose(grid.row_weights(), expected, rtol=1e-6)


@given(st.integers(1, 7), st.integers(1, 30))
def test_source_rows_mirror_about_the_edge_of_the_last_pixel(size, margin):
    grid = PatchGrid(size, 1, patch=size + 2 * margin, core=size, stride=1)
    np.testing.assert_array_equal(grid.source_rows(), np.pad(np.arange(size), margin, mode="symmetric"))


def test_tables_cannot_be_changed():
    grid = PatchGrid(20, 20, patch=9, core=5, stride=3)
    for table in (grid.row_weights(), grid.col_weights(), grid.source_rows(), grid.source_cols()):
        with pytest.raises(ValueError, match="read-only"):
            table[...] = 0


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"height": 0}, ValueError, "height must be at least 1"),
        ({"width": -3}, ValueError, "width must be at least 1"),
        ({"stride": 0}, ValueError, "stride must be at least 1"),
        ({"stride": 6}, ValueError, "choose a stride from 1 to 5"),
        ({"patch": 4}, ValueError, "make the patch at least as large"),
        ({"core": 2.5}, TypeError, "core must be an integer, got float"),
        ({"core": True}, TypeError, "core must be an integer, got bool"),
    ],
)
def test_grid_refuses_bad_sizes(change, error, message):
    with pytest.raises(error, match=message):
        PatchGrid(**{"height": 20, "width": 30, "patch": 9, "core": 5, "stride": 2} | change)


def test_grid_takes_numpy_integers():
    assert PatchGrid(np.int64(20), np.int32(30), 9, 5, 2) == PatchGrid(20, 30, 9, 5, 2)


# --- every face ---


@given(grids(), st.data())
def test_extract_equals_reference(face, grid, data):
    start = data.draw(st.integers(0, len(grid)))
    stop = data.draw(st.integers(start, len(grid)))
    image = random(grid.height, grid.width)
    patches = face.get(face.patches.extract_patches(face.put(image), grid, start, stop))
    np.testing.assert_array_equal(patches, reference.extract_patches(image, grid, start, stop))


@given(grids(), st.data())
def test_overlap_add_equals_reference(face, grid, data):
    start = data.draw(st.integers(0, len(grid)))
    count = data.draw(st.integers(0, len(grid) - start))
    cores, before = random(count, grid.core, grid.core), random(grid.height, grid.width)
    after = face.get(face.patches.overlap_add(face.put(cores), grid, start, face.put(before)))
    np.testing.assert_allclose(after, reference.overlap_add(cores, grid, start, before.copy()), atol=ROUNDING)


@given(grids(), st.integers(1, 50))
def test_patches_put_back_give_the_image(face, grid, batch):
    image = random(grid.height, grid.width)
    out = face.put(np.zeros_like(image))
    for start, stop in batches(grid, batch):
        patches = face.get(face.patches.extract_patches(face.put(image), grid, start, stop))
        face.patches.overlap_add(face.put(crop(patches, grid)), grid, start, out)
    np.testing.assert_allclose(face.get(out), image, atol=ROUNDING)


@given(grids(), st.integers(1, 50))
def test_result_does_not_depend_on_the_batches(face, grid, batch):
    cores = random(len(grid), grid.core, grid.core)
    whole, parts = (face.put(np.zeros((grid.height, grid.width), np.float32)) for _ in range(2))
    face.patches.overlap_add(face.put(cores), grid, 0, whole)
    for start, stop in batches(grid, batch):
        face.patches.overlap_add(face.put(cores[start:stop]), grid, start, parts)
    np.testing.assert_array_equal(face.get(parts), face.get(whole))


@given(grids())
def test_overlap_add_is_the_adjoint_of_weighted_extraction(face, grid):
    cores = random(len(grid), grid.core, grid.core) - 0.5
    image = random(grid.height, grid.width) - 0.5
    added = face.get(face.patches.overlap_add(face.put(cores), grid, 0, face.put(np.zeros_like(image)))).astype(float)
    weights = np.einsum("im,jn->ijmn", grid.row_weights(), grid.col_weights(), dtype=float).reshape(cores.shape)
    rows = grid.top + grid.stride * np.arange(grid.rows)[:, None] + np.arange(grid.core)
    cols = grid.left + grid.stride * np.arange(grid.cols)[:, None] + np.arange(grid.core)
    inside = np.einsum("im,jn->ijmn", (rows >= 0) & (rows < grid.height), (cols >= 0) & (cols < grid.width)).reshape(
        cores.shape
    )
    extracted = crop(face.get(face.patches.extract_patches(face.put(image), grid, 0, len(grid))), grid)
    scale = np.abs(added * image).sum() + 1e-3
    assert abs((added * image).sum() - (weights * cores * extracted * inside).sum()) < 1e-5 * scale


def test_outputs_given_are_filled_and_returned(face):
    grid = PatchGrid(20, 30, patch=9, core=5, stride=2)
    image, out = face.put(random(20, 30)), face.put(np.zeros((4, 9, 9), np.float32))
    assert face.patches.extract_patches(image, grid, 3, 7, out) is out
    np.testing.assert_array_equal(face.get(out), face.get(face.patches.extract_patches(image, grid, 3, 7)))
    cores = face.put(random(4, 5, 5))
    assert face.patches.overlap_add(cores, grid, 3, image) is image


# --- bad input to the public functions ---

GRID = PatchGrid(20, 30, patch=9, core=5, stride=2)


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (np.zeros((20, 30)), TypeError, "image must be float32, got float64: convert it with astype"),
        (np.zeros((30, 20), "f4"), ValueError, r"image must have shape \(20, 30\), got \(30, 20\)"),
        (np.zeros((1, 20, 30), "f4"), ValueError, "image must have shape"),
        (np.zeros((30, 20), "f4").T, ValueError, "image must be C-contiguous: use ascontiguousarray"),
        ([[0.0]], TypeError, "expected a numpy or cupy array, got list"),
        (None, TypeError, "expected a numpy or cupy array, got NoneType"),
    ],
)
def test_extract_refuses_bad_images(image, error, message):
    with pytest.raises(error, match=message):
        extract_patches(image, GRID, 0, 1)


def test_patch_numbers_may_be_numpy_integers():
    image = random(20, 30)
    some = extract_patches(image, GRID, np.int64(1), np.int32(3))
    np.testing.assert_array_equal(some, extract_patches(image, GRID, 0, 4)[1:3])
    assert overlap_add(random(2, 5, 5), GRID, np.int64(1), image) is image


def test_arguments_of_wrong_types_are_refused():
    image = np.zeros((20, 30), "f4")
    with pytest.raises(TypeError, match="start must be an integer, got float"):
        extract_patches(image, GRID, 0.0, 3)
    with pytest.raises(TypeError, match="grid must be a PatchGrid, got tuple"):
        extract_patches(image, (20, 30), 0, 3)
    with pytest.raises(TypeError, match="grid must be a PatchGrid, got NoneType"):
        overlap_add(np.zeros((2, 5, 5), "f4"), None, 0, image)


@pytest.mark.parametrize(("start", "stop"), [(-1, 2), (3, 2), (0, len(GRID) + 1), (len(GRID) + 1, len(GRID) + 1)])
def test_extract_refuses_ranges_outside_the_grid(start, stop):
    with pytest.raises(ValueError, match=f"patches {start} to {stop} are not a range"):
        extract_patches(np.zeros((20, 30), "f4"), GRID, start, stop)


def test_extract_refuses_bad_outputs():
    image = np.zeros((20, 30), "f4")
    with pytest.raises(ValueError, match=r"out must have shape \(3, 9, 9\)"):
        extract_patches(image, GRID, 0, 3, np.zeros((2, 9, 9), "f4"))
    frozen = np.zeros((3, 9, 9), "f4")
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="out is read-only"):
        extract_patches(image, GRID, 0, 3, frozen)


@pytest.mark.parametrize(
    ("cores", "start", "out", "error", "message"),
    [
        (np.zeros((2, 5, 5)), 0, np.zeros((20, 30), "f4"), TypeError, "cores must be float32"),
        (np.zeros((2, 5, 4), "f4"), 0, np.zeros((20, 30), "f4"), ValueError, r"shape \(any, 5, 5\)"),
        (np.zeros((2, 5, 5), "f4"), len(GRID) - 1, np.zeros((20, 30), "f4"), ValueError, "are not a range"),
        (np.zeros((2, 5, 5), "f4"), 0, np.zeros((20, 31), "f4"), ValueError, "out must have shape"),
        (np.zeros((4, 5, 5), "f4")[::2], 0, np.zeros((20, 30), "f4"), ValueError, "cores must be C-contiguous"),
    ],
)
def test_overlap_add_refuses_bad_input(cores, start, out, error, message):
    with pytest.raises(error, match=message):
        overlap_add(cores, GRID, start, out)
