import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import runtime
from kernels.burst import BurstAccumulator
from runtime.errors import InvalidArgument
from runtime.inference.bundle import load_model
from runtime.inference.devices import CPU
from runtime.methods.fba import fuse, fuse_by_patches
from runtime.methods.registry import create_method
from runtime.options import BurstOptions
from runtime.run import Run
from tests.support.bursts import banded, psnr, scene, shaken


def fused(frames, **options):
    return fuse(iter(frames), Run(BurstOptions(**options)))


@settings(max_examples=20)
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3]), st.integers(1, 3))
def test_equal_frames_of_any_size_come_back(height, width, channels, count):
    frame = np.random.default_rng(height).random((channels, height, width), np.float32)
    found = fused([frame] * count)
    assert found.latent.flags.c_contiguous
    np.testing.assert_allclose(found.latent, frame, atol=1e-6)
    assert found.leaders.shape == found.shares.shape
    np.testing.assert_allclose(found.shares, 1 / count, rtol=1e-6)


def test_flicker_and_other_exposures_together_cost_little():
    latent, rng = 0.65 * scene(), np.random.default_rng(0)
    exposures = (1.0, 0.6, 1.2, 0.8, 1.4, 0.7)
    frames = [
        np.clip(exposure * banded(frame, 2 * number, 0.2) + 0.01 * rng.standard_normal(latent.shape), 0, 1)
        for number, (frame, exposure) in enumerate(zip(shaken(latent, 6, noise=0), exposures, strict=True))
    ]
    best = max(
        psnr(frame / exposure, banded(latent, 2 * number, 0.2))
        for number, (frame, exposure) in enumerate(zip(frames, exposures, strict=True))
    )
    restored = runtime.deblur_burst([np.float32(frame.transpose(1, 2, 0)) for frame in frames], reference=0)
    assert psnr(restored.transpose(2, 0, 1), banded(latent, 0, 0.2)) > 4.5 + best


def test_fusing_beats_every_frame_and_their_mean():
    latent = scene()
    frames = shaken(latent, 6)
    best = max(psnr(frame, latent) for frame in frames)
    mean = fused(frames, p=0).latent
    np.testing.assert_allclose(mean, np.mean(frames, axis=0), atol=1e-6)
    assert psnr(fused(frames).latent, latent) > 3 + max(best, psnr(mean, latent))


def test_a_frame_that_is_sharp_throughout_is_what_comes_out():
    latent = scene()
    frames = [*shaken(latent, 3, sigma=4, noise=0), latent]
    found = fused(frames, p=50)
    assert psnr(found.latent, latent) > 40
    assert np.mean(found.leaders == 3) > 0.9


def test_frames_in_any_order_give_the_same():
    frames = shaken(scene(60, 70), 5)
    np.testing.assert_allclose(fused(frames[::-1]).latent, fused(frames).latent, atol=1e-5)


def test_no_frames():
    with pytest.raises(ValueError, match="give at least one"):
        fused([])


def fused_by_patches(frames, patch, progress=None, **options):
    return fuse_by_patches(frames, patch, Run(BurstOptions(**options), progress=progress))


@settings(max_examples=20)
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3]), st.integers(1, 3), st.integers(1, 24))
def test_equal_frames_of_any_size_come_back_patch_by_patch(height, width, channels, count, patch):
    frame = np.random.default_rng(height).random((channels, height, width), np.float32)
    np.testing.assert_allclose(fused_by_patches([frame] * count, patch), frame, atol=1e-5)


def test_patches_serve_a_blur_that_differs_across_the_frame():
    latent = scene(160, 320)
    frames = shaken(latent, 4)
    # Each frame is blurred in one direction on the left, in another on the right.
    others = frames[2:] + frames[:2]
    varying = [np.concatenate([a[:, :, :160], b[:, :, 160:]], axis=2) for a, b in zip(frames, others, strict=True)]
    by_patches = psnr(fused_by_patches(varying, 64), latent)
    assert by_patches > 1 + psnr(fused(varying).latent, latent)
    assert by_patches > 2 + max(psnr(frame, latent) for frame in varying)


def test_the_batch_makes_no_difference(monkeypatch):
    frames, told = shaken(scene(60, 70), 3), []
    whole = fused_by_patches(frames, 32, lambda *stage: told.append(stage))
    assert told == [("patches", 1.0)]
    monkeypatch.setattr("runtime.methods.fba._BATCH_PIXELS", 1)
    np.testing.assert_allclose(fused_by_patches(frames, 32), whole, atol=1e-6)


def test_a_stride_beyond_the_patch():
    with pytest.raises(InvalidArgument, match="stride 17 leaves gaps between patches of 16 pixels: give at most 16"):
        fused_by_patches([scene(40, 40)], 16, stride=17)


def test_the_method_fuses_frames_whole_or_by_patches():
    frames = shaken(scene(60, 70), 3)

    def restore(options):
        return create_method(load_model("fba"), device=CPU, precision="auto", batch=None).restore_burst(
            iter(frames), Run(options)
        )

    whole, parts = restore(BurstOptions(p=5)), restore(BurstOptions(p=5, patch=32))
    np.testing.assert_array_equal(whole.latent, fused(frames, p=5).latent)
    assert whole.leaders.shape == whole.shares.shape
    np.testing.assert_array_equal(parts.latent, fused_by_patches(frames, 32, p=5))
    assert parts.leaders is parts.shares is None


def test_smoothing_is_a_share_of_the_shorter_side():
    frames = shaken(scene(48, 60), 3)
    accumulator = BurstAccumulator(3, 48, 60, sigma=4.8)
    for frame in frames:
        accumulator.add(frame)
    np.testing.assert_allclose(fused(frames, smoothing=0.1).latent, accumulator.result(), atol=1e-6)


def test_smoothing_over_all_frequencies_is_the_same_however_wide_it_is():
    frames = shaken(scene(48, 60), 3)
    np.testing.assert_array_equal(fused(frames, smoothing=1e308).latent, fused(frames, smoothing=2.0).latent)


def test_a_patch_much_larger_than_the_frames_is_refused():
    frames = [np.full((1, 20, 30), 0.5, np.float32)] * 2
    assert fused_by_patches(frames, 100).shape == (1, 20, 30)
    with pytest.raises(InvalidArgument, match="patch 100000: frames of 30x20 pixels take at most 512, or None"):
        fused_by_patches(frames, 100_000)
