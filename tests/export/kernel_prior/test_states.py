from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from export.data.kernels import random_kernel
from export.kernel_prior.network import ASSUMES, KernelPrior, KernelPriorConfig
from export.kernel_prior.onnx import probe_evidence
from export.kernel_prior.simulation import Observation, observe
from export.kernel_prior.states import LEAST_INSIDE, NetworkPrior, Recorder, States, beside, record, shrink_kernel
from runtime.blur.kernel import fit, shift, similarity
from runtime.estimation.kernel.evidence import CHANNELS, evidence_for
from runtime.estimation.kernel.pyramid import BlurredImage
from runtime.estimation.kernel.refine import sharp_edges
from runtime.response import LINEAR, SRGB

from .conftest import SMALL


def centre_of_mass(kernel):
    place = np.arange(kernel.shape[0]) - kernel.shape[0] // 2
    return np.array([kernel.sum(1) @ place, kernel.sum(0) @ place])


@settings(max_examples=40)
@given(size=st.integers(3, 40), factor=st.floats(1, 8), seed=st.integers(0, 1000))
def test_a_kernel_at_a_coarser_scale_keeps_sum_and_centre(size, factor, seed):
    kernel = random_kernel(size, np.random.default_rng(seed))
    small = shrink_kernel(kernel, factor)
    assert small.shape[0] % 2
    assert small.sum() == pytest.approx(1)
    np.testing.assert_allclose(centre_of_mass(small), centre_of_mass(kernel) / factor, atol=0.3)


def test_the_finest_scale_is_the_kernel_itself():
    kernel = random_kernel(15, np.random.default_rng(0))
    np.testing.assert_allclose(fit(shrink_kernel(kernel, 1), kernel.shape[0]), kernel, atol=1e-12)


def test_a_coarser_kernel_blurs_a_coarser_image_alike(sharp_plane):
    from scipy.signal import fftconvolve

    from runtime.estimation.kernel.pyramid import shrink

    kernel = random_kernel(17, np.random.default_rng(2), "disc")
    half = kernel.shape[0] // 2
    blurred = fftconvolve(sharp_plane, kernel, "valid").astype(np.float32)
    small, coarse = shrink(sharp_plane[half:-half, half:-half], 2), shrink_kernel(kernel, 2)
    again = fftconvolve(small, coarse, "same")
    inside = np.s_[12:-12, 12:-12]
    assert np.abs(again - shrink(blurred, 2))[inside].mean() < 0.1 * np.abs(again - small)[inside].mean()


@settings(max_examples=20)
@given(rows=st.integers(-3, 3), cols=st.integers(-3, 3), seed=st.integers(0, 1000))
def test_a_known_shift_is_found(rows, cols, seed):
    kernel = random_kernel(9, np.random.default_rng(seed), "shake")
    framed = fit(kernel, kernel.shape[0] + 8)
    moved, inside = beside(kernel, shift(framed, rows, cols))
    np.testing.assert_allclose(moved, shift(framed, rows, cols), atol=1e-12)
    assert inside == pytest.approx(1)


@pytest.mark.parametrize("amount", [(0.25, 0), (0.5, -0.25), (1.75, 2.25)])
def test_a_shift_of_quarter_pixels_is_found(amount):
    kernel = fit(random_kernel(15, np.random.default_rng(1), "gaussian"), 25)
    estimate = np.maximum(ndimage.shift(kernel, amount, order=3), 0)
    moved, _ = beside(kernel, estimate)
    assert similarity(moved, estimate) > 0.9999
    np.testing.assert_allclose(centre_of_mass(moved) - centre_of_mass(kernel), amount, atol=0.1)


def test_what_the_frame_cuts_off_is_counted():
    line = np.full((1, 21), 1 / 21).repeat(21, axis=0)
    line[np.arange(21) != 10] = 0
    moved, inside = beside(line, fit(line, 7))
    assert moved.shape == (7, 7)
    assert moved.sum() == pytest.approx(1)
    assert inside == pytest.approx(7 / 21, rel=0.02)


def test_states_of_an_untouched_recorder_are_finite_and_hold_the_truth(states):
    assert len(states) > 8
    for side, evidence in states.evidence.items():
        kernels = states.kernels[side]
        assert evidence.shape == (len(kernels), CHANNELS, side, side)
        assert np.isfinite(evidence).all()
        np.testing.assert_allclose(np.linalg.norm(evidence[:, 0].astype(float), axis=(1, 2)), ASSUMES.level, rtol=1e-2)
        np.testing.assert_allclose(kernels.sum((1, 2)), 1, rtol=1e-4)
        assert kernels.min() >= 0


def test_estimates_resemble_the_truth(states):
    found = [
        similarity(evidence[0].astype(float), kernel)
        for side in states.kernels
        for evidence, kernel in zip(states.evidence[side], states.kernels[side], strict=True)
    ]
    assert np.median(found) > 0.7


def test_a_prior_changes_later_states_only(planes):
    observation = observe(planes, SMALL, np.random.default_rng(4))
    plain = record(observation, 9, ASSUMES)
    guided = record(observation, 9, ASSUMES, lambda evidence, kernel: (kernel[::-1, ::-1], 0.0))
    np.testing.assert_array_equal(plain[0].evidence, guided[0].evidence)
    assert not np.array_equal(plain[-1].evidence, guided[-1].evidence)


def test_what_is_looked_for_in_light_is_recorded_in_light(planes):
    observation = observe(planes, SMALL, np.random.default_rng(4))
    seen = []

    class Watching(Recorder):
        def __call__(self, photographs, evidence, kernels):
            seen.extend(photographs)
            return [(kernel, np.float64(0)) for kernel in kernels]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("export.kernel_prior.states.Recorder", Watching)
        for response in (LINEAR, SRGB):
            record(Observation(observation.image.clip(0, 1), observation.kernel, response), 9, ASSUMES)
    means = [np.mean([each.image.mean() for each in seen if each.response is response]) for response in (LINEAR, SRGB)]
    assert means[1] == pytest.approx(SRGB.to_light(observation.image.clip(0, 1)).mean(), rel=0.1)
    assert means[1] < means[0]


def test_frames_too_small_for_the_kernel_teach_nothing(planes):
    wide = np.zeros((61, 61))
    wide[30] = 1 / 61
    image = observe(planes, SMALL, np.random.default_rng(0)).image
    assert LEAST_INSIDE > 7 / 61
    assert record(Observation(image, wide), 7, ASSUMES) == []


def test_the_recorder_keeps_the_truth_at_the_scale_it_is_asked_about(planes):
    observation = observe(planes, SMALL, np.random.default_rng(1))
    blurred = BlurredImage(observation.image, np.ones(observation.image.shape, bool), None, 0.005)
    for factor in (1, 2):
        truth = shrink_kernel(observation.kernel, factor)
        framed = fit(truth, truth.shape[0] + 4)
        scaled = blurred.downscaled(factor)
        edges = sharp_edges(scaled, framed)[0]
        evidence = evidence_for(framed, scaled.image, scaled.noise, edges, ASSUMES)
        recorder = Recorder(observation, ASSUMES)
        assert recorder([scaled], [evidence], [framed]) == [(framed, 0.0)]
        (state,) = recorder.states
        np.testing.assert_allclose(state.kernel, framed, atol=1e-6)
        side = len(framed)
        np.testing.assert_array_equal(state.evidence, evidence[:, :side, :side].astype(np.float16))
        answered = Recorder(observation, ASSUMES, lambda evidence, kernel: (2 * kernel, -1.0))
        assert [log_error for _, log_error in answered([scaled], [evidence], [framed])] == [-1.0]


@pytest.mark.parametrize("side", [7, 8, 9])
def test_a_network_serves_as_prior(side):
    evidence = probe_evidence(1, side)[0, :, :side, :side]
    prior = NetworkPrior(KernelPrior(KernelPriorConfig((4, 4, 4), 4)))
    estimate = evidence[0].astype(float)
    kernel, log_error = prior(evidence, estimate)
    np.testing.assert_allclose(kernel, estimate / estimate.sum(), rtol=1e-4, atol=1e-8)
    assert np.isfinite(log_error)
    evidence[0] = -1
    assert prior(evidence, estimate)[0] is estimate


def test_states_survive_a_file(states, tmp_path):
    for name in ("a.npz", "b.npz"):
        states.write(tmp_path / name)
    both = States.read([tmp_path / "a.npz", tmp_path / "b.npz"])
    assert len(both) == 2 * len(states)
    side = min(states.kernels)
    evidence, kernels = both.take(side, slice(0, 2))
    assert evidence.dtype == kernels.dtype == torch.float32
    np.testing.assert_array_equal(evidence.numpy(), states.evidence[side][:2].astype(np.float32))
    np.testing.assert_array_equal(kernels.numpy(), states.kernels[side][:2])


def test_no_states_are_refused(tmp_path):
    States({}, {}).write(tmp_path / "empty.npz")
    for files in ([], [tmp_path / "empty.npz"]):
        with pytest.raises(ValueError, match="collect for longer"):
            States.read(files)
