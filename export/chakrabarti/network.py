"""The network of Chakrabarti 2016, Section 2.2: from a blurred patch to the Fourier coefficients of its own filter."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from export.chakrabarti.bands import BANDS, SMOOTHING, half_basis, real_basis, ring, smoother, spectrum_basis
from export.layers import LIMIT, Layer, Residual, set_to_zero

PATCH = 65
CORE = 33

CONTRAST_FLOOR = 0.002
"""Added in quadrature to the standard deviation that a patch is divided by, for values in [0, 1]."""

POWER_FLOOR = 2e-3
"""Added to the power spectrum before the logarithm, in units of the patch's variance: about the faintest noise."""

OUTPUT_SCALE = 0.02
"""Factor from the output of the last layer to a tap of the filter."""

_DEVIATION_FLOOR = 0.1
_VARIANCE_FLOOR = 1e-4
_KNEE = 12.0


@dataclass(frozen=True)
class ChakrabartiConfig:
    """Sizes and style of the network; the defaults are those of the paper.

    Attributes
    ----------
    first, second, full
        Widths of one group of the first hidden layer (three groups), of one group of the second (two groups), and of
        the hidden layers after them.
    layers
        Number of fully connected hidden layers after the two grouped ones; odd in the residual style.
    style
        ``"plain"``: every hidden layer is followed by a rectifier, as in the paper. ``"residual"``: the grouped layers
        are normalised and followed by SiLU, and the full layers after the first are residual pairs.
    spectra
        Whether the logarithms of the patch's power spectrum are a further input. Blur multiplies the spectrum, so the
        logarithm turns it into a sum, which is easier to learn from.
    support
        Side in pixels of the predicted filter, odd; the whole patch in the paper. A filter of at most ``CORE`` pixels
        does not wrap around the patch's border, apart from the faint tails that the weight of `Chakrabarti` adds.
    """

    first: int = 1024
    second: int = 2048
    full: int = 4096
    layers: int = 5
    style: Literal["plain", "residual"] = "plain"
    spectra: bool = False
    support: int = PATCH

    def __post_init__(self) -> None:
        if min(self.first, self.second, self.full, self.layers) < 1:
            raise ValueError("first, second, full and layers must be at least 1")
        if self.style not in ("plain", "residual"):
            raise ValueError(f"style must be 'plain' or 'residual', got {self.style!r}")
        if self.style == "residual" and self.layers % 2 == 0:
            raise ValueError(f"the residual style needs an odd number of layers, got {self.layers}")
        if not 3 <= self.support <= PATCH or self.support % 2 == 0:
            raise ValueError(f"support must be odd, from 3 to {PATCH}, got {self.support}")


class Chakrabarti(nn.Module):
    """Predicts a deconvolution filter for each patch.

    The mean of the patch is subtracted and the patch divided by its contrast, since the filter depends on neither. The
    network predicts the deviation of the filter from the identity, in space; in frequency it is weighted by the inverse
    of a photograph's typical spectrum: ``G = 1 + w DFT(taps)`` with ``w[0] = 0``. So an untrained network is the
    identity, ``G[0]`` is exactly 1, and all frequencies are learned at the same pace.

    Parameters
    ----------
    config
        Sizes and style.
    """

    cosines: Tensor
    sines: Tensor
    weight: Tensor

    def __init__(self, config: ChakrabartiConfig) -> None:
        super().__init__()
        self.config = config
        self.analysis = Analysis(config.spectra)
        scalars = [band.scalars for band in BANDS]
        residual = config.style == "residual"
        self.first = nn.ModuleList(Layer(a + b, config.first, residual) for a, b in pairwise(scalars))
        self.spectral = Layer(self.analysis.spectral, config.first, residual) if config.spectra else None
        joined = (3 if config.spectra else 2) * config.first
        self.second = nn.ModuleList(Layer(joined, config.second, residual) for _ in range(2))
        self.trunk = nn.Sequential(*_trunk(config))
        self.head = nn.Linear(config.full, config.support**2)
        set_to_zero(self.head)
        cosines, sines = transform(config.support)
        self.register_buffer("cosines", torch.from_numpy(cosines).float(), persistent=False)
        self.register_buffer("sines", torch.from_numpy(sines).float(), persistent=False)
        self.register_buffer("weight", torch.from_numpy(frequency_weight()).float(), persistent=False)

    def fit(self, patches: Tensor) -> None:
        """Set the de-correlating transforms from the empirical covariance on training patches ``(N, 65, 65)``."""
        self.analysis.fit(patches)

    def taps(self, patches: Tensor) -> Tensor:
        """Predict the unweighted deviation from the identity, in space.

        Parameters
        ----------
        patches (N, 65, 65)
            Values in [0, 1].

        Returns
        -------
        Tensor (N, support, support) float32
        """
        bands, spectra = self.analysis(patches)
        shared = () if self.spectral is None else (self.spectral(spectra),)
        groups = [layer(torch.cat(pair, 1)) for layer, pair in zip(self.first, pairwise(bands), strict=True)]
        groups = [
            layer(torch.cat((*pair, *shared), 1)) for layer, pair in zip(self.second, pairwise(groups), strict=True)
        ]
        taps: Tensor = self.head(self.trunk(torch.cat(groups, 1))).float() * OUTPUT_SCALE
        return taps.view(-1, self.config.support, self.config.support)

    def forward(self, patches: Tensor) -> Tensor:
        """Predict filters.

        Parameters
        ----------
        patches (N, 65, 65)
            Values in [0, 1].

        Returns
        -------
        Tensor (N, 2, 65, 33) float32
            Real and imaginary plane of the half spectrum G, in the layout of ``rfft2``.
        """
        taps = self.taps(patches)
        with torch.autocast(taps.device.type, enabled=False):
            return self._expand(taps)

    def _expand(self, taps: Tensor) -> Tensor:
        rows = taps @ torch.cat((self.cosines[: PATCH // 2 + 1], -self.sines[: PATCH // 2 + 1])).T
        real, imaginary = rows.split(PATCH // 2 + 1, 2)
        upper = self.cosines @ real + self.sines @ imaginary
        lower = self.cosines @ imaginary - self.sines @ real
        return torch.stack((1 + self.weight * upper, self.weight * lower), 1)

    def restore(self, patches: Tensor) -> Tensor:
        """Filter each patch with its own filter and keep the centre (Chakrabarti 2016, Eq. 2).

        Equal to filtering with `forward`, without forming the filters.

        Returns
        -------
        Tensor (N, 33, 33) float32
        """
        filtered: Tensor = _Filtering.apply(torch.fft.rfft2(patches) * self.weight, self.taps(patches))
        return central(patches) + filtered


class _Filtering(torch.autograd.Function):
    """Filter spectra ``(N, 65, 33)`` of patches with taps ``(N, support, support)`` and keep the centre.

    Written out because the gradient that autograd derives for real transforms goes through complex ones, at twice the
    cost.
    """

    @staticmethod
    def forward(ctx: Any, spectra: Tensor, taps: Tensor) -> Tensor:
        ctx.save_for_backward(spectra)
        ctx.support = taps.shape[1]
        filtered = torch.fft.irfft2(spectra * torch.fft.rfft2(taps, s=(PATCH, PATCH)), s=(PATCH, PATCH))
        # The taps' origin lay in their corner, not at their centre, so the result is shifted by as much.
        shift = taps.shape[1] // 2
        return central(filtered.roll((-shift, -shift), (1, 2)))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor]:
        (spectra,) = ctx.saved_tensors
        error = torch.fft.rfft2(gradient, s=(PATCH, PATCH))
        correlation = torch.fft.irfft2(error * spectra.conj(), s=(PATCH, PATCH))
        # The core begins `margin` pixels into the patch and the origin of the taps is `support // 2` into them.
        margin = (PATCH - CORE) // 2 + ctx.support // 2
        return None, correlation.roll((margin, margin), (1, 2))[:, : ctx.support, : ctx.support]


class Analysis(nn.Module):
    """Contrast normalisation, frequency bands and power spectra of patches, de-correlated and standardised."""

    basis: Tensor
    spectrum: Tensor
    spectral_mean: Tensor
    spectral_gain: Tensor

    def __init__(self, spectra: bool) -> None:
        super().__init__()
        count = PATCH // 2 + 1
        self.fine = PATCH // 4 + 1
        sides = [self.fine, *(len(range(0, count, step)) for step in SMOOTHING)]
        self.spectral = 2 * sum(side**2 for side in sides) if spectra else 0
        windows = [band.window for band in BANDS[:3]]
        basis = [real_basis(window, BANDS[0].high, PATCH) for window in windows]
        self.register_buffer("basis", torch.from_numpy(np.stack(basis)).float(), persistent=False)
        self.register_buffer("spectrum", torch.from_numpy(spectrum_basis(PATCH)).float(), persistent=False)
        for step in SMOOTHING:
            matrix = torch.from_numpy(smoother(count, step)).float()
            self.register_buffer(f"smooth{step}", matrix, persistent=False)
        for index, band in enumerate(BANDS):
            self.register_buffer(f"ring{index}", torch.from_numpy(ring(band)), persistent=False)
            self.register_buffer(f"mean{index}", torch.zeros(band.scalars))
            self.register_buffer(f"whiten{index}", torch.eye(band.scalars))
        self.register_buffer("spectral_mean", torch.zeros(self.spectral))
        self.register_buffer("spectral_gain", torch.ones(self.spectral))

    def forward(self, patches: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return the four bands ``(N, scalars)`` and the spectra ``(N, spectral)``, each of about unit variance."""
        with torch.autocast(patches.device.type, enabled=False):
            normal = normalise(patches.float())
            bands = [
                ((band - self.get_buffer(f"mean{index}")) @ self.get_buffer(f"whiten{index}")).clamp(-LIMIT, LIMIT)
                for index, band in enumerate(self.bands(normal))
            ]
            spectra = ((self.log_spectra(normal) - self.spectral_mean) * self.spectral_gain).clamp(-LIMIT, LIMIT)
        return bands, spectra

    def bands(self, normal: Tensor) -> Iterator[Tensor]:
        """Compute the coefficients of H, B1, B2 and L, before de-correlation."""
        levels = [(basis @ (normal @ basis.T)).flatten(1) for basis in self.basis]
        for index, level in enumerate((*levels, levels[-1])):
            yield level[:, self.get_buffer(f"ring{index}")]

    def log_spectra(self, normal: Tensor) -> Tensor:
        """Compute the log power spectrum: low frequencies singly, all of them smoothed to coarser grids."""
        if not self.spectral:
            return normal.new_zeros(len(normal), 0)
        product = self.spectrum @ (normal @ self.spectrum.T)
        top, bottom = product.chunk(2, 1)
        (cc, cs), (sc, ss) = top.chunk(2, 2), bottom.chunk(2, 2)
        falling = (cc - ss).square() + (cs + sc).square()
        rising = (cc + ss).square() + (cs - sc).square()
        power = torch.stack((falling, rising), 1)
        parts = [power[:, :, : self.fine, : self.fine]]
        for step in SMOOTHING:
            matrix = self.get_buffer(f"smooth{step}")
            parts.append(matrix @ power @ matrix.T)
        return torch.log(torch.cat([part.flatten(1) for part in parts], 1) + POWER_FLOOR)

    @torch.no_grad()
    def fit(self, patches: Tensor) -> None:
        """Set means and transforms from training patches."""
        normal = normalise(patches)
        for index, band in enumerate(self.bands(normal)):
            values, vectors = torch.linalg.eigh(torch.cov(band.T.double()))
            # Directions that hold nothing but rounding, as the mean does after normalisation, are dropped.
            gain = torch.where(values > _VARIANCE_FLOOR * values.mean(), values.abs().rsqrt(), 0)
            self.get_buffer(f"mean{index}").copy_(band.mean(0))
            self.get_buffer(f"whiten{index}").copy_(vectors * gain)
        if self.spectral:
            spectra = self.log_spectra(normal)
            self.spectral_mean.copy_(spectra.mean(0))
            self.spectral_gain.copy_(1 / (spectra.std(0) + _DEVIATION_FLOOR))


def _trunk(config: ChakrabartiConfig) -> Iterator[nn.Module]:
    if config.style == "plain":
        for index in range(config.layers):
            yield Layer(config.full if index else 2 * config.second, config.full, normalised=False)
        return
    yield nn.Linear(2 * config.second, config.full)
    for _ in range(config.layers // 2):
        yield Residual(config.full)
    yield nn.LayerNorm(config.full)


def normalise(patches: Tensor) -> Tensor:
    """Subtract the mean of each patch and divide by its standard deviation, which is floored smoothly."""
    centred = patches
    # Twice, because the first mean is rounded to the precision of the pixels, not to that of a faint contrast.
    for _ in range(2):
        centred = centred - centred.mean((1, 2), keepdim=True)
    return centred * torch.rsqrt(centred.square().mean((1, 2), keepdim=True) + CONTRAST_FLOOR**2)


def central(patches: Tensor) -> Tensor:
    """Return the central ``CORE x CORE`` pixels."""
    margin = (PATCH - CORE) // 2
    return patches[:, margin : margin + CORE, margin : margin + CORE]


def apply_filters(patches: Tensor, filters: Tensor) -> Tensor:
    """Filter patches ``(N, 65, 65)`` with half spectra ``(N, 2, 65, 33)`` and keep the centre ``(N, 33, 33)``."""
    spectrum = torch.fft.rfft2(patches) * torch.complex(filters[:, 0], filters[:, 1])
    return central(torch.fft.irfft2(spectrum, s=(PATCH, PATCH)))


def frequency_weight() -> np.ndarray:
    """Return w ``(65, 33)``: proportional to frequency up to a knee, then level, as photographs' amplitudes fall."""
    radius = np.hypot((np.fft.fftfreq(PATCH) * PATCH)[:, None], np.arange(PATCH // 2 + 1))
    return radius / np.hypot(radius, _KNEE)


def transform(support: int) -> tuple[np.ndarray, np.ndarray]:
    """Return cosines and sines ``(65, support)`` of the 65-point DFT of centred taps, frequencies in FFT order."""
    cosines, sines = half_basis(PATCH, PATCH // 2, PATCH)
    inner = slice((PATCH - support) // 2, (PATCH + support) // 2)
    scale = math.sqrt(PATCH)
    cosines, sines = scale * cosines[:, inner], scale * sines[:, inner]
    return np.concatenate((cosines, cosines[:0:-1])), np.concatenate((sines, -sines[:0:-1]))
