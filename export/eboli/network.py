"""Motion-Net: the linear motion in the middle of a patch, from the correlations of its gradients.

A linear motion of `l` pixels makes every gradient appear twice, `l` pixels apart and with opposite signs. The
autocorrelation of the gradients is negative at that lag, and so is their cepstrum, which depends less on the content of
the photograph. Neither depends on brightness, contrast or position in the patch. A small residual network predicts the
motion from them; applied to patches on a grid it gives the motion field of a photograph of any size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from export.layers import LIMIT, Layer, Residual, set_to_zero

PATCH = 97
"""Side of a patch in pixels; its gradients are one pixel less."""
WINDOW = PATCH - 1
REACH = 36
"""Longest lag of the correlations in pixels, just above the longest motion."""
UNIT = 10.0
"""Pixels of motion per unit of the last layer's output."""
GRADIENT_FLOOR = 1e-5
"""Added to the mean square of the gradients that they are divided by, for values in [0, 1]."""
POWER_FLOOR = 1e-3
"""Added to the power spectrum before its logarithm, in units of its mean."""
SPREADS = (-4.0, 2.0)
"""Range of the logarithm of the predicted error, in units of `UNIT`."""
OUTPUTS = 3

_DEVIATION_FLOOR = 1e-4


@dataclass(frozen=True)
class MotionNetConfig:
    """Sizes of the network.

    Attributes
    ----------
    width
        Width of the hidden layers.
    pairs
        Number of residual pairs after the first layer.
    """

    width: int = 256
    pairs: int = 2

    def __post_init__(self) -> None:
        if self.width < 1 or self.pairs < 0:
            raise ValueError(f"width must be at least 1 and pairs at least 0, got {self.width} and {self.pairs}")


class MotionNet(nn.Module):
    """Predicts the motion in the middle of each patch, and the error of that prediction.

    Parameters
    ----------
    config
        Its sizes.
    """

    def __init__(self, config: MotionNetConfig | None = None) -> None:
        super().__init__()
        self.config = config or MotionNetConfig()
        self.correlations = Correlations()
        width = self.config.width
        hidden = (
            Layer(self.correlations.count, width, normalised=True),
            *(Residual(width) for _ in range(self.config.pairs)),
            nn.LayerNorm(width),
        )
        last = nn.Linear(width, OUTPUTS)
        set_to_zero(last)
        self.trunk = nn.Sequential(*hidden, last)

    def fit(self, patches: Tensor) -> None:
        """Set the standardisation of the features from training patches ``(N, 97, 97)``."""
        self.correlations.fit(patches)

    def forward(self, patches: Tensor) -> Tensor:
        """Predict motions.

        Parameters
        ----------
        patches : Tensor (N, 97, 97)
            Luminance, values in [0, 1].

        Returns
        -------
        Tensor (N, 3) float32
            ``(r cos 2 theta, r sin 2 theta, log s)``: `r` is the motion's length less the one pixel that is no blur, in
            pixels, `theta` its angle, and `s` the expected error of the two numbers in pixels.
        """
        raw = self.trunk(self.correlations(patches)).float()
        return scale(raw)


def scale(raw: Tensor) -> Tensor:
    """Convert the output of the last layer to pixels."""
    spread = raw[:, 2:].clamp(*SPREADS) + float(np.log(UNIT))
    return torch.cat((UNIT * raw[:, :2], spread), 1)


class Correlations(nn.Module):
    """Autocorrelation and cepstrum of the gradients of patches, standardised."""

    taper: Tensor
    lags: Tensor
    mean: Tensor
    gain: Tensor

    def __init__(self) -> None:
        super().__init__()
        row, col = half_disc(REACH)
        self.count = 2 * len(row)
        self.register_buffer("taper", torch.from_numpy(taper()).float(), persistent=False)
        self.register_buffer("lags", torch.from_numpy(row * WINDOW + col % WINDOW), persistent=False)
        self.register_buffer("mean", torch.zeros(self.count))
        self.register_buffer("gain", torch.ones(self.count))

    def forward(self, patches: Tensor) -> Tensor:
        """Return features ``(N, count)`` of about unit variance."""
        with torch.autocast(patches.device.type, enabled=False), torch.no_grad():
            return ((self.measure(patches.float()) - self.mean) * self.gain).clamp(-LIMIT, LIMIT)

    def measure(self, patches: Tensor) -> Tensor:
        """Compute the correlations at all lags of half a disc: first the autocorrelation, then the cepstrum."""
        inner = patches[:, :-1, :-1]
        slopes = torch.stack((patches[:, :-1, 1:] - inner, patches[:, 1:, :-1] - inner), 1)
        energy = slopes.square().mean((1, 2, 3))[:, None, None] + GRADIENT_FLOOR
        spectrum = torch.fft.rfft2(slopes * self.taper, norm="ortho")
        power = (spectrum.real.square() + spectrum.imag.square()).sum(1) / energy
        spectra = torch.stack((power, torch.log(power + POWER_FLOOR)), 1)
        return torch.fft.irfft2(spectra, s=(WINDOW, WINDOW)).flatten(2)[:, :, self.lags].flatten(1)

    @torch.no_grad()
    def fit(self, patches: Tensor) -> None:
        """Set mean and gain from training patches."""
        features = torch.cat([self.measure(part) for part in patches.split(64)])
        self.mean.copy_(features.mean(0))
        self.gain.copy_(1 / (features.std(0) + _DEVIATION_FLOOR))


def taper() -> np.ndarray:
    """Return the window ``(96, 96)`` that fades the gradients out towards the border, of unit mean square."""
    rise = np.sin(np.pi * (np.arange(WINDOW) + 0.5) / WINDOW)
    return 2 * np.outer(rise, rise)


def half_disc(reach: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and columns of the lags up to `reach`, 0 included, one of each pair of opposites."""
    row, col = np.mgrid[: reach + 1, -reach : reach + 1]
    chosen = ((row > 0) | (col >= 0)) & (row**2 + col**2 <= reach**2)
    return row[chosen], col[chosen]
