from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import uniform_filter

from kernels.burst import BurstAccumulator
from runtime.colour import to_lab
from runtime.errors import InvalidArgument
from runtime.inference.bundle import load_model
from runtime.inference.devices import CPU
from runtime.methods.fba import fuse
from runtime.methods.registry import create_method
from runtime.methods.wieschollek import _MAX_FRAMES, sharpest
from runtime.options import BurstOptions
from runtime.run import Run
from tests.support.bursts import psnr, scene, shaken
from tests.support.models import write_burst_bundle

QUICK = BurstOptions(stride=16)


@pytest.fixture(scope="module")
def shipped():
    return create_method(load_model("wieschollek"), device=CPU, precision="fp32", batch=None)


@pytest.fixture(scope="module")
def latent():
    return scene(110, 130)


@pytest.fixture(scope="module")
def burst(latent):
    """All frames share an additional blur, so that none is sharp in any direction."""
    return shaken(uniform_filter(latent, (0, 3, 3)), 8, noise=0.01)


def restore(method, frames, options=QUICK):
    return method.restore_burst(frames, Run(options)).latent


def accumulate(frames):
    accumulator = BurstAccumulator(*frames[0].shape)
    for frame in frames:
        accumulator.add(frame)
    return accumulator.result()


def test_a_burst_without_a_sharp_frame_becomes_sharper_than_any_and_than_accumulation(shipped, latent, burst):
    restored = restore(shipped, burst)
    assert restored.shape == latent.shape
    assert restored.dtype == np.float32
    gained = psnr(restored, latent, 20)
    assert gained > max(psnr(frame, latent, 20) for frame in burst) + 2
    assert gained > psnr(accumulate(burst), latent, 20) + 0.5


def test_the_order_of_the_frames_does_not_matter(shipped, burst):
    restored = restore(shipped, burst)
    np.testing.assert_allclose(restore(shipped, burst[::-1]), restored, atol=1e-4)


def test_one_frame_and_identical_frames_work(shipped, latent, burst):
    alone = restore(shipped, burst[:1])
    np.testing.assert_allclose(restore(shipped, 3 * burst[:1]), alone, atol=1e-4)
    assert psnr(alone, latent, 20) > psnr(burst[0], latent, 20)


def test_a_sharp_burst_stays_sharp_and_loses_its_noise(shipped, latent, rng):
    noisy = [latent + 0.01 * rng.standard_normal(latent.shape).astype(np.float32) for _ in range(8)]
    assert psnr(noisy[0], latent, 20) < 40.5
    assert psnr(restore(shipped, noisy), latent, 20) > 41.5


def test_grey_frames_are_restored_like_the_luminance_of_colour(shipped, burst):
    grey = [np.tensordot(np.float32([0.299, 0.587, 0.114]), frame, axes=1)[None] for frame in burst[:4]]
    colour = restore(shipped, burst[:4])
    expected = np.tensordot(np.float32([0.299, 0.587, 0.114]), colour, axes=1)
    np.testing.assert_allclose(restore(shipped, grey)[0], expected, atol=1e-4)


def test_of_too_many_frames_the_sharpest_are_used(tmp_path, latent, rng):
    method = create_method(write_burst_bundle(tmp_path), device=CPU, precision="fp32", batch=None)
    sharp = [latent + 0.01 * rng.standard_normal(latent.shape).astype(np.float32) for _ in range(_MAX_FRAMES)]
    dull = [np.full_like(latent, 0.5)] * 3
    run = Run(BurstOptions())
    mixed = [*dull[:2], *sharp[:5], dull[2], *sharp[5:]]
    restored = method.restore_burst(mixed, run).latent
    np.testing.assert_allclose(restored, np.mean(sharp, axis=0), atol=1e-5)
    assert "choose" in run.stopwatch.seconds()


def test_the_sharpest_frames_keep_their_order(latent):
    frames = [0.2 * latent, latent, 0.1 * latent, 0.9 * latent]
    chosen = sharpest(frames, 2)
    assert chosen[0] is frames[1]
    assert chosen[1] is frames[3]


def test_the_model_has_a_stride_of_its_own(shipped, burst):
    counts = []
    small = [frame[:, :40, :40] for frame in burst[:2]]
    small = [np.ascontiguousarray(frame) for frame in small]
    run = Run(BurstOptions(), progress=lambda stage, fraction: counts.append(fraction))
    shipped.restore_burst(small, run)
    assert counts[-1] == 1
    assert {"extract", "fusion", "network", "filter", "overlap-add"} <= set(run.stopwatch.seconds())
    assert load_model("wieschollek").patch.stride == 5
    with pytest.raises(InvalidArgument, match="this model takes 1 to 33 pixels"):
        restore(shipped, small, BurstOptions(stride=34))


def test_the_chroma_of_accumulation_under_the_lightness_of_the_network(shipped, burst):
    frames, run = burst[:3], Run(replace(QUICK, chroma="fba"))
    own = restore(shipped, frames).clip(0, 1)
    mixed = shipped.restore_burst(frames, run).latent
    assert "chroma" in run.stopwatch.seconds()
    inner = (mixed > 0.02).all(0) & (mixed < 0.98).all(0)  # elsewhere the colour may be outside of sRGB
    assert inner.mean() > 0.5
    accumulated = to_lab(fuse(frames, Run(QUICK)).latent)
    np.testing.assert_allclose(to_lab(mixed)[0][inner], to_lab(own)[0][inner], atol=0.01)
    np.testing.assert_allclose(to_lab(mixed)[1:, inner], accumulated[1:, inner], atol=0.02)
    assert np.abs(to_lab(own) - accumulated)[1:, inner].mean() > 0.2


def test_smoothing_is_an_option_that_identical_frames_do_not_notice(shipped, burst):
    smooth = replace(QUICK, smoothing=0.05)
    assert np.abs(restore(shipped, burst[:3], smooth) - restore(shipped, burst[:3])).max() > 1e-3
    np.testing.assert_allclose(restore(shipped, 3 * burst[:1], smooth), restore(shipped, 3 * burst[:1]), atol=1e-4)
