import numpy as np
import pytest

from kernels.patches import PatchGrid
from runtime import tiles
from runtime.decisions.reasons import Reason
from runtime.errors import InvalidArgument, InvalidModel
from runtime.estimation.motion.field import find_doubt, join, relative_error, typical_motion
from runtime.estimation.motion.network import MotionNetwork, PatchMotions
from runtime.inference.bundle import PatchGeometry
from runtime.inference.devices import CPU
from tests.support.models import write_motion_bundle, write_patch_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_motion_bundle(tmp_path_factory.mktemp("models") / "motion", (0.0, -8.0, 0.5))


def same(grid, vector, error=1.0):
    shape = grid.rows, grid.cols
    return PatchMotions(np.broadcast_to(np.float32(vector), (*shape, 2)).copy(), np.full(shape, error, np.float32))


@pytest.mark.parametrize("shape", [(1, 1), (5, 90), (61, 47)])
def test_every_size_has_a_field(bundle, shape):
    network = MotionNetwork(bundle, device=CPU)
    grid = network.grid(*shape)
    fractions = []
    motions = network.predict(np.zeros(shape, np.float32), grid, lambda stage, fraction: fractions.append(fraction))
    assert motions.vectors.shape == (grid.rows, grid.cols, 2)
    np.testing.assert_allclose(motions.errors, np.exp(0.5), rtol=1e-6)
    field = join(motions, grid)
    assert (field.dtype, field.shape) == (np.float32, (*shape, 2))
    np.testing.assert_allclose(field, np.broadcast_to((9, 135), field.shape), atol=1e-3)
    assert fractions[-1] == 1


def test_the_batch_makes_no_difference(bundle):
    image = np.random.default_rng(0).random((40, 50), np.float32)
    first, second = (MotionNetwork(bundle, device=CPU, batch=batch) for batch in (3, 1000))
    grid = first.grid(40, 50, 3)
    np.testing.assert_array_equal(first.predict(image, grid).vectors, second.predict(image, grid).vectors)


def test_bands_make_no_difference(monkeypatch, rng):
    grid = PatchGrid(130, 90, 17, 5, 4)
    vectors = rng.normal(0, 8, (grid.rows, grid.cols, 2)).astype(np.float32)
    motions = PatchMotions(vectors, rng.uniform(0.5, 5, vectors.shape[:2]).astype(np.float32))
    whole = join(motions, grid)
    monkeypatch.setattr(tiles, "BAND", 700)
    np.testing.assert_allclose(join(motions, grid), whole, rtol=1e-6, atol=1e-4)


def test_lengths_stay_within_the_bank():
    grid = PatchGrid(30, 40, 17, 5, 4)
    assert join(same(grid, (90.0, 0.0)), grid)[..., 0].max() == 35
    assert join(same(grid, (0.0, 0.0)), grid)[..., 0].min() == 1


def test_what_is_seen_clearly_may_move_by_itself():
    grid = PatchGrid(400, 400, 97, 17, 16)
    motions = same(grid, (10.0, 0.0), 3.0)
    motions.vectors[8:18, 8:18] = (-10.0, 0.0)
    motions.errors[8:18, 8:18] = 1.0
    field = join(motions, grid)
    across = np.abs(np.cos(np.radians(field[..., 1])))
    assert across[200, 200] < 0.3
    assert across[5, 5] > 0.9


@pytest.mark.parametrize(
    ("length", "error", "doubt"),
    [(0.8, 0.1, Reason.NO_MOTION), (9.0, 1.0, None), (9.0, 6.0, Reason.MOTION_UNCERTAIN)],
)
def test_doubts(length, error, doubt):
    grid = PatchGrid(30, 40, 17, 5, 4)
    motions = same(grid, (length, 0.0), error)
    assert find_doubt(join(motions, grid), motions) is doubt


def test_the_error_is_relative_to_the_typical_motion():
    grid = PatchGrid(30, 40, 17, 5, 4)
    motions = same(grid, (10.0, 0.0), 2.0)
    assert typical_motion(join(motions, grid)) == pytest.approx(10.0, rel=1e-3)
    assert relative_error(join(motions, grid), motions) == pytest.approx(0.2, rel=1e-3)


def test_a_bundle_that_maps_no_patches_to_motions_is_refused(tmp_path, bundle):
    with pytest.raises(InvalidModel, match="no part named 'motion'"):
        MotionNetwork(write_patch_bundle(tmp_path / "other", "cores"), device=CPU)
    geometry = write_motion_bundle(tmp_path / "bare", (0.0, 0.0, 0.0), patch=None)
    with pytest.raises(InvalidModel, match="export it again"):
        MotionNetwork(geometry, device=CPU)
    assert bundle.patch == PatchGeometry(17, 5, 4)


def test_numbers_that_cannot_be_are_refused(bundle):
    with pytest.raises(InvalidArgument, match="1 or more"):
        MotionNetwork(bundle, device=CPU, batch=0)
    with pytest.raises(InvalidArgument, match="from 1 to 5"):
        MotionNetwork(bundle, device=CPU).grid(10, 10, 6)
