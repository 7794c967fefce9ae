"""Export of a trained burst network as a bundle of two parts: ``fusion`` and ``network``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from export.chakrabarti.network import CORE, PATCH
from export.chakrabarti.onnx import write_graphs
from export.data.photographs import Photographs, find_photographs, split
from export.loop.config import BurstRunConfig
from export.onnx.bundles import replacing, write_part
from export.onnx.graph import OPSET
from export.onnx.parity import (
    compare,
    largest_difference,
    parity_patches,
    probe_patches,
    refuse_difference,
    round_weights,
)
from export.wieschollek.analysis import HALF
from export.wieschollek.data import BurstConfig, synthesise_bursts
from export.wieschollek.graph import build_fusion
from export.wieschollek.network import Fusion
from export.wieschollek.train import VALIDATION_FRAMES, VALIDATION_NOISE, load_burst_network
from runtime.inference.bundle import Bundle, load_model, write_bundle

STRIDE = 5
"""That of the paper, Section 3.3."""

TOLERANCE = {"fp32": 5e-3, "fp16": 2e-2}
"""Largest difference allowed in a filter coefficient of the part ``fusion``.

Such a filter divides by what all frames hold of a frequency, so its gain reaches 10 and rounding counts for as much
more: on photographs a hundredth of this, on a checkerboard, whose spectrum is a single frequency, nearly half.
"""

SHAPES = ((1, 14), (7, 14), (16, 3), (3, 1))
"""Bursts and frames at which a graph is compared with its network."""


def export_burst_checkpoint(
    checkpoint: str | Path,
    folder: str | Path,
    trained_on: Sequence[str] = (),
    data: str | Path | None = None,
) -> Bundle:
    """Write the bundle of a trained burst network; an existing bundle there is replaced.

    Parameters
    ----------
    checkpoint
        ``checkpoint.pt`` of a run.
    folder
        The bundle to write.
    trained_on
        Names and licences of the training photographs, for ``bundle.json``.
    data
        Photographs to measure parity on, besides the made-up patches.

    Returns
    -------
    Bundle
        With the largest difference of each part and precision from the PyTorch network under ``parity``.
    """
    network, content = load_burst_network(checkpoint)
    round_weights(network)
    with replacing(folder) as draft:
        fusion, restoration = write_fusion(network.fusion, draft), write_graphs(network.restoration, draft)
        bursts, patches = parity_bursts(data), parity_patches(data)
        parities = {
            "fusion": {key: compare_fusion(network.fusion, draft / file, bursts) for key, file in fusion.items()},
            "network": {key: compare(network.restoration, draft / file, patches) for key, file in restoration.items()},
        }
        parts = {"fusion": _part(fusion, parities["fusion"], "batch", "frames")}
        parts["network"] = _part(restoration, parities["network"], "batch")
        write_bundle(draft, _manifest(content, parts, trained_on))
    return load_model(folder)


def check_burst_bundle(
    folder: str | Path, checkpoint: str | Path, data: str | Path | None = None
) -> dict[str, dict[str, Any]]:
    """Compare every graph of a bundle with the burst network of a checkpoint; see `check_bundle`.

    Returns
    -------
    dict
        What was found, by part and precision.

    Raises
    ------
    InvalidModel
        If a graph differs from the network by more than `TOLERANCE`, or the part ``network`` by more than that of
        `export.onnx.parity`.
    """
    network, _ = load_burst_network(checkpoint)
    round_weights(network)
    bundle, bursts, patches = load_model(folder), parity_bursts(data), parity_patches(data)
    fusion, restoration = bundle.part("fusion").graphs, bundle.part("network").graphs
    found = {
        "fusion": {key: compare_fusion(network.fusion, graph, bursts) for key, graph in fusion.items()},
        "network": {key: compare(network.restoration, graph, patches) for key, graph in restoration.items()},
    }
    refuse_difference(fusion, found["fusion"], checkpoint, TOLERANCE)
    refuse_difference(restoration, found["network"], checkpoint)
    return found


def write_fusion(fusion: Fusion, folder: Path) -> dict[str, str]:
    """Write the part ``fusion`` of a network whose weights were rounded by `round_weights`.

    Returns
    -------
    dict
        File name of each precision.
    """
    return write_part(folder, "fusion", lambda weights, half: build_fusion(fusion, weights, half))


def compare_fusion(fusion: Fusion, graph: str | Path, bursts: Sequence[np.ndarray]) -> dict[str, Any]:
    """Run a graph and the network on the same bursts.

    Returns
    -------
    dict
        ``max_abs``, the largest absolute difference in any filter coefficient, and ``shapes``, the bursts and frames
        tried.
    """
    worst = largest_difference(fusion, graph, bursts)
    return {"max_abs": float(f"{worst:.2e}"), "shapes": sorted({burst.shape[:2] for burst in bursts})}


def parity_bursts(data: str | Path | None) -> list[np.ndarray]:
    """Return bursts of `SHAPES`: probe patches under several blurs, and bursts of the photographs under `data`."""
    bursts = [shaken_probes(count, frames) for count, frames in SHAPES]
    if data is not None:
        _, files = split(find_photographs(data))
        photographs, generator = Photographs.read(files[:8]), torch.Generator().manual_seed(0)
        for count, frames in SHAPES:
            config = BurstConfig(frames=(frames,), share=1)
            bursts.append(synthesise_bursts(photographs, config, count, generator).observed.numpy())
    return bursts


def shaken_probes(count: int, frames: int, seed: int = 0) -> np.ndarray:
    """Return bursts ``(count, frames, 65, 65)`` of `probe_patches`, each frame the mean of three shifted copies."""
    random = np.random.default_rng(seed)
    probes = probe_patches(count, seed)
    shifts = random.integers(-4, 5, (frames, 3, 2))
    blurred = [np.mean([np.roll(probes, shift, (1, 2)) for shift in three], axis=0) for three in shifts]
    return np.stack(blurred, 1).astype(np.float32)


def _part(graphs: dict[str, str], parity: dict[str, Any], *leading: str) -> dict[str, Any]:
    """Describe a part from ``patches`` to ``filters`` with these dimensions in front."""
    return {
        "graphs": graphs,
        "opset": OPSET,
        "inputs": [{"name": "patches", "type": "float32", "shape": [*leading, PATCH, PATCH]}],
        "outputs": [{"name": "filters", "type": "float32", "shape": [*leading, 2, PATCH, HALF]}],
        "parity": parity,
    }


def _manifest(checkpoint: dict[str, Any], parts: dict[str, Any], trained_on: Sequence[str]) -> dict[str, Any]:
    config = BurstRunConfig.from_dict(checkpoint["config"])
    return {
        "name": config.name,
        "version": "1",
        "method": config.method,
        "description": config.description,
        "licence": "Apache-2.0",
        "parts": parts,
        "constants": {},
        "patch": {"size": PATCH, "core": CORE, "stride": STRIDE},
        "values": {"range": [0, 1], "colour": "luminance"},
        "training": {"data": list(trained_on), "samples": checkpoint["samples"], "config": config.to_dict()},
        "accuracy": {
            "validation_gain_over_fba_db": {name: round(value, 3) for name, value in checkpoint["gains"].items()},
            "validation_frames": VALIDATION_FRAMES,
            "validation_noise": VALIDATION_NOISE,
        },
    }
