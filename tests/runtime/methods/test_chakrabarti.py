import numpy as np
import pytest
from scipy.signal import fftconvolve
from skimage.data import astronaut

from bench.data.photographs import shake_kernel
from runtime.colour import luminance
from runtime.contract import Estimate
from runtime.decisions.reasons import Reason
from runtime.errors import InvalidImage, InvalidModel
from runtime.estimation.kernel.blind import BlindEstimate
from runtime.inference.devices import CPU
from runtime.methods import blind, uniform
from runtime.methods import chakrabarti as module
from runtime.methods.registry import create_method
from runtime.options import Options
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

    monkeypatch.setattr(blind, "estimate_blind", estimate_blind)
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
    kernel = shake_kernel(13).astype(np.float32)
    estimate = BlindEstimate(kernel, 1.0, 1.0, log_error=log_error, sparsity_gain=0.5, best=kernel)

    def finish(planes, candidate, run, guide):
        made.append(run.known)
        reason = None if len(made) > 1 else Reason.NOT_UNIFORM
        return Estimate(planes + 0.1, candidate.blur, reason=reason, gain=gain, log_error=log_error)

    monkeypatch.setattr(blind, "estimate_blind", lambda *arguments, **options: estimate)
    monkeypatch.setattr(uniform, "finish", finish)
    monkeypatch.setattr(module, "find_outliers", lambda *arguments: foreign)
    result = method.restore(observed, Run(Options(quality="fast", response="linear")))
    assert (result.reason is None) == taken
    np.testing.assert_array_equal(made[1], ~foreign)
