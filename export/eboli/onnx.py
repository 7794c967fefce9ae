"""Motion-Net as an ONNX graph, and what its bundle consists of."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import torch

from export.data.photographs import Photographs
from export.eboli import network as network_module
from export.eboli.data import MotionConfig, synthesise_motions
from export.eboli.network import OUTPUTS, PATCH, REACH, SPREADS, UNIT, WINDOW, Correlations, MotionNet
from export.onnx.bundles import BundleSpec, PartSpec
from export.onnx.graph import Graph, Weights
from export.onnx.layers import add_module, clip, to_numpy
from export.onnx.parity import Inputs, in_batches, probe_patches
from runtime.estimation.motion.network import PART, MotionAssumptions
from runtime.inference.bundle import PatchGeometry

_INPUT = {"patches": ("batch", PATCH, PATCH)}
_OUTPUT = {"motion": ("batch", OUTPUTS)}
CORE, STRIDE = 17, 16
"""Pixels in the middle of a patch that its motion stands for, and default distance between patches."""
BATCHES = (1, 7, 64)
"""Batch sizes on which the graphs are compared with the network."""
TOLERANCE = {"fp32": 1e-3, "fp16": 0.1}
"""Largest difference allowed in a motion, in pixels, and in the logarithm of its expected error."""


def build_graph(network: MotionNet, weights: Weights, half: bool) -> onnx.ModelProto:
    """Translate the network node by node; the correlations are float32 in either precision."""
    graph = Graph(weights, half)
    x = graph.enter(_correlations(graph, network.correlations))
    for index, module in enumerate(network.trunk):
        x = add_module(graph, f"trunk.{index}", module, x)
    raw = graph.leave(x)
    one = graph.constant([1], np.int64)
    vector = graph.node("Slice", raw, graph.constant([0], np.int64), graph.constant([2], np.int64), one)
    spread = graph.node("Slice", raw, graph.constant([2], np.int64), graph.constant([OUTPUTS], np.int64), one)
    low, high = (graph.constant(limit) for limit in SPREADS)
    spread = graph.node("Add", graph.node("Clip", spread, low, high), graph.constant(np.log(UNIT)))
    vector = graph.node("Mul", vector, graph.constant(UNIT))
    graph.name_output(graph.node("Concat", vector, spread, axis=1), "motion")
    return graph.model("eboli", _INPUT, _OUTPUT)


def _correlations(graph: Graph, correlations: Correlations) -> str:
    """Add the features: the Fourier transforms are matrix products."""
    tables = {name: graph.table(f"correlations.{name}", table) for name, table in fourier_tables().items()}
    slopes = _slopes(graph)
    squares = graph.node("Mul", slopes, slopes)
    energy = graph.node("ReduceMean", squares, graph.constant([1, 2, 3], np.int64))
    energy = graph.node("Add", energy, graph.constant(network_module.GRADIENT_FLOOR))
    tapered = graph.node("Mul", slopes, graph.table("correlations.taper", to_numpy(correlations.taper)))
    product = graph.node("MatMul", tables["rows"], graph.node("MatMul", tapered, tables["cols"]))
    top, bottom = graph.nodes("Split", product, outputs=2, axis=2, num_outputs=2)
    cc, cs = graph.nodes("Split", top, outputs=2, axis=3, num_outputs=2)
    sc, ss = graph.nodes("Split", bottom, outputs=2, axis=3, num_outputs=2)
    parts = [graph.node(op, *pair) for op, pair in (("Sub", (cc, ss)), ("Add", (cs, sc)))]
    power = graph.node("Add", *(graph.node("Mul", part, part) for part in parts))
    power = graph.node("ReduceSum", power, graph.constant([1], np.int64))
    power = graph.node("Div", power, energy)
    logs = graph.node("Log", graph.node("Add", power, graph.constant(network_module.POWER_FLOOR)))
    across = graph.node("MatMul", tables["lag_rows"], graph.node("Concat", power, logs, axis=1))
    cosines, sines = graph.nodes("Split", across, outputs=2, axis=2, num_outputs=2)
    even, odd = graph.node("MatMul", cosines, tables["even"]), graph.node("MatMul", sines, tables["odd"])
    planes = graph.node("Reshape", graph.node("Sub", even, odd), graph.constant([0, 2, -1], np.int64))
    row, col = network_module.half_disc(REACH)
    lags = graph.constant(row * (2 * REACH + 1) + col + REACH, np.int64)
    features = graph.node("Reshape", graph.node("Gather", planes, lags, axis=2), graph.constant([0, -1], np.int64))
    mean = graph.table("correlations.mean", to_numpy(correlations.mean))
    gain = graph.table("correlations.gain", to_numpy(correlations.gain))
    return clip(graph, graph.node("Mul", graph.node("Sub", features, mean), gain))


def _slopes(graph: Graph) -> str:
    """Add the forward differences along columns and rows: ``(N, 2, 96, 96)``."""

    def window(row: int, col: int) -> str:
        starts = graph.constant([row, col], np.int64)
        ends = graph.constant([row + WINDOW, col + WINDOW], np.int64)
        return graph.node("Slice", "patches", starts, ends, graph.constant([1, 2], np.int64))

    inner, one = window(0, 0), graph.constant([1], np.int64)
    differences = (graph.node("Sub", window(row, col), inner) for row, col in ((0, 1), (1, 0)))
    return graph.node("Concat", *(graph.node("Unsqueeze", plane, one) for plane in differences), axis=1)


def fourier_tables() -> dict[str, np.ndarray]:
    """Return the matrices that stand for the Fourier transforms of `Correlations`.

    ``rows (192, 96)``, cosines above sines, and ``cols (96, 98)``, cosines beside sines: the half spectrum of a patch,
    of unit power. ``lag_rows (74, 96)``, cosines above sines for the lags 0 to 36; ``even`` and ``odd (49, 73)``,
    cosines and sines for the lags -36 to 36, in which the half spectrum counts as the whole.
    """
    step, place, half = 2 * np.pi / WINDOW, np.arange(WINDOW), np.arange(WINDOW // 2 + 1)
    row_angles, col_angles = step * np.outer(place, place), step * np.outer(place, half)
    lag_row_angles = step * np.outer(np.arange(REACH + 1), place)
    lag_col_angles = step * np.outer(half, np.arange(-REACH, REACH + 1))
    counted = np.where((half == 0) | (half == WINDOW // 2), 1, 2)[:, None] / WINDOW**2
    return {
        "rows": np.concatenate((np.cos(row_angles), np.sin(row_angles))) / np.sqrt(WINDOW),
        "cols": np.concatenate((np.cos(col_angles), np.sin(col_angles)), 1) / np.sqrt(WINDOW),
        "lag_rows": np.concatenate((np.cos(lag_row_angles), np.sin(lag_row_angles))),
        "even": counted * np.cos(lag_col_angles),
        "odd": counted * np.sin(lag_col_angles),
    }


def probes(photographs: Photographs | None) -> list[Inputs]:
    """Return batches of made-up patches, and of as many blurred patches of the photographs."""
    count = sum(BATCHES)
    patches = probe_patches(count, PATCH)
    if photographs is not None:
        generator = torch.Generator().manual_seed(0)
        blurred = synthesise_motions(photographs, MotionConfig(shake=0), count, generator).observed
        patches = np.concatenate([patches, blurred.numpy()])
    return in_batches(patches, BATCHES)


def _accuracy(errors: Any) -> dict[str, Any]:
    return {"validation_endpoint_error_px": {name: round(value, 3) for name, value in errors.items()}}


SPEC = BundleSpec(
    {PART: PartSpec(build_graph, _INPUT, _OUTPUT, probes, {"batches": BATCHES}, TOLERANCE)},
    assumes=lambda config: MotionAssumptions(longest=config.data.longest),
    patch=PatchGeometry(PATCH, CORE, STRIDE),
    accuracy=_accuracy,
)
