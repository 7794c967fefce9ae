"""What the bundle of a burst network consists of: the parts ``fusion`` and ``network``."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch

from export.chakrabarti.network import CORE, PATCH
from export.chakrabarti.onnx import PART as RESTORATION
from export.data.photographs import Photographs
from export.onnx.bundles import Arrays, BundleSpec, PartSpec
from export.onnx.parity import Inputs, probe_patches
from export.wieschollek.data import BurstConfig, synthesise_bursts
from export.wieschollek.graph import INPUTS, OUTPUTS, build_fusion
from export.wieschollek.train import VALIDATION_FRAMES, VALIDATION_NOISE
from runtime.inference.bundle import ImageAssumptions, PatchGeometry

STRIDE = 5
"""Default distance between patches in pixels (Wieschollek et al. 2016, section 3.3)."""

TOLERANCE = {"fp32": 5e-3, "fp16": 2e-2}
"""Largest difference allowed in a filter coefficient of the part ``fusion``.

Such a filter divides by the power that all frames have at a frequency, so its gain reaches 10 and rounding errors grow
with it: on photographs to a hundredth of this tolerance, on a checkerboard, whose spectrum is a single frequency, to
nearly half.
"""

SHAPES = ((1, 14), (3, 1), (7, 14), (16, 3))
"""Bursts and frames on which the graphs are compared with the network."""


def probes(photographs: Photographs | None) -> list[Inputs]:
    """Return bursts of `SHAPES`: made-up patches under several blurs, and bursts of the photographs."""
    bursts = [shaken_probes(count, frames) for count, frames in SHAPES]
    if photographs is not None:
        generator = torch.Generator().manual_seed(0)
        for count, frames in SHAPES:
            config = BurstConfig(frames=(frames,), share=1)
            bursts.append(synthesise_bursts(photographs, config, count, generator).observed.numpy())
    return [(burst,) for burst in bursts]


def shaken_probes(count: int, frames: int, seed: int = 0) -> np.ndarray:
    """Return bursts ``(count, frames, 65, 65)`` of `probe_patches`, each frame the mean of three shifted copies."""
    random = np.random.default_rng(seed)
    patches = probe_patches(count, PATCH, seed)
    shifts = random.integers(-4, 5, (frames, 3, 2))
    blurred = [np.mean([np.roll(patches, shift, (1, 2)) for shift in three], axis=0) for three in shifts]
    return np.stack(blurred, 1).astype(np.float32)


def restore(stored: Arrays) -> Arrays:
    """Return the entries of a state dict: a graph holds one matrix transposed, and the stages one by one."""
    stages = sorted((name for name in stored if name.startswith("stage.")), key=lambda name: int(name.split(".")[1]))
    return {
        **stored,
        "shared.weight": np.ascontiguousarray(stored["shared.weight.T"].T),
        "stage": np.stack([stored[name] for name in stages]),
    }


def _accuracy(gains: Any) -> dict[str, Any]:
    return {
        "validation_gain_over_fba_db": {name: round(value, 3) for name, value in gains.items()},
        "validation_frames": VALIDATION_FRAMES,
        "validation_noise": VALIDATION_NOISE,
    }


FUSION = PartSpec(build_fusion, INPUTS, OUTPUTS, probes, {"shapes": SHAPES}, TOLERANCE, "fusion", restore=restore)
SPEC = BundleSpec(
    {"fusion": FUSION, "network": dataclasses.replace(RESTORATION, module="restoration")},
    assumes=lambda config: ImageAssumptions(),
    patch=PatchGeometry(PATCH, CORE, STRIDE),
    accuracy=_accuracy,
)
