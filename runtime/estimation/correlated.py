"""Cross-correlations of learned features of a photograph (Kaufman and Fattal 2020, section 3.1).

A network makes feature maps of the photograph at several scales; all pairs of them are correlated at the lags of a
kernel, and mixed to a few channels (`kernels.correlation`). A second network makes a kernel of these (`analysis`), or
tells its size (`classes`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kernels.arrays import Array, array_module
from kernels.correlation import correlate_mixed
from runtime.errors import InvalidModel
from runtime.inference.assumptions import ImageAssumptions
from runtime.inference.bundle import Bundle
from runtime.inference.devices import Device
from runtime.inference.session import open_session

FEATURES = "features"
"""Name of the part of a bundle that makes the feature maps."""
CONSTANTS = "analysis"
"""Name of its constants: ``mix (levels, channels, maps, maps)``, weights of the correlations of all ordered pairs."""


@dataclass(frozen=True)
class AnalysisAssumptions(ImageAssumptions):
    """What the features were trained with.

    Attributes
    ----------
    lags
        Sides of the squares of lags by level, odd and decreasing; the first is that of the kernels.
    contrast
        Added to the standard deviation that a photograph is divided by.
    """

    lags: tuple[int, ...] = (41, 21, 11)
    contrast: float = 1e-3

    def __post_init__(self) -> None:
        if not self.lags or any(side < 1 or side % 2 == 0 for side in self.lags):
            raise ValueError(f"lags must be odd sides, got {self.lags}")
        if self.contrast <= 0:
            raise ValueError(f"contrast must be positive, got {self.contrast}")


class CorrelatedFeatures:
    """The features and their correlations on a device.

    Parameters
    ----------
    bundle
        With a part ``features``, from ``planes`` (batch, height, width) to ``maps1``, ``maps2``, ... (batch, maps,
        height / 2^l, width / 2^l) of zero mean and unit energy; the constants `CONSTANTS` and `AnalysisAssumptions`. It
        may assume more than that, for other parts.
    device, precision
        As in `runtime.inference.session.open_session`.

    Raises
    ------
    InvalidModel
        If the bundle has no such network.

    Attributes
    ----------
    lags : tuple of int
        Sides in pixels of the squares of lags, by level.
    shapes : dict
        Symbolic shapes of the correlations, by name.
    """

    def __init__(self, bundle: Bundle, *, device: Device, precision: str = "auto") -> None:
        assumes = bundle.read_assumptions(AnalysisAssumptions, partly=True)
        self.lags, self._contrast = assumes.lags, assumes.contrast
        try:
            mix = bundle.load_constants(CONSTANTS)["mix"].astype(np.float32)
            if mix.ndim != 4 or len(mix) != len(self.lags) or mix.shape[2] != mix.shape[3]:
                raise ValueError(f"mix of shape {mix.shape} for {len(self.lags)} levels")
        except (KeyError, ValueError) as error:
            raise InvalidModel(f"{bundle.path}: not the constants of an analysis network ({error})") from error
        _, channels, maps, _ = mix.shape
        bundle.part(FEATURES).require(
            bundle.path,
            {"planes": ("batch", "height", "width")},
            {f"maps{level}": ("batch", maps, *_sides(level)) for level in range(1, len(mix) + 1)},
        )
        self.shapes = {
            f"correlations{level}": ("batch", channels, side, side) for level, side in enumerate(self.lags, start=1)
        }
        self._features = open_session(bundle, FEATURES, device=device, precision=precision)
        self._mix = mix

    def smallest(self) -> int:
        """Return the least side in pixels of a photograph whose features are correlated."""
        return int(2 ** len(self.lags))

    def correlate(self, luminance: Array) -> dict[str, Array]:
        """Return the mixed correlations of a photograph, float32 ``(1, channels, side, side)``, by name.

        Parameters
        ----------
        luminance : (H, W) array of float32
            Values in [0, 1], on the device of the network; at least `smallest` pixels a side.
        """
        unit = 2 ** (len(self.lags) - 1)
        height, width = (side // unit * unit for side in luminance.shape)
        xp = array_module(luminance)
        plane = luminance[:height, :width]
        plane = (plane - plane.mean()) / (plane.std() + self._contrast)
        maps = self._features.run(planes=xp.ascontiguousarray(plane[None], dtype=xp.float32))
        return {
            f"correlations{level}": correlate_mixed(
                xp.ascontiguousarray(maps[f"maps{level}"]), xp.asarray(self._mix[level - 1]), side
            )
            for level, side in enumerate(self.lags, start=1)
        }


def _sides(level: int) -> tuple[str, str]:
    """Return the symbolic sides of the maps of a level, counted from 1."""
    if level == 1:
        return "height", "width"
    return f"height/{2 ** (level - 1)}", f"width/{2 ** (level - 1)}"
