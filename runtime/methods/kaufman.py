"""Kaufman and Fattal 2020: an analysis network finds the blur kernel, a synthesis network undoes the blur.

The first network looks at the photograph, and at half its size for kernels that are wider than it was made for. By
default both kernels are polished (`runtime.estimation.kernel.blind`), which also tells whether they explain the
photograph, and only where they differ or leave doubts, another one is searched for. Without `Options.refine` the
photograph is restored with the kernel as the network found it. With the variant ``"scale-optimised"`` the network that
looks at the photograph is one for kernels of the size that a classifier has told.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import ClassVar

from kernels.arrays import Array
from runtime.colour import luminance
from runtime.contract import Estimate
from runtime.estimation.analysis import STAGE, AnalysisNetwork, KernelAnalysis, PairAssumptions
from runtime.estimation.classes import ScaleOptimisedAnalysis
from runtime.inference.bundle import Bundle
from runtime.inference.devices import Device
from runtime.methods.uniform import require_size, restore_by_network
from runtime.options import SCALE_OPTIMISED, SYNTHESIS, Options
from runtime.restoration.repair import load_repairer
from runtime.run import Run


class Kaufman:
    """Blind deconvolution of one kernel for the whole photograph, by a pair of networks.

    Parameters
    ----------
    bundle
        As in `AnalysisNetwork`, with the stages of `runtime.deconvolution.synthesis.Synthesiser`. The classifier and
        the networks of its classes are those of the package.
    device, precision
        Where and how the networks run; see `runtime.inference.session.open_session`.
    batch
        Not used: a photograph is one batch.
    """

    supported_options: ClassVar[frozenset[str]] = frozenset(
        {"quality", "nonblind", "support", "noise", "refine", "response", "variant"}
    )

    def __init__(self, bundle: Bundle, *, device: Device, precision: str, batch: int | None) -> None:
        bundle.read_assumptions(PairAssumptions)
        self._bundle, self._device, self._precision = bundle, device, precision
        self._network = AnalysisNetwork(bundle, device=device, precision=precision)
        load_repairer(device)

    @cached_property
    def _scale_optimised(self) -> ScaleOptimisedAnalysis:
        return ScaleOptimisedAnalysis(self._network, device=self._device, precision=self._precision)

    def restore(self, observed: Array, run: Run[Options]) -> Estimate:
        """Restore a photograph, float32 ``(C, H, W)`` in [0, 1].

        Raises
        ------
        InvalidImage
            If the photograph is too small for the network.
        """
        run = replace(run, synthesis=self._bundle).with_options(nonblind=run.options.nonblind or SYNTHESIS)
        guide = luminance(observed)
        if run.options.variant != SCALE_OPTIMISED:
            return restore_by_network(observed, guide, KernelAnalysis(self._network), run)
        require_size(guide, self._scale_optimised.smallest())
        with run.stopwatch(STAGE):
            kernel_class, analysis = self._scale_optimised.choose(guide)
        return replace(restore_by_network(observed, guide, analysis, run), kernel_class=kernel_class)
