import numpy as np
import pytest
from skimage.data import astronaut

from bench.data.camera import light
from bench.data.photographs import shake_kernel
from runtime.colour import luminance
from runtime.contract import Estimate
from runtime.decisions.reasons import Reason
from runtime.estimation.kernel.blind import BlindEstimate
from runtime.methods import blind, ways
from runtime.metrics import align, psnr
from runtime.options import Options
from runtime.response import LINEAR, SRGB
from runtime.run import Run

STRAIGHT, MAYBE_BENT, BENT = -4.0, -2.0, 0.0
"""Evidence for bent values."""


def restored(observed, **options):
    run = Run(Options(quality="fast", **options))
    return blind.BlindRestoration(observed, luminance(observed), None, 31, run).restore()


def accuracy(planes, sharp):
    shown, reference = luminance(planes.clip(0, 1)), luminance(sharp)
    return psnr(align(shown, reference, border=25), reference, border=25)


@pytest.fixture(scope="module")
def as_light():
    """A photograph that was blurred as light, and its sharp image, (3, H, W)."""
    sharp = astronaut()[20:300, 60:380].astype(np.float32) / np.float32(255)
    return [np.ascontiguousarray(np.moveaxis(each, -1, 0)) for each in light(sharp, shake_kernel(13), (0,))]


def estimated(log_error, sparsity, reason=None, lit=False):
    kernel = shake_kernel(13).astype(np.float32)
    return BlindEstimate(kernel, 1.0, 1.0, reason, log_error, sparsity, lit=lit, best=kernel)


def test_light_is_restored_as_light(as_light):
    bent, sharp = as_light
    automatic, straight = (restored(bent, response=response) for response in ("auto", "linear"))
    assert (automatic.response, straight.response) == (SRGB, LINEAR)
    assert automatic.reason is None
    assert accuracy(automatic.latent, sharp) > accuracy(straight.latent, sharp) + 2.2


def test_where_the_kernel_is_refused_another_one_has_to_tell_that_values_are_bent(as_light, monkeypatch):
    asked = []

    def estimate(guide, run, **options):
        asked.append((run.response, not options["starts"]))
        kernel = np.ones((1, 1), np.float32)
        reason = None if run.response == SRGB else Reason.NOT_UNIFORM
        return BlindEstimate(kernel, confidence=1.0, agreement=1.0, reason=reason, best=kernel)

    monkeypatch.setattr(blind, "estimate_blind", lambda guide, run, starts=(), **o: estimate(guide, run, starts=starts))
    monkeypatch.setattr(blind, "evidence_of_bend", lambda *arguments: STRAIGHT)
    found = restored(as_light[0])
    assert asked == [(LINEAR, True), (SRGB, True)]
    assert found.reason is Reason.NOT_UNIFORM
    assert found.response == LINEAR
    np.testing.assert_array_equal(found.latent, as_light[0])


@pytest.mark.parametrize(
    ("gains", "accepted"),
    [
        ((4.0, 5.0, 3.0), 1),
        ((4.0, 3.0, 5.0), 2),
        ((6.0, 5.0, 4.0), 0),
        ((4.0, 5.0, 5.5), 1),
        ((None, 5.0, 6.0), 2),
        ((None, None, None), None),
    ],
)
def test_where_lights_are_clipped_the_most_promising_restoration_is_taken(as_light, monkeypatch, gains, accepted):
    """Of light with the kernel found in it, with that found in the values, and values, which have to promise more."""
    tried = []

    def estimate(guide, run, **options):
        return estimated(-2.0, 0.5, lit=True)

    def restore(observed, guide, found, run, response):
        gain = gains[len(tried)]
        tried.append(run.response)
        latent = np.full_like(observed, 0.1 * len(tried))
        return Estimate(latent, None, gain=gain, reason=Reason.NO_GAIN if gain is None else None, response=response)

    monkeypatch.setattr(blind, "estimate_blind", estimate)
    monkeypatch.setattr(ways, "restore_with", restore)
    monkeypatch.setattr(blind, "evidence_of_bend", lambda *arguments: STRAIGHT)
    found = restored(as_light[0])
    assert tried == [SRGB, SRGB, LINEAR]
    if accepted is None:
        assert found.reason is Reason.NO_GAIN
    else:
        assert found.reason is None
        assert found.gain == gains[accepted]
        assert found.response == tried[accepted]


@pytest.mark.parametrize(
    ("stored", "light_error", "gain", "both"),
    [(-2.0, -2.1, 5.0, False), (-1.0, -2.1, 5.0, True), (-2.0, -1.7, 5.0, True), (-2.0, -2.1, 3.0, True)],
    ids=["certain", "the kernel of the values is doubtful", "that of the light is", "light promises little"],
)
@pytest.mark.parametrize("more", [0.5, 1.0])
def test_where_there_are_doubts_the_stored_values_are_restored_too(
    as_light, monkeypatch, stored, light_error, gain, both, more
):
    """And taken if they clearly promise more."""
    tried = []

    def estimate(guide, run, **options):
        measured = (stored, 0.6) if run.response == LINEAR else (light_error, 0.5)
        return estimated(*measured)

    def restore(observed, guide, found, run, response):
        tried.append(run.response)
        promised = gain if run.response == SRGB else gain + more
        return Estimate(observed, None, gain=promised, log_error=found.log_error, response=response)

    monkeypatch.setattr(blind, "estimate_blind", estimate)
    monkeypatch.setattr(ways, "restore_with", restore)
    monkeypatch.setattr(blind, "evidence_of_bend", lambda *arguments: BENT)
    found = restored(as_light[0])
    polished_and_not = [SRGB] * (1 + (light_error > stored and light_error > -1.8))
    assert tried == ([*polished_and_not, LINEAR] if both else polished_and_not)
    assert found.response == (LINEAR if both and more > 0.6 else SRGB)


@pytest.mark.parametrize(
    ("light_error", "more", "taken"),
    [
        (-2.4, 0.7, "polished"),
        (-2.1, 0.7, "polished"),
        (-1.5, 0.5, "polished"),
        (-1.5, 0.7, "as found"),
        (-1.5, None, "stored"),
    ],
)
def test_a_kernel_that_polishing_on_light_makes_worse_is_also_used_as_it_was(
    as_light, monkeypatch, light_error, more, taken
):
    """And taken if it clearly promises more; unless the other one is refused."""

    def estimate(guide, run, **options):
        measured = (-2.3, 0.6) if run.response == LINEAR else (light_error, 0.5)
        return estimated(*measured)

    def restore(observed, guide, found, run, response):
        as_found = run.response == SRGB and found.log_error == -2.3
        latent = np.full_like(observed, 0.5 if as_found else 0.1)
        refused = more is None and run.response == SRGB and not as_found
        gain = 5.0 + (more or 1.0) * as_found
        reason = Reason.NO_GAIN if refused else None
        return Estimate(latent, None, gain=gain, log_error=found.log_error, reason=reason, response=response)

    monkeypatch.setattr(blind, "estimate_blind", estimate)
    monkeypatch.setattr(ways, "restore_with", restore)
    monkeypatch.setattr(blind, "evidence_of_bend", lambda *arguments: BENT)
    found = restored(as_light[0])
    if taken == "stored":
        assert found.response == LINEAR
    else:
        assert found.response == SRGB
        np.testing.assert_array_equal(found.latent, np.float32(0.5 if taken == "as found" else 0.1))


def test_a_kernel_that_light_refuses_is_not_used_for_it_as_it_was(as_light, monkeypatch):
    tried = []

    def estimate(guide, run, **options):
        return estimated(-2.3, 0.6) if run.response == LINEAR else estimated(-0.3, 0.5, reason=Reason.UNCLEAR)

    def restore(observed, guide, found, run, response):
        tried.append(run.response)
        return Estimate(observed, None, gain=5.0, log_error=found.log_error, response=response)

    monkeypatch.setattr(blind, "estimate_blind", estimate)
    monkeypatch.setattr(ways, "restore_with", restore)
    monkeypatch.setattr(blind, "evidence_of_bend", lambda *arguments: BENT)
    assert restored(as_light[0]).response == LINEAR
    assert tried == [LINEAR]


@pytest.mark.parametrize(
    ("log_error", "sparsity", "response"),
    [(-1.7, 0.6, LINEAR), (-1.9, 0.6, SRGB), (-1.7, 0.501, SRGB), (-2.1, 0.6, SRGB), (-1.7, 0.4, SRGB)],
)
def test_light_that_nothing_but_the_overshoot_speaks_for_is_none(as_light, monkeypatch, log_error, sparsity, response):
    def estimate(guide, run, **options):
        measured = (-2.0, 0.5) if run.response == LINEAR else (log_error, sparsity)
        return estimated(*measured)

    monkeypatch.setattr(blind, "estimate_blind", estimate)
    monkeypatch.setattr(blind, "evidence_of_bend", lambda *arguments: BENT)
    assert restored(as_light[0]).response == response


@pytest.mark.parametrize(("more", "response"), [(0.5, LINEAR), (0.7, SRGB), (None, LINEAR)])
def test_values_that_a_kernel_explains_unevenly_are_tried_as_light(as_light, monkeypatch, more, response):
    """And taken for light that is restored and promises clearly more, though no overshoot speaks for it."""

    def restore(observed, guide, found, run, response):
        refused, gain = (response == LINEAR or more is None), (5.0 if response == LINEAR else 5.0 + (more or 1.0))
        reason = Reason.NOT_UNIFORM if refused else None
        return Estimate(observed, None, gain=gain, log_error=-2.1, reason=reason, response=response)

    monkeypatch.setattr(blind, "estimate_blind", lambda *arguments, **options: estimated(-2.1, 0.5))
    monkeypatch.setattr(ways, "restore_with", restore)
    monkeypatch.setattr(blind, "evidence_of_bend", lambda *arguments: STRAIGHT)
    assert restored(as_light[0]).response == response


@pytest.mark.parametrize(
    ("evidence", "log_error", "response"),
    [
        (MAYBE_BENT, -1.9, SRGB),
        (MAYBE_BENT, -1.7, LINEAR),
        (BENT, -1.7, SRGB),
        (STRAIGHT, -2.3, LINEAR),
    ],
)
def test_where_little_speaks_for_bent_values_the_kernel_has_to_be_as_sure_in_light(
    as_light, monkeypatch, evidence, log_error, response
):
    def estimate(guide, run, **options):
        return estimated(-2.0 if run.response == LINEAR else log_error, 0.5)

    def restore(observed, guide, found, run, response):
        return Estimate(observed, None, gain=5.0, log_error=found.log_error, response=response)

    monkeypatch.setattr(blind, "estimate_blind", estimate)
    monkeypatch.setattr(ways, "restore_with", restore)
    monkeypatch.setattr(blind, "evidence_of_bend", lambda *arguments: evidence)
    assert restored(as_light[0]).response == response
