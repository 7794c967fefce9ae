"""The kernel is found from the blurred photograph alone, and a sharp photograph is recognised."""

from __future__ import annotations

import numpy as np
import pytest

from runtime.blind import estimate as module
from runtime.blind import estimate_blind
from runtime.blind.kernel_shape import align as aligned
from runtime.blind.kernel_shape import delta, fit, similarity
from runtime.errors import InvalidArgument, InvalidImage, UnsupportedType


def likeness(estimate, truth, side=41):
    first, second = fit(estimate, side), fit(truth, side)
    return similarity(aligned(first, second), second)


@pytest.fixture(scope="module")
def plain(blurred):
    return estimate_blind(blurred, support=31)


def test_finds_the_blur_without_its_size(plain, kernel):
    assert plain.kernel.shape == (31, 31)
    assert likeness(plain.kernel, kernel) > 0.8
    assert likeness(plain.kernel, kernel) > likeness(plain.kernel, kernel[::-1]) + 0.05
    assert plain.confidence > 0.9


def test_is_a_kernel_in_place(plain):
    assert plain.kernel.dtype == np.float32
    assert plain.kernel.min() >= 0
    assert plain.kernel.sum() == pytest.approx(1, abs=1e-5)
    offset = np.arange(31) - 15
    assert abs(plain.kernel.sum(axis=0) @ offset) <= 0.51
    assert abs(plain.kernel.sum(axis=1) @ offset) <= 0.51


def test_restores_more_than_it_breaks(plain, blurred, sharp):
    from runtime.nonblind import deconvolve
    from runtime.quality import align, psnr

    border = 25
    before = psnr(align(blurred, sharp, border=border), sharp, border=border)
    restored = deconvolve(blurred[None], plain.kernel)[0]
    assert psnr(align(restored, sharp, border=border), sharp, border=border) > before + 2


def test_a_sharp_photograph_is_left_alone(sharp):
    noise = np.random.default_rng(1).normal(0, 0.01, sharp.shape)
    estimate = estimate_blind((sharp + noise).astype(np.float32), support=25)
    assert estimate.confidence < 0.5
    np.testing.assert_array_equal(estimate.kernel, delta((25, 25)).astype(np.float32))


def test_a_flat_image_is_left_alone():
    estimate = estimate_blind(np.full((90, 110), 0.4, np.float32), support=15)
    np.testing.assert_array_equal(estimate.kernel, delta((15, 15)).astype(np.float32))
    assert estimate.confidence == 0


def test_a_right_initial_estimate_helps(blurred, sharp, kernel):
    estimate = estimate_blind(blurred, initial=sharp, support=31)
    assert estimate.neural_weight > 0.05
    assert likeness(estimate.kernel, kernel) > 0.8


def test_a_wrong_initial_estimate_does_not_spoil(plain, blurred, kernel):
    wrong = np.random.default_rng(3).random(blurred.shape).astype(np.float32)
    estimate = estimate_blind(blurred, initial=wrong, support=31)
    assert likeness(estimate.kernel, kernel) > likeness(plain.kernel, kernel) - 0.1


def test_does_not_depend_on_contrast(plain, blurred):
    dimmer = estimate_blind((0.7 * blurred).astype(np.float32), support=31)
    assert similarity(dimmer.kernel, plain.kernel) > 0.95


def test_large_photographs_are_judged_by_a_part(monkeypatch, blurred, kernel):
    monkeypatch.setattr(module, "HYPOTHESIS_PIXELS", 20_000)
    estimate = estimate_blind(blurred, support=31)
    assert likeness(estimate.kernel, kernel) > 0.7


def test_consensus_weighs_and_aligns():
    path = np.zeros((9, 9))
    path[4, 2:7] = 0.2
    moved = np.roll(path, (2, 1), axis=(0, 1))
    mean, agreement = module.consensus([path, moved, path.T], np.array([0.5, 0.5, 0.0]))
    np.testing.assert_allclose(fit(mean, 9), path, atol=1e-12)
    assert agreement == pytest.approx(1)


def test_confidence_needs_width_and_agreement():
    assert module.confidence(3.0, 0.95) > 0.9
    assert module.confidence(0.7, 0.95) < 0.1
    assert module.confidence(3.0, 0.5) < 0.1
    assert module.confidence(2.0, 0.9) > module.confidence(1.5, 0.9) > module.confidence(1.5, 0.8)


def test_reports_progress(blurred):
    seen = []
    estimate_blind(blurred[:100, :120], support=9, progress=lambda stage, fraction: seen.append((stage, fraction)))
    assert len({stage for stage, _ in seen}) == 1
    assert seen[-1][1] == 1
    assert [f for _, f in seen] == sorted(f for _, f in seen)


PLANE = np.ones((60, 70), np.float32)


@pytest.mark.parametrize(
    ("observed", "options", "error", "word"),
    [
        (PLANE, {"support": 51}, InvalidArgument, "support is 51"),
        (PLANE, {"support": 2}, InvalidArgument, "support is 2"),
        (np.full_like(PLANE, np.nan), {"support": 9}, InvalidImage, "NaN"),
        (PLANE[None], {"support": 9}, InvalidImage, "shape"),
        (PLANE, {"support": 9, "initial": PLANE[1:]}, InvalidImage, "one shape"),
        (PLANE.astype(np.uint8), {"support": 9}, UnsupportedType, "uint8"),
    ],
)
def test_bad_input_is_one_clear_line(observed, options, error, word):
    with pytest.raises(error, match=word) as caught:
        estimate_blind(observed, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.gpu
def test_gpu_agrees_with_cpu(plain, blurred):
    cupy = pytest.importorskip("cupy")
    try:
        cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        pytest.skip(f"no CUDA device: {error}")
    there = estimate_blind(cupy.asarray(blurred), support=31)
    assert isinstance(there.kernel, cupy.ndarray)
    assert similarity(there.kernel.get(), plain.kernel) > 0.95
