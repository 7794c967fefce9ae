"""Kaufman and Fattal 2020: an analysis network finds the blur kernel, a synthesis network undoes the blur.

The first network looks at the photograph, and at half its size for kernels that are wider than it was made for. By
default both kernels are polished (`runtime.estimation.kernel.blind`), which also tells whether they explain the
photograph, and only where they differ or leave doubts, another one is searched for. Without `Options.refine` the
photograph is restored with the kernel as the network found it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from kernels.arrays import Array
from runtime.colour import luminance
from runtime.contract import Estimate
from runtime.estimation.analysis import KernelAnalysis
from runtime.inference.bundle import Bundle
from runtime.inference.devices import Device
from runtime.methods.uniform import restore_by_network
from runtime.options import SYNTHESIS, Options
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
        run = replace(run, synthesis=self._bundle).with_options(nonblind=run.options.nonblind or SYNTHESIS)
        return restore_by_network(observed, luminance(observed), self._analysis, run)
