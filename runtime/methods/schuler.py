"""Schuler 2014: a network finds the blur kernel by learned features and divisions of spectra, without a search.

By default the kernel is then polished (`runtime.estimation.kernel.blind`), which also tells whether it explains the
photograph; without `Options.refine` the photograph is deconvolved with the kernel as the network found it.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from kernels.arrays import Array
from runtime.blur.blurs import KernelBlur
from runtime.colour import luminance
from runtime.contract import Candidate, Estimate
from runtime.errors import InvalidImage
from runtime.estimation.kernel.blind import estimate_blind
from runtime.estimation.kernel.pyramid import informative_window
from runtime.estimation.quotients import KernelNetwork
from runtime.inference.bundle import Bundle
from runtime.inference.devices import Device, download
from runtime.options import Options
from runtime.restoration.finish import finish, undo
from runtime.restoration.repair import load_repairer
from runtime.run import Run

_PIXELS = 2**20
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
        with run.stopwatch("kernel network"):
            window = informative_window(guide, _PIXELS, narrowest=smallest)
            kernel = self._network.estimate(guide[window], support=run.options.support, progress=run.progress)
        if not run.options.refine:
            blur = KernelBlur(kernel)
            return Estimate(undo(observed, Candidate(blur, float("nan")), run), blur)
        with run.stopwatch("kernel estimate"):
            start = download(kernel).astype(np.float64)
            found = estimate_blind(guide, run, support=len(start), start=start)
        blur = KernelBlur(found.kernel)
        if found.reason is not None:
            return Estimate(observed, blur, confidence=found.confidence, reason=found.reason)
        return finish(observed, Candidate(blur, found.log_error, found.confidence), run, guide=guide)
