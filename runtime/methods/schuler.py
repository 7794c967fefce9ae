"""Schuler 2014: a network finds the blur kernel by learned features and divisions of spectra, without a search.

The network looks at the photograph, and at half its size for kernels that are wider than it was made for. By default
both kernels are polished (`runtime.estimation.kernel.blind`), which also tells whether they explain the photograph, and
only where the better one leaves doubts or brings no gain, another one is searched for. Without `Options.refine` the
photograph is deconvolved with the first kernel as the network found it.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from kernels.arrays import Array
from runtime.blur.blurs import KernelBlur
from runtime.colour import luminance
from runtime.contract import Candidate, Estimate
from runtime.decisions.reasons import Reason
from runtime.errors import InvalidImage
from runtime.estimation.kernel.blind import estimate_blind, is_unsure
from runtime.estimation.kernel.pyramid import informative_window
from runtime.estimation.quotients import KernelNetwork
from runtime.inference.bundle import Bundle
from runtime.inference.devices import Device, download
from runtime.methods.chakrabarti import choose_support
from runtime.methods.uniform import restore_with
from runtime.options import Options
from runtime.restoration.finish import undo
from runtime.restoration.repair import load_repairer
from runtime.run import Run

_PIXELS = 2**18
"""Pixels that the network looks at, at most: those of the window with the strongest edges."""


class Schuler:
    """Blind deconvolution of one kernel for the whole photograph, found by a network.

    Parameters
    ----------
    bundle
        As in `KernelNetwork`.
    device, precision
        Where and how the network runs; see `runtime.inference.session.open_session`.
    batch
        Not used: a photograph is one batch.
    """

    supported_options: ClassVar[frozenset[str]] = frozenset(
        {"quality", "nonblind", "support", "noise", "refine", "response"}
    )

    def __init__(self, bundle: Bundle, *, device: Device, precision: str, batch: int | None) -> None:
        self._network = KernelNetwork(bundle, device=device, precision=precision)
        load_repairer(device)

    def restore(self, observed: Array, run: Run[Options]) -> Estimate:
        """Restore a photograph, float32 ``(C, H, W)`` in [0, 1].

        Raises
        ------
        InvalidImage
            If the photograph is too small for the smallest kernels of the network.
        """
        guide, smallest = luminance(observed), self._network.smallest()
        if min(guide.shape) < smallest:
            raise InvalidImage(
                f"the image is {guide.shape[1]}x{guide.shape[0]}: this model needs {smallest} pixels or more on each "
                "side; give a larger crop, or the blur kernel, if you know it, to deconvolve()"
            )
        support = choose_support(guide.shape, run.options)
        with run.stopwatch("kernel network"):
            looked_at = guide[informative_window(guide, _PIXELS, narrowest=smallest)]
            kernel = self._network.estimate(looked_at, support=run.options.support, progress=run.progress)
            if not run.options.refine:
                blur = KernelBlur(kernel)
                return Estimate(undo(observed, Candidate(blur, float("nan")), run), blur)
            wide = self._network.estimate_wide(looked_at)
        starts = [download(each) for each in (kernel, wide) if each is not None and len(each) <= support]
        with run.stopwatch("kernel estimate"):
            polished = [estimate_blind(guide, run, support=len(each), start=each.astype(np.float64)) for each in starts]
        found = min(polished, key=lambda each: (each.reason is not None, each.log_error), default=None)
        if found is not None and not is_unsure(found):
            estimate = restore_with(observed, guide, found, run)
            if estimate.reason is None or found.reason is Reason.NOT_BLURRED:
                return estimate
        # Nothing agrees with a start, so that one which is doubtful counts for nothing.
        with run.stopwatch("kernel estimate"):
            searched = estimate_blind(guide, run, support=support)
        return restore_with(observed, guide, searched, run)
