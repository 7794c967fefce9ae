"""The burst network of Wieschollek et al. 2016: from a burst of blurred patches to one sharp patch.

Frequency bands of every frame, small networks that share each coefficient across the burst, a predicted filter per
frame, and Fourier burst accumulation with learned weights (their Section 3.1, a to c), trained end to end. It departs
from the paper where the paper binds more than it helps:

* Sharing treats all frames alike instead of taking them as an ordered vector of 14: the result does not depend on their
  order, and there may be any number. A coefficient is seen beside its mean and its strength over the burst.
* Frames that show one scene tell each other's blur: their cross-spectra with the accumulated frame give each frame's
  blur kernel relative to it, whatever the scene. These relative kernels are a further input.
* The filter of a frame is a product. One factor is its own, predicted from what the burst shares. The other is common
  to all frames and follows accumulation, from which it is predicted as for a single photograph, by `Chakrabarti`. So
  the large network runs once per burst, and may start from one that was trained on single photographs.
* Accumulation is a softmax over the frames of ``p log |y|`` plus learned scores, which are smooth in frequency. At
  first these are zero, and the weights those of the paper's Eq. 5. As magnitudes and scores are smooth already in
  training, no smoothing is left to apply to the weights afterwards.
* All factors are 1 at frequency 0, so nothing is desaturated: one filter serves all colours.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from export.networks.bands import BANDS, real_basis, ring, spectrum_basis
from export.networks.chakrabarti import (
    CONTRAST_FLOOR,
    LIMIT,
    OUTPUT_SCALE,
    PATCH,
    POWER_FLOOR,
    Chakrabarti,
    ChakrabartiConfig,
    Layer,
    Residual,
    apply_filters,
    frequency_weight,
    transform,
)

HALF = PATCH // 2 + 1

EXPONENT = 11.0
"""First value of the exponent p of Eq. 5, the one of Delbracio and Sapiro 2015."""

SMOOTHING = 1.3
"""Standard deviation, in frequency indices, of the Gaussian that smooths power spectra: 1/50 of the patch."""

CROSS_FLOOR = 5e-3
"""Added to the power that a cross-spectrum is divided by, in units of the burst's variance."""

BAND_FLOOR = 1e-3
"""Added to the mean square of a band's coefficient over the burst, in units of the burst's variance."""

SPARSE = 2
"""Step at which smooth log spectra are sampled, in frequency indices."""

SCORE_SUPPORT = 9
"""Side of the taps whose transform is the score of a frame: fewer taps, smoother scores."""

SCORE_SCALE = 0.1
"""What one unit of the last layer adds to a tap of a score."""

_DEVIATION_FLOOR = 1e-3
_SHARED = 8
_CHANNELS = 2


@dataclass(frozen=True)
class FusionConfig:
    """Sizes of the network that fuses a burst.

    Attributes
    ----------
    bands, kernels, spectra
        Widths of the first hidden layers: of each of the three pairs of bands, of the relative kernels, and of the
        log spectra.
    full
        Width of the layers after them.
    layers
        Residual pairs among those.
    support
        Side in pixels of relative kernels and of filters, odd.
    """

    bands: int = 96
    kernels: int = 192
    spectra: int = 128
    full: int = 256
    layers: int = 1
    support: int = 25

    def __post_init__(self) -> None:
        if min(self.bands, self.kernels, self.spectra, self.full, self.layers) < 1:
            raise ValueError("bands, kernels, spectra, full and layers must be at least 1")
        if not SCORE_SUPPORT <= self.support <= PATCH or self.support % 2 == 0:
            raise ValueError(f"support must be odd, from {SCORE_SUPPORT} to {PATCH}, got {self.support}")


@dataclass(frozen=True)
class WieschollekConfig:
    """Sizes of the two parts: what fuses the burst, and what restores the fused patch."""

    fusion: FusionConfig = field(default_factory=FusionConfig)
    restoration: ChakrabartiConfig = field(default_factory=ChakrabartiConfig)


class Wieschollek(nn.Module):
    """Restores one patch from a burst of them: fusion of filtered frames, then the filter that all have in common.

    Parameters
    ----------
    config
        Sizes.
    """

    def __init__(self, config: WieschollekConfig) -> None:
        super().__init__()
        self.config = config
        self.fusion = Fusion(config.fusion)
        self.restoration = Chakrabarti(config.restoration)

    @torch.no_grad()
    def fit(self, patches: Tensor) -> None:
        """Set the standardisation of all inputs from training bursts ``(N, frames, 65, 65)``."""
        self.fusion.fit(patches)
        self.restoration.fit(self.fusion.fuse(patches))

    def restore(self, patches: Tensor) -> Tensor:
        """Restore the centres of bursts ``(N, frames, 65, 65)``, values in [0, 1].

        Returns
        -------
        Tensor (N, 33, 33) float32
        """
        fused = self.fusion.fuse(patches)
        return apply_filters(fused, self.restoration(fused))


class Fusion(nn.Module):
    """Predicts for each frame of a burst the filter whose results add up to the fused patch.

    ``filters[t] = w_t G_t``: the weight of Fourier burst accumulation times the frame's own deconvolution filter,
    ``G = 1 + v DFT(taps)`` with the `frequency_weight` v. The weights of all frames add up to 1 at every frequency.

    Parameters
    ----------
    config
        Sizes.
    """

    cosines: Tensor
    sines: Tensor
    weight: Tensor
    score_cosines: Tensor
    score_sines: Tensor

    def __init__(self, config: FusionConfig) -> None:
        super().__init__()
        self.config = config
        self.analysis = BurstAnalysis(config.support)
        self.sharing = nn.ModuleList(Sharing() for _ in BANDS)
        scalars = [_CHANNELS * band.scalars for band in BANDS]
        self.bands = nn.ModuleList(Layer(a + b, config.bands, True) for a, b in pairwise(scalars))
        self.kernels = Layer(config.support**2, config.kernels, True)
        self.spectra = Layer(self.analysis.samples, config.spectra, True)
        self.context = Layer(self.analysis.samples, config.spectra, True)
        own = len(self.bands) * config.bands + config.kernels + config.spectra
        self.own = nn.Linear(own, config.full)
        self.shared = nn.Linear(own + config.spectra, config.full, bias=False)
        self.trunk = nn.Sequential(*(Residual(config.full) for _ in range(config.layers)), nn.LayerNorm(config.full))
        self.head = nn.Linear(config.full, config.support**2 + SCORE_SUPPORT**2)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.exponent = nn.Parameter(torch.tensor([EXPONENT]))
        self.register_buffer("weight", torch.from_numpy(frequency_weight()).float(), persistent=False)
        for prefix, support in (("", config.support), ("score_", SCORE_SUPPORT)):
            for name, table in zip(("cosines", "sines"), transform(support), strict=True):
                self.register_buffer(prefix + name, torch.from_numpy(table).float(), persistent=False)

    def fit(self, patches: Tensor) -> None:
        """Set the standardisation of the inputs from training bursts ``(N, frames, 65, 65)``."""
        self.analysis.fit(patches)

    def forward(self, patches: Tensor) -> Tensor:
        """Predict filters.

        Parameters
        ----------
        patches (N, frames, 65, 65)
            Values in [0, 1].

        Returns
        -------
        Tensor (N, frames, 2, 65, 33) float32
            Real and imaginary plane of half spectra in the layout of ``rfft2``: the fused patch is the sum over the
            frames of ``irfft2(filter * rfft2(patch))``.
        """
        seen = self.analysis(patches)
        taps, scores = self._predict(seen)
        weights = torch.softmax(self.exponent / 2 * seen.log_power + scores, 1)
        real = 1 + self.weight * (self.cosines @ taps @ self.cosines[:HALF].T - self.sines @ taps @ self.sines[:HALF].T)
        imaginary = -self.weight * (
            self.cosines @ taps @ self.sines[:HALF].T + self.sines @ taps @ self.cosines[:HALF].T
        )
        return torch.stack((weights * real, weights * imaginary), 2)

    def fuse(self, patches: Tensor) -> Tensor:
        """Fuse bursts ``(N, frames, 65, 65)`` to patches ``(N, 65, 65)`` (Wieschollek et al. 2016, Eq. 6)."""
        real, imaginary = self(patches).unbind(2)
        spectra = torch.fft.rfft2(patches)
        fused = torch.complex(
            (real * spectra.real - imaginary * spectra.imag).sum(1),
            (real * spectra.imag + imaginary * spectra.real).sum(1),
        )
        return torch.fft.irfft2(fused, s=(PATCH, PATCH))

    def _predict(self, seen: Shared) -> tuple[Tensor, Tensor]:
        """Return taps ``(N, frames, support, support)`` and scores ``(N, frames, 65, 33)``."""
        bands = [share(band) for share, band in zip(self.sharing, seen.bands, strict=True)]
        groups = [layer(torch.cat(pair, -1)) for layer, pair in zip(self.bands, pairwise(bands), strict=True)]
        own = torch.cat((*groups, self.kernels(seen.kernels), self.spectra(seen.spectra)), -1)
        shared = torch.cat((own.mean(1), self.context(seen.context)), -1)
        out = self.head(self.trunk(self.own(own) + self.shared(shared)[:, None])).float()
        taps, scores = out.split((self.config.support**2, SCORE_SUPPORT**2), -1)
        taps = OUTPUT_SCALE * taps.unflatten(-1, (self.config.support, self.config.support))
        scores = SCORE_SCALE * scores.unflatten(-1, (SCORE_SUPPORT, SCORE_SUPPORT))
        return taps, (
            self.score_cosines @ scores @ self.score_cosines[:HALF].T
            - self.score_sines @ scores @ self.score_sines[:HALF].T
        )


class Sharing(nn.Module):
    """Small network across the burst, the same at every coefficient of a band (mlp of the paper's Fig. 2).

    Each frame's coefficient is seen in units of its root mean square over the burst, beside the burst's mean in the
    same units and the logarithm of that unit.
    """

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(3, _SHARED)
        self.outer = nn.Linear(_SHARED, _CHANNELS)

    def forward(self, band: Tensor) -> Tensor:
        """Map a band's coefficients ``(N, frames, scalars)`` to ``(N, frames, 2 scalars)``."""
        square = band.square().mean(1, keepdim=True) + BAND_FLOOR
        relative = band * torch.rsqrt(square)
        mean, level = relative.mean(1, keepdim=True), torch.log(square) / 2
        features = torch.stack((relative, mean.expand_as(band), level.expand_as(band)), -1)
        return self.outer(nn.functional.silu(self.inner(features))).flatten(-2)


@dataclass(frozen=True)
class Shared:
    """What `BurstAnalysis` finds.

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
    """

    bands: list[Tensor]
    kernels: Tensor
    spectra: Tensor
    context: Tensor
    log_power: Tensor


class BurstAnalysis(nn.Module):
    """Bands, power spectra and relative blur kernels of a burst, in units of the burst's contrast."""

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
            bands, features, log_power = self.features(patches.float())
            kernels, spectra, context = (
                ((value - self.get_buffer(f"{name}_mean")) * self.get_buffer(f"{name}_gain")).clamp(-LIMIT, LIMIT)
                for name, value in features.items()
            )
        return Shared(bands, kernels, spectra, context, log_power)

    def features(self, patches: Tensor) -> tuple[list[Tensor], dict[str, Tensor], Tensor]:
        """Return the bands; kernels, spectra and context before they are standardised; and the log power."""
        normal = normalise_burst(patches)
        levels = [(basis @ (normal @ basis.T)).flatten(2) for basis in self.get_buffer("basis")]
        bands = [level[..., self.get_buffer(f"ring{index}")] for index, level in enumerate((*levels, levels[-1]))]
        real, imaginary = self._spectra(normal)
        power = self.get_buffer("rows") @ (real.square() + imaginary.square()) @ self.get_buffer("columns").T
        log_power = torch.log(power + POWER_FLOOR)
        sampled = log_power[..., ::SPARSE, ::SPARSE].flatten(2)
        context = sampled.mean(1)
        features = {
            "kernels": self._kernels(real, imaginary, log_power).flatten(2),
            "spectra": sampled - context[:, None],
            "context": context,
        }
        return bands, features, log_power

    def _spectra(self, normal: Tensor) -> tuple[Tensor, Tensor]:
        """Return real and imaginary planes of the tapered half spectra, ``(N, frames, 65, 33)`` each."""
        spectrum = self.get_buffer("spectrum")
        product = spectrum @ (normal @ spectrum.T)
        top, bottom = product.chunk(2, -2)
        (cc, cs), (sc, ss) = top.chunk(2, -1), bottom.chunk(2, -1)
        # Rows of negative frequency are those of positive frequency with the sign of their sines changed.
        real = torch.cat((cc - ss, (cc + ss)[..., 1:, :].flip(-2)), -2)
        imaginary = torch.cat((-cs - sc, (sc - cs)[..., 1:, :].flip(-2)), -2)
        return real, imaginary

    def _kernels(self, real: Tensor, imaginary: Tensor, log_power: Tensor) -> Tensor:
        """Return each frame's blur relative to the frame accumulated by Eq. 5, ``(N, frames, support, support)``."""
        weights = torch.softmax(EXPONENT / 2 * log_power, 1)
        whole_real, whole_imaginary = ((weights * part).sum(1, keepdim=True) for part in (real, imaginary))
        scale = 1 / (whole_real.square() + whole_imaginary.square() + CROSS_FLOOR)
        cross_real = (real * whole_real + imaginary * whole_imaginary) * scale
        cross_imaginary = (imaginary * whole_real - real * whole_imaginary) * scale
        # Re of sum e^{i (a + b)} R: with R = p + iq and rows first, cos a p - sin a q and sin a p + cos a q.
        upper = self.get_buffer("upper")
        cosine, sine = upper.chunk(2)
        even = cosine @ cross_real - sine @ cross_imaginary
        odd = sine @ cross_real + cosine @ cross_imaginary
        return torch.cat((even, odd), -1) @ self.get_buffer("lower")

    @torch.no_grad()
    def fit(self, patches: Tensor) -> None:
        """Set means and gains from training bursts."""
        _, features, _ = self.features(patches)
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
    """Return the matrix that smooths frequencies by a Gaussian, round about or cut off at the ends."""
    index = np.arange(len(place))
    distance = place[np.abs(index[:, None] - index)] if cyclic else np.abs(place[:, None] - place)
    weights = np.exp(-0.5 * (distance / SMOOTHING) ** 2)
    return weights / weights.sum(1, keepdims=True)


def _half_plane() -> np.ndarray:
    """How many coefficients of the whole spectrum each column of its half stands for, ``(66, 1)``."""
    return np.tile(np.where(np.arange(HALF) > 0, 2.0, 1.0), 2)[:, None]
