import pytest
import torch

from export.data.camera import CameraConfig
from export.data.trajectories import BlurConfig
from export.kaufman.data import KaufmanData, synthesise_examples
from export.kaufman.synthesis.inverse import blur, transfer

BLUR = BlurConfig(size=21, grids=(7, 13))


def draw(photographs, count=6, **settings):
    config = KaufmanData(**{"crop": 40, "blur": BLUR, **settings})
    return config, synthesise_examples(photographs, config, count, torch.Generator().manual_seed(0))


@pytest.mark.parametrize("periodic", [True, False])
def test_what_is_observed_is_the_latent_crop_blurred_and_noisy(photographs, periodic):
    _, examples = draw(photographs, periodic=periodic, noise=(0.01, 0.03))
    assert examples.observed.shape == examples.latent.shape == (6, 40, 40)
    assert examples.kernels.shape == (6, 21, 21)
    expected = blur(examples.latent, transfer(examples.kernels, (40, 40)))
    inner = slice(None) if periodic else slice(10, -10)
    rest = (examples.observed - expected)[:, inner, inner]
    torch.testing.assert_close(rest.std((1, 2)), examples.noise, atol=2e-3, rtol=0.15)
    assert ((examples.noise >= 0.01) & (examples.noise <= 0.03)).all()


def test_a_camera_clips_and_bends(photographs):
    camera = CameraConfig(linear=0.5, curves=True, bright=1.0, clip=True)
    _, examples = draw(photographs, periodic=True, camera=camera)
    for each in (examples.observed, examples.latent):
        assert 0 <= each.min() <= each.max() <= 1


def test_the_same_seed_gives_the_same_examples(photographs):
    first, second = (draw(photographs)[1] for _ in range(2))
    assert torch.equal(first.observed, second.observed)


def test_a_part_has_all_of_its_tensors(photographs):
    _, examples = draw(photographs)
    part = examples.part(slice(2, 4))
    assert torch.equal(part.kernels, examples.kernels[2:4])
    assert len(part.observed) == len(part.latent) == len(part.noise) == 2


@pytest.mark.parametrize("wrong", [{"crop": 0}, {"noise": (0.0, 0.1)}, {"softness": (1.0, 0.5)}, {"share": 2}])
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match="must be"):
        KaufmanData(**wrong)
