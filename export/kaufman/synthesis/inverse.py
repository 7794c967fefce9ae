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


def wiener(planes: Tensor, spectra: Tensor, noise: Tensor, weight: float) -> Tensor:
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
    """
    sides = planes.shape[1], planes.shape[2]
    prior = weight * noise[:, None, None] ** 2 * gradient_power(sides, planes.device)
    return _divide(torch.fft.rfft2(planes), spectra, prior, None, sides)


def agree(planes: Tensor, estimates: Tensor, spectra: Tensor, noise: Tensor, deviation: Tensor) -> Tensor:
    """Minimise ``|k * x - y|^2 / noise^2 + |x - z|^2 / deviation^2`` over `x`: what the photograph says of estimates.

    Parameters
    ----------
    planes, estimates : Tensor (N, H, W)
        The blurred planes ``y`` and the estimates ``z``.
    spectra, noise
        As in `wiener`.
    deviation : Tensor, scalar
        Expected error of an estimate.
    """
    coupling = (noise / deviation)[:, None, None] ** 2
    return _divide(
        torch.fft.rfft2(planes), spectra, coupling, coupling * torch.fft.rfft2(estimates), tuple(planes.shape[1:])
    )


def _divide(observed: Tensor, spectra: Tensor, prior: Tensor, linear: Tensor | None, sides: tuple[int, ...]) -> Tensor:
    numerator = spectra.conj() * observed if linear is None else spectra.conj() * observed + linear
    # A tiny weight for frequencies that neither the kernel nor the prior constrains.
    return torch.fft.irfft2(numerator / (spectra.abs().square() + prior + 1e-7), s=sides)
