"""The burst network of Wieschollek et al. 2016: from a burst of blurred patches to one sharp patch.

Frequency bands of every frame, small networks that share each coefficient across the burst, a predicted filter per
frame, and Fourier burst accumulation with learned weights (their Section 3.1, a to c), trained end to end. It differs
from the paper:

* Sharing treats all frames alike instead of taking them as an ordered vector of 14: the result does not depend on their
  order, and there may be any number. A coefficient is seen beside its mean and its strength over the burst.
* The cross-spectrum of a frame with the accumulated frame gives its blur kernel relative to that frame, independent of
  the scene. These relative kernels are a further input. In a second pass they are relative to the frame that the first
  pass fused, which is sharper.
* So the network predicts each frame's blur kernel, not its filter, and learns from the true kernels besides the sharp
  patch. The filters follow: the Wiener filter of all frames together, under the learned weights of accumulation.
* These weights are a softmax over the frames of ``p log |y|`` plus learned scores, which are smooth in frequency. For
  kernels without blur and scores of zero they are the paper's Eq. 5. As magnitudes and scores are smooth already in
  training, no smoothing is left to apply to the weights afterwards.
* The blur that remains in the fused patch is common to all frames. `Chakrabarti` predicts the filter against it, as for
  a single photograph. So the large network runs once per burst, and can start from one trained on single photographs.
* All filters are 1 at frequency 0, so that colours keep their saturation: one filter serves all colours.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor, nn

from export.chakrabarti.bands import BANDS
from export.chakrabarti.network import (
    PATCH,
    Chakrabarti,
    ChakrabartiConfig,
    apply_filters,
    frequency_weight,
    transform,
)
from export.layers import Layer, Residual, set_to_zero
from export.wieschollek.analysis import EXPONENT, HALF, BurstAnalysis, multiply

FIRST_EXPONENT = 4.0
"""Initial value of the learned exponent; it falls in training, as a Wiener filter weighs frames by power already."""

FIRST_NOISE = 0.03
"""Initial value of the Wiener filter's ratio of noise to signal at high frequencies."""

FIRST_WIDTH = 1.5
"""Standard deviation in pixels of the kernels that an untrained network predicts."""

BAND_FLOOR = 1e-3
"""Added to the mean square of a band's coefficient over the burst, in units of the burst's variance."""

SCORE_SUPPORT = 9
"""Side of the taps whose transform is the score of a frame: with fewer taps, scores are smoother in frequency."""

SCORE_SCALE = 0.1
"""Factor from the output of the last layer to a tap of a score."""

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
    passes
        How often the kernels are predicted, each time relative to the frame fused with those of the pass before.
    support
        Side in pixels of relative kernels and of filters, odd.
    """

    bands: int = 96
    kernels: int = 192
    spectra: int = 128
    full: int = 256
    layers: int = 1
    passes: int = 2
    support: int = 25

    def __post_init__(self) -> None:
        if min(self.bands, self.kernels, self.spectra, self.full, self.layers, self.passes) < 1:
            raise ValueError("bands, kernels, spectra, full, layers and passes must be at least 1")
        if not SCORE_SUPPORT <= self.support <= PATCH or self.support % 2 == 0:
            raise ValueError(f"support must be odd, from {SCORE_SUPPORT} to {PATCH}, got {self.support}")


@dataclass(frozen=True)
class WieschollekConfig:
    """Sizes of the two parts: fusion of the burst, and restoration of the fused patch."""

    fusion: FusionConfig = field(default_factory=FusionConfig)
    restoration: ChakrabartiConfig = field(default_factory=ChakrabartiConfig)


class Wieschollek(nn.Module):
    """Restores one patch from a burst of patches: fusion of the filtered frames, then one filter for the result.

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
        return self.restore_and_explain(patches)[0]

    def restore_and_explain(self, patches: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Restore as `restore` does, and return the kernels too; see `Fusion.filters_and_kernels`."""
        filters, log_kernels = self.fusion.filters_and_kernels(patches)
        fused = apply_burst_filters(patches, filters)
        return apply_filters(fused, self.restoration(fused)), log_kernels


class Fusion(nn.Module):
    """Predicts for each frame of a burst the filter whose results add up to the fused patch.

    ``filters[t] = w_t conj(K_t) / (sum_s w_s |K_s|^2 + v^2 n)``: with the frames' blur kernels K, the weights w of
    accumulation, which add up to 1, and a ratio n of noise to signal that `frequency_weight` v scales, this is the
    Wiener filter of several frames.

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
        self.head = nn.Linear(config.full, config.support**2 + 2 * SCORE_SUPPORT**2)
        set_to_zero(self.head)
        place = torch.arange(config.support) - config.support // 2
        radius = (place[:, None].square() + place.square()).flatten()
        with torch.no_grad():
            self.head.bias[: config.support**2] = -radius / (2 * FIRST_WIDTH**2)
        self.stage = nn.Parameter(torch.zeros(config.passes, config.full))
        self.log_exponent = nn.Parameter(torch.zeros(1))
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
        return self.filters_and_kernels(patches)[0]

    def filters_and_kernels(self, patches: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Predict filters, and the logarithms of the kernels ``(N, frames, support, support)`` of every pass."""
        seen = self.analysis(patches)
        bands = [share(band) for share, band in zip(self.sharing, seen.bands, strict=True)]
        groups = [layer(torch.cat(pair, -1)) for layer, pair in zip(self.bands, pairwise(bands), strict=True)]
        known, context = torch.cat((*groups, self.spectra(seen.spectra)), -1), self.context(seen.context)
        kernels, predicted = seen.kernels, []
        for stage in self.stage:
            own = torch.cat((known, self.kernels(kernels)), -1)
            shared = self.shared(torch.cat((own.mean(1), context), -1)) + stage
            out = self.head(self.trunk(self.own(own) + shared[:, None])).float()
            with torch.autocast(patches.device.type, enabled=False):
                filters, log_kernels = self._filters(out, seen.log_power)
            predicted.append(log_kernels)
            if len(predicted) < len(self.stage):
                kernels = self.analysis.relative_kernels(seen.spectrum, filters.detach())
        return filters, predicted

    def _filters(self, out: Tensor, log_power: Tensor) -> tuple[Tensor, Tensor]:
        """Return the Wiener filters of the frames and the logarithms of their kernels."""
        support, side = self.config.support, SCORE_SUPPORT
        logits, scores, noise = out.split((support**2, side**2, side**2), -1)
        log_kernels = torch.log_softmax(logits, -1).unflatten(-1, (support, support))
        kernels, cosines, sines = log_kernels.exp(), self.cosines, self.sines
        real = cosines @ kernels @ cosines[:HALF].T - sines @ kernels @ sines[:HALF].T
        imaginary = cosines @ kernels @ sines[:HALF].T + sines @ kernels @ cosines[:HALF].T
        exponent = FIRST_EXPONENT * self.log_exponent.exp()
        weights = torch.softmax(exponent / 2 * log_power + self._field(scores), 1)
        power = (weights * (real.square() + imaginary.square())).sum(1, keepdim=True)
        noise = FIRST_NOISE * self.weight.square() * self._field(noise.mean(1, keepdim=True)).exp()
        gain = weights / (power + noise)
        return torch.stack((gain * real, gain * imaginary), 2), log_kernels

    def fuse(self, patches: Tensor) -> Tensor:
        """Fuse bursts ``(N, frames, 65, 65)`` to patches ``(N, 65, 65)`` (Wieschollek et al. 2016, Eq. 6)."""
        return apply_burst_filters(patches, self(patches))

    def _field(self, taps: Tensor) -> Tensor:
        """Return the smooth even functions of frequency ``(..., 65, 33)`` whose transforms are `taps`."""
        taps = SCORE_SCALE * taps.unflatten(-1, (SCORE_SUPPORT, SCORE_SUPPORT))
        cosines, sines = self.score_cosines, self.score_sines
        return cosines @ taps @ cosines[:HALF].T - sines @ taps @ sines[:HALF].T


def accumulate(patches: Tensor, analysis: BurstAnalysis) -> Tensor:
    """Fuse bursts by Fourier burst accumulation without learned weights (Wieschollek et al. 2016, Eq. 4 and 5)."""
    weights = torch.softmax(EXPONENT / 2 * analysis(patches).log_power, 1)
    return apply_burst_filters(patches, torch.stack((weights, torch.zeros_like(weights)), 2))


def apply_burst_filters(patches: Tensor, filters: Tensor) -> Tensor:
    """Filter each frame of bursts ``(N, frames, 65, 65)`` with its own half spectrum and add them up."""
    spectra = torch.view_as_real(torch.fft.rfft2(patches)).movedim(-1, 2)
    fused = multiply(filters, spectra).sum(1).movedim(1, -1).contiguous()
    return torch.fft.irfft2(torch.view_as_complex(fused), s=(PATCH, PATCH))


class Sharing(nn.Module):
    """Small network across the burst, the same for every coefficient of a band (mlp of the paper's Fig. 2).

    Its inputs are a frame's coefficient in units of the root mean square over the burst, the burst's mean in the same
    units, and the logarithm of that unit.
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
