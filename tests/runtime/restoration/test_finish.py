"""The last steps of a restoration: which results are accepted, and which photographs are returned unchanged."""

import dataclasses
import math

import numpy as np
import pytest
from scipy.signal import fftconvolve
from skimage.data import astronaut

from runtime.blur.blurs import KernelBlur, MotionBlur, PoseBlur
from runtime.blur.motion import motion_kernel
from runtime.blur.poses import Poses
from runtime.contract import Candidate
from runtime.decisions.reasons import Reason
from runtime.options import Options
from runtime.response import LINEAR, SRGB
from runtime.restoration import finish as module
from runtime.restoration.finish import attempt, finish, undo
from runtime.restoration.repair import Repaired
from runtime.restoration.softness import soften
from runtime.restoration.uniformity import Uniformity
from runtime.run import Run

LENGTH, ANGLE = 9, 30


@pytest.fixture(scope="module")
def sharp():
    return np.ascontiguousarray(np.moveaxis(astronaut()[10:170, 100:280], -1, 0) / np.float32(255))


@pytest.fixture(scope="module")
def observed(sharp):
    blurred = np.stack([fftconvolve(plane, motion_kernel(LENGTH, ANGLE), "same") for plane in sharp])
    return (blurred + np.random.default_rng(3).normal(0, 0.004, blurred.shape)).clip(0, 1).astype(np.float32)


def blurs(shape):
    """The same blur as a kernel, as poses and as a motion field."""
    kernel = motion_kernel(LENGTH, ANGLE)
    field = np.empty((*shape, 2), np.float32)
    field[:] = LENGTH, ANGLE
    return {"kernel": KernelBlur(kernel), "poses": PoseBlur(Poses.without_roll(kernel)), "motion": MotionBlur(field)}


KINDS = ("kernel", "poses", "motion")


def predict_gain(monkeypatch, gain, uniformity=None, repair=lambda restored: restored):
    """Replace the repair network, which then predicts a given gain, and the uniformity check."""

    class Repairer:
        def repair(self, observed, restored, blur, *, log_error, noise, known, response):
            return Repaired(repair(restored), gain)

    class Check:
        def measure(self, luminance, width, known=None):
            return uniformity

    monkeypatch.setattr(module, "load_repairer", lambda device: Repairer())
    monkeypatch.setattr(module, "load_uniformity_check", lambda device: Check())


def fast(**options):
    return Run(Options(quality="fast", **options))


@pytest.mark.parametrize("kind", KINDS)
def test_a_right_blur_of_any_kind_is_undone_repaired_and_accepted(sharp, observed, kind):
    blur = blurs(observed.shape[1:])[kind]
    run = fast()
    found = finish(observed, Candidate(blur, -2.5, 0.99), run)
    inner = (slice(None), slice(20, -20), slice(20, -20))
    errors = [np.square(each - sharp)[inner].mean() for each in (observed, found.latent)]
    assert errors[1] < 0.6 * errors[0]
    assert found.blur is blur
    assert found.reason is None
    assert found.gain > 2
    assert 0.5 < found.confidence <= 0.99
    assert list(run.stopwatch.seconds()) == ["non-blind", "repair"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("gain", "accepted"), [(0.5, False), (9.0, True)])
def test_no_harm_is_one_check_for_all(observed, monkeypatch, kind, gain, accepted):
    predict_gain(monkeypatch, gain)
    found = finish(observed, Candidate(blurs(observed.shape[1:])[kind], -2.5), fast())
    assert found.gain == gain
    assert (found.latent is observed) != accepted
    assert found.reason == (None if accepted else Reason.NO_GAIN)
    assert (found.confidence >= 0.5) == accepted


@pytest.mark.parametrize(
    ("kind", "gain", "accepted"),
    [("kernel", 2.9, False), ("kernel", 3.1, True), ("poses", 2.9, False), ("poses", 3.1, True),
     ("motion", 0.9, False), ("motion", 1.1, True)],
)  # fmt: skip
def test_how_much_each_kind_has_to_promise(observed, monkeypatch, kind, gain, accepted):
    predict_gain(monkeypatch, gain)
    found = finish(observed, Candidate(blurs(observed.shape[1:])[kind], -2.5), fast())
    assert (found.reason is None) == accepted


@pytest.mark.parametrize(
    ("gain", "uniformity", "unevenness", "reason"),
    [
        (1.0, Uniformity(3.0, 0.5), 1.5, Reason.NO_GAIN),
        (4.0, None, 1.5, None),
        (4.0, Uniformity(0.5, 0.5), 1.5, None),
        (4.0, Uniformity(2.0, 0.5), 1.5, Reason.NOT_UNIFORM),
        (4.0, Uniformity(2.0, 0.5), 1.1, None),
        (4.0, Uniformity(2.0, 3.0), 1.1, Reason.NOT_UNIFORM),
        (5.0, Uniformity(2.0, 3.0), 1.1, Reason.NOT_UNIFORM),
        (5.0, Uniformity(1.3, 3.0), 1.5, Reason.NOT_UNIFORM),
        (4.0, Uniformity(0.5, 3.0), 1.5, Reason.NOT_UNIFORM),
        (5.0, Uniformity(0.5, 3.0), 1.5, None),
        (5.5, Uniformity(1.3, 0.5), 1.5, Reason.NOT_UNIFORM),
        (6.5, Uniformity(1.3, 0.5), 1.5, None),
        (20.0, Uniformity(1.2, 0.5), 2.0, None),
        (20.0, Uniformity(1.2, 0.5), 2.2, Reason.NOT_UNIFORM),
        (20.0, Uniformity(1.3, 3.0), 1.5, None),
        (20.0, Uniformity(3.0, 0.5), 1.1, Reason.NOT_UNIFORM),
    ],
)
def test_a_kernel_that_the_motion_contradicts_has_to_promise_more(
    observed, monkeypatch, gain, uniformity, unevenness, reason
):
    """Unless the motion only seems to vary, and the kernel explains all parts alike; where it explains them unlike, no
    promise is enough."""
    monkeypatch.setattr(module, "find_unevenness", lambda *arguments, **options: unevenness)
    predict_gain(monkeypatch, gain, uniformity)
    found = finish(observed, Candidate(blurs(observed.shape[1:])["kernel"], -2.5), fast())
    assert found.reason == reason


@pytest.mark.parametrize(
    ("log_error", "variation", "unevenness", "reason"),
    [
        (-2.5, 2.6, 1.1, None),
        (-2.5, 2.8, 1.1, Reason.NOT_UNIFORM),
        (-2.5, 2.1, 1.3, Reason.NOT_UNIFORM),
        (-1.9, 2.6, 1.1, Reason.NOT_UNIFORM),
        (-2.7, 1.2, 2.2, Reason.NOT_UNIFORM),
        (-2.8, 1.2, 2.2, None),
        (-2.8, 1.2, 2.9, Reason.NOT_UNIFORM),
    ],
)
def test_against_a_certain_kernel_that_explains_all_parts_alike_the_motion_has_to_vary_more(
    observed, monkeypatch, log_error, variation, unevenness, reason
):
    monkeypatch.setattr(module, "find_unevenness", lambda *arguments, **options: unevenness)
    predict_gain(monkeypatch, 20.0, Uniformity(variation, 0.5))
    found = finish(observed, Candidate(blurs(observed.shape[1:])["kernel"], log_error), fast())
    assert found.reason == reason


@pytest.mark.parametrize(
    ("gain", "uniformity", "unevenness", "reason"),
    [
        (2.4, Uniformity(3.0, 0.5), 1.1, Reason.NO_GAIN),
        (3.0, Uniformity(1.5, 0.5), 1.5, None),
        (3.0, Uniformity(0.5, 3.0), 1.5, None),
        (20.0, Uniformity(2.0, 0.5), 1.3, Reason.NOT_UNIFORM),
    ],
)
@pytest.mark.parametrize("log_error", [-2.5, -3.0])
def test_light_that_motion_and_misfit_rule_out_is_refused(
    observed, monkeypatch, gain, uniformity, unevenness, reason, log_error
):
    """Motion that only varies, or is too short, says nothing against light; nor does a sure kernel say more for it."""
    monkeypatch.setattr(module, "find_unevenness", lambda *arguments, **options: unevenness)
    predict_gain(monkeypatch, gain, uniformity)
    run = dataclasses.replace(fast(), response=SRGB)
    assert finish(observed, Candidate(blurs(observed.shape[1:])["kernel"], log_error), run).reason == reason


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (1.19, 1.55, None),
        (1.21, 1.55, Reason.NOT_UNIFORM),
        (1.19, 1.65, Reason.NOT_UNIFORM),
        (1.74, 1.3, None),
        (1.76, 1.3, Reason.NOT_UNIFORM),
    ],
)
def test_of_light_that_was_explained_evenly_before_its_repair_the_motion_has_to_vary_more(
    observed, monkeypatch, before, after, reason
):
    found = iter([before, after])
    monkeypatch.setattr(module, "find_unevenness", lambda *arguments, **options: next(found))
    predict_gain(monkeypatch, 20.0, Uniformity(1.9, 0.5))
    run = dataclasses.replace(fast(), response=SRGB)
    assert finish(observed, Candidate(blurs(observed.shape[1:])["kernel"], -1.7), run).reason == reason


@pytest.mark.parametrize(("log_error", "apart"), [(-2.5, True), (-1.5, False), (float("nan"), False)])
def test_what_lights_have_changed_counts_unless_the_kernel_is_certain(observed, monkeypatch, log_error, apart):
    asked = []
    monkeypatch.setattr(module, "find_unevenness", lambda *arguments, **options: asked.append(options["apart"]) or 1.0)
    predict_gain(monkeypatch, 20.0)
    finish(observed, Candidate(blurs(observed.shape[1:])["kernel"], log_error), fast())
    assert asked == [apart]


def test_poses_are_not_contradicted_by_motion_that_varies(observed, monkeypatch):
    predict_gain(monkeypatch, 4.0, Uniformity(3.0, 0.5))
    assert finish(observed, Candidate(blurs(observed.shape[1:])["poses"], -2.5), fast()).reason is None


@pytest.mark.parametrize(("kind", "reason"), [("kernel", Reason.NOT_UNIFORM), ("poses", None), ("motion", None)])
def test_a_kernel_whose_repaired_restoration_explains_a_part_badly_is_refused(observed, monkeypatch, kind, reason):
    """What it promises does not count; of poses and motions nobody says that they hold everywhere alike."""

    def repair(restored):
        repaired = restored.copy()
        repaired[:, 60:100, 70:110] = repaired[:, 60:100, 70:110].mean()
        return repaired

    candidate = Candidate(blurs(observed.shape[1:])[kind], -2.5)
    predict_gain(monkeypatch, 20.0)
    assert finish(observed, candidate, fast()).reason is None
    predict_gain(monkeypatch, 20.0, repair=repair)
    assert finish(observed, candidate, fast()).reason == reason


def test_doubt_about_the_blur_and_about_the_gain_multiply(observed, monkeypatch):
    predict_gain(monkeypatch, 3.0)
    found = finish(observed, Candidate(blurs(observed.shape[1:])["kernel"], -2.5, 0.8), fast())
    assert found.confidence == pytest.approx(0.4)
    assert found.latent is observed


@pytest.mark.parametrize(("gain", "accepted"), [(0.5, False), (9.0, True)])
def test_an_attempt_is_made_whether_it_is_accepted_or_not(observed, monkeypatch, gain, accepted):
    predict_gain(monkeypatch, gain)
    candidate = Candidate(blurs(observed.shape[1:])["kernel"], -2.5, 0.9)
    made, found = attempt(observed, candidate, fast()), finish(observed, candidate, fast())
    assert made.accepted == accepted
    assert not np.array_equal(made.planes, observed)
    assert np.array_equal(made.planes, found.latent) == accepted
    assert made.confidence == found.confidence == 0.9 * made.needed.above(gain)


def test_without_networks_nothing_is_predicted(observed, monkeypatch):
    monkeypatch.setattr(module, "load_repairer", None)
    blur = blurs(observed.shape[1:])["kernel"]
    run = fast(neural=False)
    found = finish(observed, Candidate(blur, math.nan, 0.9), run)
    assert (found.gain, found.reason, found.confidence) == (None, None, 0.9)
    np.testing.assert_array_equal(found.latent, soften(undo(observed, Candidate(blur, math.nan), run)))


@pytest.mark.parametrize(
    ("nonblind", "plain", "gain"), [("synthesis", 0.5, 0.5), ("synthesis", 12.0, 9.0), ("epll", 0.5, 9.0)]
)
@pytest.mark.parametrize("kind", ["kernel", "poses"])
def test_a_network_that_deconvolves_promises_no_more_than_is_promised_without_it(
    observed, monkeypatch, kind, nonblind, plain, gain
):
    asked = []

    class Repairer:
        def repair(self, guide, restored, blur, **facts):
            return Repaired(restored, plain if asked[-1] == "hyper-laplacian" else 9.0)

    predict_gain(monkeypatch, 9.0)
    monkeypatch.setattr(module, "load_repairer", lambda device: Repairer())
    monkeypatch.setattr(
        module, "deconvolve", lambda planes, blur, run, **options: asked.append(run.options.nonblind) or planes + 0.01
    )
    found = finish(observed, Candidate(blurs(observed.shape[1:])[kind], -2.5), fast(nonblind=nonblind))
    assert found.gain == gain
    assert (found.latent is observed) == (gain < 3)
    assert found.latent.shape == observed.shape
    assert asked[0] == nonblind


def test_what_was_deconvolved_already_is_not_deconvolved_again(observed, monkeypatch):
    predict_gain(monkeypatch, 9.0)
    monkeypatch.setattr(module, "deconvolve", None)
    blur = blurs(observed.shape[1:])["motion"]
    assert finish(observed, Candidate(blur, -2.5), fast(), latent=observed + 0.01).latent is not observed


def test_only_single_kernels_are_softened(observed, monkeypatch):
    predict_gain(monkeypatch, 9.0)
    latent = undo(observed, Candidate(blurs(observed.shape[1:])["kernel"], -2.5), fast())
    softened = {
        kind: not np.array_equal(finish(observed, Candidate(blur, -2.5), fast(), latent=latent.copy()).latent, latent)
        for kind, blur in blurs(observed.shape[1:]).items()
    }
    assert softened == {"kernel": True, "poses": False, "motion": False}


def test_the_noise_factor_makes_deconvolution_careful(observed):
    blur = blurs(observed.shape[1:])["motion"]
    bold, careful = (undo(observed, Candidate(blur, -2.5, noise_factor=factor), fast()) for factor in (1.0, 16.0))
    assert np.abs(np.diff(careful)).mean() < 0.9 * np.abs(np.diff(bold)).mean()


@pytest.mark.parametrize(
    ("gain", "response", "accepted"), [(2.8, SRGB, True), (2.8, LINEAR, False), (2.4, SRGB, False)]
)
def test_less_needs_to_be_promised_for_light(observed, monkeypatch, gain, response, accepted):
    predict_gain(monkeypatch, gain)
    run = dataclasses.replace(fast(), response=response)
    found = finish(observed, Candidate(blurs(observed.shape[1:])["kernel"], -2.5), run)
    assert (found.reason is None) == accepted


@pytest.mark.parametrize(("gain", "part", "accepted"), [(4.0, 0, True), (4.0, 60, False), (20.0, 60, False)])
def test_a_kernel_of_light_that_holds_in_a_part_alone_is_refused(sharp, monkeypatch, gain, part, accepted):
    """Where the photograph is sharp, the kernel does not explain it."""
    predict_gain(monkeypatch, gain)
    light, kernel = SRGB.to_light(sharp), motion_kernel(LENGTH, ANGLE)
    observed = np.stack([fftconvolve(plane, kernel, "same") for plane in light]).astype(np.float32)
    observed[:, :part] = light[:, :part]
    observed += (
        SRGB.slope(SRGB.from_light(observed))
        * np.float32(0.004)
        * np.random.default_rng(3).standard_normal(observed.shape).astype(np.float32)
    )
    run = dataclasses.replace(fast(), response=SRGB, saturated=SRGB.light_of(0.98))
    found = finish(observed.clip(0, 1), Candidate(KernelBlur(kernel), -2.5), run)
    assert found.reason == (None if accepted else Reason.NOT_UNIFORM)
