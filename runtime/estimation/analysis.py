"""One blur kernel for a whole photograph by correlations of learned features (Kaufman and Fattal 2020, section 3.1).

A network makes the kernel of the correlations of `runtime.estimation.correlated`. Nothing is searched: time is in
proportion to the pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kernels.arrays import Array, array_module
from runtime.blur.kernel import Kernel, centre, extent, fit, normalise, prune, resize
from runtime.deconvolution.synthesis import SynthesisAssumptions
from runtime.estimation.correlated import AnalysisAssumptions, CorrelatedFeatures
from runtime.estimation.kernel.pyramid import informative_window
from runtime.inference.bundle import Bundle
from runtime.inference.devices import Device, download
from runtime.inference.progress import Progress
from runtime.inference.session import open_session

SHAPE = "shape"
"""Name of the part of a bundle that makes the kernel of correlations."""
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
class PairAssumptions(SynthesisAssumptions, AnalysisAssumptions):
    """What a pair of networks was trained with; kernels of the first fit into the frame of the second."""

    def __post_init__(self) -> None:
        SynthesisAssumptions.__post_init__(self)
        AnalysisAssumptions.__post_init__(self)
        if self.lags[0] > self.side:
            raise ValueError(f"lags must be of {self.side} px at most, got {self.lags}")


class AnalysisNetwork:
    """The analysis network on a device.

    Parameters
    ----------
    bundle
        As in `CorrelatedFeatures`, with a part ``shape``, from ``correlations1``, ... (batch, channels, lags, lags) to
        ``kernels`` (batch, side, side).
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
        self._features = CorrelatedFeatures(bundle, device=device, precision=precision)
        self.side = self._features.lags[0]
        bundle.part(SHAPE).require(bundle.path, self._features.shapes, {"kernels": ("batch", self.side, self.side)})
        self._shape = open_session(bundle, SHAPE, device=device, precision=precision)

    def smallest(self) -> int:
        """Return the least side in pixels of a photograph of which a kernel is estimated."""
        return self._features.smallest()

    def estimate(self, luminance: Array) -> Kernel:
        """Estimate the kernel of a photograph as the network has it.

        Parameters
        ----------
        luminance : (H, W) array of float32
            Values in [0, 1], on the device of the network; at least `smallest` pixels a side.

        Returns
        -------
        (side, side) ndarray of float64
            Non-negative, of sum 1, the origin in its middle, in host memory.
        """
        found = self._shape.run(**self._features.correlate(luminance))["kernels"][0]
        return normalise(download(found).astype(np.float64))


class KernelAnalysis:
    """Kernels of a photograph and of the photograph at half its size.

    Parameters
    ----------
    network
        Estimates the kernel of the photograph.
    of_half
        Estimates that of the photograph at half its size; by default the same.
    """

    def __init__(self, network: AnalysisNetwork, of_half: AnalysisNetwork | None = None) -> None:
        self._network, self._of_half = network, of_half or network

    def smallest(self) -> int:
        """Return the least side in pixels of a photograph of which a kernel is estimated."""
        return self._network.smallest()

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
        kernel, side = self._network.estimate(luminance), self._network.side
        if is_cut_off(kernel) and min(luminance.shape) >= 2 * max(self.smallest(), side):
            if progress is not None:
                progress(STAGE, 0.8)
            kernel = self._estimate_wide(luminance)
        if progress is not None:
            progress(STAGE, 1.0)
        pruned: Kernel = prune(kernel, relative=_FAINT, island=_FAINT).astype(np.float32)
        return pruned

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
        kernel = self.estimate(informative(luminance, self.smallest()), progress=progress)
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
        looked_at = informative(luminance, self.smallest())
        found = [self._network.estimate(looked_at)]
        if progress is not None:
            progress(STAGE, 0.8)
        if min(looked_at.shape) >= 2 * self.smallest():
            found.append(self._estimate_wide(looked_at))
        if progress is not None:
            progress(STAGE, 1.0)
        return [_framed(kernel, support) for kernel in found]

    def _estimate_wide(self, luminance: Array) -> Kernel:
        """Estimate the kernel of a photograph from that at half its size, of twice the side, less one."""
        wide: Kernel = resize(self._of_half.estimate(halved(luminance)), 2 * self._of_half.side - 1, 2.0)
        return wide


def informative(luminance: Array, narrowest: int = 1) -> Array:
    """Return the window of a photograph (H, W) that networks look at, at least `narrowest` pixels a side."""
    window: Array = luminance[informative_window(luminance, PIXELS, narrowest)]
    return window


def is_cut_off(kernel: Kernel) -> bool:
    """Tell whether so much of a kernel lies at the margin of its frame that it is likely to be wider."""
    margin = max(1, round(_EDGE * len(kernel)))
    return bool(1 - kernel[margin:-margin, margin:-margin].sum() / kernel.sum() > _CUT_OFF)


def halved(plane: Array) -> Array:
    """Return a plane (H, W) at half its size: the means of squares of two pixels a side."""
    height, width = (side // 2 * 2 for side in plane.shape)
    blocks = plane[:height, :width].reshape(height // 2, 2, width // 2, 2)
    return array_module(plane).ascontiguousarray(blocks.mean(axis=(1, 3), dtype=np.float32))


def _framed(kernel: Kernel, support: int) -> Kernel:
    """Return a kernel without what is faint, centred, in the least frame that holds it, of `support` pixels at most."""
    pruned = centre(prune(kernel, relative=_FAINT, island=_FAINT))
    return normalise(fit(pruned, min(extent(pruned), support)))
