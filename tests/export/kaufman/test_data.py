import pytest
import torch

from export.data.camera import CameraConfig
from export.data.trajectories import BlurConfig
from export.kaufman import data
from export.kaufman.data import KaufmanData, draw_kernels, kernel_extents, synthesise_examples
from export.kaufman.pairs import KernelPairs
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


def test_a_share_is_blurred_by_a_kernel_of_which_an_estimate_is_told(photographs):
    true, told = torch.zeros(2, 1, 21, 21)
    true[:, 10, 8:13], told[:, 10, 9:12] = 0.2, 1 / 3
    pairs = KernelPairs(true, told, torch.tensor([0.02]))
    config = KaufmanData(crop=40, periodic=True, blur=BLUR, estimated=0.5)
    examples = synthesise_examples(photographs, config, 40, torch.Generator().manual_seed(0), None, pairs)
    some = examples.errors > 0
    assert 10 < some.sum() < 30
    torch.testing.assert_close(examples.kernels[some].amax((1, 2)), torch.full((int(some.sum()),), 1 / 3))
    torch.testing.assert_close(examples.noise[some], torch.full((int(some.sum()),), 0.02))
    for index in some.nonzero()[:4, 0]:
        line = true if examples.kernels[index, 10, 9] > 0 else true.transpose(1, 2)
        rest = examples.observed[index] - blur(examples.latent[index, None], transfer(line, (40, 40)))[0]
        assert rest.std() == pytest.approx(0.02, rel=0.15)
    plain = synthesise_examples(photographs, config, 4, torch.Generator().manual_seed(0))
    assert not plain.errors.any()


def test_the_extent_is_the_side_of_the_square_around_the_middle_without_what_is_faint():
    kernels = torch.zeros(4, 9, 9)
    kernels[:, 4, 4] = 1
    kernels[1, 4, 2:7] = 0.1
    kernels[2, 7, 4] = kernels[2, 4, 5] = 0.1
    kernels[3, 0, 0] = 0.02
    assert kernel_extents(kernels).tolist() == [1, 5, 7, 1]


def test_kernels_are_of_the_extent_that_is_asked_for(photographs):
    _, examples = draw(photographs, count=20, extent=(5, 9))
    extents = kernel_extents(examples.kernels)
    assert ((extents >= 5) & (extents <= 9)).all()
    assert len(extents) == 20
    assert extents.unique().numel() > 1


def test_an_extent_that_hardly_any_kernel_has_is_refused(monkeypatch):
    monkeypatch.setattr(data, "_DRAWS", 3)
    config = KaufmanData(crop=40, blur=BlurConfig(size=21, grids=(5,), small=0.0), extent=(19, 21))
    with pytest.raises(ValueError, match="hardly any kernel"):
        draw_kernels(4, config, torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "wrong",
    [
        {"crop": 0},
        {"noise": (0.0, 0.1)},
        {"softness": (1.0, 0.5)},
        {"extent": (0, 9)},
        {"extent": (9, 5)},
        {"share": 2},
        {"estimated": 1.5},
        {"estimated": 0.5},
    ],
)
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match="must be"):
        KaufmanData(**wrong)
