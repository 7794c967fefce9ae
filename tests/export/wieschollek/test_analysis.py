from __future__ import annotations

import numpy as np
import pytest
import torch

from export.chakrabarti.bands import taper
from export.wieschollek.analysis import EXPONENT, BurstAnalysis, gaussian, multiply, normalise_burst
from export.wieschollek.data import BurstConfig, synthesise_bursts


@pytest.fixture(scope="module")
def bursts(photographs):
    return synthesise_bursts(photographs, BurstConfig(frames=(5,)), 48, torch.Generator().manual_seed(3))


@pytest.fixture(scope="module")
def analysis():
    return BurstAnalysis(25)


def test_spectra_are_those_of_the_tapered_patch(analysis, bursts):
    normal = normalise_burst(bursts.observed)
    window = torch.from_numpy(taper(65, 16)).float()
    expected = torch.fft.rfft2(torch.fft.ifftshift(normal * window[:, None] * window, dim=(-2, -1))) / 65
    real, imaginary = analysis(bursts.observed).spectrum.unbind(2)
    torch.testing.assert_close(torch.complex(real, imaginary), expected, atol=2e-5, rtol=0)


def test_a_frame_shows_its_kernel_relative_to_a_sharp_one(analysis):
    random = torch.Generator().manual_seed(0)
    sharp = torch.randn(1, 1, 65, 65, generator=random)
    kernel = torch.zeros(65, 65)
    kernel[2, -3], kernel[0, 0] = 0.6, 0.4
    blurred = torch.fft.irfft2(torch.fft.rfft2(sharp) * torch.fft.rfft2(kernel), s=(65, 65))
    spectra = torch.view_as_real(torch.fft.rfft2(torch.cat((sharp, blurred), 1)) / 65).movedim(-1, 2)
    # Filters that fuse the first frame alone.
    filters = torch.zeros(1, 2, 2, 65, 33)
    filters[:, 0, 0] = 1
    kernels = analysis.relative_kernels(spectra, filters)[0].view(2, 25, 25)
    assert float(kernels[0, 12, 12]) == pytest.approx(1, abs=0.05)
    assert float(kernels[1, 14, 9]) == pytest.approx(0.6, abs=0.05)
    assert float(kernels[1, 12, 12]) == pytest.approx(0.4, abs=0.05)
    rest = kernels[1].clone()
    rest[14, 9] = rest[12, 12] = 0
    assert rest.abs().max() < 0.1


def test_without_better_knowledge_they_are_relative_to_the_accumulated_frame(analysis, bursts):
    seen = analysis(bursts.observed)
    weights = torch.softmax(EXPONENT / 2 * seen.log_power, 1)
    filters = torch.stack((weights, torch.zeros_like(weights)), 2)
    torch.testing.assert_close(analysis.relative_kernels(seen.spectrum, filters), seen.kernels, atol=1e-4, rtol=0)


def test_fitted_inputs_are_standardised(bursts):
    analysis = BurstAnalysis(15)
    analysis.fit(bursts.observed)
    seen = analysis(bursts.observed)
    for value in (seen.kernels, seen.spectra, seen.context):
        value = value.flatten(0, -2)
        assert value.mean(0).abs().max() < 0.3
        assert 0.3 < value.std(0).median() < 1.2


def test_smoothing_keeps_what_is_level():
    for cyclic, place in ((True, np.minimum(np.arange(65), 65 - np.arange(65))), (False, np.arange(33))):
        matrix = gaussian(place, cyclic)
        np.testing.assert_allclose(matrix.sum(1), 1)
        assert np.argmax(matrix, 1).tolist() == list(range(len(place)))
    assert gaussian(np.minimum(np.arange(65), 65 - np.arange(65)), True)[0, 64] == pytest.approx(
        gaussian(np.minimum(np.arange(65), 65 - np.arange(65)), True)[0, 1]
    )


def test_planes_multiply_as_complex_numbers():
    a, b = torch.randn(2, 3, 2, 4, 5), torch.randn(2, 3, 2, 4, 5)
    expected = torch.complex(a[:, :, 0], a[:, :, 1]) * torch.complex(b[:, :, 0], b[:, :, 1])
    product = multiply(a, b)
    torch.testing.assert_close(torch.complex(product[:, :, 0], product[:, :, 1]), expected)


def test_one_contrast_serves_the_whole_burst(bursts):
    normal = normalise_burst(bursts.observed)
    assert normal.mean((-2, -1)).abs().max() < 1e-4
    contrast = bursts.observed.std((-2, -1))
    torch.testing.assert_close(
        normal.std((-2, -1))[:, 0] / normal.std((-2, -1))[:, 1], contrast[:, 0] / contrast[:, 1], rtol=1e-3, atol=0
    )
