"""Training examples of the repair network: blurred images, their deconvolution by estimated kernels, and truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from export.data.estimates import Estimate, estimate_kernel
from export.data.scenes import Scene, SceneConfig, make_scene
from export.loop.recording import read_shards
from runtime.blur.blurs import KernelBlur
from runtime.blur.kernel import extent, fit, spread
from runtime.blur.periodic import convolve
from runtime.decisions.thresholds import KERNEL_ERROR
from runtime.deconvolution import deconvolve
from runtime.deconvolution.saturation import bounded
from runtime.estimation.kernel.prior import KernelPrior
from runtime.metrics import align
from runtime.noise import estimate_noise
from runtime.options import Options
from runtime.restoration.repair import RepairAssumptions, evidence, facts
from runtime.run import Run

_BALANCED = 0.8
"""Share of the scenes restored at quality ``"balanced"``; the others are restored at ``"fast"``."""
BORDER, MAX_SHIFT = 24, 6
"""Pixels at the border that are ignored in aligning the truth, and its largest shift in pixels."""
EDGE = 8
"""Pixels at the border of an example that may be wrong after alignment."""


@dataclass(frozen=True)
class Example:
    """One training example of the network: its input, and the answer.

    Attributes
    ----------
    planes : array (4, n, n) float16
        Those of `runtime.restoration.repair.evidence`, and the truth, aligned with the restoration. `EDGE` pixels at
        each border may be wrong.
    measures : array (3,) float32
        Standard deviation of the noise, logarithm of the kernel's expected error, and width of the kernel in pixels,
        as `runtime.restoration.repair.facts` takes them.
    """

    planes: NDArray[np.float16]
    measures: NDArray[np.float32]


def make_example(
    planes: Sequence[NDArray[np.uint8]], config: SceneConfig, prior: KernelPrior, rng: np.random.Generator
) -> Example:
    """Make a scene of photographs (`make_scene`), estimate its kernel, and restore it."""
    scene = make_scene(planes, config, rng)
    noise = estimate_noise(scene.light)
    estimate = estimate_kernel(scene, noise, prior, rng)
    return restore(scene, estimate, noise, "balanced" if rng.random() < _BALANCED else "fast")


def restore(scene: Scene, estimate: Estimate, noise: float, quality: str) -> Example:
    """Restore a scene with an estimated kernel.

    Parameters
    ----------
    scene, estimate
        The image and its kernel, which is determined only up to a translation, and so is the restoration.
    noise
        Estimated standard deviation of the noise of its light.
    quality : {"fast", "balanced", "best"}
        Of deconvolution.
    """
    kernel = fit(estimate.kernel, extent(estimate.kernel)).astype(np.float32)
    response, run = scene.response, Run(Options(quality=quality))
    if not response.linear:
        run = run.in_light(response, scene.observed)
    (light,) = bounded(deconvolve(scene.light[None], KernelBlur(kernel), run, kernel_error=KERNEL_ERROR))
    restored, blurred = (response.from_light(each) for each in (light, convolve(light, kernel)))
    truth = align(scene.sharp, restored, border=BORDER, max_shift=MAX_SHIFT)
    return Example(
        np.concatenate([evidence(scene.observed, restored, blurred), truth[None]]).astype(np.float16),
        np.array([noise / response.mean_slope(scene.observed), estimate.log_error, spread(kernel)], np.float32),
    )


class Examples:
    """Many examples.

    Parameters
    ----------
    planes : Tensor (N, 4, n, n) float16
        As those of `Example`.
    facts : Tensor (N, 3) float32
        As `runtime.restoration.repair.facts` gives them.
    """

    def __init__(self, planes: torch.Tensor, facts: torch.Tensor) -> None:
        self.planes, self.facts = planes, facts

    @classmethod
    def of(cls, planes: NDArray[np.float16], measures: NDArray[np.float32], assumes: RepairAssumptions) -> Examples:
        """Gather planes (N, 4, n, n) and measures (N, 3) of examples."""
        told = np.stack([facts(float(one[0]), float(one[1]), float(one[2]), assumes) for one in measures])
        return cls(torch.from_numpy(planes), torch.from_numpy(told))

    @classmethod
    def read(cls, files: Sequence[str | Path], assumes: RepairAssumptions) -> Examples:
        """Read recorded files (`export.loop.recording`), together.

        Raises
        ------
        ValueError
            If there is none, or they are of different sizes.
        """
        planes, measures = read_shards(files, ("planes", "measures"))
        return cls.of(planes, measures, assumes)

    def __len__(self) -> int:
        return len(self.planes)
