import numpy as np
import pytest
from scipy.io import loadmat

from kernels.nonuniform import FilterBank, nonuniform_convolve
from runtime import tiles
from runtime.blur.blurs import MotionBlur
from runtime.blur.motion import blend, load_bank
from runtime.deconvolution.along_motion import deconvolve_along_motion, motion_problem
from runtime.errors import InvalidArgument, InvalidImage, UnsupportedType
from runtime.images import read_file

MARGIN = 20


def psnr(a, b):
    inside = slice(MARGIN, -MARGIN)
    return -10 * np.log10(np.square((a - b)[..., inside, inside], dtype=np.float64).mean())


def turning_field(height, width):
    """A camera that turns and moves: lengths of 5 to 15 px, angles that cross 180 degrees."""
    row, col = np.mgrid[:height, :width]
    return np.stack([5 + 10 * col / width, 150 + 60 * row / height], axis=-1).astype(np.float32)


@pytest.fixture(scope="module")
def scene():
    """Latent planes, the photograph that their motion gives, and the motion, all of the size of the photograph."""
    random = np.random.default_rng(5)
    height, width = 130, 150
    latent = np.full((2, height, width), 0.5, np.float32)
    for _ in range(120):
        top, left = random.integers(0, height), random.integers(0, width)
        box = slice(top, top + random.integers(4, 40)), slice(left, left + random.integers(4, 40))
        latent[:, *box] = random.uniform(0.1, 0.9, (2, 1, 1))
    field = turning_field(height, width)
    indices, weights = blend(field)
    bank = FilterBank.from_filters(load_bank().kernels)
    observed = nonuniform_convolve(latent, bank, indices, weights)
    observed += 0.003 * random.standard_normal(observed.shape).astype(np.float32)
    inside = slice(10, -10), slice(10, -10)
    return tuple(np.ascontiguousarray(array) for array in (latent[:, *inside], observed[:, *inside], field[inside]))


def test_it_restores_what_moved(scene):
    latent, observed, field = scene
    restored = deconvolve_along_motion(observed, field)
    assert restored.dtype == np.float32
    assert psnr(restored, latent) > psnr(observed, latent) + 5


def test_what_is_blurred_again_is_what_was_observed(scene):
    latent, observed, field = scene
    assert psnr(MotionBlur(field).apply(latent), observed) > 45


def test_a_camera_that_turns_about_a_pixel(scene):
    """Around the centre of a rotation the motion takes every angle within a few pixels."""
    latent = scene[0]
    row, col = np.mgrid[: latent.shape[1], : latent.shape[2]].astype(np.float32)
    across, down = (row - 50) / 5, (60 - col) / 5
    field = np.stack([np.hypot(across, down), np.degrees(np.arctan2(-down, across))], axis=-1)
    indices, weights = blend(field)
    observed = nonuniform_convolve(latent, FilterBank.from_filters(load_bank().kernels), indices, weights)
    restored = deconvolve_along_motion(observed, field, noise=0.002)
    assert np.abs(restored).max() < 2
    assert psnr(restored, latent) > psnr(observed, latent) + 5


def test_the_field_matters(scene):
    latent, observed, field = scene
    no_motion = np.zeros_like(field)
    turned = field + np.array([0, 90], np.float32)
    right = psnr(deconvolve_along_motion(observed, field), latent)
    assert right > psnr(deconvolve_along_motion(observed, no_motion), latent) + 4
    assert right > psnr(deconvolve_along_motion(observed, turned), latent) + 4


def test_half_a_turn_of_the_field_changes_nothing(scene):
    _, observed, field = scene
    half = deconvolve_along_motion(observed, field + np.array([0, 180], np.float32), noise=0.003)
    np.testing.assert_allclose(half, deconvolve_along_motion(observed, field, noise=0.003), atol=2e-3)


def test_tiles_do_not_show(scene, monkeypatch):
    _, observed, field = scene
    whole = deconvolve_along_motion(observed, field, noise=0.003)
    monkeypatch.setattr(tiles, "CORE", 64)
    reports = []
    parts = deconvolve_along_motion(observed, field, noise=0.003, progress=lambda *report: reports.append(report))
    assert np.abs(parts - whole).max() < 0.02
    assert len(reports) == 2 * 20
    assert reports[-1] == ("deconvolve", pytest.approx(1))


def test_clipped_pixels_do_not_count(scene):
    latent, observed, field = scene
    spoilt = observed.copy()
    spoilt[:, 40:46, 60:66] = 1.0
    assert psnr(deconvolve_along_motion(spoilt, field), latent) > psnr(observed, latent) + 3


@pytest.mark.parametrize("shape", [(1, 1), (2, 30), (9, 1)])
def test_small_photographs(shape):
    field = np.full((*shape, 2), 35, np.float32)
    restored = deconvolve_along_motion(np.full((1, *shape), 0.5, np.float32), field)
    np.testing.assert_allclose(restored, 0.5, atol=0.01)


def test_the_longest_motion(scene):
    latent, _, field = scene
    long = np.full_like(field, 35)
    indices, weights = blend(long)
    observed = nonuniform_convolve(latent, FilterBank.from_filters(load_bank().kernels), indices, weights)
    restored = deconvolve_along_motion(observed[:, 17:-17, 17:-17].copy(), long[17:-17, 17:-17].copy(), noise=0.0)
    assert psnr(restored, latent[:, 17:-17, 17:-17]) > psnr(observed, latent) + 2


def test_the_problem_has_room_for_all_that_the_photograph_depends_on(scene):
    _, observed, field = scene
    problem, inside = motion_problem(observed, field, 0.01)
    np.testing.assert_array_equal(problem.observed[:, *inside], observed)
    assert problem.known.sum() == observed[0].size
    assert inside[0].start >= problem.blur.kernels.reach[0]
    assert problem.observed.shape[1] - inside[0].stop >= problem.blur.kernels.reach[0]


BAD = [
    ({"field": np.ones((9, 8, 2), np.float32)}, InvalidArgument, r"motion has shape \(9, 8, 2\); give \(8, 9, 2\)"),
    ({"field": np.ones((8, 9), np.float32)}, InvalidArgument, "length and angle for every pixel"),
    ({"field": np.full((8, 9, 2), np.nan, np.float32)}, InvalidArgument, "NaN or infinity; give 0 px"),
    ({"field": np.full((8, 9, 2), 35.5, np.float32)}, InvalidArgument, "longer than 35"),
    ({"field": np.full((8, 9, 2), -1, np.float32)}, InvalidArgument, "turn it by 180 degrees"),
    ({"field": np.ones((8, 9, 2))}, UnsupportedType, "float64; convert both to float32"),
    ({"field": [[1, 2]]}, UnsupportedType, "must be NumPy or CuPy arrays"),
    ({"planes": np.ones((8, 9), np.float32)}, InvalidImage, "planes have shape"),
    ({"planes": np.full((1, 8, 9), np.inf, np.float32)}, InvalidImage, "NaN or infinity"),
    ({"noise": -0.1}, InvalidArgument, "noise is -0.1"),
    ({"noise": np.nan}, InvalidArgument, "noise is nan"),
]


@pytest.mark.parametrize(("change", "error", "message"), BAD)
def test_what_cannot_be_used_is_refused(change, error, message):
    arguments = {"planes": np.full((1, 8, 9), 0.5, np.float32), "field": np.ones((8, 9, 2), np.float32)} | change
    with pytest.raises(error, match=message):
        deconvolve_along_motion(**arguments)


@pytest.mark.data
def test_a_real_case_gains(data_root):
    folder = data_root / "eval" / "eboli_cpcr"
    observed, sharp = (
        np.ascontiguousarray(read_file(folder / f"nonuniform_{name}.png")[0].transpose(2, 0, 1)[:, 60:260, 60:300])
        .astype(np.float32) / 255
        for name in ("blurry", "gt")
    )  # fmt: skip
    stored = loadmat(folder / "nonuniform_motion.mat")["mfmap"][60:260, 60:300]
    # The angles of this file are counted from the vertical, clockwise.
    field = np.stack([stored[..., 0], 90 - stored[..., 1]], axis=-1).astype(np.float32)
    assert psnr(deconvolve_along_motion(observed, field), sharp) > psnr(observed, sharp) + 3
