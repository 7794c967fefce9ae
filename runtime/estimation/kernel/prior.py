"""A learned prior on blur kernels of a camera's motion: a network that improves an estimated kernel.

Kernels estimated from predicted edges are noisy, have gaps and are too short; the path of a shaken camera is not. A
small convolutional network, trained on pairs of such estimates and true kernels, corrects them and predicts the error
that remains. Its input is no photograph but planes of the size of the kernel (`runtime.estimation.kernel.evidence`), so
that neither its result nor its cost depends on contrast, content or size of the photograph.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from runtime.blur.kernel import Kernel, normalise
from runtime.errors import InvalidModel
from runtime.estimation.kernel.evidence import PriorAssumptions, lay_out
from runtime.estimation.kernel.features import Features
from runtime.estimation.kernel.refine import SMALLEST_PRIOR_SIDE, BlurredImage
from runtime.inference.bundle import Bundle, load_model
from runtime.inference.devices import CPU
from runtime.inference.session import open_session

MODEL = "kernel-prior"
PART = "prior"


class KernelPrior:
    """The network of a bundle, run on the CPU, since kernels are tiny.

    Parameters
    ----------
    bundle
        With a part ``prior`` that takes ``evidence`` (batch, 8, side, side) and gives ``kernel`` (batch, side, side)
        and ``log_error`` (batch,), and with `runtime.estimation.kernel.evidence.PriorAssumptions`.

    Raises
    ------
    InvalidModel
        If the bundle is no such network.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._assumes = bundle.read_assumptions(PriorAssumptions)
        if self._assumes.smallest > SMALLEST_PRIOR_SIDE:
            raise InvalidModel(
                f"{bundle.path}: knows kernels of {self._assumes.smallest} px or more, but those from "
                f"{SMALLEST_PRIOR_SIDE} px on are asked of it; train it on smaller ones"
            )
        bundle.part(PART).require(
            bundle.path,
            {"evidence": ("batch", 8, "side", "side")},
            {"kernel": ("batch", "side", "side"), "log_error": ("batch",)},
        )
        self._session = open_session(bundle, PART, device=CPU, precision="fp32")

    @property
    def shares(self) -> tuple[float, float]:
        """Shares of the pixels whose gradients count as the strong and as the wide edges."""
        return self._assumes.shares

    def __call__(self, blurred: BlurredImage, features: Features, kernel: Kernel) -> tuple[Kernel, float]:
        """Improve a kernel (support, support), given features of the edges that it was estimated from."""
        return self.improve(lay_out(kernel, features, self._assumes), kernel)

    def improve(self, evidence: NDArray[np.float32], kernel: Kernel) -> tuple[Kernel, float]:
        """Improve one kernel.

        Parameters
        ----------
        evidence : array (8, support, support) float32
            From `runtime.estimation.kernel.evidence.lay_out`.
        kernel : array (support, support)
            The estimate, which is returned where the network returns zeros only.

        Returns
        -------
        kernel : array (support, support), float64, non-negative, of sum 1
        log_error : float
            Natural logarithm of the expected ``|kernel - truth|^2 / |truth|^2``.
        """
        support = kernel.shape[0]
        pad = -support % self._assumes.unit
        planes = np.ascontiguousarray(np.pad(evidence, ((0, 0), (0, pad), (0, pad)))[None])
        found = self._session.run(evidence=planes)
        improved = found["kernel"][0, :support, :support]
        log_error = float(found["log_error"][0])
        return (normalise(improved) if improved.any() else kernel), log_error


def load_prior() -> KernelPrior:
    """Load the prior that ships with the runtime."""
    return KernelPrior(_bundle())


@lru_cache(maxsize=1)
def _bundle() -> Bundle:
    return load_model(MODEL)
