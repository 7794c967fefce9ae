from dataclasses import replace
from math import inf

import numpy as np
import pytest
from scipy.signal import fftconvolve
from skimage.data import astronaut

import runtime
from runtime.blur.blurs import KernelBlur, MotionBlur
from runtime.contract import Estimate
from runtime.decisions.reasons import Reason
from runtime.decisions.thresholds import MOTION_EXPLAINS_PARTLY
from runtime.inference.bundle import load_model
from runtime.inference.devices import CPU
from runtime.methods import auto as module
from runtime.methods.eboli import UndoneMotion
from runtime.methods.registry import create_method
from runtime.options import Options
from runtime.run import Run

KERNEL = np.full((1, 7), 1 / 7, np.float32)


@pytest.fixture(scope="module")
def latent():
    return np.ascontiguousarray(astronaut()[20:180, 100:260].transpose(2, 0, 1) / 255, np.float32)


@pytest.fixture(scope="module")
def observed(latent):
    blurred = np.stack([fftconvolve(plane, KERNEL, "same") for plane in latent])
    return (blurred + np.random.default_rng(0).normal(0, 0.005, blurred.shape)).astype(np.float32)


class Uniform:
    """Returns given estimates, of the first search and of the second, and keeps which were asked for."""

    def __init__(self, first, second=None):
        self.estimates, self.asked = {"first": first, "second": second, "both": first}, []

    def restore(self, observed, run):
        self.asked.append(run.search)
        return self.estimates[run.search]


class Moving:
    """Returns a given motion, and counts how often it is asked."""

    def __init__(self, latent, ratio=1.0, misfit=0.004):
        motion = np.zeros((*latent.shape[1:], 2), np.float32)
        doubt = Reason.MOTION_UNCERTAIN if ratio == inf else None
        self.undone, self.asked = UndoneMotion(motion, doubt, latent, misfit, ratio), 0

    def undo_motion(self, observed, guide, run):
        self.asked += 1
        assert run.options.stride is None
        return self.undone


@pytest.fixture
def restore(observed, latent, monkeypatch):
    """Restore `observed` with given parts; the motion found is accepted or not."""
    method = create_method(load_model("auto"), device=CPU, precision="fp32", batch=None)

    def run(uniform, moving, accepted=True, photograph=observed, **options):
        def finish(observed, guide, undone, factor, run):
            reason = None if accepted else Reason.NO_GAIN
            return Estimate(undone.latent, MotionBlur(undone.motion), motion=undone.motion, reason=reason)

        monkeypatch.setattr(module, "finish_motion", finish)
        vars(method)["_uniform"] = uniform if isinstance(uniform, Uniform) else Uniform(uniform)
        vars(method)["_moving"] = moving
        return method.restore(photograph, Run(Options(**options)))

    return run


@pytest.fixture
def refused(observed):
    return Estimate(observed, KernelBlur(KERNEL), confidence=0.2, reason=Reason.NOT_UNIFORM)


def test_one_kernel_that_explains_the_photograph_is_enough(restore, latent):
    uniform, moving = Estimate(latent, KernelBlur(KERNEL)), Moving(latent)
    assert restore(uniform, moving) is uniform
    assert moving.asked == 0


def test_a_motion_takes_the_place_of_no_kernel(restore, latent, refused):
    found = restore(refused, Moving(latent), stride=16)
    assert found.latent is latent
    assert found.motion is not None


def test_a_motion_takes_the_place_of_a_kernel_that_leaves_a_misfit(restore, latent):
    wrong = Estimate(np.ascontiguousarray(latent[:, ::-1]), KernelBlur(KERNEL))
    assert restore(wrong, Moving(latent)).motion is not None
    # ... if it leaves much less.
    assert restore(wrong, Moving(latent, misfit=0.2)) is wrong


@pytest.mark.parametrize(("ratio", "accepted"), [(inf, True), (1.01 * MOTION_EXPLAINS_PARTLY, True), (1.0, False)])
def test_without_a_motion_that_explains_it_the_photograph_stays_with_the_reason_of_the_kernel(
    restore, latent, refused, ratio, accepted
):
    assert restore(refused, Moving(latent, ratio), accepted) is refused


@pytest.mark.parametrize("options", [{"nonblind": "epll"}, {"refine": False}, {"neural": False}])
def test_options_of_one_kernel_leave_motions_out(restore, latent, refused, options):
    moving = Moving(latent)
    assert restore(refused, moving, **options) is refused
    assert moving.asked == 0


def test_without_a_motion_a_doubtful_kernel_is_searched_for_again(restore, latent, refused):
    first, second = replace(refused, log_error=-1.0), Estimate(latent, KernelBlur(KERNEL), log_error=-2.0)
    uniform, moving = Uniform(first, second), Moving(latent, inf)
    assert restore(uniform, moving, quality="fast") is second
    assert (uniform.asked, moving.asked) == (["first", "second"], 1)


@pytest.mark.parametrize(
    ("log_error", "again", "quality"),
    [(-2.0, -3.0, "fast"), (-1.0, -2.0, "balanced"), (-1.0, -1.5, "fast")],
    ids=["certain", "no second search", "doubtful again"],
)
def test_the_first_search_is_kept(restore, latent, refused, log_error, again, quality):
    first = replace(refused, log_error=log_error)
    second = Estimate(latent, KernelBlur(KERNEL), log_error=again)
    assert restore(Uniform(first, second), Moving(latent, inf), quality=quality) is first


def test_where_the_first_kernel_brought_no_gain_the_second_need_not_be_certain(restore, latent, refused):
    first = replace(refused, reason=Reason.NO_GAIN, log_error=-1.0)
    second = Estimate(latent, KernelBlur(KERNEL), log_error=-1.5)
    assert restore(Uniform(first, second), Moving(latent, inf), quality="fast") is second


@pytest.mark.parametrize(("gain", "taken"), [(None, 0), (4.4, 0), (4.6, 1)])
def test_after_a_refusal_a_doubtful_kernel_has_to_promise_much(restore, latent, refused, gain, taken):
    first = replace(refused, log_error=-1.0)
    second = Estimate(latent, KernelBlur(KERNEL), log_error=-1.5, gain=gain)
    assert restore(Uniform(first, second), Moving(latent, inf), quality="fast") is (first, second)[taken]


@pytest.mark.parametrize(("gain", "again", "taken"), [(3.0, 4.0, 1), (4.0, 3.0, 0), (4.0, 3.5, 1)])
def test_of_two_accepted_restorations_the_one_that_clearly_promises_more_is_taken(restore, latent, gain, again, taken):
    """Of two that promise about the same, the one with the surer kernel."""
    first, second = (
        Estimate(latent, KernelBlur(KERNEL), log_error=error, gain=each)
        for each, error in ((gain, -1.0), (again, -1.2))
    )
    assert restore(Uniform(first, second), Moving(latent, inf), quality="fast") is (first, second)[taken]


def test_a_second_search_must_explain_the_photograph(restore, latent, refused):
    wrong = Estimate(np.ascontiguousarray(latent[:, ::-1]), KernelBlur(KERNEL), log_error=-3.0)
    first = replace(refused, log_error=-1.0)
    assert restore(Uniform(first, wrong), Moving(latent, inf), quality="fast") is first


@pytest.mark.parametrize(
    ("log_error", "lit", "taken"),
    [(-2.1, True, True), (-1.9, True, False), (-2.1, False, False)],
    ids=["certain", "not certain", "no lights"],
)
def test_beside_lights_a_second_kernel_that_is_certain_may_leave_a_misfit(
    restore, observed, latent, refused, log_error, lit, taken
):
    photograph = observed.copy()
    if lit:
        photograph[:, 40:60, 40:60] = 1
    wrong = Estimate(np.ascontiguousarray(latent[:, ::-1]), KernelBlur(KERNEL), log_error=log_error)
    first = replace(refused, log_error=-1.0)
    found = restore(Uniform(first, wrong), Moving(latent, inf), quality="fast", photograph=photograph)
    assert found is (wrong if taken else first)


@pytest.mark.parametrize("explains", [True, False])
def test_a_doubtful_kernel_that_leaves_a_misfit_gives_way_to_one_that_explains_it(restore, latent, explains):
    """Where no motion explains the photograph either."""
    wrong = Estimate(np.ascontiguousarray(latent[:, ::-1]), KernelBlur(KERNEL), log_error=-1.0)
    second = Estimate(latent if explains else wrong.latent, KernelBlur(KERNEL), log_error=-2.5)
    uniform = Uniform(wrong, second)
    assert restore(uniform, Moving(latent, inf), quality="fast") is (second if explains else wrong)
    assert uniform.asked == ["first", "second"]


@pytest.mark.parametrize("options", [{"nonblind": "epll"}, {"neural": False}])
def test_without_motions_both_searches_are_left_to_one_kernel(restore, latent, refused, options):
    uniform = Uniform(refused)
    assert restore(uniform, Moving(latent), **options) is refused
    assert uniform.asked == ["both"]


def test_what_is_flat_has_no_motion(restore, latent, refused):
    moving = Moving(latent)
    flat = replace(refused, reason=Reason.FLAT)
    assert restore(flat, moving) is flat
    assert moving.asked == 0


def test_a_sharp_photograph_comes_back_at_once():
    sharp = astronaut()[10:260, 90:350]
    result = runtime.Deblurrer(model="auto", device="cpu").restore(sharp)
    assert result.code == "not-blurred"
    assert "motion" not in result.timings
    np.testing.assert_array_equal(result.image, sharp)


def test_a_turn_of_the_camera_is_undone():
    """Motion in circles around the middle: no single kernel explains it."""
    sharp = (astronaut()[:300, 60:380] / 255).astype(np.float32)
    rows, cols = np.mgrid[-150:150, -160:160].astype(np.float32)
    field = np.stack([0.09 * np.hypot(rows, cols), np.rad2deg(np.arctan2(cols, rows)) % 180], axis=-1)
    blurred = MotionBlur(field.astype(np.float32)).apply(np.ascontiguousarray(sharp.transpose(2, 0, 1)))
    noisy = blurred.transpose(1, 2, 0) + np.random.default_rng(0).normal(0, 0.005, sharp.shape)
    observed = np.clip(noisy, 0, 1).astype(np.float32)
    result = runtime.Deblurrer(model="auto", device="cpu").restore(observed, quality="fast")
    assert result.reason is None
    assert result.motion is not None

    def error(image):
        return np.square(image - sharp)[30:-30, 30:-30].mean()

    assert error(result.image) < 0.8 * error(observed)
