from types import SimpleNamespace

import numpy as np
import pytest

from bench.accuracy.evaluation import (
    BLURRED,
    METHODS,
    NEURAL,
    ONCE,
    SCALED,
    SCALED_ONCE,
    TRUE_KERNEL,
    UNAIDED,
    WHOLE,
    Result,
    headline_method,
    restore_sample,
    score_results,
)
from bench.data.datasets import Sample
from bench.speed.restoration import NEURAL_AVERAGE
from runtime import Deblurrer
from runtime.errors import InvalidArgument


@pytest.fixture(scope="module")
def sample(scene):
    kernel = np.ones((1, 5), np.float32) / 5
    observed = sum(np.roll(scene, by, 1) for by in range(-2, 3)) / 5
    return Sample(observed.astype(np.float32), scene, kernel, 16)


@pytest.fixture(scope="module")
def deblurrer(bundle):
    return Deblurrer(model=bundle, device="cpu")


@pytest.fixture(scope="module")
def results(deblurrer, sample):
    return restore_sample(deblurrer, sample, stride=4, quality="fast")


class Recorder:
    """A deblurrer that notes how it is called."""

    device = "cpu"

    def __init__(self):
        self.asked = []

    def restore(self, image, **options):
        self.asked.append(options)
        neural = options.get("neural", True)
        return SimpleNamespace(
            image=image + 0.1, initial=image[..., 0] if neural else None, kernel=np.ones((1, 1), np.float32),
            timings={**dict.fromkeys(NEURAL_AVERAGE if neural else (), 1.0), "non-blind": 2.0}, confidence=0.7,
            reason=None if neural else "for once",
        )  # fmt: skip


def test_a_sample_is_restored_in_every_way(results, sample):
    assert tuple(results) == METHODS
    assert all(result.image.shape == sample.sharp.shape for result in results.values())
    assert results[BLURRED].image is sample.observed
    assert results[TRUE_KERNEL].kernel is sample.kernel
    assert all(results[method].kernel is not None for method in (ONCE, UNAIDED, WHOLE))
    assert results[NEURAL].kernel is None
    np.testing.assert_allclose(results[NEURAL].image, sample.observed, atol=1e-4)
    assert results[WHOLE].seconds > results[NEURAL].seconds > results[BLURRED].seconds == 0
    assert results[TRUE_KERNEL].seconds > 0
    assert 0 <= results[WHOLE].confidence <= 1
    assert not set(results[UNAIDED].stages) & set(NEURAL_AVERAGE)


def test_the_rows_differ_in_what_they_ask_of_the_runtime(colour_scene):
    recorder = Recorder()
    results = restore_sample(recorder, Sample(colour_scene), quality="best", stride=3)
    same = {"quality": "best", "stride": 3}
    assert recorder.asked == [{"refine": False, **same}, {"neural": False, **same}, same]
    # Without a true kernel there is no such row.
    assert tuple(results) == METHODS[:-1]
    assert results[WHOLE].seconds == len(NEURAL_AVERAGE) + 2
    assert results[NEURAL].seconds == len(NEURAL_AVERAGE)
    assert (results[UNAIDED].unchanged, results[WHOLE].unchanged) == (True, False)


def test_networks_for_sizes_of_kernels_are_asked_for_where_they_are_chosen(colour_scene):
    recorder = Recorder()
    assert tuple(restore_sample(recorder, Sample(colour_scene), (SCALED, SCALED_ONCE))) == (
        BLURRED,
        SCALED_ONCE,
        SCALED,
    )
    assert recorder.asked == [{"refine": False, "variant": "scale-optimised"}, {"variant": "scale-optimised"}]


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        ((BLURRED, NEURAL, WHOLE), (BLURRED, NEURAL, WHOLE)),
        ((WHOLE,), (BLURRED, WHOLE)),
        ((NEURAL, UNAIDED), (BLURRED, UNAIDED)),
        ((WHOLE, NEURAL, UNAIDED), (BLURRED, NEURAL, UNAIDED, WHOLE)),
        ((TRUE_KERNEL,), (BLURRED,)),
        ((), (BLURRED,)),
    ],
)
def test_only_chosen_rows_are_made_and_always_in_order(chosen, found, colour_scene):
    assert tuple(restore_sample(Recorder(), Sample(colour_scene), chosen)) == found


def test_the_whole_method_stands_for_a_case_or_else_what_comes_next():
    assert headline_method(METHODS) == WHOLE
    assert headline_method((BLURRED, NEURAL, ONCE, UNAIDED, TRUE_KERNEL)) == UNAIDED
    assert headline_method((BLURRED, ONCE, SCALED)) == SCALED
    assert headline_method((BLURRED, TRUE_KERNEL)) == TRUE_KERNEL
    assert headline_method((BLURRED, NEURAL)) == BLURRED


def test_an_option_that_the_runtime_refuses_is_not_hidden(deblurrer, sample):
    with pytest.raises(InvalidArgument, match="quality"):
        restore_sample(deblurrer, sample, [WHOLE], quality="magic")
    with pytest.raises(InvalidArgument, match="magic"):
        restore_sample(deblurrer, sample, [TRUE_KERNEL], nonblind="magic")


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
    assert scores[WHOLE]["stages"] == results[WHOLE].stages
    assert scores[WHOLE]["confidence"] == results[WHOLE].confidence
    assert set(scores[BLURRED]) == {"psnr", "gain", "ssim", "ratio", "seconds"}


def test_a_shifted_result_scores_as_if_in_place(results, sample):
    image = results[TRUE_KERNEL].image
    moved = {**results, TRUE_KERNEL: Result(np.roll(image, (4, -7), (0, 1)), None, 0.0)}
    expected, found = (score_results(some, sample)[TRUE_KERNEL]["psnr"] for some in (results, moved))
    assert found == pytest.approx(expected, abs=0.05)


def test_scores_have_what_can_be_known(scene, colour_scene):
    results = {
        BLURRED: Result(colour_scene, None, 0.0),
        NEURAL: Result(scene, None, 1.0),
        WHOLE: Result(colour_scene + 0.1, None, 2.0, {"non-blind": 2.0}, 0.2, True),
    }
    facts = {"seconds": 2.0, "stages": {"non-blind": 2.0}, "confidence": 0.2, "unchanged": True}
    # No truth, no score; its own truth, no gain; no true kernel, no ratio.
    assert score_results(results, Sample(colour_scene)) == {
        BLURRED: {"seconds": 0.0}, NEURAL: {"seconds": 1.0}, WHOLE: facts,
    }  # fmt: skip
    own = score_results(results, Sample(colour_scene, colour_scene, max_shift=0))
    assert set(own[WHOLE]) == {*facts, "psnr", "ssim"}
    assert own[BLURRED]["psnr"] == 100
    assert own[WHOLE]["psnr"] == pytest.approx(20, abs=0.1)
    other = score_results(results, Sample(colour_scene, colour_scene[::-1], border=16))
    assert set(other[WHOLE]) == {*facts, "psnr", "ssim", "gain"}
