"""The layers without weights: quotients of spectra, faded borders and the shape of a kernel, as in `kernels.quotient`.

Gradients are those of PyTorch's Fourier transforms, which are the formulas of appendix A of Schuler et al.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from kernels.borders import fading, fast_side
from kernels.quotient import LEAST, SHARPNESS
from runtime.estimation.learned import resampling_matrix


def kernel_quotient(x: Tensor, y: Tensor, support: int, beta: Tensor, prior: Tensor | None = None) -> Tensor:
    """Divide spectra summed over features (Eq. 4), tied to an estimate before.

    ``k = F^-1((sum_i conj(F x_i) F y_i + beta F k_0) / (sum_i |F x_i|^2 + beta))``, spectra in units of the square
    root of the number of pixels, so that `beta` means the same whatever the size.

    Parameters
    ----------
    x, y : Tensor (N, F, H, W)
        Features of the sharp image and their blurred counterparts, faded at the borders.
    support
        Side of the kernels in pixels, odd.
    beta : Tensor ()
        Positive weight of the estimate before.
    prior : Tensor (N, support, support)
        That estimate, ``k_0``; nothing if it is not given.

    Returns
    -------
    Tensor (N, support, support)
        Kernels of any sign, the origin in the middle.
    """
    height, width = x.shape[-2:]
    shape = fast_side(height), fast_side(width)
    spectra = torch.fft.rfft2(torch.stack((x, y)), s=shape) * (height * width) ** -0.5
    product = (spectra[0].conj() * spectra[1]).sum(1)
    power = (spectra[0].real.square() + spectra[0].imag.square()).sum(1)
    if prior is not None:
        product = product + beta * transfer(prior, shape)
    plane = torch.fft.irfft2(product / (power + beta), s=shape)
    reach = support // 2
    return plane.roll((reach, reach), (1, 2))[:, :support, :support]


def image_quotient(planes: Tensor, kernels: Tensor, weight: Tensor) -> Tensor:
    """Undo a blur under a penalty on the energy (Eq. 5): ``F^-1(conj(F k) F y / (|F k|^2 + weight))``.

    Parameters
    ----------
    planes : Tensor (N, H, W)
        Blurred, as if periodic.
    kernels : Tensor (N, K, K)
        Of sum 1, K odd.
    weight : Tensor ()
        Positive.

    Returns
    -------
    Tensor (N, H, W)
    """
    shape = planes.shape[1], planes.shape[2]
    blur = transfer(kernels, shape)
    power = blur.real.square() + blur.imag.square()
    return torch.fft.irfft2(blur.conj() * torch.fft.rfft2(planes) / (power + weight), s=shape)


def undo_blur(observed: Tensor, kernels: Tensor, weight: Tensor, pad: int) -> Tensor:
    """Undo the blur of photographs ``(N, H, W)`` that are no period: their mean taken out, continued and faded."""
    height, width = observed.shape[1:]
    mean = observed.mean((1, 2), keepdim=True)
    latent = image_quotient(continue_borders(observed - mean, pad), kernels, weight)
    return latent[:, pad : pad + height, pad : pad + width] + mean


def continue_borders(planes: Tensor, pad: int) -> Tensor:
    """Repeat the border of ``(N, H, W)`` over `pad` pixels or more and fade it, up to sides that transform fast."""
    height, width = planes.shape[1:]
    shape = fast_side(height + 2 * pad), fast_side(width + 2 * pad)
    wide = F.pad(planes[:, None], (pad, pad, pad, pad), mode="replicate")[:, 0]
    faded = fade_borders(wide, pad)
    return F.pad(faded, (0, shape[1] - faded.shape[2], 0, shape[0] - faded.shape[1]))


def fade_borders(planes: Tensor, border: int) -> Tensor:
    """Fade planes ``(..., H, W)`` to zero over `border` pixels by halves of a Barthann window."""
    rows, cols = (_fading(side, border).to(planes) for side in planes.shape[-2:])
    return planes * rows[:, None] * cols


def shape_kernel(raw: Tensor, threshold: Tensor) -> Tensor:
    """Set to zero what is below a share of the soft maximum, and scale to sum 1; a delta where nothing is left.

    Parameters
    ----------
    raw : Tensor (N, K, K)
        Of any sign.
    threshold : Tensor ()
        Share from 0 to 1 of the soft maximum, the p-norm of high order of the positive values.

    Returns
    -------
    Tensor (N, K, K)
        Non-negative, of sum 1.
    """
    positive = raw.clamp(min=0)
    peak = positive.detach().amax((1, 2), keepdim=True).clamp(min=LEAST)
    soft = peak * ((positive / peak).pow(SHARPNESS).sum((1, 2), keepdim=True) + LEAST).pow(1 / SHARPNESS)
    kept = (positive - threshold * soft).clamp(min=0)
    middle = torch.zeros_like(kept[:1])
    middle[:, kept.shape[1] // 2, kept.shape[2] // 2] = LEAST
    return (kept + middle) / (kept.sum((1, 2), keepdim=True) + LEAST)


def transfer(kernels: Tensor, shape: tuple[int, int]) -> Tensor:
    """Return the half spectra ``(N, H, W // 2 + 1)`` of kernels (N, K, K) whose origin is in their middle."""
    reach = kernels.shape[1] // 2
    height, width = shape
    padded = F.pad(kernels, (0, width - kernels.shape[2], 0, height - kernels.shape[1]))
    return torch.fft.rfft2(padded.roll((-reach, -reach), (1, 2)))


def resample(planes: Tensor, shape: tuple[int, int]) -> Tensor:
    """Resample planes ``(N, H, W)`` to another shape by `runtime.estimation.learned.resampling_matrix`."""
    rows, cols = (_matrix(old, new).to(planes) for old, new in zip(planes.shape[1:], shape, strict=True))
    # In full precision, as all that is no layer.
    with torch.autocast(planes.device.type, enabled=False):
        return rows @ planes @ cols.T


@lru_cache(maxsize=64)
def _fading(side: int, border: int) -> Tensor:
    return torch.from_numpy(np.asarray(fading(side, border)))


@lru_cache(maxsize=64)
def _matrix(source: int, target: int) -> Tensor:
    return torch.from_numpy(resampling_matrix(source, target))
