from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import fftconvolve

from export.data.camera import CameraConfig
from export.wieschollek.data import (
    BurstConfig,
    convolve_bursts,
    sample_burst_kernels,
    straight_paths,
    synthesise_bursts,
)

PLAIN = BurstConfig(frames=(3,), share=2, uneven=0, shift=0, flicker=0, noise=(1e-6, 1e-6))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def centres(kernels: torch.Tensor) -> torch.Tensor:
    place = torch.arange(kernels.shape[-1], dtype=torch.float32) - kernels.shape[-1] // 2
    return torch.stack((kernels.sum(-1) @ place, kernels.sum(-2) @ place), -1)


@settings(max_examples=25, deadline=None)
@given(
    share=st.integers(1, 3),
    groups=st.integers(1, 3),
    frames=st.integers(1, 4),
    size=st.sampled_from([3, 5, 7]),
    side=st.integers(8, 24),
    seed=st.integers(0, 2**31),
)
def test_every_image_meets_every_kernel_of_its_burst(share, groups, frames, size, side, seed):
    images = torch.rand(share * groups, side, side, generator=generator(seed))
    kernels = torch.rand(groups, frames, size, size, generator=generator(seed + 1))
    blurred = convolve_bursts(images, kernels)
    assert blurred.shape == (share * groups, frames, side - size + 1, side - size + 1)
    for index, frame in np.ndindex(share * groups, frames):
        expected = fftconvolve(images[index].numpy(), kernels[index // share, frame].numpy(), "valid")
        np.testing.assert_allclose(blurred[index, frame].numpy(), expected, atol=1e-4)


def test_kernels_that_do_not_divide_are_named():
    with pytest.raises(ValueError, match="do not divide among 3 images"):
        convolve_bursts(torch.zeros(3, 9, 9), torch.zeros(2, 1, 3, 3))


def test_kernels_have_the_extent_asked_for_and_their_centre_of_mass_in_the_middle():
    for extent in (1.0, 7.0, 17.0):
        kernels = sample_burst_kernels(8, 5, dataclasses.replace(PLAIN, extent=(extent, extent)), generator())
        assert kernels.shape == (8, 5, 31, 31)
        torch.testing.assert_close(kernels.sum((-2, -1)), torch.ones(8, 5))
        assert kernels.min() >= 0
        assert centres(kernels).abs().max() < 1e-3
        spans = torch.stack([(kernels.sum(axis) > 1e-6).sum(-1) for axis in (-1, -2)]).amax(0)
        # Bilinear drawing touches up to two pixels more than the path spans.
        assert extent <= spans.float().median() + 0.5 <= extent + 2.5


def test_frames_differ_and_uneven_bursts_hold_sharper_ones():
    config = dataclasses.replace(PLAIN, extent=(15, 15))
    even = sample_burst_kernels(40, 6, config, generator())
    uneven = sample_burst_kernels(40, 6, dataclasses.replace(config, uneven=1), generator())
    assert (even[:, 0] - even[:, 1]).abs().sum((-2, -1)).min() > 0.1
    place = torch.arange(31.0) - 15
    spread = [((k.sum(-1) @ place**2) + (k.sum(-2) @ place**2)).sqrt() for k in (even, uneven)]
    assert (spread[1].amin(1) / spread[1].amax(1)).mean() < 0.7 * (spread[0].amin(1) / spread[0].amax(1)).mean()


def test_straight_paths_are_straight_in_any_direction():
    paths = straight_paths(200, generator())
    steps = paths[:, -1] - paths[:, 0]
    torch.testing.assert_close(steps.norm(dim=1), torch.full((200,), 2.0))
    off = paths - paths[:, :1]
    assert (off[..., 0] * steps[:, None, 1] - off[..., 1] * steps[:, None, 0]).abs().max() < 1e-5
    angle = torch.atan2(steps[:, 0], steps[:, 1])
    assert torch.histc(angle, 4, -torch.pi / 2, torch.pi / 2).min() > 25
    config = dataclasses.replace(PLAIN, straight=1.0, extent=(15, 15))
    kernels = sample_burst_kernels(20, 3, config, generator())
    place = torch.arange(31.0) - 15
    rows, cols = kernels.sum(-1) @ place**2, kernels.sum(-2) @ place**2
    mixed = torch.einsum("nfij,i,j->nf", kernels, place, place)
    # The second moments of a line are those of one direction, but for the width of the drawn pixels.
    assert ((rows * cols - mixed**2) / (rows + cols)).max() < 0.6


def test_some_bursts_are_not_blurred_at_all():
    kernels = sample_burst_kernels(300, 2, dataclasses.replace(PLAIN, none=0.3, extent=(9, 9)), generator())
    points = kernels.flatten(2).amax(2) > 0.99
    assert torch.equal(points[:, 0], points[:, 1])
    assert 0.2 < points[:, 0].float().mean() < 0.4


def test_misalignment_is_bounded_and_zero_on_average():
    kernels = sample_burst_kernels(30, 8, dataclasses.replace(PLAIN, shift=1.5, extent=(3, 3)), generator())
    moved = centres(kernels)
    assert moved.mean(1).abs().max() < 1e-3
    assert 0.2 < moved.abs().mean() < 1.5
    assert moved.abs().max() <= 3


def test_bursts_show_their_truth_blurred_by_their_kernels(photographs):
    bursts = synthesise_bursts(photographs, PLAIN, 6, generator())
    assert bursts.observed.shape == (6, 3, 65, 65)
    assert bursts.latent.shape == (6, 33, 33)
    assert bursts.kernels.shape == (3, 3, 31, 31)
    sharp = synthesise_bursts(photographs, dataclasses.replace(PLAIN, extent=(1, 1)), 6, generator())
    assert (sharp.observed[:, :, 16:-16, 16:-16] - sharp.latent[:, None]).abs().max() < 1e-4
    assert (bursts.observed[:, 0] - bursts.observed[:, 1]).abs().max() > 0.01


def test_noise_flicker_and_camera_leave_their_mark(photographs):
    config = dataclasses.replace(PLAIN, extent=(1, 1))
    noisy = synthesise_bursts(photographs, dataclasses.replace(config, noise=(0.02, 0.02)), 8, generator())
    residual = noisy.observed[:, :, 16:-16, 16:-16] - noisy.latent[:, None]
    assert residual.std() == pytest.approx(0.02, rel=0.05)
    flickering = synthesise_bursts(photographs, dataclasses.replace(config, flicker=0.1), 8, generator())
    assert flickering.observed.mean((2, 3)).std(1).mean() > 0.01
    camera = CameraConfig(linear=0.5, bright=0.5, jpeg=1.0, quality=(60, 60), clip=True)
    real = synthesise_bursts(photographs, dataclasses.replace(PLAIN, camera=camera, noise=(0.05, 0.05)), 8, generator())
    assert real.observed.min() >= 0
    assert real.observed.max() <= 1
    torch.testing.assert_close(255 * real.observed, torch.round(255 * real.observed), atol=1e-3, rtol=0)


def test_the_number_of_frames_varies_from_batch_to_batch(photographs):
    random = generator()
    config = dataclasses.replace(PLAIN, frames=(2, 5))
    assert {synthesise_bursts(photographs, config, 2, random).observed.shape[1] for _ in range(12)} == {2, 5}


def test_recorded_shake_needs_a_recording(photographs):
    config = dataclasses.replace(PLAIN, recorded=0.5)
    with pytest.raises(ValueError, match="give --motion"):
        synthesise_bursts(photographs, config, 2, generator())
    with pytest.raises(ValueError, match="multiple of share"):
        synthesise_bursts(photographs, PLAIN, 3, generator())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"patch": 64}, "patch and core must be odd"),
        ({"frames": ()}, "frames and share"),
        ({"share": 0}, "frames and share"),
        ({"size": 4}, "size must be odd"),
        ({"extent": (5, 3)}, "extent must be a range"),
        ({"noise": (0, 1)}, "noise must be a range"),
        ({"shift": -1}, "shift and flicker"),
        ({"uneven": 2}, "uneven must be a share"),
    ],
)
def test_values_that_cannot_be_are_named(values, message):
    with pytest.raises(ValueError, match=message):
        BurstConfig(**values)
