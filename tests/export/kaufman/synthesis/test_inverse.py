import numpy as np
import pytest
import torch

from export.kaufman.synthesis.inverse import agree, blur, confidence, gradient_power, transfer, wiener
from runtime.blur.periodic import BlurModel
from runtime.deconvolution.observation import Observation
from runtime.deconvolution.wiener import wiener as of_the_runtime


@pytest.fixture(scope="module")
def kernels():
    torch.manual_seed(0)
    drawn = torch.rand(2, 5, 5)
    return drawn / drawn.sum((1, 2), keepdim=True)


def direct(planes, kernels):
    """Sums over the taps of the kernels."""
    reach = kernels.shape[1] // 2
    return sum(
        kernels[:, row, col, None, None] * torch.roll(planes, (row - reach, col - reach), (1, 2))
        for row in range(kernels.shape[1])
        for col in range(kernels.shape[2])
    )


@pytest.mark.parametrize("sides", [(12, 15), (7, 6), (4, 3)])
def test_blur_is_a_convolution_that_wraps_around(kernels, sides):
    planes = torch.rand(2, *sides)
    torch.testing.assert_close(blur(planes, transfer(kernels, sides)), direct(planes, kernels), atol=1e-6, rtol=1e-5)


def test_without_noise_the_blur_is_undone(kernels):
    planes = torch.rand(2, 16, 12)
    kernels = kernels * 0.3
    kernels[:, 2, 2] += 0.7
    spectra = transfer(kernels, (16, 12))
    restored = wiener(blur(planes, spectra), spectra, torch.full((2,), 1e-4), 100.0)
    torch.testing.assert_close(restored, planes, atol=2e-3, rtol=0)


def test_the_runtime_solves_the_same_where_all_of_a_plane_is_known(kernels):
    planes, noise = torch.rand(1, 40, 40), 0.02
    kernel = kernels[:1]
    found = wiener(planes, transfer(kernel, (40, 40)), torch.tensor([noise]), 100.0)[0]
    observation = Observation(planes[0].numpy(), kernel[0].numpy(), noise)
    # The runtime's plane is larger; blurred by a kernel this small, its inside hardly knows of the border.
    expected = observation.model.crop(of_the_runtime(observation))
    np.testing.assert_allclose(found[15:25, 15:25], expected[15:25, 15:25], atol=2e-2)


@pytest.mark.parametrize("error", [0.0, 0.2])
def test_inexact_kernels_are_trusted_as_much_as_in_the_runtime(kernels, error):
    image = torch.rand(40, 44).cumsum(0).numpy() / 40
    observation = Observation(image, kernels[0].numpy(), 0.01, kernel_error=error)
    found = confidence(
        torch.from_numpy(observation.extended)[None],
        kernels[:1],
        torch.from_numpy(observation.model.transfer)[None],
        torch.tensor([0.01]),
        torch.tensor([error]),
    )
    np.testing.assert_allclose(found[0], observation._confidence, rtol=2e-3)
    assert (float(found.min()) == 1) == (error == 0)


def test_gradients_have_the_power_that_the_runtime_weighs():
    model = BlurModel((40, 44), np.ones((1, 1), np.float32))
    found = gradient_power(model.shape, torch.device("cpu"))
    np.testing.assert_allclose(found, model.gradient_power(), atol=1e-5)


def test_an_estimate_that_is_certain_stays_and_one_that_is_not_gives_way(kernels):
    planes, estimates = torch.rand(2, 2, 10, 12)
    spectra, noise = transfer(kernels, (10, 12)), torch.full((2,), 0.01)
    torch.testing.assert_close(
        agree(planes, estimates, spectra, noise, torch.tensor(1e-5)), estimates, atol=1e-3, rtol=0
    )
    agreed = agree(planes, estimates, spectra, noise, torch.tensor(10.0))
    before = (blur(estimates, spectra) - planes).square().sum()
    assert (blur(agreed, spectra) - planes).square().sum() < 0.2 * before


def test_what_agrees_is_the_minimum(kernels):
    planes, estimates = torch.rand(2, 2, 10, 12)
    spectra, noise, deviation = transfer(kernels, (10, 12)), torch.tensor([0.02, 0.05]), torch.tensor(0.03)
    agreed = agree(planes, estimates, spectra, noise, deviation).requires_grad_()
    misfit = (blur(agreed, spectra) - planes) / noise[:, None, None]
    energy = misfit.square().sum() + ((agreed - estimates) / deviation).square().sum()
    (gradient,) = torch.autograd.grad(energy, agreed)
    assert gradient.abs().max() < 2e-2
