from functools import partial

import numpy as np
import pytest
from scipy.signal import fftconvolve
from skimage.data import astronaut

import runtime
from bench.data.drawings import flat, noisy, text
from runtime.errors import InvalidArgument, InvalidImage
from runtime.estimation.analysis import KernelAnalysis
from tests.support.pairs import write_classifier_bundle, write_pair_bundle


@pytest.fixture(scope="module")
def deblurrer(tmp_path_factory):
    return runtime.Deblurrer(model=write_pair_bundle(tmp_path_factory.mktemp("models") / "pair"), device="cpu")


@pytest.fixture(scope="module")
def kernel():
    drawn = np.zeros((17, 17), np.float32)
    drawn[8, 3:14] = drawn[5:12, 10] = 1
    return drawn / drawn.sum()


@pytest.fixture(scope="module")
def sharp():
    return (astronaut()[20:244, 100:340] / 255).astype(np.float32)


@pytest.fixture(scope="module")
def observed(sharp, kernel):
    blurred = np.stack([fftconvolve(sharp[..., channel], kernel, "same") for channel in range(3)], axis=-1)
    return (blurred + np.random.default_rng(0).normal(0, 0.005, blurred.shape)).clip(0, 1).astype(np.float32)


def error(image, sharp):
    return np.square(image - sharp)[30:-30, 30:-30].mean()


def test_without_refining_the_kernel_is_that_of_the_network(deblurrer, observed, sharp, kernel, monkeypatch):
    monkeypatch.setattr(KernelAnalysis, "estimate", lambda self, luminance, **options: kernel)
    result = deblurrer.restore(observed, refine=False)
    np.testing.assert_allclose(result.kernel, kernel[3:14, 3:14], rtol=1e-6)
    assert error(result.image, sharp) < 0.3 * error(observed, sharp)
    assert list(result.timings) == ["prepare", "kernel network", "non-blind"]


def test_the_method_of_deconvolution_is_an_option(deblurrer, observed, kernel, monkeypatch):
    monkeypatch.setattr(KernelAnalysis, "estimate", lambda self, luminance, **options: kernel)
    own, other = (deblurrer.restore(observed, refine=False, nonblind=each).image for each in (None, "hyper-laplacian"))
    expected = runtime.deconvolve(observed, kernel, method="hyper-laplacian")
    # It allows for the error of an estimated kernel.
    assert np.abs(other - expected)[30:-30, 30:-30].mean() < 0.01
    assert np.abs(own - other)[30:-30, 30:-30].mean() > 0.01


def test_a_kernel_that_is_wrong_does_no_harm(deblurrer, observed, sharp):
    # The auto-correlation of a photograph is no kernel of blur.
    result = deblurrer.restore(observed, quality="fast")
    assert error(result.image, sharp) <= 1.001 * error(observed, sharp)


@pytest.mark.parametrize("draw", [partial(noisy, flat), text])
def test_what_is_sharp_or_shows_nothing_is_left_alone_by_the_shipped_networks(draw):
    """Noise alone is taken out under any kernel, which is no reason to."""
    sharp = draw()
    result = runtime.Deblurrer(model="kaufman", device="cpu").restore(sharp, quality="fast")
    assert result.reason is not None
    np.testing.assert_array_equal(result.image, sharp)


def test_a_kernel_is_no_larger_than_asked_for(deblurrer, observed, kernel, monkeypatch):
    monkeypatch.setattr(KernelAnalysis, "estimate", lambda self, luminance, **options: kernel)
    assert deblurrer.restore(observed, refine=False, support=9).kernel.shape == (9, 9)


def test_photographs_too_small_are_refused(deblurrer):
    with pytest.raises(InvalidImage, match="pixels or more"):
        deblurrer.restore(np.zeros((1, 40), np.float32))


@pytest.fixture
def classes(tmp_path, monkeypatch):
    """Analysis networks whose class is told by the photograph, in the folder where models are looked for."""
    monkeypatch.setenv("DEBLUR_MODELS", str(tmp_path))
    write_classifier_bundle(tmp_path / "classifier", name="kernel-classifier")
    for threshold, name in ((0.6, "small"), (0.7, "medium"), (0.8, "large")):
        write_pair_bundle(tmp_path / name, threshold, name=f"analysis-{name}")
    return runtime.Deblurrer(model=write_pair_bundle(tmp_path / "pair"), device="cpu")


@pytest.mark.parametrize("refine", [True, False])
def test_with_scale_optimised_networks_the_result_says_the_class(refine, classes, observed):
    general, chosen = (
        classes.restore(observed, quality="fast", refine=refine, variant=variant)
        for variant in ("general", "scale-optimised")
    )
    assert general.kernel_class is None
    assert chosen.kernel_class == "large"
    if not refine:
        assert np.count_nonzero(chosen.kernel) < np.count_nonzero(general.kernel)


@pytest.mark.parametrize("shape", [(41, 57), (64, 33, 3), (200, 31)])
def test_photographs_of_odd_sizes_have_a_class(shape, classes):
    drawn = np.random.default_rng(0).random(shape, np.float32)
    result = classes.restore(drawn, quality="fast", variant="scale-optimised")
    assert result.image.shape == shape
    assert result.kernel_class in ("small", "medium", "large")


def test_photographs_too_small_for_a_class_are_refused(classes):
    with pytest.raises(InvalidImage, match="pixels or more"):
        classes.restore(np.zeros((1, 40), np.float32), variant="scale-optimised")


def test_the_shipped_networks_of_all_classes_are_there(observed):
    result = runtime.Deblurrer(model="kaufman", device="cpu").restore(
        observed, quality="fast", refine=False, variant="scale-optimised"
    )
    assert result.kernel_class in ("small", "medium", "large")
    assert result.kernel.sum() == pytest.approx(1, abs=1e-5)


def test_variants_that_there_are_not_are_refused(deblurrer, observed):
    with pytest.raises(InvalidArgument, match="variant 'tiny': give one of general, scale-optimised"):
        deblurrer.restore(observed, variant="tiny")
    with pytest.raises(InvalidArgument, match="variant='scale-optimised' is no option of auto"):
        runtime.deblur(observed, variant="scale-optimised", device="cpu")


def test_options_without_effect_are_refused(deblurrer, observed):
    with pytest.raises(InvalidArgument, match="no option"):
        deblurrer.restore(observed, stride=4)
