"""The layers without weights agree with `kernels.quotient`, and their gradients with differences and with the paper."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import kernels.reference.quotient as reference
from export.schuler.quotients import (
    continue_borders,
    fade_borders,
    image_quotient,
    kernel_quotient,
    resample,
    shape_kernel,
    transfer,
    undo_blur,
)
from kernels.borders import fast_side


def doubles(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def kernels_of(count, side, seed=0):
    made = torch.rand(count, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) + 0.1
    return (made / made.sum((1, 2), keepdim=True)).requires_grad_()


def number(value):
    return torch.tensor(value, dtype=torch.float64, requires_grad=True)


def test_the_gradients_of_the_kernel_are_those_of_differences():
    x, y, prior = doubles(2, 2, 7, 6), doubles(2, 2, 7, 6, seed=1), kernels_of(2, 3)
    assert torch.autograd.gradcheck(
        lambda *given: kernel_quotient(*given[:2], 3, *given[2:]), (x, y, number(0.4), prior)
    )
    assert torch.autograd.gradcheck(lambda *given: kernel_quotient(*given[:2], 5, given[2]), (x, y, number(0.1)))


def test_the_gradients_of_the_image_are_those_of_differences():
    assert torch.autograd.gradcheck(image_quotient, (doubles(2, 7, 6), kernels_of(2, 3), number(0.05)))
    observed = doubles(1, 6, 9).detach()
    assert torch.autograd.gradcheck(
        lambda kernels, weight: undo_blur(observed, kernels, weight, 3), (kernels_of(1, 3), number(0.05))
    )


def test_the_gradients_of_the_shape_are_those_of_differences():
    # The maximum is taken as a constant, which makes no difference: the soft maximum does not depend on its scale.
    assert torch.autograd.gradcheck(shape_kernel, (kernels_of(2, 3, seed=3), number(0.1)))


def test_the_gradients_are_those_of_appendix_a():
    """Eq. 10, 12 and 14, with spectra in units of the square root of the number of pixels."""
    side, beta = 6, number(0.3)
    x, y = doubles(1, 2, side, side), doubles(1, 2, side, side, seed=1)
    assert fast_side(side) == side
    step = doubles(1, 5, 5, seed=2).detach()
    (kernel_quotient(x, y, 5, beta) * step).sum().backward()
    wide = np.zeros((side, side))
    lags = np.arange(5) - 2
    wide[lags[:, None], lags] = step[0].numpy()
    spectra = [np.fft.fft2(part.detach().numpy()[0]) / side for part in (x, y)]
    change = np.fft.fft2(wide)
    power = (np.abs(spectra[0]) ** 2).sum(0) + 0.3
    cross = (spectra[0].conj() * spectra[1]).sum(0)

    def back(spectrum):
        return np.fft.ifft2(spectrum).real / side

    for_x = change.conj() * spectra[1] / power - 2 * (cross.conj() * change).real * spectra[0] / power**2
    np.testing.assert_allclose(x.grad[0].numpy(), back(for_x) * 1, atol=1e-9)
    np.testing.assert_allclose(y.grad[0].numpy(), back(spectra[0] * change / power), atol=1e-9)
    for_beta = -(np.fft.ifft2(cross / power**2).real * wide).sum()
    assert float(beta.grad) == pytest.approx(for_beta)


def test_they_are_those_of_the_kernels():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(2, 2, 3, 21, 34)).astype(np.float32)
    prior = kernels_of(2, 7).detach().float()
    tensors = torch.from_numpy(x), torch.from_numpy(y)
    found = kernel_quotient(*tensors, 7, torch.tensor(0.2), prior)
    raw = reference.kernel_quotient(x, y, 7, 0.2, prior.numpy())
    np.testing.assert_allclose(found.numpy(), raw, atol=1e-5)
    found = shape_kernel(torch.from_numpy(raw), torch.tensor(0.15))
    np.testing.assert_allclose(found.numpy(), reference.shape_kernels(raw, 0.15), atol=1e-5)
    found = image_quotient(tensors[0][:, 0], prior, torch.tensor(0.01))
    np.testing.assert_allclose(found.numpy(), reference.image_quotient(x[:, 0], prior.numpy(), 0.01), atol=1e-3)
    np.testing.assert_allclose(fade_borders(tensors[0], 5).numpy(), reference.fade(x, 5), atol=1e-6)


def test_a_blur_that_is_known_is_undone():
    plane = torch.from_numpy(np.random.default_rng(1).normal(size=(1, 60, 70))).cumsum(1).cumsum(2) / 100
    kernel = kernels_of(1, 5).detach()
    sharp = plane[:, 2:-2, 2:-2]
    observed = torch.nn.functional.conv2d(plane[:, None], kernel.flip(1, 2)[:, None])[:, 0]
    latent = undo_blur(observed, kernel, torch.tensor(1e-3, dtype=torch.float64), 8)
    inner = (slice(None), slice(12, -12), slice(12, -12))
    before, after = ((found - sharp)[inner].square().mean() for found in (observed, latent))
    assert after < 0.1 * before


def test_what_is_continued_is_periodic_and_keeps_its_middle():
    planes = torch.rand(2, 21, 30)
    wide = continue_borders(planes, 6)
    assert wide.shape[1:] == (fast_side(33), fast_side(42))
    torch.testing.assert_close(wide[:, 6:27, 6:36], planes)
    assert wide[:, 0].abs().max() < 0.1 * planes.max()


def test_a_delta_in_the_middle_has_a_spectrum_of_ones():
    delta = torch.zeros(1, 5, 5)
    delta[0, 2, 2] = 1
    torch.testing.assert_close(transfer(delta, (8, 9)), torch.ones(1, 8, 5, dtype=torch.complex64))


def test_planes_are_resampled_along_both_axes():
    ramp = torch.arange(40.0).expand(1, 30, 40)
    smaller = resample(ramp, (15, 20))
    torch.testing.assert_close(smaller[:, 1:-1, 1:-1], (torch.arange(20.0) * 2 + 0.5).expand(1, 15, 20)[:, 1:-1, 1:-1])
