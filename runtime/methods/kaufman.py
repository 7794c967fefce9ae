"""Kaufman and Fattal 2020: an analysis network finds the blur kernel, a synthesis network undoes the blur.

By default the kernel is then polished (`runtime.estimation.kernel.blind`), which also tells whether it explains the
photograph; without `Options.refine` the photograph is restored with the kernel as the network found it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from kernels.arrays import Array
from runtime.blur.blurs import KernelBlur
from runtime.blur.kernel import Kernel, extent, fit
from runtime.colour import luminance
from runtime.contract import Candidate, Estimate
from runtime.errors import InvalidImage
from runtime.estimation.analysis import STAGE, KernelAnalysis
from runtime.estimation.kernel.blind import estimate_blind
from runtime.estimation.kernel.pyramid import informative_window
from runtime.inference.bundle import Bundle
from runtime.inference.devices import Device, upload
from runtime.methods.uniform import restore_with
from runtime.options import Options
from runtime.restoration.finish import undo
from runtime.restoration.repair import load_repairer
from runtime.run import Run

_PIXELS = 2**20
"""Pixels that the analysis network looks at, at most: those of the window with the strongest edges."""


class Kaufman:
    """Blind deconvolution of one kernel for the whole photograph, by a pair of networks.

    Parameters
    ----------
    bundle
        As in `KernelAnalysis`, with the stages of `runtime.deconvolution.synthesis.Synthesiser`.
    device, precision
        Where and how the networks run; see `runtime.inference.session.open_session`.
    batch
        Not used: a photograph is one batch.
    """

    supported_options: ClassVar[frozenset[str]] = frozenset({"quality", "nonblind", "noise", "refine", "response"})

    def __init__(self, bundle: Bundle, *, device: Device, precision: str, batch: int | None) -> None:
        self._analysis = KernelAnalysis(bundle, device=device, precision=precision)
        self._bundle = bundle
        load_repairer(device)

    def restore(self, observed: Array, run: Run[Options]) -> Estimate:
        """Restore a photograph, float32 ``(C, H, W)`` in [0, 1].

        Raises
        ------
        InvalidImage
            If the photograph is too small for the network.
        """
        guide, smallest = luminance(observed), self._analysis.smallest()
        if min(guide.shape) < smallest:
            raise InvalidImage(
                f"the image is {guide.shape[1]}x{guide.shape[0]}: this model needs {smallest} pixels or more on each "
                "side; give a larger crop, or the blur kernel, if you know it, to deconvolve()"
            )
        run = replace(run, synthesis=self._bundle)
        if run.options.nonblind is None:
            run = run.with_options(nonblind="synthesis")
        with run.stopwatch(STAGE):
            window = informative_window(guide, _PIXELS, narrowest=smallest)
            kernel = self._analysis.estimate(guide[window], progress=run.progress)
        if not run.options.refine:
            blur = KernelBlur(upload(_fitted(kernel, guide.shape), run.device))
            return Estimate(undo(observed, Candidate(blur, float("nan")), run), blur)
        with run.stopwatch("kernel estimate"):
            start = _fitted(kernel, guide.shape).astype(np.float64)
            found = estimate_blind(guide, run, support=len(start), starts=[start])
        return restore_with(observed, guide, found, run)


def _fitted(kernel: Kernel, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return a kernel in a frame that the search accepts for a photograph of `shape`: less than half of a side."""
    side = min(extent(kernel), (min(shape) // 2 - 1) | 1)
    return fit(kernel, side).astype(np.float32)
