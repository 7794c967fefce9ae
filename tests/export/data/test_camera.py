from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from export.data.camera import GAMMA, CameraConfig, blur_as_light, compress, develop, overexpose


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@settings(max_examples=20, deadline=None)
@given(count=st.integers(1, 4), side=st.integers(1, 40), quality=st.integers(1, 100), seed=st.integers(0, 1000))
def test_compression_keeps_shape_and_range(count, side, quality, seed):
    patches = torch.rand(count, side, side, generator=_generator(seed))
    found = compress(patches, torch.full((count,), quality), _generator(seed))
    assert found.shape == patches.shape
    assert 0 <= found.min() <= found.max() <= 1


@pytest.mark.parametrize("quality", [30, 75, 95])
def test_compression_equals_that_of_a_jpeg_file(photographs, quality):
    patch = photographs.crops(1, 64, _generator(3))[0]
    buffer = io.BytesIO()
    Image.fromarray(np.rint(255 * patch.numpy()).astype(np.uint8)).save(buffer, "jpeg", quality=quality)
    expected = torch.from_numpy(np.asarray(Image.open(buffer)).astype(np.float32) / 255)
    # The grid lies at random: one of the 64 places is that of the file.
    several = [compress(patch[None], torch.tensor([quality]), _generator(seed))[0] for seed in range(400)]
    nearest = min(float((found - expected).abs().mean()) for found in several)
    assert nearest < 0.3 * float((patch - expected).abs().mean())


def test_lower_quality_loses_more(photographs):
    patches = photographs.crops(32, 65, _generator())
    losses = [
        float((compress(patches, torch.full((32,), quality), _generator()) - patches).square().mean())
        for quality in (95, 75, 40, 10)
    ]
    assert losses == sorted(losses)
    assert losses[0] > 0


def test_overexposure_brightens_the_share_asked_for():
    sharp = torch.full((40, 5, 5), 0.5)
    factor = overexpose(sharp, CameraConfig(bright=0.25), _generator())[:, 0, 0] / 0.5
    assert int((factor > 1).sum()) == 10
    assert factor.max() <= 2


def test_linear_light_is_blurred_as_light():
    sharp = torch.tensor([0.2, 0.8]).repeat(8, 1)[:, None, :].expand(8, 2, 2)
    found = blur_as_light(sharp, lambda light: light.mean(2, keepdim=True), CameraConfig(linear=0.5), _generator())
    values = sorted(set(found.flatten().tolist()))
    assert values == pytest.approx([0.5, ((0.2**GAMMA + 0.8**GAMMA) / 2) ** (1 / GAMMA)], abs=1e-6)
    assert int((found > 0.51).sum()) == found.numel() // 2


def test_curves_lie_between_identity_and_the_usual_one():
    sharp = torch.tensor([0.2, 0.8])[None, None].expand(64, 2, 2)
    config = CameraConfig(linear=1.0, curves=True)
    found = blur_as_light(sharp, lambda light: light.mean(2, keepdim=True), config, _generator())[:, 0, 0]
    assert 0.5 - 1e-6 <= found.min() < 0.51
    assert found.max() <= ((0.2**GAMMA + 0.8**GAMMA) / 2) ** (1 / GAMMA) + 1e-6
    assert len(found.unique()) > 50


@pytest.mark.parametrize("clip", [False, True])
def test_light_is_clipped_before_it_is_stored(clip):
    config = CameraConfig(linear=1.0, clip=clip)
    found = blur_as_light(torch.full((1, 2, 2), 1.5), lambda light: light, config, _generator())
    assert float(found.max()) == pytest.approx(1.0 if clip else 1.5, abs=1e-6)


def test_developing_clips_and_compresses(photographs):
    patches = photographs.crops(16, 65, _generator()) * 1.5 - 0.2
    assert torch.equal(develop(patches, CameraConfig(), _generator()), patches)
    clipped = develop(patches, CameraConfig(clip=True), _generator())
    assert torch.equal(clipped, patches.clamp(0, 1))
    compressed = develop(patches, CameraConfig(clip=True, jpeg=0.25), _generator())
    assert int((compressed != clipped).any(2).any(1).sum()) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"linear": 1.5}, "linear must be a share"),
        ({"bright": -0.1}, "bright must be a share"),
        ({"jpeg": 2.0}, "jpeg must be a share"),
        ({"quality": (90, 50)}, "quality must be a range"),
        ({"quality": (0, 50)}, "quality must be a range"),
    ],
)
def test_bad_configuration_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        CameraConfig(**options)
