import numpy as np
import pytest

from bench.datasets import Sample
from bench.evaluation import BLURRED, METHODS, NEURAL, TRUE_KERNEL, WHOLE, Result, restore_sample, score_results
from runtime import Deblurrer


@pytest.fixture(scope="module")
def sample(scene):
    kernel = np.ones((1, 5), np.float32) / 5
    observed = sum(np.roll(scene, by, 1) for by in range(-2, 3)) / 5
    return Sample(observed.astype(np.float32), scene, kernel, 16)


@pytest.fixture(scope="module")
def results(bundle, sample):
    return restore_sample(Deblurrer(model=bundle, device="cpu"), sample, stride=4, quality="fast")


def test_a_sample_is_restored_in_every_way(results, sample):
    assert tuple(results) == METHODS
    assert all(result.image.shape == sample.sharp.shape for result in results.values())
    assert results[BLURRED].image is sample.observed
    assert results[TRUE_KERNEL].kernel is sample.kernel
    assert results[WHOLE].kernel is not None
    assert results[NEURAL].kernel is None
    np.testing.assert_allclose(results[NEURAL].image, sample.observed, atol=1e-4)
    assert results[WHOLE].seconds > results[NEURAL].seconds > results[BLURRED].seconds == 0
    assert results[TRUE_KERNEL].seconds > 0


def test_gain_is_over_the_input_and_the_ratio_to_the_true_kernel(results, sample):
    scores = score_results(results, sample)
    assert scores[BLURRED]["gain"] == 0
    assert scores[TRUE_KERNEL]["ratio"] == 1
    assert scores[TRUE_KERNEL]["gain"] > 3
    assert scores[TRUE_KERNEL]["ssim"] > scores[BLURRED]["ssim"]
    # Errors over the same pixels: the ratio of their squares is the difference of the PSNRs.
    for values in scores.values():
        decibels = scores[TRUE_KERNEL]["psnr"] - values["psnr"]
        assert 10 * np.log10(values["ratio"]) == pytest.approx(decibels)
    assert scores[WHOLE]["seconds"] == results[WHOLE].seconds


def test_a_shifted_result_scores_as_if_in_place(results, sample):
    image = results[TRUE_KERNEL].image
    moved = {**results, TRUE_KERNEL: Result(np.roll(image, (4, -7), (0, 1)), None, 0.0)}
    expected, found = (score_results(some, sample)[TRUE_KERNEL]["psnr"] for some in (results, moved))
    assert found == pytest.approx(expected, abs=0.05)
