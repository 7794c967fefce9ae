"""Whatever the progress callback raises ends the work, in every stage, and leaves the model usable."""

import threading
import time
from itertools import pairwise

import numpy as np
import pytest
from scipy.signal import fftconvolve
from skimage.data import astronaut

import runtime

HANG = 20
"""Seconds; the work itself takes longer, an end that is heeded a tenth of a second."""


class Stop(Exception):
    pass


@pytest.fixture(scope="module")
def photograph():
    kernel = np.zeros((15, 15))
    kernel[range(15), [7, 7, 8, 8, 9, 9, 9, 8, 8, 7, 6, 5, 5, 4, 4]] = 1 / 15
    sharp = astronaut()[:150, 150:320] / 255
    planes = [fftconvolve(sharp[..., channel], kernel, mode="valid") for channel in range(3)]
    noise = 0.005 * np.random.default_rng(0).standard_normal((*planes[0].shape, 3))
    return (np.stack(planes, axis=-1) + noise).clip(0, 1).astype(np.float32)


@pytest.fixture(scope="module")
def deblurrer():
    return runtime.Deblurrer(device="cpu")


def stages_of(work):
    """Run some work, and return the stages that it reports; fractions must not fall within a stage."""
    reports = []
    work(lambda stage, fraction: reports.append((stage, fraction)))
    for (stage, before), (other, after) in pairwise(reports):
        assert other != stage or after >= before
        assert 0 <= after <= 1
    return list(dict.fromkeys(stage for stage, _ in reports))


def end_in(work, wanted, error=Stop):
    """Raise an error at the second report of a stage, or at its first if there is no other within it."""
    raised = []

    def end(stage, fraction):
        if stage == wanted:
            raised.append(time.perf_counter())
            raise error

    before = threading.active_count()
    with pytest.raises(error):
        work(end)
    assert len(raised) == 1
    assert time.perf_counter() - raised[0] < HANG
    # Only the threads that are kept for later work may have come in the meantime.
    assert threading.active_count() <= before + 64


def test_a_restoration_ends_in_each_stage_and_the_next_one_is_the_same(deblurrer, photograph):
    expected = deblurrer.restore(photograph, quality="fast")

    def work(progress):
        return deblurrer.restore(photograph, quality="fast", progress=progress)

    stages = stages_of(work)
    assert {"neural average", "blur kernel", "deconvolve"} <= set(stages)
    for stage in ("neural average", "blur kernel", stages[-1]):
        end_in(work, stage)
    np.testing.assert_array_equal(deblurrer.restore(photograph, quality="fast").image, expected.image)


@pytest.mark.parametrize("error", [KeyboardInterrupt, runtime.errors.InvalidImage])
def test_any_error_of_the_callback_ends_the_work(deblurrer, photograph, error):
    end_in(lambda progress: deblurrer.restore(photograph, quality="fast", progress=progress), "blur kernel", error)


def test_threads_that_estimate_end_with_the_callback(deblurrer, photograph):
    """Raised between two reports of the search, while its jobs run."""
    calls = []

    def end(stage, fraction):
        if stage == "blur kernel":
            calls.append(time.perf_counter())
            if len(calls) > 1 and calls[-1] - calls[0] > 0.25:
                raise Stop

    with pytest.raises(Stop):
        deblurrer.restore(photograph, quality="best", progress=end)
    assert time.perf_counter() - calls[-1] < HANG


def test_a_deconvolution_ends(photograph):
    def work(progress):
        return runtime.deconvolve(photograph, np.full((1, 9), 1 / 9), quality="best", device="cpu", progress=progress)

    for stage in stages_of(work):
        end_in(work, stage)


def test_a_burst_ends(photograph):
    deblurrer = runtime.Deblurrer(model="fba", device="cpu")
    frames = [np.roll(photograph, shift, axis=1) for shift in range(4)]

    def work(progress):
        return deblurrer.restore_burst(frames, progress=progress)

    stages = stages_of(work)
    assert {"sharpest frame", "frames"} <= set(stages)
    for stage in stages:
        end_in(work, stage)
