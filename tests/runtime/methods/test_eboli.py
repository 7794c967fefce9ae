import numpy as np
import pytest
from scipy.signal import fftconvolve
from skimage.data import astronaut

import runtime
from kernels.cancellation import START
from runtime.blur.blurs import KernelBlur, MotionBlur, PoseBlur
from runtime.blur.motion import motion_kernel
from runtime.blur.poses import Poses
from runtime.colour import luminance
from runtime.contract import Estimate
from runtime.decisions.reasons import Reason
from runtime.decisions.thresholds import MOTION_GAIN, MOTION_NOISE_FACTOR_POORLY, Logistic
from runtime.errors import InvalidArgument
from runtime.estimation.poses.search import PoseEstimate
from runtime.inference.devices import CPU
from runtime.methods import eboli as module
from runtime.methods.eboli import choose_noise_factor, misfit_ratio
from runtime.methods.registry import create_method
from runtime.options import Options
from runtime.restoration import finish as finishing
from runtime.run import Run
from tests.support.models import write_motion_bundle

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
    assert list(result.timings) == ["prepare", "motion", "non-blind", "repair"]
    # A slow machine reports that it has started, too.
    assert [stage for stage in dict.fromkeys(stages) if stage != START] == ["motion network", "deconvolve"]


def test_a_sharp_photograph_comes_back_as_it_was(deblurrer, scene):
    result = deblurrer.restore(scene)
    assert result.reason is not None
    np.testing.assert_array_equal(result.image, scene)


class Uniform:
    """Returns a given estimate."""

    def __init__(self, latent, kernel, reason=None, gain=None):
        self.estimate = Estimate(latent, KernelBlur(kernel), reason=reason, gain=gain)

    def restore(self, observed, run):
        assert run.options.stride is None
        return self.estimate


@pytest.fixture(scope="module")
def curved(scene):
    """Latent and observed planes of a camera that moved right, then down, and its blur kernel."""
    kernel = np.zeros((9, 9), np.float32)
    kernel[0, :] = kernel[:, -1] = 1
    kernel /= kernel.sum()
    latent = np.ascontiguousarray(np.moveaxis(scene, -1, 0))
    return latent, np.stack([fftconvolve(plane, kernel, "same") for plane in latent]).astype(np.float32), kernel


class ExactBlur(KernelBlur):
    """A blur whose result is always the observed image."""

    def apply(self, planes):
        return luminance(self.kernel)[None]


@pytest.fixture
def restore_with_others(tmp_path, monkeypatch):
    """Restore planes with a network that predicts a motion of 9 px to the right, and with given kernel and poses."""

    def restore(observed, uniform, poses=None):
        asked = []
        real = module.finish

        def estimate_poses(guide, kernel, prior, run):
            asked.append(kernel)
            return None if poses is None else PoseEstimate(Poses.without_roll(np.ones((1, 1))), -2.0)

        def finish(observed, candidate, run, **given):
            return poses if isinstance(candidate.blur, PoseBlur) else real(observed, candidate, run, **given)

        monkeypatch.setattr(module, "estimate_poses", estimate_poses)
        monkeypatch.setattr(module, "finish", finish)
        bundle = write_motion_bundle(tmp_path / "motion", (8.0, 0.0, -2.0))
        method = create_method(bundle, device=CPU, precision="fp32", batch=None)
        vars(method)["_uniform"] = uniform
        return method.restore(observed, Run(Options(stride=4))), asked

    return restore


def test_one_kernel_is_taken_where_it_explains_more(restore_with_others, curved):
    latent, observed, kernel = curved
    result, _ = restore_with_others(observed, Uniform(latent, kernel))
    assert result.latent is latent
    assert result.blur.kernel is kernel
    assert result.motion.shape == (*observed.shape[1:], 2)


@pytest.mark.parametrize(
    ("uniform_gain", "poses_gain", "reason", "taken"),
    [
        (3.0, 4.0, None, True),
        (4.0, 3.0, None, False),
        (None, 4.0, Reason.UNCLEAR, True),
        (None, None, Reason.UNCLEAR, False),
    ],
)
def test_poses_are_taken_where_they_promise_more(restore_with_others, curved, uniform_gain, poses_gain, reason, taken):
    latent, observed, kernel = curved
    other = latent + np.float32(0.01)
    refused = None if poses_gain else Reason.NO_GAIN
    found = Estimate(other, ExactBlur(observed), gain=poses_gain, confidence=0.9, reason=refused)
    uniform = Uniform(latent if reason is None else observed, kernel, reason, uniform_gain)
    result, asked = restore_with_others(observed, uniform, found)
    assert (result.latent is other) == taken
    assert result.motion is not None
    assert len(asked) == 1
    assert (asked[0] is None) == (reason is not None)


def test_no_poses_are_looked_for_in_a_sharp_photograph(restore_with_others, curved):
    _, observed, kernel = curved
    _, asked = restore_with_others(observed, Uniform(observed, kernel, Reason.NOT_BLURRED))
    assert asked == []


def test_motion_is_kept_where_one_kernel_explains_less(restore_with_others, curved):
    latent, observed, kernel = curved
    result, _ = restore_with_others(observed, Uniform(latent[:, ::-1], kernel))
    assert isinstance(result.blur, MotionBlur)
    assert (result.reason is None) == (result.gain >= MOTION_GAIN.threshold)


def test_what_nothing_explains_is_undone_most_carefully(restore_with_others, curved, monkeypatch):
    _, observed, kernel = curved
    monkeypatch.setattr(finishing, "MOTION_GAIN", Logistic(-99.0, 0.2))
    factors, undo = [], finishing.undo
    monkeypatch.setattr(
        finishing,
        "undo",
        lambda planes, candidate, run: factors.append(candidate.noise_factor) or undo(planes, candidate, run),
    )
    careful, _ = restore_with_others(observed, Uniform(observed, kernel, Reason.UNCLEAR))
    assert careful.reason is None
    assert factors == [MOTION_NOISE_FACTOR_POORLY]


@pytest.mark.parametrize(("ratio", "factor"), [(1.0, 4), (1.2, 4), (1.3, 8), (1.44, 8), (1.5, 16)])
def test_the_worse_the_field_explains_the_photograph_the_more_carefully_it_is_undone(ratio, factor):
    assert choose_noise_factor(ratio) == factor


def test_the_misfit_is_in_units_of_the_noise_and_rises_with_the_error_of_the_motion():
    assert misfit_ratio(0.02, 0.02, 0.0) == pytest.approx(1, abs=0.02)
    assert misfit_ratio(0.04, 0.02, 0.3) == pytest.approx(2 * misfit_ratio(0.02, 0.02, 0.0) + 0.3)
    assert np.isfinite(misfit_ratio(0.01, 0.0, 0.0))


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
        ({"nonblind": "epll"}, "supports irc only"),
        ({"neural": False}, "choose another model"),
        ({"stride": 99}, "from 1 to 5"),
    ],
)
def test_options_that_this_method_has_not_are_named(tmp_path, option, message):
    bundle = write_motion_bundle(tmp_path / "motion", (6.0, 0.0, 0.0))
    with pytest.raises(InvalidArgument, match=message):
        runtime.Deblurrer(model=bundle, device="cpu").restore(np.zeros((20, 20), np.float32), **option)


@pytest.mark.data
def test_the_published_case_gains(data_root, deblurrer):
    from bench.accuracy.scoring import score
    from bench.data.motions import published

    sample = published(data_root)[0].load()
    result = deblurrer.restore(sample.observed)
    assert score(result.image, sample).psnr > score(sample.observed, sample).psnr + 0.5
