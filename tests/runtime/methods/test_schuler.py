from itertools import product

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, shift
from scipy.signal import fftconvolve
from skimage.data import astronaut

import runtime
from bench.data.drawings import text, white_noise
from runtime.blur.kernel import align, centre, fit, similarity
from runtime.decisions.reasons import Reason
from runtime.errors import InvalidArgument, InvalidImage
from runtime.estimation.kernel.blind import BlindEstimate
from runtime.estimation.quotients import KernelNetwork, KernelNetworks
from runtime.inference.devices import CPU
from runtime.methods import uniform
from runtime.options import CONTENTS
from tests.support.models import write_kernel_bundle

MARGIN = 12


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_kernel_bundle(tmp_path_factory.mktemp("models") / "gradients", supports=(7, 17), trained=(2, 2))


@pytest.fixture(scope="module")
def deblurrer(bundle):
    return runtime.Deblurrer(model=bundle, device="cpu")


@pytest.fixture(scope="module")
def kernel():
    drawn = np.zeros((17, 17))
    for row, col in zip(np.linspace(4, 12, 40), np.linspace(3, 13, 40), strict=True):
        drawn[round(row), round(col)] += 1
    drawn[12, 8:14] += 3
    # An estimated kernel lies with its centre of mass in the middle.
    return centre(drawn / drawn.sum()).astype(np.float32)


@pytest.fixture(scope="module")
def sharp():
    return (astronaut()[20:244, 100:340] / 255).astype(np.float32)


@pytest.fixture(scope="module")
def observed(sharp, kernel):
    blurred = np.stack([fftconvolve(sharp[..., channel], kernel, "same") for channel in range(3)], axis=-1)
    noisy = blurred + np.random.default_rng(0).normal(0, 0.005, blurred.shape)
    return noisy[MARGIN:-MARGIN, MARGIN:-MARGIN].clip(0, 1).astype(np.float32)


def error(image, sharp):
    """Mean squared error without the border at the best shift of up to a pixel, which is not determined."""
    shifts = product((-1, -0.5, 0, 0.5, 1), repeat=2)
    moved = (shift(sharp, (*each, 0), order=1)[MARGIN:-MARGIN, MARGIN:-MARGIN] for each in shifts)
    return min(np.square(image - each)[30:-30, 30:-30].mean() for each in moved)


def test_a_kernel_that_is_nearly_right_is_polished_and_undone(deblurrer, observed, sharp, kernel, monkeypatch):
    near = gaussian_filter(kernel, 1)
    monkeypatch.setattr(KernelNetwork, "estimate", lambda self, luminance, **options: near / near.sum())
    monkeypatch.setattr(KernelNetwork, "estimate_wide", lambda self, luminance, **options: None)
    result = deblurrer.restore(observed, quality="fast")
    assert result.reason is None
    assert error(result.image, sharp) < 0.3 * error(observed, sharp)
    found = fit(result.kernel.astype(float), 31)
    assert similarity(align(found, fit(kernel, 31)), fit(kernel, 31)) > 0.85
    assert list(result.timings) == ["prepare", "kernel network", "kernel estimate", "non-blind", "repair"]


def test_both_kernels_of_the_network_are_tried(deblurrer, observed, kernel, monkeypatch):
    asked = []

    def estimate(guide, run, *, support, starts):
        asked.append((support, [len(start) for start in starts]))
        return BlindEstimate(kernel, 0.0, 1.0, Reason.NOT_BLURRED)

    monkeypatch.setattr(uniform, "estimate_blind", estimate)
    assert deblurrer.restore(observed, quality="fast").code == Reason.NOT_BLURRED.code
    deblurrer.restore(observed, quality="fast", support=21)
    assert asked == [(85, [17, 35]), (21, [17])]


def test_without_refining_the_kernel_is_that_of_the_network(deblurrer, observed, sharp, kernel, monkeypatch):
    monkeypatch.setattr(KernelNetwork, "estimate", lambda self, luminance, **options: kernel)
    result = deblurrer.restore(observed, quality="fast", refine=False)
    np.testing.assert_array_equal(result.kernel, kernel)
    assert error(result.image, sharp) < 0.3 * error(observed, sharp)


def test_a_kernel_that_is_wrong_does_no_harm(deblurrer, observed, sharp):
    # Gradients of what is blurred are no features of what is sharp: the network finds next to no blur.
    result = deblurrer.restore(observed, quality="fast")
    assert error(result.image, sharp) <= error(observed, sharp)


def test_what_shows_nothing_is_unchanged(deblurrer):
    grey = np.full((80, 90), 0.5, np.float32)
    result = deblurrer.restore(grey, quality="fast")
    assert result.code == Reason.FLAT.code
    np.testing.assert_array_equal(result.image, grey)


def test_support_chooses_the_scale(deblurrer, observed):
    assert deblurrer.restore(observed, quality="fast", support=7, refine=False).kernel.shape == (7, 7)


def test_a_photograph_smaller_than_the_smallest_kernels_is_refused(deblurrer):
    with pytest.raises(InvalidImage, match="this model needs 16 pixels or more"):
        deblurrer.restore(np.ones((15, 40), np.float32))


@pytest.mark.parametrize("options", [{"stride": 3}, {"neural": False}])
def test_options_that_mean_nothing_here_are_refused(deblurrer, observed, options):
    with pytest.raises(InvalidArgument, match="is no option of gradients"):
        deblurrer.restore(observed, **options)


@pytest.mark.parametrize("draw", [white_noise, text])
def test_what_is_sharp_or_shows_nothing_is_left_alone_by_the_shipped_network(draw):
    sharp = draw()
    result = runtime.Deblurrer(model="schuler", device="cpu").restore(sharp, quality="fast")
    assert result.reason is not None
    np.testing.assert_array_equal(result.image, sharp)


def test_a_content_is_asked_for_by_name(deblurrer, observed):
    with pytest.raises(InvalidArgument, match="portrait"):
        deblurrer.restore(observed, content="portrait")
    with pytest.raises(InvalidArgument, match="content='text': gradients is for 'any'"):
        deblurrer.restore(observed, content="text")
    with pytest.raises(InvalidArgument, match="content='text' is no option of auto"):
        runtime.deblur(observed, content="text", device="cpu")


@pytest.mark.parametrize("content", CONTENTS)
def test_the_shipped_model_has_a_network_for_every_content(content):
    networks = KernelNetworks(runtime.load_model("schuler"), device=CPU)
    assert networks.choose(content, 0.01).assumes.content == content
    assert networks.choose("any", 0.05).assumes.noise[0] > networks.choose("any", 0.01).assumes.noise[1]
