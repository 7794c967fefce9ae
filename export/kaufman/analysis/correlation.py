"""Cross-correlations of feature maps, mixed to a few channels, in PyTorch with gradients.

The runtime's are in `kernels.correlation`. A 1x1 convolution of the correlations of all pairs is linear, so it is done
on their spectra: there is one inverse transform for each channel that it makes, instead of one for each pair. The
products of all pairs at all frequencies are never in memory at once, neither forwards nor backwards.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from kernels.borders import fast_side

_COLUMNS = {"cpu": 2**11, "cuda": 2**17}
"""Frequencies that are mixed together: on a CPU their products stay in its cache."""
LEAST_ENERGY = 1e-2
"""Added to the energy of a map before it is scaled to one."""


def standardise(maps: Tensor) -> Tensor:
    """Give maps ``(N, F, H, W)`` zero mean and unit energy."""
    maps = maps - maps.mean((2, 3), keepdim=True)
    return maps / torch.sqrt(maps.square().sum((2, 3), keepdim=True) + LEAST_ENERGY)


def correlate_mixed(maps: Tensor, weights: Tensor, side: int) -> Tensor:
    """Correlate all pairs of maps and mix the correlations.

    With ``C_ij(s) = sum_x f_i(x - s) f_j(x)`` (Kaufman and Fattal 2020, section 3.1) this is ``sum_ij w_cij C_ij(s)``
    at the lags of a square.

    Parameters
    ----------
    maps : Tensor (N, F, H, W)
        Zero outside.
    weights : Tensor (C, F, F)
        Of all ordered pairs.
    side
        Of the square of lags in pixels, odd.

    Returns
    -------
    Tensor (N, C, side, side)
        The lag of 0 in the middle.
    """
    count, features, height, width = maps.shape
    reach = side // 2
    sides = fast_side(height + reach), fast_side(width + reach)
    spectra = torch.fft.rfft2(maps.float(), s=sides)
    first, second = torch.triu_indices(features, features, device=maps.device)
    # The spectrum of C_ji is the conjugate of that of C_ij.
    ahead, back = weights[:, first, second], weights[:, second, first] * (first != second)
    columns = spectra.transpose(0, 1).reshape(features, -1)
    with torch.autocast(maps.device.type, enabled=False):
        mixed: Tensor = _Mixed.apply(columns, ahead + back, ahead - back)
    mixed = mixed.view(len(weights), count, *spectra.shape[2:]).transpose(0, 1)
    lags = torch.fft.irfft2(mixed, s=sides)
    return torch.roll(lags, (reach, reach), (2, 3))[:, :, :side, :side]


class _Mixed(torch.autograd.Function):
    """``sum_{i <= j} even_cij Re(conj(S_i) S_j) + i odd_cij Im(conj(S_i) S_j)``, column by column.

    Spectra are complex ``(F, columns)``, weights ``(C, pairs)``, the result is complex ``(C, columns)``.
    """

    @staticmethod
    def forward(context: Any, spectra: Tensor, even: Tensor, odd: Tensor) -> Tensor:
        context.save_for_backward(spectra, even, odd)
        pairs = torch.triu_indices(len(spectra), len(spectra), device=spectra.device)
        parts = []
        for some in spectra.split(_COLUMNS[spectra.device.type], dim=1):
            real, imaginary = _products(some, pairs)
            parts.append(torch.complex(even @ real, odd @ imaginary))
        return torch.cat(parts, 1)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        spectra, even, odd = context.saved_tensors
        pairs = first, second = torch.triu_indices(len(spectra), len(spectra), device=spectra.device)
        # A map with itself is there twice, as the conjugate factor and as the other, and the product is real.
        itself = (first == second).to(even)
        doubled, apart = even * (1 + itself), odd * (1 - itself)
        of_even, of_odd, parts = torch.zeros_like(even), torch.zeros_like(odd), []
        columns = _COLUMNS[spectra.device.type]
        for some, given in zip(spectra.split(columns, dim=1), gradients[0].split(columns, dim=1), strict=True):
            real, imaginary = _products(some, pairs)
            given_real, given_imaginary = given.real.contiguous(), given.imag.contiguous()
            of_even += given_real @ real.T
            of_odd += given_imaginary @ imaginary.T
            # Per column a Hermitian matrix times the spectra.
            upper = torch.complex(doubled.T @ given_real, -(apart.T @ given_imaginary))
            matrix = upper.new_zeros(len(spectra), len(spectra), upper.shape[1])
            matrix[second, first] = upper.conj()
            matrix[first, second] = upper
            parts.append((matrix * some).sum(1))
        return torch.cat(parts, 1), of_even, of_odd


def _products(spectra: Tensor, pairs: Tensor | tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Return real and imaginary part of ``conj(S_i) S_j`` ``(pairs, columns)``."""
    first, second = pairs
    real, imaginary = spectra.real.contiguous(), spectra.imag.contiguous()
    real_i, real_j, imaginary_i, imaginary_j = real[first], real[second], imaginary[first], imaginary[second]
    return real_i * real_j + imaginary_i * imaginary_j, real_i * imaginary_j - imaginary_i * real_j
