import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.data import astronaut

import runtime.metrics as image_quality
from runtime.blur.blurs import PoseBlur
from runtime.blur.kernel import align, fit, similarity
from runtime.blur.poses import Poses
from runtime.colour import luminance
from runtime.deconvolution import deconvolve
from runtime.estimation.kernel.prior import load_prior
from runtime.estimation.kernel.pyramid import Scale
from runtime.estimation.poses import search as module
from runtime.estimation.poses.search import (
    _DEFAULT_SIDE,
    _LARGEST_SIDE,
    _MARGIN,
    _MAX_PIXELS,
    _SMALLEST_SIDE,
    _levels,
    estimate_poses,
)
from runtime.metrics import psnr
from runtime.options import Options
from runtime.run import Run

SIDE = 13


def estimate(observed, side, progress=None):
    """Estimate poses whose kernel at the centre has at most `side` pixels."""
    single = np.full((side - _MARGIN,) * 2, 1.0)
    return estimate_poses(observed, single, load_prior(), Run(Options(), progress=progress))


@pytest.fixture(scope="module")
def poses():
    """A camera that moved right and rolled meanwhile, so that opposite borders have different kernels."""
    weights = np.zeros((9, SIDE, SIDE))
    for index, col in enumerate(np.linspace(1, 10, 9)):
        low = int(col)
        weights[index, 6, low : low + 2] = 1 - (col - low), col - low
    return Poses(weights / 9, np.linspace(-0.01, 0.01, 9))


@pytest.fixture(scope="module")
def sharp():
    return np.ascontiguousarray(luminance(np.moveaxis(astronaut() / np.float32(255), -1, 0))[:320, 60:440])


@pytest.fixture(scope="module")
def observed(poses, sharp):
    blurred = PoseBlur(poses).apply(sharp[None])[0]
    return (blurred + np.random.default_rng(0).normal(0, 0.003, blurred.shape)).astype(np.float32)


@pytest.fixture(scope="module")
def stages():
    return []


@pytest.fixture(scope="module")
def found(observed, stages):
    return estimate(observed, 17, lambda *report: stages.append(report))


def alike(poses, place, other, there):
    """Similarity of the kernels of two places, after a little smoothing."""
    ours, theirs = (gaussian_filter(fit(each.kernel(at), 31), 0.7) for each, at in ((poses, place), (other, there)))
    return similarity(align(ours, theirs), theirs)


@pytest.mark.parametrize("place", [(-110.0, 0.0), (0.0, -140.0), (0.0, 140.0)])
def test_every_place_gets_its_own_kernel(found, poses, place):
    own = alike(found.poses, place, poses, place)
    assert own > 0.75
    assert own > alike(found.poses, place, poses, (-place[0], -place[1])) + 0.1


def test_it_undoes_the_blur(found, sharp, observed):
    restored = deconvolve(observed[None], PoseBlur(found.poses), Run(Options()), kernel_error=0.2)[0]
    before, after = (
        psnr(image_quality.align(each, sharp, border=20), sharp, border=20) for each in (observed, restored)
    )
    assert after > before + 1


def test_progress_and_expected_error_are_reported(found, stages):
    fractions = [fraction for stage, fraction in stages]
    assert {stage for stage, _ in stages} == {"poses"}
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert -4 < found.log_error < 0


def test_the_finest_scale_is_of_bounded_size():
    assert _levels(25, _MAX_PIXELS)[-1].factor == 1
    large = _levels(25, 16 * _MAX_PIXELS)
    assert large[-1].factor >= 4
    assert _levels(3, 10**9)[-1].factor == pytest.approx((10**9 / _MAX_PIXELS) ** 0.5)


def test_a_large_photograph_gets_poses_of_its_own_scale(observed, monkeypatch):
    monkeypatch.setattr(module, "_MAX_PIXELS", observed.size // 2)
    monkeypatch.setattr(module, "_SHARP_ITERATIONS", 1)
    monkeypatch.setattr(module, "_SPARSE_ITERATIONS", 1)
    found = estimate(observed, 17)
    assert found.poses.weights.shape[1] == 17
    assert found.poses.weights.sum() == pytest.approx(1)


def test_a_flat_photograph_has_poses_nevertheless():
    found = estimate(np.full((160, 240), 0.5, np.float32), 13)
    assert np.isfinite(found.poses.weights).all()
    assert found.poses.weights.sum() == pytest.approx(1)


@pytest.mark.parametrize("extent", [None, 3, 15])
def test_the_single_kernel_says_how_far_to_look(observed, monkeypatch, extent):
    sides = []
    monkeypatch.setattr(module, "_levels", lambda side, pixels: sides.append(side) or [Scale(4.0, 5)])
    estimate_poses(observed, None if extent is None else np.ones((extent, extent)), load_prior(), Run(Options()))
    assert sides == [_DEFAULT_SIDE if extent is None else max(extent + _MARGIN, _SMALLEST_SIDE)]


def test_nothing_is_looked_for_where_it_would_be_in_vain(observed):
    run = Run(Options())
    assert estimate_poses(observed[:100, :100], None, load_prior(), run) is None
    assert estimate_poses(observed, np.ones((_LARGEST_SIDE, _LARGEST_SIDE)), load_prior(), run) is None
