"""Kaufman and Fattal 2020: an analysis network finds the blur kernel, a synthesis network undoes the blur.

The first network looks at the photograph, and at half its size for kernels that are wider than it was made for. By
default both kernels are polished (`runtime.estimation.kernel.blind`), which also tells whether they explain the
photograph, and only where they differ or leave doubts, another one is searched for. Without `Options.refine` the
photograph is restored with the kernel as the network found it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np

from kernels.arrays import Array
from runtime.blur.blurs import KernelBlur
from runtime.blur.kernel import extent, fit
from runtime.colour import luminance
from runtime.contract import Candidate, Estimate
from runtime.errors import InvalidImage
from runtime.estimation.analysis import PIXELS, STAGE, KernelAnalysis
from runtime.estimation.kernel.blind import estimate_blind
from runtime.estimation.kernel.pyramid import informative_window
from runtime.inference.bundle import Bundle
from runtime.inference.devices import Device, upload
from runtime.methods.chakrabarti import choose_support
from runtime.methods.uniform import restore_with
from runtime.options import Options
from runtime.restoration.finish import undo
from runtime.restoration.repair import load_repairer
from runtime.run import Run


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

    supported_options: ClassVar[frozenset[str]] = frozenset(
        {"quality", "nonblind", "support", "noise", "refine", "response"}
    )

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
        support = choose_support(guide.shape, run.options)
        with run.stopwatch(STAGE):
            if not run.options.refine:
                looked_at = guide[informative_window(guide, PIXELS, narrowest=smallest)]
                kernel = self._analysis.estimate(looked_at, progress=run.progress)
                kernel = fit(kernel, min(extent(kernel), (min(guide.shape) // 2 - 1) | 1))
                blur = KernelBlur(upload(kernel.astype(np.float32), run.device))
                return Estimate(undo(observed, Candidate(blur, float("nan")), run), blur)
            starts = self._analysis.starts(guide, support, run.progress)
        with run.stopwatch("kernel estimate"):
            found = estimate_blind(guide, run, support=support, starts=starts)
        return restore_with(observed, guide, found, run)
