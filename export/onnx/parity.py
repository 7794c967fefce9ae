"""Parity between an exported graph and its PyTorch network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from export.chakrabarti.network import PATCH, Chakrabarti
from export.data.photographs import Photographs, find_photographs, split
from export.data.synthesis import SynthesisConfig, synthesise
from export.loop.trainer import load_network
from runtime.errors import InvalidModel
from runtime.inference.bundle import load_model

BATCHES = (1, 7, 64)
TOLERANCE = {"fp32": 1e-4, "fp16": 5e-3}
"""Largest difference allowed in a filter coefficient, whose gain is about 1."""


def check_bundle(folder: str | Path, checkpoint: str | Path, data: str | Path | None = None) -> dict[str, Any]:
    """Compare every graph of a bundle with the network of a checkpoint.

    Parameters
    ----------
    folder
        The bundle.
    checkpoint
        ``checkpoint.pt`` that it was exported from.
    data
        Photographs to cut further patches from.

    Returns
    -------
    dict
        What `compare` found, by precision.

    Raises
    ------
    InvalidModel
        If a graph differs from the network by more than `TOLERANCE`.
    """
    network, _ = load_network(checkpoint)
    round_weights(network)
    patches = parity_patches(data)
    graphs = load_model(folder).part("network").graphs
    parity = {precision: compare(network, graph, patches) for precision, graph in graphs.items()}
    refuse_difference(graphs, parity, checkpoint)
    return parity


def refuse_difference(
    graphs: Mapping[str, Path],
    parity: Mapping[str, Mapping[str, Any]],
    checkpoint: str | Path,
    tolerance: Mapping[str, float] = TOLERANCE,
) -> None:
    """Raise `InvalidModel` if a graph differs from the network of `checkpoint` by more than `tolerance`."""
    for precision, found in parity.items():
        if found["max_abs"] > tolerance[precision]:
            difference = f"differs from {checkpoint} by {found['max_abs']:.1e}"
            raise InvalidModel(f"{graphs[precision]}: {difference}; export that checkpoint again")


def round_weights(network: nn.Module) -> None:
    """Round every learnt weight to the nearest float16, in place, as it is stored in a bundle."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(parameter.half())


def open_graph(graph: str | Path) -> Any:
    """Load an ONNX graph for inference on the CPU, warnings left out."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])


def compare(network: Chakrabarti, graph: str | Path, patches: np.ndarray) -> dict[str, Any]:
    """Run a graph and the network on the same patches.

    Parameters
    ----------
    network
        With the weights that were exported.
    graph
        An ONNX file.
    patches (N, 65, 65) float32
        Taken in batches of `BATCHES`, again and again, until all have been seen.

    Returns
    -------
    dict
        ``max_abs``, the largest absolute difference in any filter coefficient, and ``batches``, the sizes tried.

    Raises
    ------
    ValueError
        If the graph gives another shape, or a value that is not finite.
    """
    parts, start = [], 0
    for batch in cycle(BATCHES):
        if start >= len(patches):
            break
        parts.append(patches[start : start + batch])
        start += batch
    worst = largest_difference(network, graph, parts)
    return {"max_abs": float(f"{worst:.2e}"), "batches": list(BATCHES)}


def largest_difference(network: nn.Module, graph: str | Path, arrays: Iterable[np.ndarray]) -> float:
    """Run a graph and a network from ``patches`` to ``filters`` and return the largest absolute difference of any.

    Raises
    ------
    ValueError
        If the graph gives another shape, or a value that is not finite.
    """
    session = open_graph(graph)
    worst = 0.0
    for patches in arrays:
        with torch.no_grad():
            expected = network(torch.from_numpy(patches)).numpy()
        (filters,) = session.run(["filters"], {"patches": patches})
        if filters.shape != expected.shape or not np.isfinite(filters).all():
            raise ValueError(f"{graph}: gives shape {filters.shape} or values that are not finite for {patches.shape}")
        worst = max(worst, float(np.abs(filters - expected).max()))
    return worst


def parity_patches(data: str | Path | None) -> np.ndarray:
    """Return `probe_patches` for every batch size, and as many blurred patches of the photographs under `data`."""
    count = sum(BATCHES)
    probes = probe_patches(count)
    if data is None:
        return probes
    _, files = split(find_photographs(data))
    generator = torch.Generator().manual_seed(0)
    config = SynthesisConfig(share=1)
    batch = synthesise(Photographs.read(files[:8]), config, count, generator)
    return np.concatenate([probes, batch.observed.numpy()])


def probe_patches(count: int, seed: int = 0) -> np.ndarray:
    """Make patches of every kind a photograph may hold.

    They are flat (black, grey, white), nearly flat, a step, a checkerboard, a single bright pixel, white noise, and
    noise of a photograph's spectrum at contrasts from 0.1 % to 100 %.

    Returns
    -------
    ndarray (count, 65, 65) float32
        Values in [0, 1].
    """
    random = np.random.default_rng(seed)
    ramp = np.linspace(0, 1, PATCH)
    grid = np.indices((PATCH, PATCH)).sum(0)
    point = np.zeros((PATCH, PATCH))
    point[PATCH // 2, PATCH // 2] = 1
    special = [
        *(np.full((PATCH, PATCH), level) for level in (0.0, 0.5, 1.0)),
        np.full((PATCH, PATCH), 0.5) + 1e-4 * random.standard_normal((PATCH, PATCH)),
        np.broadcast_to(ramp > 0.5, (PATCH, PATCH)),
        grid % 2,
        point,
        random.random((PATCH, PATCH)),
    ]
    frequency = np.hypot(np.fft.fftfreq(PATCH)[:, None], np.fft.rfftfreq(PATCH)) + 1 / PATCH
    spectrum = np.fft.rfft2(random.standard_normal((count, PATCH, PATCH))) / frequency
    natural = np.fft.irfft2(spectrum, s=(PATCH, PATCH))
    natural -= natural.mean((1, 2), keepdims=True)
    natural *= np.geomspace(1e-3, 1, count)[:, None, None] / np.abs(natural).max((1, 2), keepdims=True) / 2
    patches = np.clip(0.5 + natural, 0, 1)
    # The first patch is an ordinary one, so that a batch of one is too.
    chosen = [patches[-1], *special, *patches][:count]
    return np.stack(chosen).astype(np.float32)
