"""Schuler 2014: a network finds the blur kernel by learned features and divisions of spectra, without a search.

The network looks at the photograph, and at half its size for kernels that are wider than it was made for. By default
both kernels are polished (`runtime.estimation.kernel.blind`), which also tells whether they explain the photograph, and
only where the better one leaves doubts, another one is searched for. Without `Options.refine` the photograph is
deconvolved with the first kernel as the network found it.
"""

from __future__ import annotations

from typing import ClassVar

from kernels.arrays import Array
from runtime.colour import luminance
from runtime.contract import Estimate
from runtime.estimation.quotients import KernelNetworks
from runtime.inference.bundle import Bundle
from runtime.inference.devices import Device
from runtime.methods.uniform import restore_by_network
from runtime.options import Options
from runtime.restoration.repair import load_repairer
from runtime.run import Run


class Schuler:
    """Blind deconvolution of one kernel for the whole photograph, found by a network.

    Parameters
    ----------
    bundle
        As in `KernelNetworks`: of several networks that for the content (`Options.content`) and the noise is taken.
    device, precision
        Where and how the network runs; see `runtime.inference.session.open_session`.
    batch
        Not used: a photograph is one batch.
    """

    supported_options: ClassVar[frozenset[str]] = frozenset(
        {"quality", "nonblind", "support", "noise", "refine", "response", "content"}
    )

    def __init__(self, bundle: Bundle, *, device: Device, precision: str, batch: int | None) -> None:
        self._networks = KernelNetworks(bundle, device=device, precision=precision)
        load_repairer(device)

    def restore(self, observed: Array, run: Run[Options]) -> Estimate:
        """Restore a photograph, float32 ``(C, H, W)`` in [0, 1].

        Raises
        ------
        InvalidImage
            If the photograph is too small for the smallest kernels of the network.
        """
        guide = luminance(observed)
        network = self._networks.choose(run.options.content, run.noise_of(guide))
        return restore_by_network(observed, guide, network, run)
