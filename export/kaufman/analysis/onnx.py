"""The analysis network as ONNX graphs, and what its bundle consists of.

Between the features and the kernel run the correlations of `kernels.correlation`; their weights are constants of the
bundle.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import cast

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from export.data.photographs import Photographs
from export.kaufman.analysis.correlation import LEAST_ENERGY
from export.kaufman.analysis.network import CONTRAST, AnalysisConfig, Features, Shape
from export.kaufman.analysis.train import AnalysisRunConfig
from export.onnx.bundles import Arrays, BundleSpec, PartSpec
from export.onnx.graph import Graph, Weights
from export.onnx.layers import convolution, to_numpy
from export.onnx.parity import Inputs, probe_patches
from runtime.estimation.analysis import SHAPE
from runtime.estimation.correlated import CONSTANTS, FEATURES, AnalysisAssumptions

SIZES = AnalysisConfig()
"""Of the networks that are exported; a bundle states one number of levels, maps and channels."""
SHAPES = ((16, 16), (64, 40), (120, 128))
"""Heights and widths on which the graph of the features is compared with the network, each in all batches."""
BATCHES = (1, 3)
TOLERANCE = {FEATURES: {"fp32": 1e-4}, SHAPE: {"fp32": 1e-4}}
"""Largest difference allowed in a feature, of unit energy over its map, and in a value of a kernel."""
_DRAWS, _STRENGTH = 4, 3.0
"""Draws of made-up correlations for each batch, and their standard deviation at the lag of 0."""
PLANES = {"planes": ("batch", "height", "width")}
CORRELATIONS: dict[str, tuple[str | int, ...]] = {
    f"correlations{level}": ("batch", SIZES.channels, side, side) for level, side in enumerate(SIZES.lags, start=1)
}
KERNELS = {"kernels": ("batch", SIZES.side, SIZES.side)}


def build_features(features: Features, weights: Weights, half: bool = False) -> onnx.ModelProto:
    """Translate the features node by node, for any batch and any sides that are multiples of the network's unit."""
    graph = Graph(weights, half)
    x = graph.node("Unsqueeze", "planes", graph.constant([1], np.int64))
    axes = graph.constant([2, 3], np.int64)
    for level, (layers, reduce) in enumerate(zip(features.layers, features.reduce, strict=True)):
        for index, layer in enumerate(cast(nn.ModuleList, layers)):
            x = graph.node("Relu", convolution(graph, f"layers.{level}.{index}", cast(nn.Conv2d, layer), x))
        maps = convolution(graph, f"reduce.{level}", cast(nn.Conv2d, reduce), x)
        maps = graph.node("Sub", maps, graph.node("ReduceMean", maps, axes, keepdims=1))
        energy = graph.node("ReduceSumSquare", maps, axes, keepdims=1)
        root = graph.node("Sqrt", graph.node("Add", energy, graph.constant(LEAST_ENERGY)))
        graph.name_output(graph.node("Div", maps, root), f"maps{level + 1}")
    return graph.model("features", PLANES, maps_of(len(features.layers)))


def build_shape(shape: Shape, weights: Weights, half: bool = False) -> onnx.ModelProto:
    """Translate the layers from correlations to a kernel node by node, for any batch."""
    graph = Graph(weights, half)
    entered = [
        graph.node("Relu", convolution(graph, f"enter.{level}", cast(nn.Conv2d, layer), f"correlations{level + 1}"))
        for level, layer in enumerate(shape.enter)
    ]
    x = entered[-1]
    for level in reversed(range(len(shape.grow))):
        before, side = shape.lags[level + 1], shape.lags[level]
        large = _enlarged(graph, x, before)
        large = graph.node("Relu", convolution(graph, f"grow.{level}", cast(nn.Conv2d, shape.grow[level]), large))
        spare = (2 * before - 1 - side) // 2
        start, end = (graph.constant([each] * 2, np.int64) for each in (spare, spare + side))
        x = graph.node("Slice", large, start, end, graph.constant([2, 3], np.int64))
        joined = graph.node("Concat", x, entered[level], axis=1)
        x = graph.node("Relu", convolution(graph, f"join.{level}", cast(nn.Conv2d, shape.join[level]), joined))
    for index, layer in enumerate(shape.tail):
        x = convolution(graph, f"tail.{index}", cast(nn.Conv2d, layer), x)
        if index < len(shape.tail) - 1:
            x = graph.node("Relu", x)
    # A softmax over the pixels.
    flat = graph.node("Flatten", x)
    square = graph.constant([-1, shape.lags[0], shape.lags[0]], np.int64)
    graph.name_output(graph.node("Reshape", graph.node("Softmax", flat), square), "kernels")
    return graph.model("shape", CORRELATIONS, KERNELS)


def feature_probes(photographs: Photographs | None) -> list[Inputs]:
    """Return batches of all `SHAPES` of made-up planes, and of crops of the photographs, standardised."""
    found: list[Inputs] = []
    for (height, width), count in product(SHAPES, BATCHES):
        side = max(height, width)
        planes = [probe_patches(count, side, seed=count)]
        if photographs is not None:
            planes.append(photographs.crops(count, side, torch.Generator().manual_seed(0)).numpy())
        for each in planes:
            cut = each[:, :height, :width]
            cut = cut - cut.mean((1, 2), keepdims=True)
            found.append(((cut / (cut.std((1, 2), keepdims=True) + CONTRAST)).astype(np.float32),))
    return found


def shape_probes(photographs: Photographs | None) -> list[Inputs]:
    """Return made-up correlations in all `BATCHES`; photographs make no difference."""
    return correlation_probes(SIZES.lags)


def correlation_probes(lags: tuple[int, ...]) -> list[Inputs]:
    """Return made-up correlations at squares of lags of these sides, peaked at the lag of 0, in all `BATCHES`.

    They are as strong as those of photographs, and of several draws: some draws may leave all rectified layers at zero.
    """
    random, found = np.random.default_rng(0), []
    for count in BATCHES * _DRAWS:
        arrays = []
        for side in lags:
            place = np.arange(side) - side // 2
            peak = np.exp(-np.hypot(place[:, None], place) / 4)
            noise = random.standard_normal((count, SIZES.channels, side, side))
            strength = random.standard_normal((count, SIZES.channels, 1, 1))
            arrays.append((_STRENGTH * (peak * strength + 0.1 * noise)).astype(np.float32))
        found.append(tuple(arrays))
    return found


def constants(weights: Mapping[str, Tensor]) -> dict[str, Arrays]:
    """Return the constants of the bundle."""
    return {CONSTANTS: {"mix": to_numpy(weights["mix"]).astype(np.float16)}}


def unpack(stored: Mapping[str, Arrays]) -> Arrays:
    """Return the entries of the state dict that the constants hold."""
    return {"mix": stored[CONSTANTS]["mix"]}


def assumptions(network: AnalysisConfig) -> AnalysisAssumptions:
    """Return what the runtime must know of a network.

    Raises
    ------
    ValueError
        If bundles of such networks cannot be written.
    """
    if (network.lags, network.maps, network.channels) != (SIZES.lags, SIZES.maps, SIZES.channels):
        raise ValueError(
            f"only networks of {SIZES.levels} levels for kernels of {SIZES.side} px, with {SIZES.maps} maps and "
            f"{SIZES.channels} channels, are exported"
        )
    return AnalysisAssumptions(lags=network.lags, contrast=CONTRAST)


def maps_of(levels: int) -> dict[str, tuple[str | int, ...]]:
    """Return the outputs of the features of some levels, by name."""
    names: dict[str, tuple[str | int, ...]] = {}
    for level in range(levels):
        share = f"/{2**level}" if level else ""
        names[f"maps{level + 1}"] = ("batch", SIZES.maps, f"height{share}", f"width{share}")
    return names


def features_part(levels: int, module: str = "") -> PartSpec:
    """Return the features of some levels as a part of a bundle, see `parts`."""
    return PartSpec(
        build_features,
        PLANES,
        maps_of(levels),
        feature_probes,
        {"batches": BATCHES, "shapes": SHAPES},
        TOLERANCE[FEATURES],
        module=f"{module}features",
    )


def parts(module: str = "") -> dict[str, PartSpec]:
    """Return the parts of a bundle, for the analysis network that is a module of a larger one."""
    return {
        FEATURES: features_part(SIZES.levels, module),
        SHAPE: PartSpec(
            build_shape,
            CORRELATIONS,
            KERNELS,
            shape_probes,
            {"batches": BATCHES},
            TOLERANCE[SHAPE],
            module=f"{module}shape",
        ),
    }


def _assumes(config: AnalysisRunConfig) -> AnalysisAssumptions:
    return assumptions(config.network)


def _enlarged(graph: Graph, x: str, side: int) -> str:
    """Interpolate maps of `side` squared linearly to ``2 side - 1``, so that every second value is one of them."""
    matrix = np.zeros((2 * side - 1, side), np.float32)
    place = np.arange(side)
    matrix[2 * place, place] = 1
    matrix[2 * place[:-1] + 1, place[:-1]] = matrix[2 * place[:-1] + 1, place[1:]] = 0.5
    right = graph.table(f"enlarge{side}.T", matrix.T)
    return graph.node("MatMul", graph.table(f"enlarge{side}", matrix), graph.node("MatMul", x, right))


SPEC = BundleSpec(
    parts(),
    assumes=_assumes,
    constants=constants,
    unpack=unpack,
)
