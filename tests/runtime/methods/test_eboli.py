import numpy as np
import pytest
from scipy.signal import fftconvolve
from skimage.data import astronaut

import runtime
from runtime.blur.motion import motion_kernel
from runtime.contract import Estimate
from runtime.decisions.reasons import NOT_BLURRED
from runtime.errors import InvalidArgument
from runtime.images import luminance
from runtime.inference.devices import CPU
from runtime.inference.progress import Stopwatch
from runtime.methods.eboli import find_misfit
from runtime.methods.registry import create_method
from runtime.options import Options
from runtime.restoration.turning import Turned
from tests.runtime.models import write_motion_bundle

LENGTH, ANGLE = 13, 30


@pytest.fixture(scope="module")
def deblurrer():
    return runtime.Deblurrer(model="eboli", device="cpu")


@pytest.fixture(scope="module")
def scene():
    return (astronaut()[10:260, 90:350] / 255).astype(np.float32)


@pytest.fixture(scope="module")
def observed(scene):
    kernel = motion_kernel(LENGTH, ANGLE)
    blurred = np.stack([fftconvolve(scene[..., c], kernel, "same") for c in range(3)], axis=-1)
    return np.clip(blurred + np.random.default_rng(3).normal(0, 0.004, blurred.shape), 0, 1).astype(np.float32)


def error(image, scene):
    return np.mean((image - scene)[20:-20, 20:-20] ** 2)


def test_motion_is_found_and_undone(deblurrer, scene, observed):
    stages = []
    result = deblurrer.restore(observed, progress=lambda stage, fraction: stages.append(stage))
    assert result.reason is None
    length, angle = np.median(result.motion[..., 0]), np.median(result.motion[..., 1])
    assert length == pytest.approx(LENGTH, abs=3)
    assert angle == pytest.approx(ANGLE, abs=8)
    assert error(result.image, scene) < 0.8 * error(observed, scene)
    assert list(result.timings) == ["motion", "non-blind", "repair"]
    assert list(dict.fromkeys(stages)) == ["motion network", "deconvolve"]


def test_a_sharp_photograph_comes_back_as_it_was(deblurrer, scene):
    result = deblurrer.restore(scene)
    assert result.reason is not None
    np.testing.assert_array_equal(result.image, scene)


class Uniform:
    """Finds what it is told."""

    def __init__(self, latent, kernel, reason=None, gain=None):
        self.estimate = Estimate(latent, kernel=kernel, reason=reason, gain=gain)

    def restore(self, observed, options, stopwatch, progress):
        assert options.stride is None
        return self.estimate


@pytest.fixture(scope="module")
def bent(scene):
    """Latent and observed planes of a camera that went right, then down, and the kernel of that."""
    kernel = np.zeros((9, 9), np.float32)
    kernel[0, :] = kernel[:, -1] = 1
    kernel /= kernel.sum()
    latent = np.ascontiguousarray(np.moveaxis(scene, -1, 0))
    return latent, np.stack([fftconvolve(plane, kernel, "same") for plane in latent]).astype(np.float32), kernel


class Turning:
    """Finds what it is told, or nothing."""

    def __init__(self, turned=None):
        self.turned, self.asked = turned, []

    def restore(self, observed, kernel, options, stopwatch, progress):
        self.asked.append(kernel)
        return self.turned


def restore_beside(tmp_path, observed, uniform, turning=None):
    """Restore planes by a network that is sure to see 9 px from left to right, and by what finds one kernel."""
    bundle = write_motion_bundle(tmp_path / "motion", (8.0, 0.0, -2.0))
    method = create_method(bundle, device=CPU, precision="fp32", batch=None)
    vars(method)["_uniform"] = uniform
    vars(method)["_turning"] = turning or Turning()
    return method.restore(observed, Options(stride=4), Stopwatch(), None)


def test_one_kernel_is_taken_where_it_explains_more(tmp_path, bent):
    latent, observed, kernel = bent
    result = restore_beside(tmp_path, observed, Uniform(latent, kernel))
    assert result.latent is latent
    assert result.kernel is kernel
    assert result.motion.shape == (*observed.shape[1:], 2)


@pytest.mark.parametrize(
    ("uniform_gain", "turned_gain", "reason", "turns"),
    [(3.0, 4.0, None, True), (4.0, 3.0, None, False), (None, 4.0, "no kernel", True), (None, 1.0, "no kernel", False)],
)
def test_poses_are_taken_where_they_promise_more(tmp_path, bent, uniform_gain, turned_gain, reason, turns):
    latent, observed, kernel = bent
    other = latent + np.float32(0.01)
    turned = Turned(Estimate(other, kernel=kernel, gain=turned_gain, confidence=0.9), luminance(observed))
    turning = Turning(turned)
    uniform = Uniform(latent if reason is None else observed, kernel, reason, uniform_gain)
    result = restore_beside(tmp_path, observed, uniform, turning)
    assert (result.latent is other) == turns
    assert result.motion is not None
    assert turning.asked == [kernel if reason is None else None]


def test_a_camera_that_turned_does_not_sharpen_what_is_sharp(tmp_path, bent):
    _, observed, kernel = bent
    turning = Turning()
    restore_beside(tmp_path, observed, Uniform(observed, kernel, NOT_BLURRED), turning)
    assert turning.asked == []


def test_motion_is_kept_where_one_kernel_explains_less(tmp_path, bent):
    latent, observed, kernel = bent
    result = restore_beside(tmp_path, observed, Uniform(latent[:, ::-1], kernel))
    assert result.kernel is None
    assert result.reason is None
    assert not np.array_equal(result.latent, observed)


def test_what_nothing_explains_is_undone_with_the_most_doubt(tmp_path, bent):
    _, observed, kernel = bent
    kept = restore_beside(tmp_path, observed, Uniform(observed[:, ::-1], kernel))
    careful = restore_beside(tmp_path, observed, Uniform(observed, kernel, "no kernel"))
    assert careful.reason is None
    assert 0 < np.square(careful.latent - observed).mean() < np.square(kept.latent - observed).mean()


def test_the_misfit_counts_what_is_inside_and_not_saturated():
    observed = np.full((160, 200), 0.5, np.float32)
    blurred = observed + 0.1
    blurred[:35], blurred[:, :35], blurred[-35:], blurred[:, -35:] = 9, 9, 9, 9
    observed[80, 100], blurred[80, 100] = 1, 0
    assert find_misfit(blurred, observed) == pytest.approx(0.1, rel=1e-4)
    assert find_misfit(np.zeros((50, 60), np.float32), np.ones((50, 60), np.float32)) == 0


@pytest.mark.parametrize("shape", [(1, 1), (3, 200, 3), (40, 31, 4)])
def test_every_size_is_restored(tmp_path, shape):
    bundle = write_motion_bundle(tmp_path / "motion", (6.0, 0.0, 0.0))
    image = np.random.default_rng(1).random(shape, np.float32)
    result = runtime.Deblurrer(model=bundle, device="cpu").restore(image)
    assert result.image.shape == shape
    assert result.motion.shape == (*shape[:2], 2)
    assert np.isfinite(result.image).all()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"nonblind": "epll"}, "restores by irc only"),
        ({"neural": False}, "choose another model"),
        ({"stride": 99}, "from 1 to 5"),
    ],
)
def test_options_that_this_method_has_not_are_named(tmp_path, option, message):
    bundle = write_motion_bundle(tmp_path / "motion", (6.0, 0.0, 0.0))
    method = create_method(bundle, device=CPU, precision="fp32", batch=None)
    with pytest.raises(InvalidArgument, match=message):
        method.restore(np.zeros((1, 20, 20), np.float32), Options(**option), Stopwatch(), None)


@pytest.mark.data
def test_the_published_case_gains(data_root, deblurrer):
    from bench.accuracy.scoring import score
    from bench.data.motions import published

    sample = published(data_root)[0].load()
    result = deblurrer.restore(sample.observed)
    assert score(result.image, sample).psnr > score(sample.observed, sample).psnr + 0.5
