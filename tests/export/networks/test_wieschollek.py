from __future__ import annotations

import numpy as np
import pytest
import torch

from export.burst_train import load_burst_network
from export.bursts import BurstConfig, synthesise_bursts
from export.networks.bands import taper
from export.networks.chakrabarti import ChakrabartiConfig, central
from export.networks.wieschollek import (
    EXPONENT,
    SMOOTHING,
    BurstAnalysis,
    FusionConfig,
    Sharing,
    Wieschollek,
    WieschollekConfig,
    gaussian,
    normalise_burst,
)

SMALL = WieschollekConfig(
    FusionConfig(bands=8, kernels=12, spectra=10, full=16, support=15),
    ChakrabartiConfig(24, 32, 48, layers=3, style="residual", spectra=True, support=33),
)


@pytest.fixture(scope="module")
def bursts(photographs):
    return synthesise_bursts(photographs, BurstConfig(frames=(5,)), 48, torch.Generator().manual_seed(3))


@pytest.fixture(scope="module")
def network(bursts):
    """Fitted, with heads that predict something."""
    torch.manual_seed(0)
    network = Wieschollek(SMALL)
    network.fit(bursts.observed)
    for head in (network.fusion.head, network.restoration.head):
        torch.nn.init.normal_(head.weight, std=0.05)
        torch.nn.init.normal_(head.bias, std=0.05)
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def analysis():
    return BurstAnalysis(25)


def test_untrained_it_is_fourier_burst_accumulation(bursts):
    network = Wieschollek(SMALL)
    window = torch.from_numpy(taper(65, 16)).float()
    normal = normalise_burst(bursts.observed) * window[:, None] * window
    power = (torch.fft.rfft2(normal) / 65).abs().square()
    rows = np.minimum(np.arange(65), 65 - np.arange(65))
    across = np.exp(-0.5 * ((np.arange(33)[:, None] - np.arange(33)) / SMOOTHING) ** 2)
    down = np.exp(-0.5 * (rows[(np.arange(65)[:, None] - np.arange(65)) % 65] / SMOOTHING) ** 2)
    smooth = (torch.from_numpy(down / down.sum(1, keepdims=True)).float() @ power) @ torch.from_numpy(
        across / across.sum(1, keepdims=True)
    ).float().T
    weights = (smooth + 2e-3) ** (EXPONENT / 2)
    weights = weights / weights.sum(1, keepdim=True)
    fused = torch.fft.irfft2((weights * torch.fft.rfft2(bursts.observed)).sum(1), s=(65, 65))
    torch.testing.assert_close(network.fusion.fuse(bursts.observed), fused, atol=1e-4, rtol=0)
    torch.testing.assert_close(network.restore(bursts.observed), central(fused), atol=1e-4, rtol=0)


def test_the_order_of_the_frames_does_not_matter(network, bursts):
    order = [3, 0, 4, 2, 1]
    filters = network.fusion(bursts.observed)
    torch.testing.assert_close(network.fusion(bursts.observed[:, order]), filters[:, order], atol=2e-5, rtol=0)
    turned = network.restore(bursts.observed[:, order])
    torch.testing.assert_close(turned, network.restore(bursts.observed), atol=2e-5, rtol=0)


def test_any_number_of_frames_will_do(network, bursts):
    for frames in (1, 2, 5):
        filters = network.fusion(bursts.observed[:, :frames])
        assert filters.shape == (48, frames, 2, 65, 33)
        assert torch.isfinite(filters).all()
        torch.testing.assert_close(filters[:, :, 0, 0, 0].sum(1), torch.ones(48), atol=1e-5, rtol=0)
        assert filters[:, :, 1, 0, 0].abs().max() == 0


def test_repeating_the_burst_changes_nothing(network, bursts):
    twice = torch.cat((bursts.observed, bursts.observed), 1)
    torch.testing.assert_close(network.restore(twice), network.restore(bursts.observed), atol=2e-5, rtol=0)


def test_contrast_and_brightness_do_not_matter(network, bursts):
    faint = 0.3 + 0.5 * bursts.observed
    expected = 0.3 + 0.5 * network.restore(bursts.observed)
    assert (network.restore(faint) - expected).abs().max() < 0.01
    assert (network.restore(faint) - expected).abs().mean() < 5e-4


def test_flat_bursts_stay_flat(network):
    for level in (0.0, 0.5, 1.0):
        flat = torch.full((2, 3, 65, 65), level)
        torch.testing.assert_close(network.restore(flat), torch.full((2, 33, 33), level), atol=1e-5, rtol=0)


def test_gradients_reach_every_weight(bursts):
    torch.manual_seed(1)
    network = Wieschollek(SMALL)
    network.fit(bursts.observed)
    for name, weight in network.named_parameters():
        if name.endswith(("head.weight", "outer.weight")):
            torch.nn.init.normal_(weight, std=0.05)
    (network.restore(bursts.observed) - bursts.latent).square().mean().backward()
    idle = [name for name, weight in network.named_parameters() if not weight.grad.abs().sum() > 0]
    assert idle == []


def test_spectra_are_those_of_the_tapered_patch(analysis, bursts):
    normal = normalise_burst(bursts.observed)
    window = torch.from_numpy(taper(65, 16)).float()
    expected = torch.fft.rfft2(torch.fft.ifftshift(normal * window[:, None] * window, dim=(-2, -1))) / 65
    real, imaginary = analysis._spectra(normal)
    torch.testing.assert_close(torch.complex(real, imaginary), expected, atol=2e-5, rtol=0)


def test_a_frame_shows_its_kernel_relative_to_the_sharp_one(analysis):
    random = torch.Generator().manual_seed(0)
    sharp = torch.randn(1, 1, 65, 65, generator=random)
    kernel = torch.zeros(65, 65)
    kernel[2, -3], kernel[0, 0] = 0.6, 0.4
    blurred = torch.fft.irfft2(torch.fft.rfft2(sharp) * torch.fft.rfft2(kernel), s=(65, 65))
    spectra = torch.fft.rfft2(torch.cat((sharp, blurred), 1)) / 65
    # With the sharp frame far stronger, it is what accumulation gives.
    power = torch.stack((torch.zeros(65, 33), torch.full((65, 33), -9.0)))[None]
    kernels = analysis._kernels(spectra.real, spectra.imag, power)[0]
    assert kernels.shape == (2, 25, 25)
    assert float(kernels[0, 12, 12]) == pytest.approx(1, abs=0.05)
    assert float(kernels[1, 14, 9]) == pytest.approx(0.6, abs=0.05)
    assert float(kernels[1, 12, 12]) == pytest.approx(0.4, abs=0.05)
    rest = kernels[1].clone()
    rest[14, 9] = rest[12, 12] = 0
    assert rest.abs().max() < 0.1


def test_fitted_inputs_are_standardised(network, bursts):
    seen = network.fusion.analysis(bursts.observed)
    for value in (seen.kernels, seen.spectra, seen.context):
        value = value.flatten(0, -2)
        assert value.mean(0).abs().max() < 0.3
        assert 0.3 < value.std(0).median() < 1.2


def test_sharing_is_the_same_for_every_coefficient_and_frame():
    torch.manual_seed(0)
    share = Sharing()
    band = torch.randn(2, 4, 7)
    order, places = [2, 0, 3, 1], [6, 5, 4, 3, 2, 1, 0]
    shared = share(band).view(2, 4, 7, 2)
    torch.testing.assert_close(share(band[:, order][:, :, places]).view(2, 4, 7, 2), shared[:, order][:, :, places])
    other = share(torch.cat((band[:, :3], 2 * band[:, 3:]), 1)).view(2, 4, 7, 2)
    assert (other[:, 0] - shared[:, 0]).abs().max() > 1e-3


def test_smoothing_keeps_what_is_level():
    for cyclic, place in ((True, np.minimum(np.arange(65), 65 - np.arange(65))), (False, np.arange(33))):
        matrix = gaussian(place, cyclic)
        np.testing.assert_allclose(matrix.sum(1), 1)
        assert np.argmax(matrix, 1).tolist() == list(range(len(place)))
    assert gaussian(np.minimum(np.arange(65), 65 - np.arange(65)), True)[0, 64] == pytest.approx(
        gaussian(np.minimum(np.arange(65), 65 - np.arange(65)), True)[0, 1]
    )


@pytest.mark.parametrize("values", [{"full": 0}, {"support": 24}, {"support": 7}, {"support": 67}])
def test_sizes_that_cannot_be_are_named(values):
    with pytest.raises(ValueError, match="must be"):
        FusionConfig(**values)


def test_the_shipped_configuration_is_what_a_checkpoint_rebuilds(tmp_path, network):
    import dataclasses

    config = {"name": "x", "description": "", "method": "wieschollek", "network": dataclasses.asdict(SMALL)}
    torch.save({"config": config, "network": network.state_dict()}, tmp_path / "checkpoint.pt")
    loaded, _ = load_burst_network(tmp_path / "checkpoint.pt")
    patches = torch.rand(2, 3, 65, 65)
    assert torch.equal(loaded.restore(patches), network.restore(patches))
