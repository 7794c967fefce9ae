"""The bank of linear motions: inverse filters of the 511 motions of Eboli et al., section 2.2, which are computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from export.loop.checkpoints import CHECKPOINT, Checkpoint, write_checkpoint
from export.loop.config import RunConfig
from export.loop.job import Job
from export.onnx.bundles import Arrays, BundleSpec
from runtime.blur.inverse import inverse_filter, normal_spectrum
from runtime.blur.motion import ANGLES, LENGTHS, BankAssumptions, motion_kernel


@dataclass(frozen=True)
class BankRunConfig(RunConfig):
    """A bank of inverse filters.

    Attributes
    ----------
    lengths
        Lengths of the motions in pixels; by default those that the runtime needs.
    """

    method: Literal["irc"] = "irc"
    lengths: tuple[int, ...] = tuple(LENGTHS.tolist())


def compute_bank(config: BankRunConfig, job: Job) -> Path:
    """Compute the inverse filters of all motions and return their checkpoint.

    Its weights hold for each length `l` a tensor ``length_l``, float16 ``(angles, side, side)``; a length of 1 has a
    single angle.
    """
    filters, distances = {}, []
    for length in config.lengths:
        stack = []
        for angle in ANGLES if length > 1 else ANGLES[:1]:
            kernel = motion_kernel(length, angle)
            stack.append(inverse_filter(kernel).astype(np.float16))
            distances.append(distance_to_delta(kernel, stack[-1].astype(np.float32)))
        filters[f"length_{length}"] = torch.from_numpy(np.stack(stack))
    accuracy = {
        "mean_distance_to_delta": round(float(np.mean(distances)), 4),
        "largest_distance_to_delta": round(max(distances), 4),
    }
    file = job.folder / CHECKPOINT
    write_checkpoint(file, Checkpoint(config.to_dict(), filters, accuracy=accuracy))
    job.report(f"{len(distances)} inverse filters: {accuracy}")
    return file


def distance_to_delta(kernel: np.ndarray, inverse: np.ndarray) -> float:
    """Return the Euclidean distance of ``sum_i d_i * k_i`` from a delta, whose norm is 1."""
    side = 2 * (inverse.shape[0] + 2 * max(kernel.shape))
    middle = inverse.shape[0] // 2
    plane = np.zeros((side, side))
    plane[: inverse.shape[0], : inverse.shape[1]] = inverse
    spectrum = np.fft.rfft2(np.roll(plane, (-middle, -middle), (0, 1))) * normal_spectrum(kernel, (side, side))
    error = np.fft.irfft2(spectrum, s=(side, side))
    error[0, 0] -= 1
    return float(np.linalg.norm(error))


def pack(weights: Mapping[str, Tensor]) -> dict[str, Arrays]:
    """Return the constants of a bank, float16."""
    return {"inverse": {name: filters.half().numpy() for name, filters in weights.items()}}


SPEC = BundleSpec(assumes=lambda config: BankAssumptions(), constants=pack)
