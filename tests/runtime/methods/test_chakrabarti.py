import numpy as np
import pytest
from scipy.signal import fftconvolve
from skimage.data import astronaut

from bench.data.camera import light
from bench.data.photographs import shake_kernel
from runtime.colour import luminance
from runtime.contract import Estimate
from runtime.decisions.reasons import Reason
from runtime.errors import InvalidImage, InvalidModel
from runtime.estimation.kernel.blind import BlindEstimate
from runtime.inference.devices import CPU
from runtime.methods import chakrabarti as module
from runtime.methods import uniform, ways
from runtime.methods.registry import create_method
from runtime.options import Options
from runtime.response import LINEAR, SRGB
from runtime.restoration import finish
from runtime.run import Run
from tests.support.models import write_patch_bundle

PATCH, NOISE = 65, 0.005


@pytest.fixture(scope="module")
def kernel():
    steps = np.linspace(0, 1, 200)
    drawn = np.zeros((11, 11))
    np.add.at(drawn, (np.rint(5 + 4 * np.sin(3 * steps)).astype(int), np.rint(1 + 8 * steps).astype(int)), 1)
    rows, cols = (np.arange(11) @ drawn.sum(axis) / drawn.sum() for axis in (1, 0))
    return np.roll(drawn, (round(5 - rows), round(5 - cols)), (0, 1)) / drawn.sum()


@pytest.fixture(scope="module")
def scene():
    return astronaut()[15:245, 95:345].transpose(2, 0, 1) / 255


@pytest.fixture(scope="module")
def latent(scene):
    return scene[:, 5:-5, 5:-5]


@pytest.fixture(scope="module")
def observed(scene, kernel):
    blurred = np.stack([fftconvolve(plane, kernel, "valid") for plane in scene])
    return (blurred + np.random.default_rng(5).normal(0, NOISE, blurred.shape)).astype(np.float32)


@pytest.fixture(scope="module")
def method(kernel, tmp_path_factory):
    """A method whose network always predicts the Wiener filter of one kernel (Eq. 4)."""
    padded = np.zeros((PATCH, PATCH))
    padded[: kernel.shape[0], : kernel.shape[1]] = kernel
    response = np.fft.rfft2(np.roll(padded, (-5, -5), (0, 1)))
    wiener = response.conj() / (abs(response) ** 2 + 1e-2)
    folder = tmp_path_factory.mktemp("models") / "wiener"
    bundle = write_patch_bundle(folder, "filters", size=PATCH, core=33, stride=11, spectrum=wiener / wiener[0, 0].real)
    return create_method(bundle, device=CPU, precision="auto", batch=None)


def error(image, latent):
    """Mean squared error without the border at the best small shift, which blind deconvolution does not determine."""
    shifts = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    inner = (..., slice(25, -25), slice(25, -25))
    return min(float(np.mean((np.roll(image, shift, (-2, -1)) - latent)[inner] ** 2)) for shift in shifts)


@pytest.mark.parametrize(("refine", "support", "alike", "left"), [(False, 51, 0.95, 0.25), (True, 85, 0.75, 0.5)])
def test_a_network_that_knows_the_blur_leads_to_kernel_and_picture(
    method, observed, latent, kernel, refine, support, alike, left
):
    estimate = method.restore(observed, Run(Options(quality="fast", refine=refine)))
    assert estimate.blur.kernel.shape == (support, support)
    likeness = fftconvolve(estimate.blur.kernel, kernel[::-1, ::-1]).max()
    assert likeness / np.linalg.norm(estimate.blur.kernel) / np.linalg.norm(kernel) > alike
    assert error(estimate.initial, luminance(latent.astype(np.float32))) < 0.5 * error(observed, latent)
    assert error(estimate.latent, latent) < left * error(observed, latent)
    assert (estimate.confidence is None) == (not refine)


@pytest.mark.parametrize("upright", [False, True])
def test_a_long_strip_is_restored(method, scene, kernel, upright):
    """A window of its proportions, of as many pixels as the search takes, would be 16 pixels wide."""
    tiled = np.tile(luminance(scene.astype(np.float32))[100:175], (1, 28))
    blurred = fftconvolve(tiled, kernel, "valid")
    blurred += np.random.default_rng(5).normal(0, NOISE, blurred.shape)
    sharp, strip = (np.ascontiguousarray(each.T if upright else each) for each in (tiled[5:-5, 5:-5], blurred))
    estimate = method.restore(strip.astype(np.float32)[None], Run(Options(quality="fast")))
    assert estimate.reason is None
    assert error(estimate.latent, sharp) < 0.6 * error(strip, sharp)


def test_without_the_network_the_kernel_is_found_by_refinement_alone(method, observed, latent, monkeypatch):
    monkeypatch.setattr(method._engine, "restore", None)
    estimate = method.restore(observed, Run(Options(quality="fast", neural=False)))
    assert estimate.initial is None
    assert error(estimate.latent, latent) < 0.5 * error(observed, latent)


@pytest.mark.parametrize(
    ("quality", "nonblind", "asked"), [("fast", None, None), ("best", None, None), ("best", "wiener", "wiener")]
)
def test_the_quality_level_reaches_every_part(method, observed, monkeypatch, quality, nonblind, asked):
    told = []

    def estimate_blind(guide, run, **options):
        told.append(run.options.quality)
        return BlindEstimate(np.ones((1, 1), np.float32), confidence=1.0, agreement=1.0)

    def deconvolve(planes, blur, run, **options):
        told.append((run.options.nonblind, run.options.quality))
        return planes

    monkeypatch.setattr(module, "estimate_blind", estimate_blind)
    monkeypatch.setattr(finish, "deconvolve", deconvolve)
    method.restore(observed, Run(Options(quality=quality, nonblind=nonblind)))
    assert told == [quality, (asked, quality)]


def test_at_fast_the_first_estimate_takes_patches_further_apart(method, observed, monkeypatch):
    strides = []

    def restore(planes, *, stride, **options):
        strides.append(stride)
        return planes

    monkeypatch.setattr(method._engine, "restore", restore)
    for quality in ("fast", "balanced"):
        method.first_estimate(observed[0], Run(Options(quality=quality)))
    method.first_estimate(observed[0], Run(Options(quality="fast", stride=3)))
    assert strides == [22, None, 3]


def test_a_first_estimate_is_made_within_the_windows_that_are_asked_for():
    guide = np.arange(200, dtype=np.float32).reshape(10, 20)
    seen = []

    def estimate(plane):
        seen.append(plane.shape)
        return plane + 1

    first = module.FirstEstimates(estimate, guide, whole=False, narrowest=4)
    for _ in range(2):
        np.testing.assert_array_equal(first(np.s_[2:8, 3:9]), guide[2:8, 3:9] + 1)
    assert (seen, first.whole) == ([(6, 6)], None)
    np.testing.assert_array_equal(first(np.s_[2:5, 3:9]), guide[2:5, 3:9] + 1)
    np.testing.assert_array_equal(first(np.s_[1:9, 1:9]), guide[1:9, 1:9] + 1)
    assert seen == [(6, 6), (10, 20)]


def test_filters_and_kernel_from_the_luminance_serve_every_channel(method, observed):
    colour = method.restore(observed, Run(Options(nonblind="none"))).latent
    for channel, restored in zip(observed, colour, strict=True):
        alone = method.restore(channel[None], Run(Options(nonblind="none"))).latent[0]
        np.testing.assert_allclose(restored, alone, atol=1e-6)


def test_the_support_shrinks_on_a_small_image_unless_asked_for(method, observed):
    small = np.ascontiguousarray(observed[:1, :70, :90])
    assert method.restore(small, Run(Options(refine=False))).blur.kernel.shape == (35, 35)
    assert method.restore(small, Run(Options(support=21, refine=False))).blur.kernel.shape == (21, 21)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 3, 5000), (3, 64, 64)])
def test_too_little_to_tell_a_blur_from_is_refused(method, shape):
    with pytest.raises(InvalidImage, match="65 pixels or more on each side"):
        method.restore(np.zeros(shape, np.float32), Run(Options()))


def test_a_bundle_without_patches_is_refused(tmp_path):
    bundle = write_patch_bundle(tmp_path / "none", "filters", patch=None)
    with pytest.raises(InvalidModel, match="no patch geometry"):
        create_method(bundle, device=CPU, precision="auto", batch=None)


@pytest.fixture(scope="module")
def as_light():
    """A photograph that was blurred as light, and its sharp image, (3, H, W)."""
    sharp = astronaut()[20:300, 60:380].astype(np.float32) / np.float32(255)
    return [np.ascontiguousarray(np.moveaxis(each, -1, 0)) for each in light(sharp, shake_kernel(13), (0,))]


def blind(log_error, sparsity, reason=None, lit=False):
    kernel = shake_kernel(13).astype(np.float32)
    return BlindEstimate(kernel, 1.0, 1.0, reason, log_error, sparsity, lit=lit, best=kernel)


def test_light_is_restored_as_light(method, as_light):
    bent, sharp = as_light
    automatic, straight = (
        method.restore(bent, Run(Options(quality="fast", response=response))) for response in ("auto", "linear")
    )
    assert (automatic.response, straight.response) == (SRGB, LINEAR)
    assert automatic.reason is None
    assert error(automatic.latent.clip(0, 1), sharp) < 0.6 * error(straight.latent.clip(0, 1), sharp)


def test_where_the_kernel_is_refused_another_one_has_to_tell_that_values_are_bent(method, as_light, monkeypatch):
    asked = []

    def estimate(guide, run, **options):
        asked.append((run.response, not options["starts"]))
        kernel = np.ones((1, 1), np.float32)
        reason = None if run.response == SRGB else Reason.NOT_UNIFORM
        return BlindEstimate(kernel, confidence=1.0, agreement=1.0, reason=reason, best=kernel)

    monkeypatch.setattr(
        module, "estimate_blind", lambda guide, run, starts=(), **o: estimate(guide, run, starts=starts)
    )
    monkeypatch.setattr(module, "choose_response", lambda guide, run, kernel, evidence=0.0: LINEAR)
    monkeypatch.setattr(module, "find_outliers", lambda *arguments: None)
    found = method.restore(as_light[0], Run(Options(quality="fast")))
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
def test_where_lights_are_clipped_the_most_promising_restoration_is_taken(
    method, as_light, monkeypatch, gains, accepted
):
    """Of light with the kernel found in it, with that found in the values, and values, which have to promise more."""
    tried = []

    def estimate(guide, run, **options):
        return blind(-2.0, 0.5, lit=True)

    def restore(observed, guide, found, run, response):
        gain = gains[len(tried)]
        tried.append(run.response)
        latent = np.full_like(observed, 0.1 * len(tried))
        return Estimate(latent, None, gain=gain, reason=Reason.NO_GAIN if gain is None else None, response=response)

    monkeypatch.setattr(module, "estimate_blind", estimate)
    monkeypatch.setattr(ways, "restore_with", restore)
    monkeypatch.setattr(module, "choose_response", lambda guide, run, kernel, evidence=0.0: LINEAR)
    monkeypatch.setattr(module, "find_outliers", lambda *arguments: None)
    found = method.restore(as_light[0], Run(Options(quality="fast")))
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
    method, as_light, monkeypatch, stored, light_error, gain, both, more
):
    """And taken if they clearly promise more."""
    tried = []

    def estimate(guide, run, **options):
        measured = (stored, 0.6) if run.response == LINEAR else (light_error, 0.5)
        return blind(*measured)

    def restore(observed, guide, found, run, response):
        tried.append(run.response)
        promised = gain if run.response == SRGB else gain + more
        return Estimate(observed, None, gain=promised, log_error=found.log_error, response=response)

    monkeypatch.setattr(module, "estimate_blind", estimate)
    monkeypatch.setattr(ways, "restore_with", restore)
    monkeypatch.setattr(module, "choose_response", lambda guide, run, kernel, evidence=0.0: SRGB)
    found = method.restore(as_light[0], Run(Options(quality="fast")))
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
    method, as_light, monkeypatch, light_error, more, taken
):
    """And taken if it clearly promises more; unless the other one is refused."""

    def estimate(guide, run, **options):
        measured = (-2.3, 0.6) if run.response == LINEAR else (light_error, 0.5)
        return blind(*measured)

    def restore(observed, guide, found, run, response):
        as_found = run.response == SRGB and found.log_error == -2.3
        latent = np.full_like(observed, 0.5 if as_found else 0.1)
        refused = more is None and run.response == SRGB and not as_found
        gain = 5.0 + (more or 1.0) * as_found
        reason = Reason.NO_GAIN if refused else None
        return Estimate(latent, None, gain=gain, log_error=found.log_error, reason=reason, response=response)

    monkeypatch.setattr(module, "estimate_blind", estimate)
    monkeypatch.setattr(ways, "restore_with", restore)
    monkeypatch.setattr(module, "choose_response", lambda guide, run, kernel, evidence=0.0: SRGB)
    found = method.restore(as_light[0], Run(Options(quality="fast")))
    if taken == "stored":
        assert found.response == LINEAR
    else:
        assert found.response == SRGB
        np.testing.assert_array_equal(found.latent, np.float32(0.5 if taken == "as found" else 0.1))


def test_a_kernel_that_light_refuses_is_not_used_for_it_as_it_was(method, as_light, monkeypatch):
    tried = []

    def estimate(guide, run, **options):
        return blind(-2.3, 0.6) if run.response == LINEAR else blind(-0.3, 0.5, reason=Reason.UNCLEAR)

    def restore(observed, guide, found, run, response):
        tried.append(run.response)
        return Estimate(observed, None, gain=5.0, log_error=found.log_error, response=response)

    monkeypatch.setattr(module, "estimate_blind", estimate)
    monkeypatch.setattr(ways, "restore_with", restore)
    monkeypatch.setattr(module, "choose_response", lambda guide, run, kernel, evidence=0.0: SRGB)
    assert method.restore(as_light[0], Run(Options(quality="fast"))).response == LINEAR
    assert tried == [LINEAR]


@pytest.mark.parametrize(
    ("log_error", "sparsity", "response"),
    [(-1.7, 0.6, LINEAR), (-1.9, 0.6, SRGB), (-1.7, 0.501, SRGB), (-2.1, 0.6, SRGB), (-1.7, 0.4, SRGB)],
)
def test_light_that_nothing_but_the_overshoot_speaks_for_is_none(
    method, as_light, monkeypatch, log_error, sparsity, response
):
    def estimate(guide, run, **options):
        measured = (-2.0, 0.5) if run.response == LINEAR else (log_error, sparsity)
        return blind(*measured)

    monkeypatch.setattr(module, "estimate_blind", estimate)
    monkeypatch.setattr(module, "choose_response", lambda guide, run, kernel, evidence=0.0: SRGB)
    assert method.restore(as_light[0], Run(Options(quality="fast"))).response == response


@pytest.mark.parametrize(("more", "response"), [(0.5, LINEAR), (0.7, SRGB), (None, LINEAR)])
def test_values_that_a_kernel_explains_unevenly_are_tried_as_light(method, as_light, monkeypatch, more, response):
    """And taken for light that is restored and promises clearly more, though no overshoot speaks for it."""

    def restore(observed, guide, found, run, response):
        refused, gain = (response == LINEAR or more is None), (5.0 if response == LINEAR else 5.0 + (more or 1.0))
        reason = Reason.NOT_UNIFORM if refused else None
        return Estimate(observed, None, gain=gain, log_error=-2.1, reason=reason, response=response)

    monkeypatch.setattr(module, "estimate_blind", lambda *arguments, **options: blind(-2.1, 0.5))
    monkeypatch.setattr(ways, "restore_with", restore)
    monkeypatch.setattr(module, "choose_response", lambda guide, run, kernel, evidence=0.0: LINEAR)
    monkeypatch.setattr(module, "find_outliers", lambda *arguments: None)
    assert method.restore(as_light[0], Run(Options(quality="fast"))).response == response


@pytest.mark.parametrize(
    ("gain", "log_error", "taken"), [(None, -1.5, True), (4.0, -1.5, False), (4.0, -2.0, True)],
    ids=["refused as a kernel", "refused as a restoration", "certain"],
)  # fmt: skip
def test_without_a_few_parts_a_refused_restoration_is_taken_back_for_a_certain_kernel(
    method, observed, monkeypatch, gain, log_error, taken
):
    """First the whole photograph speaks against the kernel, or its restoration does, and then nothing any more."""
    foreign = np.zeros(observed.shape[1:], bool)
    foreign[20:30, 20:60] = True
    made = []

    def finish(planes, candidate, run, guide):
        made.append(run.known)
        reason = None if len(made) > 1 else Reason.NOT_UNIFORM
        return Estimate(planes + 0.1, candidate.blur, reason=reason, gain=gain, log_error=log_error)

    monkeypatch.setattr(module, "estimate_blind", lambda *arguments, **options: blind(log_error, 0.5))
    monkeypatch.setattr(uniform, "finish", finish)
    monkeypatch.setattr(module, "find_outliers", lambda *arguments: foreign)
    result = method.restore(observed, Run(Options(quality="fast", response="linear")))
    assert (result.reason is None) == taken
    np.testing.assert_array_equal(made[1], ~foreign)
