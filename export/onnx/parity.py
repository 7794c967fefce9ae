"""Parity of an exported graph with its PyTorch module, and patches to measure it on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from runtime.inference.onnx_runtime import load_onnxruntime

Inputs = tuple[np.ndarray, ...]
"""Float32 arrays, one for each input of a graph."""


def round_weights(network: nn.Module) -> None:
    """Round every learned weight to the nearest float16, in place, as a bundle stores it."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(parameter.half())


def open_graph(graph: str | Path) -> Any:
    """Load an ONNX graph for inference on the CPU, without warnings."""
    onnxruntime = load_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])


def largest_difference(found: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> float:
    """Return the largest absolute difference between arrays and those expected."""
    return max(float(np.abs(ours - theirs).max()) for ours, theirs in zip(found, expected, strict=True))


def relative_difference(found: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> float:
    """Return the largest difference between arrays and those expected, in units of the largest value, at least 1."""
    largest = max(1.0, *(float(np.abs(theirs).max()) for theirs in expected))
    return largest_difference(found, expected) / largest


def measure(
    module: nn.Module,
    graph: str | Path,
    inputs: Sequence[str],
    outputs: Sequence[str],
    probes: Iterable[Inputs],
    difference: Callable[[Sequence[np.ndarray], Sequence[np.ndarray]], float] = largest_difference,
) -> float:
    """Run a graph and its module on the same inputs.

    Parameters
    ----------
    module
        With the weights that were exported.
    graph
        An ONNX file.
    inputs, outputs
        Names in the graph, in the order of the module's arguments and results.
    probes
        What both are run on.
    difference
        Compares the outputs.

    Returns
    -------
    float
        The largest difference, to three digits.

    Raises
    ------
    ValueError
        If the graph returns another shape, or a value that is not finite.
    """
    session = open_graph(graph)
    worst = 0.0
    for arrays in probes:
        with torch.no_grad():
            results = module(*(torch.from_numpy(array) for array in arrays))
        expected = [tensor.numpy() for tensor in (results if isinstance(results, tuple) else (results,))]
        found = session.run(list(outputs), dict(zip(inputs, arrays, strict=True)))
        for ours, theirs in zip(found, expected, strict=True):
            if ours.shape != theirs.shape or not np.isfinite(ours).all():
                shapes = [array.shape for array in arrays]
                raise ValueError(f"{graph}: returns shape {ours.shape} or values that are not finite for {shapes}")
        worst = max(worst, difference(found, expected))
    return float(f"{worst:.2e}")


def in_batches(patches: np.ndarray, sizes: Sequence[int]) -> list[Inputs]:
    """Divide patches into batches of these sizes, used in turn until no patch is left."""
    parts: list[Inputs] = []
    start = 0
    for size in cycle(sizes):
        if start >= len(patches):
            break
        parts.append((patches[start : start + size],))
        start += size
    return parts


def probe_patches(count: int, side: int, seed: int = 0) -> np.ndarray:
    """Make patches of every kind a photograph may hold.

    They are flat (black, grey, white), nearly flat, a step, a checkerboard, a single bright pixel, white noise, and
    noise of a photograph's spectrum at contrasts from 0.1 % to 100 %.

    Returns
    -------
    ndarray (count, side, side) float32
        Values in [0, 1].
    """
    random = np.random.default_rng(seed)
    ramp = np.linspace(0, 1, side)
    grid = np.indices((side, side)).sum(0)
    point = np.zeros((side, side))
    point[side // 2, side // 2] = 1
    special = [
        *(np.full((side, side), level) for level in (0.0, 0.5, 1.0)),
        np.full((side, side), 0.5) + 1e-4 * random.standard_normal((side, side)),
        np.broadcast_to(ramp > 0.5, (side, side)),
        grid % 2,
        point,
        random.random((side, side)),
    ]
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)) + 1 / side
    spectrum = np.fft.rfft2(random.standard_normal((count, side, side))) / frequency
    natural = np.fft.irfft2(spectrum, s=(side, side))
    natural -= natural.mean((1, 2), keepdims=True)
    natural *= np.geomspace(1e-3, 1, count)[:, None, None] / np.abs(natural).max((1, 2), keepdims=True) / 2
    patches = np.clip(0.5 + natural, 0, 1)
    # The first patch is an ordinary one, so that a batch of one is too.
    chosen = [patches[-1], *special, *patches][:count]
    return np.stack(chosen).astype(np.float32)
