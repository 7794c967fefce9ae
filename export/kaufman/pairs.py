"""Kernels beside blind estimates of them: what a network that is guided by estimated kernels has to cope with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from export.data.estimates import estimate_kernel
from export.data.scenes import SceneConfig, make_scene
from export.loop.recording import Fields, read_shards
from runtime.blur.kernel import Kernel, fit
from runtime.estimation.kernel.prior import KernelPrior
from runtime.noise import estimate_noise

ORIGINS = {"true": 0.35, "wrong": 0.25, "searched": 0.4}
"""Shares of the estimates by their start, see `export.data.estimates`."""
SCENES = SceneConfig(linear=0.0, saturated=0.03, grainy=0.1)
"""Blurred photographs in which kernels are estimated."""
_FINER = 8
"""Steps of a pixel by which kernels are moved to agree."""
_WORST, _WORST_PREDICTED = 0.35, 0.5
"""Largest relative squared error of an estimate, and largest one that is predicted for it: worse ones are mostly told,
and the photograph is given back as it was."""


@dataclass(frozen=True)
class KernelPairs:
    """True kernels and estimates of them.

    Attributes
    ----------
    kernels (N, S, S)
        The true ones, of sum 1, moved to where the estimates are. That takes values a little below 0.
    estimates (N, S, S)
        Non-negative, of sum 1, the centre of mass in the middle.
    noise (N,)
        Standard deviations of the noise under which they were estimated.
    """

    kernels: Tensor
    estimates: Tensor
    noise: Tensor

    @classmethod
    def read(cls, files: Sequence[Path], device: torch.device | str = "cpu") -> KernelPairs:
        """Read recorded pairs, without the worst.

        Raises
        ------
        ValueError
            If there is none.
        """
        kernels, estimates, facts = read_shards(files, ("kernel", "estimate", "facts"))
        good = (facts[:, 1] < _WORST) & (facts[:, 2] < np.log(_WORST_PREDICTED))
        if not good.any():
            raise ValueError("no estimated kernel is good enough to learn from; record for longer")
        found = (torch.from_numpy(np.float32(each[good])).to(device) for each in (kernels, estimates, facts[:, 0]))
        return cls(*found)

    def __len__(self) -> int:
        return len(self.noise)

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Draw kernels, their estimates and the noise, mirrored and transposed together at random."""
        device = generator.device
        chosen = torch.randint(len(self), (count,), generator=generator, device=device)
        both = torch.stack((self.kernels[chosen], self.estimates[chosen]), 1)
        ways = torch.randint(2, (3, count, 1, 1, 1), generator=generator, device=device).bool()
        for way, axis in zip(ways, (2, 3), strict=False):
            both = torch.where(way, both.flip(axis), both)
        both = torch.where(ways[2], both.transpose(2, 3), both)
        return both[:, 0], both[:, 1], self.noise[chosen]


def make_pair(
    planes: Sequence[NDArray[np.uint8]], prior: KernelPrior, rng: np.random.Generator, *, side: int
) -> Fields:
    """Blur a photograph by one kernel and estimate it.

    Parameters
    ----------
    planes, prior, rng
        Sharp photographs, the learned prior on kernels, and the source of randomness.
    side
        Side of the kernels that are returned.

    Returns
    -------
    dict
        ``kernel`` and ``estimate``, float32 (side, side), as in `KernelPairs`; ``facts``, float32 (3,): the noise, the
        relative squared error of the estimate, and the logarithm of the error that was predicted for it.
    """
    scene = make_scene(planes, SCENES, rng, kind="uniform")
    assert scene.kernel is not None
    noise = estimate_noise(scene.observed)
    origin = str(rng.choice(list(ORIGINS), p=list(ORIGINS.values())))
    found = estimate_kernel(scene, noise, prior, rng, origin=origin)
    estimate = fit(found.kernel, side)
    kernel = moved_to(fit(scene.kernel, side), estimate)
    error = np.square(kernel - estimate).sum() / np.square(kernel).sum()
    return {
        "kernel": kernel.astype(np.float32),
        "estimate": estimate.astype(np.float32),
        "facts": np.array([noise, error, found.log_error], np.float32),
    }


def moved_to(kernel: Kernel, target: Kernel) -> Kernel:
    """Move a kernel (S, S) by fractions of a pixel to where it agrees most with another one, on a periodic plane."""
    side = kernel.shape[0]
    spectrum = np.fft.fft2(kernel)
    agreement = np.zeros((side * _FINER, side * _FINER), complex)
    start = side * _FINER // 2 - side // 2
    agreement[start : start + side, start : start + side] = np.fft.fftshift(np.fft.fft2(target) * spectrum.conj())
    peak = np.unravel_index(np.fft.ifft2(np.fft.ifftshift(agreement)).real.argmax(), agreement.shape)
    frequencies = np.fft.fftfreq(side)
    phase = frequencies[:, None] * peak[0] / _FINER + frequencies * peak[1] / _FINER
    moved: Kernel = np.fft.ifft2(spectrum * np.exp(-2j * np.pi * phase)).real
    return moved
