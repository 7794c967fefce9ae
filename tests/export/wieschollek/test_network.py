from __future__ import annotations

import numpy as np
import pytest
import torch

from export.chakrabarti.bands import taper
from export.chakrabarti.network import ChakrabartiConfig
from export.wieschollek.analysis import EXPONENT, BurstAnalysis, gaussian, normalise_burst
from export.wieschollek.data import BurstConfig, synthesise_bursts
from export.wieschollek.network import (
    FIRST_WIDTH,
    Fusion,
    FusionConfig,
    Sharing,
    Wieschollek,
    WieschollekConfig,
    accumulate,
    apply_burst_filters,
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


def test_without_scores_and_blur_it_is_fourier_burst_accumulation(bursts):
    fusion = Fusion(SMALL.fusion)
    analysis = fusion.analysis
    with torch.no_grad():
        fusion.head.bias[: 15**2] = -1e3
        fusion.head.bias[15**2 // 2] = 0
        # No noise to speak of, and the paper's exponent.
        fusion.head.bias[15**2 + 81 :][40] = -300
        fusion.log_exponent.fill_(np.log(11 / 4))
        fused = fusion.fuse(bursts.observed)
    torch.testing.assert_close(fused, accumulate(bursts.observed, analysis), atol=1e-4, rtol=0)


def test_accumulation_weighs_by_the_power_of_the_smooth_magnitudes(bursts):
    window = torch.from_numpy(taper(65, 16)).float()
    normal = normalise_burst(bursts.observed) * window[:, None] * window
    power = (torch.fft.rfft2(normal) / 65).abs().square()
    rows = np.minimum(np.arange(65), 65 - np.arange(65))
    down, across = (torch.from_numpy(gaussian(*how)).float() for how in ((rows, True), (np.arange(33), False)))
    strength = (down @ power @ across.T + 2e-3).sqrt() ** EXPONENT
    weights = strength / strength.sum(1, keepdim=True)
    fused = torch.fft.irfft2((weights * torch.fft.rfft2(bursts.observed)).sum(1), s=(65, 65))
    torch.testing.assert_close(accumulate(bursts.observed, BurstAnalysis(15)), fused, atol=1e-4, rtol=0)


def test_untrained_it_takes_every_frame_for_a_little_blurred():
    fusion = Fusion(SMALL.fusion)
    _, passes = fusion.requires_grad_(False).filters_and_kernels(torch.rand(2, 3, 65, 65))
    assert len(passes) == SMALL.fusion.passes == 2
    kernels = passes[-1].exp()
    torch.testing.assert_close(kernels.sum((-2, -1)), torch.ones(2, 3))
    place = torch.arange(15.0) - 7
    assert (kernels.sum(-1) @ place).abs().max() < 1e-5
    assert float((kernels.sum(-1) @ place**2).sqrt().mean()) == pytest.approx(FIRST_WIDTH, rel=0.05)


def test_filters_are_the_wiener_filters_of_the_kernels(network, bursts):
    filters, passes = network.fusion.filters_and_kernels(bursts.observed)
    padded = torch.zeros(*bursts.observed.shape)
    padded[:, :, 25:40, 25:40] = passes[-1].exp()
    spectra = torch.fft.rfft2(torch.fft.ifftshift(padded, dim=(-2, -1)))
    complex_filters = torch.complex(filters[:, :, 0], filters[:, :, 1])
    # Each is a positive weight times the conjugate, over what all have in common.
    gain = complex_filters / spectra.conj()
    assert (gain.imag.abs() < 1e-2 * gain.real + 1e-4).float().mean() > 0.999
    assert (gain.real > 0).float().mean() > 0.999
    total = (complex_filters * spectra).sum(1)
    assert total.real.max() <= 1 + 1e-4
    torch.testing.assert_close(total[:, 0, 0].real, torch.ones(48), atol=1e-4, rtol=0)


def test_a_second_pass_sees_kernels_relative_to_the_first(network, bursts):
    _, (first, second) = network.fusion.filters_and_kernels(bursts.observed)
    assert (first - second).abs().max() > 1e-2


def test_filtered_frames_add_up():
    patches, filters = torch.rand(2, 3, 65, 65), torch.randn(2, 3, 2, 65, 33)
    expected = sum(
        torch.fft.irfft2(torch.fft.rfft2(patches[:, t]) * torch.complex(filters[:, t, 0], filters[:, t, 1]), s=(65, 65))
        for t in range(3)
    )
    torch.testing.assert_close(apply_burst_filters(patches, filters), expected, atol=1e-4, rtol=0)


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


def test_sharing_is_the_same_for_every_coefficient_and_frame():
    torch.manual_seed(0)
    share = Sharing()
    band = torch.randn(2, 4, 7)
    order, places = [2, 0, 3, 1], [6, 5, 4, 3, 2, 1, 0]
    shared = share(band).view(2, 4, 7, 2)
    torch.testing.assert_close(share(band[:, order][:, :, places]).view(2, 4, 7, 2), shared[:, order][:, :, places])
    other = share(torch.cat((band[:, :3], 2 * band[:, 3:]), 1)).view(2, 4, 7, 2)
    assert (other[:, 0] - shared[:, 0]).abs().max() > 1e-3


@pytest.mark.parametrize("values", [{"full": 0}, {"support": 24}, {"support": 7}, {"support": 67}])
def test_sizes_that_cannot_be_are_named(values):
    with pytest.raises(ValueError, match="must be"):
        FusionConfig(**values)
