from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from export.chakrabarti.network import (
    CORE,
    LIMIT,
    PATCH,
    Chakrabarti,
    ChakrabartiConfig,
    apply_filters,
    central,
    frequency_weight,
    normalise,
)

STYLES = ["plain", "residual"]


@pytest.mark.parametrize("style", STYLES)
def test_filters_have_the_layout_of_the_half_spectrum(networks, observed, style):
    filters = networks[style](observed[:5])
    assert filters.shape == (5, 2, PATCH, PATCH // 2 + 1)
    assert filters.dtype == torch.float32
    assert torch.isfinite(filters).all()


@pytest.mark.parametrize("style", STYLES)
def test_the_mean_is_kept(networks, observed, style):
    filters = networks[style](observed[:50])
    assert torch.equal(filters[:, 0, 0, 0], torch.ones(50))
    assert torch.equal(filters[:, 1, 0, 0], torch.zeros(50))


@pytest.mark.parametrize("style", STYLES)
def test_filters_are_spectra_of_real_ones(networks, observed, style):
    real, imaginary = networks[style](observed[:20]).unbind(1)
    opposite = -torch.arange(PATCH) % PATCH
    torch.testing.assert_close(real[:, :, 0], real[:, opposite, 0])
    torch.testing.assert_close(imaginary[:, :, 0], -imaginary[:, opposite, 0])


@pytest.mark.parametrize("config", [ChakrabartiConfig(8, 8, 8, 1), ChakrabartiConfig(8, 8, 8, 1, "residual", True, 5)])
def test_an_untrained_network_is_the_identity(config, observed):
    network = Chakrabarti(config)
    network.fit(observed)
    filters = network(observed[:9])
    assert torch.equal(filters[:, 0], torch.ones_like(filters[:, 0]))
    assert torch.equal(filters[:, 1], torch.zeros_like(filters[:, 1]))
    torch.testing.assert_close(network.restore(observed[:9]), central(observed[:9]))


@pytest.mark.parametrize("style", STYLES)
def test_restoring_is_applying_the_filters(networks, observed, style):
    network = networks[style]
    restored = network.restore(observed[:40])
    torch.testing.assert_close(restored, apply_filters(observed[:40], network(observed[:40])), atol=2e-5, rtol=0)
    assert (restored - central(observed[:40])).abs().max() > 1e-3


@pytest.mark.parametrize("style", STYLES)
def test_restoring_has_the_gradient_of_filtering(networks, observed, style):
    network, patches = networks[style], observed[:6]
    error = torch.randn(6, CORE, CORE, generator=torch.Generator().manual_seed(0))
    gradients = []
    for restore in (network.restore, lambda patches: apply_filters(patches, network(patches))):
        network.head.bias.requires_grad_()
        (gradient,) = torch.autograd.grad(restore(patches), network.head.bias, error)
        network.head.bias.requires_grad_(False)
        gradients.append(gradient)
    torch.testing.assert_close(*gradients, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("style", STYLES)
@settings(max_examples=15, deadline=None)
@given(gain=st.floats(0.3, 3), offset=st.floats(-0.5, 0.5))
def test_filters_depend_on_neither_contrast_nor_brightness(networks, observed, style, gain, offset):
    busy = observed[observed.std((1, 2)) > 0.1][:8]
    changed = networks[style](gain * busy + offset)
    torch.testing.assert_close(changed, networks[style](busy), atol=5e-3, rtol=0)


@pytest.mark.parametrize("style", STYLES)
def test_a_patch_does_not_depend_on_its_batch(networks, observed, style):
    alone = networks[style](observed[3:4])
    torch.testing.assert_close(alone, networks[style](observed[:17])[3:4], atol=1e-4, rtol=0)


def test_features_are_decorrelated_and_of_unit_variance(networks, observed):
    analysis = networks["residual"].analysis
    for index, band in enumerate(analysis.bands(normalise(observed))):
        white = (band - analysis.get_buffer(f"mean{index}")) @ analysis.get_buffer(f"whiten{index}")
        covariance = torch.cov(white.T)
        kept = covariance.diagonal() > 0.5
        assert (~kept).sum() == (1 if index == 3 else 0), "only the mean is dropped"
        torch.testing.assert_close(covariance, torch.diag(kept.float()), atol=1e-2, rtol=0)
        torch.testing.assert_close(analysis(observed)[0][index], white.clamp(-LIMIT, LIMIT))
    _, spectra = analysis(observed)
    assert 0.3 < spectra.std(0).min() < spectra.std(0).max() <= 1
    assert spectra.mean(0).abs().max() < 0.1


def test_spectra_see_blur_as_a_sum_of_logarithms(networks):
    analysis = networks["residual"].analysis
    noise = torch.rand(300, PATCH, PATCH, generator=torch.Generator().manual_seed(0))
    frequency = torch.hypot((torch.fft.fftfreq(PATCH) * PATCH)[:, None], torch.arange(33.0))
    blurred = torch.fft.irfft2(torch.fft.rfft2(noise) * torch.exp(-((frequency / 20) ** 2)), s=(PATCH, PATCH))
    change = analysis.log_spectra(normalise(blurred)) - analysis.log_spectra(normalise(noise))
    rows = change[:, : 2 * analysis.fine**2].view(300, 2, analysis.fine, analysis.fine)[:, 0, :, 0].mean(0)
    for index in (8, 12, 16):
        assert float(rows[index] - rows[4]) == pytest.approx(-2 * (index**2 - 4**2) / 20**2, abs=0.15)


def test_flat_patches_are_finite(networks):
    flat = torch.stack([torch.full((PATCH, PATCH), level) for level in (0.0, 0.3, 1.0)])
    for network in networks.values():
        assert torch.isfinite(network(flat)).all()
        torch.testing.assert_close(network.restore(flat), central(flat), atol=1e-5, rtol=0)


def test_weight_spares_the_mean_and_rises():
    weight = frequency_weight()
    assert weight[0, 0] == 0
    assert (weight[0, 1:] > weight[0, :-1]).all()
    assert weight.max() < 1


def test_paper_size():
    network = Chakrabarti(ChakrabartiConfig())
    hidden = [*network.first, *network.second, *network.trunk]
    assert [layer.linear.out_features for layer in hidden] == [1024] * 3 + [2048] * 2 + [4096] * 5
    assert [layer.linear.in_features for layer in network.first] == [416, 416, 289]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"first": 0}, "at least 1"),
        ({"style": "wide"}, "style must be"),
        ({"style": "residual", "layers": 2}, "odd number of layers"),
        ({"support": 34}, "support must be odd"),
        ({"support": 67}, "support must be odd"),
    ],
)
def test_bad_configuration_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ChakrabartiConfig(**options)
