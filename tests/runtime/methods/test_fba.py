import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.methods import BurstOptions
from runtime.methods.fba import fuse
from runtime.progress import Stopwatch
from tests.runtime.bursts import psnr, scene, shaken


def fused(frames, **options):
    return fuse(iter(frames), BurstOptions(**options), Stopwatch())


@settings(max_examples=20)
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3]), st.integers(1, 3))
def test_equal_frames_of_any_size_come_back(height, width, channels, count):
    frame = np.random.default_rng(height).random((channels, height, width), np.float32)
    found = fused([frame] * count)
    assert found.latent.flags.c_contiguous
    np.testing.assert_allclose(found.latent, frame, atol=1e-6)
    assert found.leaders.shape == found.shares.shape
    np.testing.assert_allclose(found.shares, 1 / count, rtol=1e-6)


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
