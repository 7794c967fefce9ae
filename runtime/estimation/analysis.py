"""One blur kernel for a whole photograph by correlations of learned features (Kaufman and Fattal 2020, section 3.1).

A network makes feature maps of the photograph at several scales; all pairs of them are correlated at the lags of a
kernel, and mixed to a few channels (`kernels.correlation`); a second network makes the kernel of these. Nothing is
searched: time is in proportion to the pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kernels.arrays import Array, array_module
from kernels.correlation import correlate_mixed
from runtime.blur.kernel import Kernel, centre, extent, fit, normalise, prune, resize
from runtime.deconvolution.synthesis import SynthesisAssumptions
from runtime.errors import InvalidModel
from runtime.estimation.kernel.pyramid import informative_window
from runtime.inference.bundle import Bundle
from runtime.inference.devices import Device, download
from runtime.inference.progress import Progress
from runtime.inference.session import open_session

FEATURES, SHAPE = "features", "shape"
"""Names of the parts of a bundle: feature maps, and the kernel from their correlations."""
CONSTANTS = "analysis"
"""Name of its constants: ``mix (levels, channels, maps, maps)``, weights of the correlations of all ordered pairs."""
STAGE = "kernel network"
PIXELS = 2**20
"""Pixels that the network looks at, at most: those of the window with the strongest edges."""
_FAINT = 0.03
"""Values under this share of the largest, and islands under this share of the whole, are uncertainty of the network."""
_EDGE = 0.03
"""Share of the frame's side that is its margin."""
_CUT_OFF = 0.02
"""Share of a kernel in that margin from which the kernel is taken for larger than its frame."""


@dataclass(frozen=True)
class AnalysisAssumptions(SynthesisAssumptions):
    """What a pair of networks was trained with.

    Attributes
    ----------
    lags
        Sides of the squares of lags by level, odd and decreasing; the first is that of the kernels, at most `side`.
    contrast
        Added to the standard deviation that a photograph is divided by.
    """

    lags: tuple[int, ...] = (41, 21, 11)
    contrast: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.lags or any(side < 1 or side % 2 == 0 for side in self.lags) or self.lags[0] > self.side:
            raise ValueError(f"lags must be odd sides, the first at most {self.side}, got {self.lags}")
        if self.contrast <= 0:
            raise ValueError(f"contrast must be positive, got {self.contrast}")


class KernelAnalysis:
    """The analysis network on a device.

    Parameters
    ----------
    bundle
        With a part ``features``, from ``planes`` (batch, height, width) to ``maps1``, ``maps2``, ... (batch, maps,
        height / 2^l, width / 2^l) of zero mean and unit energy; a part ``shape``, from ``correlations1``, ... (batch,
        channels, lags, lags) to ``kernels`` (batch, side, side); the constants `CONSTANTS` and `AnalysisAssumptions`.
    device, precision
        As in `runtime.inference.session.open_session`.

    Raises
    ------
    InvalidModel
        If the bundle has no such networks.

    Attributes
    ----------
    side : int
        Side in pixels of its kernels.
    """

    def __init__(self, bundle: Bundle, *, device: Device, precision: str = "auto") -> None:
        self._assumes = assumes = bundle.read_assumptions(AnalysisAssumptions)
        self.side = assumes.lags[0]
        levels = range(1, len(assumes.lags) + 1)
        try:
            mix = bundle.load_constants(CONSTANTS)["mix"].astype(np.float32)
            if mix.ndim != 4 or len(mix) != len(assumes.lags) or mix.shape[2] != mix.shape[3]:
                raise ValueError(f"mix of shape {mix.shape} for {len(assumes.lags)} levels")
        except (KeyError, ValueError) as error:
            raise InvalidModel(f"{bundle.path}: not the constants of an analysis network ({error})") from error
        _, channels, maps, _ = mix.shape
        bundle.part(FEATURES).require(
            bundle.path,
            {"planes": ("batch", "height", "width")},
            {f"maps{level}": ("batch", maps, *_sides(level)) for level in levels},
        )
        bundle.part(SHAPE).require(
            bundle.path,
            {
                f"correlations{level}": ("batch", channels, lags, lags)
                for level, lags in zip(levels, assumes.lags, strict=True)
            },
            {"kernels": ("batch", self.side, self.side)},
        )
        self._features = open_session(bundle, FEATURES, device=device, precision=precision)
        self._shape = open_session(bundle, SHAPE, device=device, precision=precision)
        self._mix = mix

    def smallest(self) -> int:
        """Return the least side in pixels of a photograph of which a kernel is estimated."""
        return int(2 ** len(self._assumes.lags))

    def estimate(self, luminance: Array, *, progress: Progress | None = None) -> Kernel:
        """Estimate the kernel of a photograph.

        A kernel that does not fit its frame is estimated again from the photograph at half its size, as the authors do
        for the widest of Köhler et al.

        Parameters
        ----------
        luminance : (H, W) array of float32
            Values in [0, 1], on the device of the network; at least `smallest` pixels a side.
        progress : callable ``(stage, fraction)``, optional

        Returns
        -------
        (side, side) ndarray of float32
            Non-negative, of sum 1, without what is faint, the origin in its middle; twice the side, less one, if the
            photograph was halved.
        """
        kernel = self._estimate(luminance)
        if is_cut_off(kernel) and min(luminance.shape) >= 2 * max(self.smallest(), self.side):
            if progress is not None:
                progress(STAGE, 0.8)
            wide = self._estimate(_halved(luminance))
            kernel = resize(wide, 2 * self.side - 1, 2.0)
        if progress is not None:
            progress(STAGE, 1.0)
        return prune(kernel, relative=_FAINT, island=_FAINT).astype(np.float32)

    def estimate_alone(self, luminance: Array, support: int | None = None, progress: Progress | None = None) -> Kernel:
        """Estimate a kernel to be used as it is, in the least frame that holds it and fits into the photograph.

        Of a large photograph the window with the strongest edges is looked at.

        Parameters
        ----------
        luminance, progress
            As for `estimate`.
        support : int, optional
            Largest side of the kernel in pixels.
        """
        kernel = self.estimate(self._informative(luminance), progress=progress)
        largest = (min(luminance.shape) // 2 - 1) | 1
        return fit(kernel, min(extent(kernel), support or largest)).astype(np.float32)

    def starts(self, luminance: Array, support: int, progress: Progress | None = None) -> list[Kernel]:
        """Estimate kernels that may be nearly right: that of the photograph, and that of it at half its size.

        Of a large photograph the window with the strongest edges is looked at.

        Parameters
        ----------
        luminance : (H, W) array of float32
            As for `estimate`.
        support : int
            Largest side of a kernel in pixels.
        progress : callable ``(stage, fraction)``, optional

        Returns
        -------
        list of (side, side) arrays of float64
            In host memory, without what is faint, of `support` pixels at most.
        """
        looked_at = self._informative(luminance)
        found = [self._estimate(looked_at)]
        if progress is not None:
            progress(STAGE, 0.8)
        if min(looked_at.shape) >= 2 * self.smallest():
            found.append(resize(self._estimate(_halved(looked_at)), 2 * self.side - 1, 2.0))
        if progress is not None:
            progress(STAGE, 1.0)
        return [_framed(kernel, support) for kernel in found]

    def _informative(self, luminance: Array) -> Array:
        return luminance[informative_window(luminance, PIXELS, narrowest=self.smallest())]

    def _estimate(self, luminance: Array) -> Kernel:
        unit = 2 ** (len(self._assumes.lags) - 1)
        height, width = (side // unit * unit for side in luminance.shape)
        xp = array_module(luminance)
        plane = luminance[:height, :width]
        plane = (plane - plane.mean()) / (plane.std() + self._assumes.contrast)
        maps = self._features.run(planes=xp.ascontiguousarray(plane[None], dtype=xp.float32))
        correlations = {
            f"correlations{level}": correlate_mixed(
                xp.ascontiguousarray(maps[f"maps{level}"]), xp.asarray(self._mix[level - 1]), lags
            )
            for level, lags in enumerate(self._assumes.lags, start=1)
        }
        return normalise(download(self._shape.run(**correlations)["kernels"][0]).astype(np.float64))


def is_cut_off(kernel: Kernel) -> bool:
    """Tell whether so much of a kernel lies at the margin of its frame that it is likely to be wider."""
    margin = max(1, round(_EDGE * len(kernel)))
    return bool(1 - kernel[margin:-margin, margin:-margin].sum() / kernel.sum() > _CUT_OFF)


def _framed(kernel: Kernel, support: int) -> Kernel:
    """Return a kernel without what is faint, centred, in the least frame that holds it, of `support` pixels at most."""
    pruned = centre(prune(kernel, relative=_FAINT, island=_FAINT))
    return normalise(fit(pruned, min(extent(pruned), support)))


def _sides(level: int) -> tuple[str, str]:
    """Return the symbolic sides of the maps of a level, counted from 1."""
    if level == 1:
        return "height", "width"
    return f"height/{2 ** (level - 1)}", f"width/{2 ** (level - 1)}"


def _halved(plane: Array) -> Array:
    """Return the means of squares of two pixels a side."""
    height, width = (side // 2 * 2 for side in plane.shape)
    blocks = plane[:height, :width].reshape(height // 2, 2, width // 2, 2)
    return array_module(plane).ascontiguousarray(blocks.mean(axis=(1, 3), dtype=np.float32))
