"""States of the blind estimation with their true kernels, the training data of the kernel prior.

The runtime's own refinement runs on simulated observations with a recorder in place of the learned prior. If the
recorder answers with an earlier prior, the later states are those that the runtime reaches with a prior.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from export.data.crops import log_uniform
from export.kernel_prior.network import UNIT, KernelPrior
from export.kernel_prior.simulation import Observation, SimulationConfig, observe
from kernels.arrays import Array
from runtime.blur.kernel import Kernel, align, fit, normalise, similarity
from runtime.deconvolution.saturation import bounded
from runtime.estimation.kernel.blind import unlit
from runtime.estimation.kernel.evidence import PriorAssumptions
from runtime.estimation.kernel.pyramid import BlurredImage
from runtime.estimation.kernel.search import search
from runtime.estimation.parallel import completed, on_one_core
from runtime.options import Options
from runtime.quality import LEVELS, Comparison
from runtime.run import Run

LEAST_INSIDE = 0.6
"""States whose frame contains less than this share of the true kernel are left out."""
_SMALL_SCALES = (80_000, 170_000)
"""Pixels of the scale at which hypotheses are judged, each equally likely."""
_HYPOTHESES = 2
_QUARTERS = (-0.5, -0.25, 0.0, 0.25, 0.5)


@dataclass(frozen=True)
class State:
    """One training sample of the prior: its input, and the answer.

    Attributes
    ----------
    evidence : array (8, S, S) float16
        From `runtime.estimation.kernel.evidence.lay_out`.
    kernel : array (S, S) float32
        The true kernel at that scale, aligned with the estimate; of sum 1.
    """

    evidence: NDArray[np.float16]
    kernel: NDArray[np.float32]


Prior = Callable[[NDArray[np.float32], Kernel], tuple[Kernel, float]]
"""From evidence (8, S, S) and a kernel (S, S) to a better kernel and the logarithm of its expected error."""


class NetworkPrior:
    """A network in PyTorch as a prior on kernels."""

    def __init__(self, network: KernelPrior) -> None:
        self._network = network.eval()

    def __call__(self, evidence: NDArray[np.float32], kernel: Kernel) -> tuple[Kernel, float]:
        """Return the improved kernel, or `kernel` if it is all zero, and the logarithm of its predicted error."""
        support = kernel.shape[0]
        pad = -support % UNIT
        with torch.no_grad():
            kernels, log_errors = self._network(F.pad(torch.from_numpy(evidence), (0, pad, 0, pad))[None])
        improved = kernels[0, :support, :support].numpy()
        return (normalise(improved) if improved.any() else kernel), float(log_errors[0])


class Recorder:
    """Takes the place of the runtime's prior and keeps the states it is called with, see `LEAST_INSIDE`.

    Parameters
    ----------
    observation
        The whole photograph and its kernel.
    assumes
        How the evidence is made.
    prior
        Gives the answers; without it, kernels are returned unchanged.
    """

    def __init__(self, observation: Observation, assumes: PriorAssumptions, prior: Prior | None = None) -> None:
        self.states: list[State] = []
        self.assumes = assumes
        self._observation, self._prior = observation, prior

    def __call__(
        self, photographs: Sequence[BlurredImage], evidence: Sequence[Array], kernels: Sequence[Array]
    ) -> list[tuple[Kernel, np.float64]]:
        """Keep evidence and truth at the scales of the photographs, and answer."""
        return [self._answer(*each) for each in zip(photographs, evidence, kernels, strict=True)]

    def _answer(self, blurred: BlurredImage, planes: NDArray[np.float32], kernel: Kernel) -> tuple[Kernel, np.float64]:
        factor = self._observation.image.shape[0] / blurred.image.shape[0]
        truth, inside = beside(shrink_kernel(self._observation.kernel, factor), kernel)
        planes = planes[:, : kernel.shape[0], : kernel.shape[1]]
        if inside >= LEAST_INSIDE:
            self.states.append(State(planes.astype(np.float16), truth.astype(np.float32)))
        answer, log_error = (kernel, 0.0) if self._prior is None else self._prior(planes, kernel)
        return answer, np.float64(log_error)


def record(
    observation: Observation,
    support: int,
    assumes: PriorAssumptions,
    prior: Prior | None = None,
    small: int = _SMALL_SCALES[-1],
) -> list[State]:
    """Estimate a kernel of up to `support` pixels as the runtime does, and return the states at all scales.

    With fewer hypotheses than the runtime has, `_HYPOTHESES`, judged at a scale of at most `small` pixels.
    """
    run, image, response = Run(Options()), observation.image, observation.response
    if not response.linear:
        run, image = run.in_light(response, image), response.to_light(image)
    known, _ = unlit(image, run)
    recorder = Recorder(observation, assumes, prior)
    blurred = BlurredImage(bounded(image), known, None, run.noise_of(image), response)
    effort = LEVELS["balanced"].search._replace(comparisons=(Comparison(small),), extents=_HYPOTHESES)
    # Hypotheses one after the other: the states come in the same order every time.
    searching = search(blurred, support, effort, recorder, lambda stage, fraction: None)
    on_one_core(partial(completed, searching))
    return recorder.states


def record_random(
    planes: Sequence[NDArray[np.uint8]],
    config: SimulationConfig,
    rng: np.random.Generator,
    assumes: PriorAssumptions,
    prior: Prior | None = None,
) -> list[State]:
    """Make an observation of photographs (`observe`) and `record` it, with a random support."""
    observation = observe(planes, config, rng)
    side = max(observation.kernel.shape[0], 5) * log_uniform(rng, config.room)
    support = int(np.clip(side, assumes.smallest, config.longest)) | 1
    return record(observation, support, assumes, prior, int(rng.choice(_SMALL_SCALES)))


def shrink_kernel(kernel: Kernel, factor: float) -> Kernel:
    """Return the kernel (s, s), s odd, of images shrunk by `factor`: the mass of a pixel goes to those it overlaps.

    Returns
    -------
    array (t, t) float64, t odd
        Of sum 1; all of the mass is in it.
    """
    reach = kernel.shape[0] // 2
    coarse = int(np.ceil(reach / factor + 0.5))
    fine_place = np.arange(-reach, reach + 1)
    coarse_place = np.arange(-coarse, coarse + 1) * factor
    overlap = np.clip((factor + 1) / 2 - np.abs(coarse_place[:, None] - fine_place), 0, 1)
    weights = overlap / overlap.sum(axis=0)
    return normalise(weights @ kernel @ weights.T)


def beside(kernel: Kernel, estimate: Kernel) -> tuple[Kernel, float]:
    """Move a kernel to where it correlates best with an estimate, to a quarter pixel, and into its frame.

    A kernel and a latent image are determined only up to opposite translations, and the estimate implies one.

    Returns
    -------
    kernel : array of the shape of `estimate`, float64, non-negative, of sum 1
    inside : float
        Share of its mass that the frame holds, in [0, 1].
    """
    from scipy import ndimage

    side = 2 * max(kernel.shape[0], estimate.shape[0]) + 1
    reference = fit(estimate, side)
    near = align(fit(kernel, side), reference)
    moved = [np.maximum(ndimage.shift(near, (down, right), order=3), 0) for down in _QUARTERS for right in _QUARTERS]
    best = max(moved, key=lambda candidate: similarity(candidate, reference))
    margin = (side - estimate.shape[0]) // 2
    cut = best[margin:-margin, margin:-margin]
    return normalise(cut), float(cut.sum() / best.sum())


class States:
    """Many states, by the side of their kernels.

    Parameters
    ----------
    evidence, kernels
        Arrays (N, 8, S, S) and (N, S, S) by S.
    """

    def __init__(self, evidence: dict[int, NDArray[np.float16]], kernels: dict[int, NDArray[np.float32]]) -> None:
        self.evidence, self.kernels = evidence, kernels

    @classmethod
    def of(cls, states: Iterable[State]) -> States:
        """Gather single states."""
        by_side: dict[int, list[State]] = {}
        for state in states:
            by_side.setdefault(state.kernel.shape[0], []).append(state)
        return cls(
            {side: np.stack([state.evidence for state in some]) for side, some in by_side.items()},
            {side: np.stack([state.kernel for state in some]) for side, some in by_side.items()},
        )

    @classmethod
    def read(cls, files: Sequence[str | Path]) -> States:
        """Read files that `write` wrote, together.

        Raises
        ------
        ValueError
            If there is no state in them.
        """
        evidence: dict[int, list[NDArray[np.float16]]] = {}
        kernels: dict[int, list[NDArray[np.float32]]] = {}
        for file in files:
            with np.load(file, allow_pickle=False) as stored:
                for name in stored.files:
                    kind, side = name.split("_")
                    (evidence if kind == "evidence" else kernels).setdefault(int(side), []).append(stored[name])
        if not kernels:
            raise ValueError(f"{', '.join(str(file) for file in files) or 'no file'}: no states; collect for longer")
        return cls(
            {side: np.concatenate(some) for side, some in evidence.items()},
            {side: np.concatenate(some) for side, some in kernels.items()},
        )

    def write(self, file: str | Path) -> None:
        """Write an ``.npz`` file."""
        arrays: dict[str, NDArray[np.floating]] = {f"evidence_{side}": some for side, some in self.evidence.items()}
        arrays |= {f"kernel_{side}": some for side, some in self.kernels.items()}
        np.savez(file, **arrays)  # type: ignore[arg-type]

    def __len__(self) -> int:
        return sum(len(some) for some in self.kernels.values())

    def take(self, side: int, which: slice | NDArray[np.int_]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return evidence (N, 8, S, S) and kernels (N, S, S), float32, of some states of one side, without padding."""
        return torch.from_numpy(self.evidence[side][which]).float(), torch.from_numpy(self.kernels[side][which])
