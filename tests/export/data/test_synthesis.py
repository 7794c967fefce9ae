from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import convolve2d

from export.data.camera import CameraConfig
from export.data.synthesis import SynthesisConfig, convolve_valid, synthesise
from export.data.trajectories import BlurConfig


@settings(max_examples=20, deadline=None)
@given(side=st.integers(7, 40), half=st.integers(0, 3), groups=st.integers(1, 3), share=st.integers(1, 3))
def test_convolution_equals_the_direct_one(side, half, groups, share):
    generator = torch.Generator().manual_seed(side)
    images = torch.rand(groups * share, side, side, generator=generator)
    kernels = torch.rand(groups, 2 * half + 1, 2 * half + 1, generator=generator)
    found = convolve_valid(images, kernels)
    for index, image in enumerate(found):
        expected = convolve2d(images[index].double(), kernels[index // share].double(), mode="valid")
        torch.testing.assert_close(image.double(), torch.from_numpy(expected), atol=1e-4, rtol=1e-4)


def test_kernels_must_divide_among_the_images():
    with pytest.raises(ValueError, match="do not divide"):
        convolve_valid(torch.zeros(5, 9, 9), torch.zeros(2, 3, 3))


def test_shapes_and_noise(photographs):
    config = SynthesisConfig(noise=(0.01, 0.02))
    batch = synthesise(photographs, config, 64, torch.Generator().manual_seed(0))
    assert batch.observed.shape == (64, 65, 65)
    assert batch.latent.shape == (64, 33, 33)
    assert batch.kernels.shape == (16, 31, 31)
    assert 0.01 <= batch.noise.min() < batch.noise.max() <= 0.02


def test_a_kernel_of_one_pixel_leaves_the_latent_patch_plus_noise(photographs):
    config = SynthesisConfig(blur=BlurConfig(grids=(1,), small=0))
    batch = synthesise(photographs, config, 32, torch.Generator().manual_seed(0), noise=0.05)
    residual = batch.observed[:, 16:-16, 16:-16] - batch.latent
    assert abs(float(residual.std()) - 0.05) < 0.002
    assert abs(float(residual.mean())) < 0.002


def test_observed_is_the_latent_convolved(photographs):
    sharp = synthesise(photographs, SynthesisConfig(core=65, noise=(1e-9, 1e-9)), 8, torch.Generator().manual_seed(3))
    inner = torch.stack(
        [
            torch.from_numpy(convolve2d(latent.numpy(), sharp.kernels[index // 4].numpy(), mode="valid"))
            for index, latent in enumerate(sharp.latent)
        ]
    )
    torch.testing.assert_close(sharp.observed[:, 15:-15, 15:-15], inner, atol=1e-5, rtol=0)


def test_the_same_seed_gives_the_same_batch(photographs):
    first, again = (synthesise(photographs, SynthesisConfig(), 16, torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(first.observed, again.observed)


def test_a_camera_changes_only_its_shares(photographs):
    plain = synthesise(photographs, SynthesisConfig(), 64, torch.Generator().manual_seed(1))
    assert plain.observed.max() > 1
    camera = CameraConfig(clip=True)
    clipped = synthesise(photographs, SynthesisConfig(camera=camera), 64, torch.Generator().manual_seed(1))
    assert torch.equal(clipped.observed, plain.observed.clamp(0, 1))
    camera = CameraConfig(linear=0.5, bright=0.25, jpeg=0.25, clip=True)
    batch = synthesise(photographs, SynthesisConfig(camera=camera), 64, torch.Generator().manual_seed(1))
    assert batch.latent.max() <= 1
    assert (batch.observed - plain.observed).abs().max() > 0.05


def test_count_must_be_a_multiple_of_share(photographs):
    with pytest.raises(ValueError, match="multiple of share = 4"):
        synthesise(photographs, SynthesisConfig(), 6, torch.Generator())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patch": 64}, "must be odd"),
        ({"core": 67}, "core <= patch"),
        ({"noise": (0.0, 0.1)}, "noise must be a range"),
        ({"noise": (0.2, 0.1)}, "noise must be a range"),
        ({"share": 0}, "share must be"),
    ],
)
def test_bad_configuration_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SynthesisConfig(**options)
