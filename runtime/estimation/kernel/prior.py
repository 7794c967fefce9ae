"""A learned prior on blur kernels of a camera's motion: a network that improves an estimated kernel.

Kernels estimated from predicted edges are noisy, have gaps and are too short; the path of a shaken camera is not. A
small convolutional network, trained on pairs of such estimates and true kernels, corrects them and predicts the error
that remains. Its input is no photograph but planes of the size of the kernel (`runtime.estimation.kernel.evidence`), so
that neither its result nor its cost depends on contrast, content or size of the photograph.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial

import numpy as np

from kernels.arrays import Array, array_module
from runtime.blur.kernel import normalise
from runtime.errors import InvalidModel
from runtime.estimation.kernel.evidence import PriorAssumptions
from runtime.estimation.kernel.pyramid import BlurredImage
from runtime.estimation.kernel.refine import SMALLEST_PRIOR_SIDE
from runtime.estimation.parallel import in_parallel
from runtime.inference.bundle import Bundle, load_model
from runtime.inference.devices import CPU, Device
from runtime.inference.session import open_session

MODEL = "kernel-prior"
PART = "prior"


class KernelPrior:
    """The network of a bundle on a device.

    Parameters
    ----------
    bundle
        With a part ``prior`` that takes ``evidence`` (batch, 8, side, side) and gives ``kernel`` (batch, side, side)
        and ``log_error`` (batch,), and with `runtime.estimation.kernel.evidence.PriorAssumptions`.
    device
        The device on which the network runs.

    Raises
    ------
    InvalidModel
        If the bundle is no such network.
    """

    def __init__(self, bundle: Bundle, device: Device = CPU) -> None:
        self.assumes = bundle.read_assumptions(PriorAssumptions)
        if self.assumes.smallest > SMALLEST_PRIOR_SIDE:
            raise InvalidModel(
                f"{bundle.path}: knows kernels of {self.assumes.smallest} px or more, but those from "
                f"{SMALLEST_PRIOR_SIDE} px on are asked of it; train it on smaller ones"
            )
        bundle.part(PART).require(
            bundle.path,
            {"evidence": ("batch", 8, "side", "side")},
            {"kernel": ("batch", "side", "side"), "log_error": ("batch",)},
        )
        self._device = device
        self._session = open_session(bundle, PART, device=device, precision="fp32")

    def __call__(
        self, photographs: Sequence[BlurredImage], evidence: Sequence[Array], kernels: Sequence[Array]
    ) -> list[tuple[Array, Array]]:
        """Improve kernels as `improve` does; of the photographs the network sees nothing but the evidence."""
        return self.improve(evidence, kernels)

    def improve(self, evidence: Sequence[Array], kernels: Sequence[Array]) -> list[tuple[Array, Array]]:
        """Improve kernels of any sides.

        On a GPU all whose frames are of one size once they are padded are one batch, and nobody copies what comes out.
        On the CPU they are improved in parallel, one by one.

        Parameters
        ----------
        evidence : sequence of array (8, side, side) float32
            From `runtime.estimation.kernel.evidence.evidence_for`, on the device of the network.
        kernels : sequence of array (support, support) float64
            The estimates, there too. One is returned where the network returns zeros only.

        Returns
        -------
        list of (kernel, log_error)
            A kernel (support, support), float64, non-negative, of sum 1; and the natural logarithm of the expected
            ``|kernel - truth|^2 / |truth|^2``, an array ().
        """
        batches: dict[tuple[int, int], list[int]] = {}
        for index, each in enumerate(evidence):
            batch = 0 if self._device.is_cuda else index
            batches.setdefault((each.shape[-1], batch), []).append(index)
        jobs = [
            partial(self._run, [evidence[index] for index in batch], [kernels[index] for index in batch])
            for batch in batches.values()
        ]
        found = [answer for answers in in_parallel(jobs, evidence[0]) for answer in answers]
        order = [index for batch in batches.values() for index in batch]
        answers = dict(zip(order, found, strict=True))
        return [answers[index] for index in range(len(evidence))]

    def _run(self, evidence: Sequence[Array], kernels: Sequence[Array]) -> list[tuple[Array, Array]]:
        """Run the network on planes of one size, and return what `improve` does."""
        planes = evidence[0][None] if len(evidence) == 1 else array_module(evidence[0]).stack(evidence)
        found = self._session.run(evidence=planes)
        improved = _normalised(found["kernel"], planes) if self._device.is_cuda else found["kernel"]
        answers = []
        for of_frame, log_error, kernel in zip(improved, found["log_error"], kernels, strict=True):
            of_support = of_frame[: kernel.shape[0], : kernel.shape[1]]
            if not self._device.is_cuda:
                of_support = normalise(of_support) if of_support.any() else kernel
            answers.append((of_support, log_error))
        return answers


def _normalised(improved: Array, evidence: Array) -> Array:
    """Return kernels (N, side, side) on a GPU with sum 1, float64, and where one is zero the estimate that came in."""
    xp = array_module(improved)
    kept = xp.where(improved.any(axis=(1, 2), keepdims=True), improved, evidence[:, 0])
    return kept / kept.sum(axis=(1, 2), keepdims=True, dtype=np.float64)


def load_prior(device: Device = CPU) -> KernelPrior:
    """Load the prior that ships with the runtime, for a device."""
    return KernelPrior(_bundle(), device)


@lru_cache(maxsize=1)
def _bundle() -> Bundle:
    return load_model(MODEL)
