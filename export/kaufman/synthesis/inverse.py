"""Linear inverse filters on a periodic plane, in PyTorch: the part of deconvolution that learning finds hard.

In the runtime the same energies are minimised by `runtime.deconvolution.observation`, which knows where a photograph
ends. Here crops are blurred as if they were periodic, so that one division solves them.
"""

from __future__ import annotations

import torch
from torch import Tensor


def transfer(kernels: Tensor, sides: tuple[int, int]) -> Tensor:
    """Return the half spectra ``(N, H, W // 2 + 1)`` of kernels ``(N, K, K)``, K odd, whose origin is the middle.

    A kernel that is larger than the plane wraps around.
    """
    count, side, _ = kernels.shape
    height, width = sides
    rows, cols = -(-side // height) * height, -(-side // width) * width
    plane = torch.nn.functional.pad(kernels, (0, cols - side, 0, rows - side))
    plane = plane.view(count, rows // height, height, cols // width, width).sum((1, 3))
    return torch.fft.rfft2(torch.roll(plane, (-(side // 2), -(side // 2)), (1, 2)))


def gradient_power(sides: tuple[int, int], device: torch.device) -> Tensor:
    """Return the power ``(H, W // 2 + 1)`` of forward differences along both axes at each frequency."""
    rows, cols = torch.fft.fftfreq(sides[0], device=device), torch.fft.rfftfreq(sides[1], device=device)
    return 4 * (torch.sin(torch.pi * rows)[:, None] ** 2 + torch.sin(torch.pi * cols) ** 2)


def blur(planes: Tensor, spectra: Tensor) -> Tensor:
    """Convolve periodic planes ``(N, H, W)`` with the kernels of `transfer`."""
    return torch.fft.irfft2(torch.fft.rfft2(planes) * spectra, s=planes.shape[1:])


def confidence(planes: Tensor, kernels: Tensor, spectra: Tensor, noise: Tensor, errors: Tensor) -> Tensor:
    """Return the confidence ``(N, H, W // 2 + 1)``, from 0 to 1, in the data at each frequency if kernels are inexact.

    With the noise ``s``, the error ``e``, and the detail ``D`` that the error spoils, it is
    ``s^2 / (s^2 + e^2 |k|^2 D)``. The error of a kernel is taken for white, and the detail for that of photographs,
    whose power falls with the square of the frequency, as in `runtime.deconvolution.observation`.

    Parameters
    ----------
    planes, spectra, noise
        As in `wiener`.
    kernels : Tensor (N, K, K)
    errors : Tensor (N,)
        Euclidean norms of their errors, relative to those of the kernels; 0 for exact ones.
    """
    height, width = planes.shape[1:]
    gradient, power = gradient_power((height, width), planes.device), spectra.abs().square()
    variance = noise[:, None, None].square()
    seen = torch.fft.rfft2(planes).abs().square() / (height * width) - variance
    scale = ((power * gradient * seen).sum((1, 2)) / power.square().sum((1, 2))).clamp(min=0)
    place = torch.arange(kernels.shape[-1], device=planes.device, dtype=planes.dtype)
    lines = torch.stack((kernels.sum(1), kernels.sum(2)))
    widths = ((lines * place.square()).sum(2) - (lines * place).sum(2).square()).amax(0).clamp(min=0.25)
    detail = scale[:, None, None] / (gradient + 1 / widths[:, None, None])
    spoiled = (errors.square() * kernels.square().sum((1, 2)))[:, None, None] * detail
    return variance / (variance + spoiled)


def wiener(planes: Tensor, spectra: Tensor, noise: Tensor, weight: float, trust: Tensor | None = None) -> Tensor:
    """Minimise ``|k * x - y|^2 + weight noise^2 |grad x|^2`` over `x`, as `runtime.deconvolution.wiener` does.

    Parameters
    ----------
    planes : Tensor (N, H, W)
        The blurred planes ``y``, periodic.
    spectra : Tensor (N, H, W // 2 + 1)
        From `transfer`.
    noise : Tensor (N,)
        Standard deviations.
    weight
        Of the squared gradient, in units of the variance of the noise.
    trust : Tensor (N, H, W // 2 + 1), optional
        From `confidence`: a weight of the data at each frequency.
    """
    sides = planes.shape[1], planes.shape[2]
    prior = weight * noise[:, None, None] ** 2 * gradient_power(sides, planes.device)
    return _divide(torch.fft.rfft2(planes), spectra, prior, None, sides, trust)


def agree(
    planes: Tensor,
    estimates: Tensor,
    spectra: Tensor,
    noise: Tensor,
    deviation: Tensor,
    trust: Tensor | None = None,
) -> Tensor:
    """Minimise ``|k * x - y|^2 / noise^2 + |x - z|^2 / deviation^2`` over `x`: what the photograph says of estimates.

    Parameters
    ----------
    planes, estimates : Tensor (N, H, W)
        The blurred planes ``y`` and the estimates ``z``.
    spectra, noise, trust
        As in `wiener`.
    deviation : Tensor, scalar
        Expected error of an estimate.
    """
    coupling = (noise / deviation)[:, None, None] ** 2
    linear = coupling * torch.fft.rfft2(estimates)
    return _divide(torch.fft.rfft2(planes), spectra, coupling, linear, (planes.shape[1], planes.shape[2]), trust)


def _divide(
    observed: Tensor,
    spectra: Tensor,
    prior: Tensor,
    linear: Tensor | None,
    sides: tuple[int, int],
    trust: Tensor | None,
) -> Tensor:
    weighted = spectra.conj() if trust is None else trust * spectra.conj()
    numerator = weighted * observed if linear is None else weighted * observed + linear
    # A tiny weight for frequencies that neither the kernel nor the prior constrains.
    return torch.fft.irfft2(numerator / ((weighted * spectra).real + prior + 1e-7), s=sides)
