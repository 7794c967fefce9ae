"""The patch network as an ONNX graph, and what its bundle consists of."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import onnx
import torch

from export.chakrabarti import network as network_module
from export.chakrabarti.bands import BANDS, SMOOTHING
from export.chakrabarti.network import CORE, PATCH, Analysis, Chakrabarti
from export.chakrabarti.train import VALIDATION_NOISE
from export.data.photographs import Photographs
from export.data.synthesis import SynthesisConfig, synthesise
from export.onnx.bundles import Arrays, BundleSpec, PartSpec
from export.onnx.graph import Graph, Weights
from export.onnx.layers import add_module, clip, sandwich, to_numpy, transform_taps
from export.onnx.parity import Inputs, in_batches, probe_patches
from runtime.inference.bundle import ImageAssumptions, PatchGeometry

STRIDE = 8
"""Default distance between patches in pixels."""
BATCHES = (1, 7, 64)
"""Batch sizes on which the graphs are compared with the network."""
TOLERANCE = {"fp32": 1e-4, "fp16": 5e-3}
"""Largest difference allowed in a filter coefficient, whose gain is about 1."""
INPUTS = {"patches": ("batch", PATCH, PATCH)}
OUTPUTS = {"filters": ("batch", 2, PATCH, PATCH // 2 + 1)}


def build_graph(network: Chakrabarti, weights: Weights, half: bool) -> onnx.ModelProto:
    """Translate the network node by node.

    The frequency analysis and the expansion of the taps to filters are float32 in either precision: the first
    subtracts large numbers, the second leaves the graph. The layers in between compute in float16 if `half`, their
    normalisation in float32.
    """
    graph = Graph(weights, half)
    bands, spectra = _analysis(graph, network.analysis)
    bands = [graph.enter(band) for band in bands]
    shared = []
    if network.spectral is not None:
        shared.append(add_module(graph, "spectral", network.spectral, graph.enter(spectra)))
    groups = bands
    for name, layers, extra in (("first", network.first, []), ("second", network.second, shared)):
        groups = [
            add_module(graph, f"{name}.{index}", layer, graph.node("Concat", *pair, *extra, axis=1))
            for index, (layer, pair) in enumerate(zip(layers, pairwise(groups), strict=True))
        ]
    x = graph.node("Concat", *groups, axis=1)
    for index, module in enumerate(network.trunk):
        x = add_module(graph, f"trunk.{index}", module, x)
    x = graph.leave(add_module(graph, "head", network.head, x))
    graph.name_output(_expand(graph, network, x), "filters")
    return graph.model("chakrabarti", INPUTS, OUTPUTS)


def _analysis(graph: Graph, analysis: Analysis) -> tuple[list[str], str]:
    axes = graph.constant([1, 2], np.int64)
    centred = "patches"
    for _ in range(2):
        centred = graph.node("Sub", centred, graph.node("ReduceMean", centred, axes))
    variance = graph.node("ReduceMean", graph.node("Mul", centred, centred), axes)
    floor = graph.constant(network_module.CONTRAST_FLOOR**2)
    normal = graph.node("Div", centred, graph.node("Sqrt", graph.node("Add", variance, floor)))

    levels = []
    for index, basis in enumerate(to_numpy(analysis.basis)):
        product = sandwich(graph, f"analysis.basis{index}", basis, normal)
        levels.append(graph.node("Reshape", product, graph.constant([0, -1], np.int64)))
    bands = []
    for index, level in enumerate((*levels, levels[-1])):
        ring, mean, whiten = (to_numpy(analysis.get_buffer(f"{name}{index}")) for name in ("ring", "mean", "whiten"))
        band = graph.node("Gather", level, graph.constant(ring, np.int64), axis=1)
        matrix = graph.table(f"analysis.whiten{index}", whiten)
        bands.append(
            clip(graph, graph.node("Gemm", band, matrix, graph.table(f"analysis.offset{index}", -mean @ whiten)))
        )
    return bands, _log_spectra(graph, analysis, normal) if analysis.spectral else ""


def _log_spectra(graph: Graph, analysis: Analysis, normal: str) -> str:
    product = sandwich(graph, "analysis.spectrum", to_numpy(analysis.spectrum), normal)
    top, bottom = graph.nodes("Split", product, outputs=2, axis=1, num_outputs=2)
    cc, cs = graph.nodes("Split", top, outputs=2, axis=2, num_outputs=2)
    sc, ss = graph.nodes("Split", bottom, outputs=2, axis=2, num_outputs=2)

    def square(op: str, a: str, b: str) -> str:
        value = graph.node(op, a, b)
        return graph.node("Mul", value, value)

    falling = graph.node("Add", square("Sub", cc, ss), square("Add", cs, sc))
    rising = graph.node("Add", square("Add", cc, ss), square("Sub", cs, sc))
    one = graph.constant([1], np.int64)
    quadrants = [graph.node("Unsqueeze", quadrant, one) for quadrant in (falling, rising)]
    power = graph.node("Concat", *quadrants, axis=1)
    ends = graph.constant([analysis.fine, analysis.fine], np.int64)
    low = graph.node("Slice", power, graph.constant([0, 0], np.int64), ends, graph.constant([2, 3], np.int64))
    parts = [low]
    for step in SMOOTHING:
        parts.append(sandwich(graph, f"analysis.smooth{step}", to_numpy(analysis.get_buffer(f"smooth{step}")), power))
    flat = graph.constant([0, -1], np.int64)
    joined = graph.node("Concat", *(graph.node("Reshape", part, flat) for part in parts), axis=1)
    logs = graph.node("Log", graph.node("Add", joined, graph.constant(network_module.POWER_FLOOR)))
    mean = graph.table("analysis.spectral_mean", to_numpy(analysis.spectral_mean))
    gain = graph.table("analysis.spectral_gain", to_numpy(analysis.spectral_gain))
    return clip(graph, graph.node("Mul", graph.node("Sub", logs, mean), gain))


def _expand(graph: Graph, network: Chakrabarti, x: str) -> str:
    """Add the expansion of taps to weighted half spectra plus the identity."""
    support = network.config.support
    taps = graph.node("Reshape", x, graph.constant([-1, support, support], np.int64))
    upper, lower = transform_taps(graph, "expand", taps, to_numpy(network.cosines), to_numpy(network.sines))
    one = graph.constant([1], np.int64)
    planes = graph.node("Concat", *(graph.node("Unsqueeze", plane, one) for plane in (upper, lower)), axis=1)
    weight = graph.table("expand.weight", to_numpy(network.weight) * network_module.OUTPUT_SCALE)
    identity = graph.constant(np.array([1, 0]).reshape(1, 2, 1, 1))
    return graph.node("Add", graph.node("Mul", planes, weight), identity)


def probes(photographs: Photographs | None) -> list[Inputs]:
    """Return batches of made-up patches, and of as many blurred patches of the photographs."""
    count = sum(BATCHES)
    patches = probe_patches(count, PATCH)
    if photographs is not None:
        generator = torch.Generator().manual_seed(0)
        blurred = synthesise(photographs, SynthesisConfig(share=1), count, generator).observed
        patches = np.concatenate([patches, blurred.numpy()])
    return in_batches(patches, BATCHES)


def restore(stored: Arrays) -> Arrays:
    """Return the entries of a state dict: a graph holds the bands' means after whitening, negated."""
    state = dict(stored)
    for index in range(len(BANDS)):
        whiten, offset = (stored[f"analysis.{name}{index}"].astype(np.float64) for name in ("whiten", "offset"))
        # Whitening may have dropped directions, along which the mean makes no difference.
        state[f"analysis.mean{index}"] = np.linalg.lstsq(whiten.T, -offset, rcond=None)[0]
    return state


def _accuracy(gains: Any) -> dict[str, Any]:
    return {
        "validation_patch_gain_db": {name: round(value, 3) for name, value in gains.items()},
        "validation_noise": VALIDATION_NOISE,
    }


PART = PartSpec(build_graph, INPUTS, OUTPUTS, probes, {"batches": BATCHES}, TOLERANCE, restore=restore)
SPEC = BundleSpec(
    {"network": PART},
    assumes=lambda config: ImageAssumptions(),
    patch=PatchGeometry(PATCH, CORE, STRIDE),
    accuracy=_accuracy,
)
