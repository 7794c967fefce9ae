"""Fixed features of a burst of patches: frequency bands, power spectra, and relative blur kernels of the frames.

The cross-spectrum of a frame with a sharper one of the same scene, divided by the power of the latter, is the spectrum
of the frame's blur kernel relative to it, independent of the scene.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from export.chakrabarti.bands import BANDS, real_basis, ring, spectrum_basis
from export.chakrabarti.network import CONTRAST_FLOOR, PATCH, POWER_FLOOR, transform
from export.layers import LIMIT

HALF = PATCH // 2 + 1

EXPONENT = 11.0
"""Exponent p of Eq. 5 in the accumulated frame that kernels are relative to, as in Delbracio and Sapiro 2015."""

SMOOTHING = 1.3
"""Standard deviation, in frequency indices, of the Gaussian that smooths power spectra: 1/50 of the patch."""

CROSS_FLOOR = 5e-3
"""Added to the power that a cross-spectrum is divided by, in units of the burst's variance."""

SPARSE = 2
"""Step at which smooth log spectra are sampled, in frequency indices."""

_DEVIATION_FLOOR = 1e-3


@dataclass(frozen=True)
class Shared:
    """Features of bursts, from `BurstAnalysis`.

    Attributes
    ----------
    bands
        H, B1, B2 and L of every frame: ``(N, frames, scalars)`` each.
    kernels (N, frames, support ** 2)
        Blur kernels relative to the accumulated frame, standardised.
    spectra (N, frames, samples)
        Log power spectra less their mean over the burst, standardised.
    context (N, samples)
        That mean, standardised.
    log_power (N, frames, 65, 33)
        Logarithm of the smooth power spectra.
    spectrum (N, frames, 2, 65, 33)
        Real and imaginary planes of the half spectra of the tapered patches.
    """

    bands: list[Tensor]
    kernels: Tensor
    spectra: Tensor
    context: Tensor
    log_power: Tensor
    spectrum: Tensor


class BurstAnalysis(nn.Module):
    """Bands, power spectra and relative blur kernels of a burst, in units of the burst's contrast."""

    basis: Tensor
    spectrum: Tensor
    rows: Tensor
    columns: Tensor
    upper: Tensor
    lower: Tensor

    def __init__(self, support: int) -> None:
        super().__init__()
        self.support = support
        self.samples = len(range(0, PATCH, SPARSE)) * len(range(0, HALF, SPARSE))
        windows = np.stack([real_basis(band.window, BANDS[0].high, PATCH) for band in BANDS[:3]])
        cosines, sines = transform(support)
        tables = {
            "basis": windows,
            "spectrum": spectrum_basis(PATCH),
            "rows": gaussian(np.minimum(np.arange(PATCH), PATCH - np.arange(PATCH)), cyclic=True),
            "columns": gaussian(np.arange(HALF), cyclic=False),
            "upper": np.concatenate((cosines, sines), 1).T,
            "lower": np.concatenate((cosines[:HALF], -sines[:HALF])) * _half_plane() / PATCH**2,
        }
        for name, table in tables.items():
            self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(table)).float(), persistent=False)
        for index, band in enumerate(BANDS):
            self.register_buffer(f"ring{index}", torch.from_numpy(ring(band)), persistent=False)
        for name, size in (("kernels", support**2), ("spectra", self.samples), ("context", self.samples)):
            self.register_buffer(f"{name}_mean", torch.zeros(size))
            self.register_buffer(f"{name}_gain", torch.ones(size))

    @torch.no_grad()
    def forward(self, patches: Tensor) -> Shared:
        """Analyse bursts ``(N, frames, 65, 65)``."""
        with torch.autocast(patches.device.type, enabled=False):
            bands, features, log_power, spectrum = self.features(patches.float())
            standard = {name: self._standardise(name, value) for name, value in features.items()}
        return Shared(bands, log_power=log_power, spectrum=spectrum, **standard)

    @torch.no_grad()
    def relative_kernels(self, spectrum: Tensor, filters: Tensor) -> Tensor:
        """Return the blur kernels relative to the patch that `filters` fuse, as `Shared.kernels`."""
        with torch.autocast(spectrum.device.type, enabled=False):
            whole = multiply(filters, spectrum).sum(1, keepdim=True)
            return self._standardise("kernels", self._kernels(spectrum, whole).flatten(2))

    def features(self, patches: Tensor) -> tuple[list[Tensor], dict[str, Tensor], Tensor, Tensor]:
        """Return bands; kernels, spectra and context before they are standardised; log power; and spectrum."""
        normal = normalise_burst(patches)
        levels = [(basis @ (normal @ basis.T)).flatten(2) for basis in self.get_buffer("basis")]
        bands = [level[..., self.get_buffer(f"ring{index}")] for index, level in enumerate((*levels, levels[-1]))]
        spectrum = self._spectra(normal)
        power = self.get_buffer("rows") @ spectrum.square().sum(2) @ self.get_buffer("columns").T
        log_power = torch.log(power + POWER_FLOOR)
        sampled = log_power[..., ::SPARSE, ::SPARSE].flatten(2)
        context = sampled.mean(1)
        weights = torch.softmax(EXPONENT / 2 * log_power, 1)[:, :, None]
        features = {
            "kernels": self._kernels(spectrum, (weights * spectrum).sum(1, keepdim=True)).flatten(2),
            "spectra": sampled - context[:, None],
            "context": context,
        }
        return bands, features, log_power, spectrum

    def _standardise(self, name: str, value: Tensor) -> Tensor:
        return ((value - self.get_buffer(f"{name}_mean")) * self.get_buffer(f"{name}_gain")).clamp(-LIMIT, LIMIT)

    def _spectra(self, normal: Tensor) -> Tensor:
        """Return the half spectra of the tapered patches, ``(N, frames, 2, 65, 33)``."""
        table = self.get_buffer("spectrum")
        product = table @ (normal @ table.T)
        top, bottom = product.chunk(2, -2)
        (cc, cs), (sc, ss) = top.chunk(2, -1), bottom.chunk(2, -1)
        # Rows of negative frequency are those of positive frequency with the sign of their sines changed.
        real = torch.cat((cc - ss, (cc + ss)[..., 1:, :].flip(-2)), -2)
        imaginary = torch.cat((-cs - sc, (sc - cs)[..., 1:, :].flip(-2)), -2)
        return torch.stack((real, imaginary), 2)

    def _kernels(self, spectrum: Tensor, whole: Tensor) -> Tensor:
        """Return each frame's blur ``(N, frames, support, support)`` relative to spectra ``(N, 1, 2, 65, 33)``."""
        scale = 1 / (whole.square().sum(2) + CROSS_FLOOR)
        (real, imaginary), (whole_real, whole_imaginary) = spectrum.unbind(2), whole.unbind(2)
        cross_real = (real * whole_real + imaginary * whole_imaginary) * scale
        cross_imaginary = (imaginary * whole_real - real * whole_imaginary) * scale
        # Re of sum e^{i (a + b)} R: with R = p + iq and rows first, cos a p - sin a q and sin a p + cos a q.
        cosine, sine = self.get_buffer("upper").chunk(2)
        even = cosine @ cross_real - sine @ cross_imaginary
        odd = sine @ cross_real + cosine @ cross_imaginary
        return torch.cat((even, odd), -1) @ self.get_buffer("lower")

    @torch.no_grad()
    def fit(self, patches: Tensor) -> None:
        """Set means and gains from training bursts."""
        _, features, _, _ = self.features(patches)
        for name, value in features.items():
            value = value.flatten(0, -2)
            self.get_buffer(f"{name}_mean").copy_(value.mean(0))
            self.get_buffer(f"{name}_gain").copy_(1 / (value.std(0) + _DEVIATION_FLOOR))


def normalise_burst(patches: Tensor) -> Tensor:
    """Subtract the mean of each patch and divide the burst by its root mean square, which is floored smoothly."""
    centred = patches
    # Twice, because the first mean is rounded to the precision of the pixels, not to that of a faint contrast.
    for _ in range(2):
        centred = centred - centred.mean((-2, -1), keepdim=True)
    return centred * torch.rsqrt(centred.square().mean((-3, -2, -1), keepdim=True) + CONTRAST_FLOOR**2)


def gaussian(place: np.ndarray, cyclic: bool) -> np.ndarray:
    """Return the matrix that smooths frequencies by a Gaussian, periodically or truncated at the ends."""
    index = np.arange(len(place))
    distance = place[np.abs(index[:, None] - index)] if cyclic else np.abs(place[:, None] - place)
    weights = np.exp(-0.5 * (distance / SMOOTHING) ** 2)
    return weights / weights.sum(1, keepdims=True)


def _half_plane() -> np.ndarray:
    """Return how many coefficients of the whole spectrum each column of the half spectrum stands for, ``(66, 1)``."""
    return np.tile(np.where(np.arange(HALF) > 0, 2.0, 1.0), 2)[:, None]


def multiply(a: Tensor, b: Tensor) -> Tensor:
    """Multiply complex numbers whose real and imaginary planes are ``(N, frames, 2, ...)``."""
    (p, q), (u, v) = a.unbind(2), b.unbind(2)
    return torch.stack((p * u - q * v, p * v + q * u), 2)
