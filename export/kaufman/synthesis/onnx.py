"""The stages of the synthesis network as ONNX graphs, and what the bundle consists of.

Before and between the stages run the quadratic steps of `runtime.deconvolution.observation`.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import cast

import numpy as np
import onnx
from torch import Tensor, nn

from export.data.photographs import Photographs
from export.kaufman.data import KaufmanData
from export.kaufman.synthesis.network import FAINTEST, PLANES, TYPICAL_NOISE, GuidedBlock, Stage, SynthesisConfig
from export.kaufman.synthesis.train import SynthesisRunConfig
from export.onnx.bundles import Arrays, BundleSpec, PartSpec
from export.onnx.graph import Graph, Weights
from export.onnx.layers import convolution, to_numpy
from export.onnx.parity import Inputs
from runtime.deconvolution.synthesis import CONSTANTS, SynthesisAssumptions, part_name

_SIZES = SynthesisConfig()
"""Of the networks that are exported; a bundle states one side of the kernels and one number of stages."""
INPUTS = {
    "planes": ("batch", PLANES, "height", "width"),
    "kernels": ("batch", _SIZES.side, _SIZES.side),
    "noise": ("batch",),
}
OUTPUTS = {"latent": ("batch", "height", "width")}
SHAPES = ((8, 8), (24, 136), (64, 40), (128, 128))
"""Heights and widths on which the graphs are compared with the network, each in all batches."""
BATCHES = (1, 3)
TOLERANCE = {"fp32": 5e-5, "fp16": 2e-2}
"""Largest difference allowed in a latent value, by precision."""


def build_graph(stage: Stage, weights: Weights, half: bool = False) -> onnx.ModelProto:
    """Translate a stage node by node, for any batch and any sides that are multiples of the network's unit.

    In half precision the corrections are computed; the first plane, which they are added to, stays in float32.
    """
    graph = Graph(weights, half)
    told = graph.node("Mul", "noise", graph.constant(1 / TYPICAL_NOISE))
    told = graph.node("Unsqueeze", graph.node("Log", told), graph.constant([1], np.int64))
    read = graph.enter(_read(graph, stage, told))
    first, others = _first_and_others(graph, stage.planes)
    change = graph.node("Sub", others, first)
    seen = graph.enter(graph.node("Concat", first, change, axis=1))
    x = graph.node("SpaceToDepth", seen, blocksize=stage.fold)
    x = graph.node("Relu", convolution(graph, "head", stage.head, _with_noise(graph, x, told), _head_order(stage)))
    passed = []
    for level, blocks in enumerate(stage.down):
        for index, block in enumerate(cast(nn.ModuleList, blocks)):
            x = _block(graph, f"down.{level}.{index}", cast(GuidedBlock, block), x, read)
        if level < len(stage.shrink):
            passed.append(x)
            x = graph.node("Relu", convolution(graph, f"shrink.{level}", cast(nn.Conv2d, stage.shrink[level]), x))
    for level in reversed(range(len(stage.up))):
        grown = convolution(graph, f"grow.{level}", cast(nn.Conv2d, stage.grow[level]), x)
        x = graph.node("Add", passed[level], graph.node("DepthToSpace", grown, blocksize=2, mode="CRD"))
        x = _block(graph, f"up.{level}", cast(GuidedBlock, stage.up[level]), x, read)
    correction = graph.node("DepthToSpace", convolution(graph, "tail", stage.tail, x), blocksize=stage.fold, mode="CRD")
    latent = graph.node("Add", first, graph.leave(correction))
    graph.name_output(graph.node("Squeeze", latent, graph.constant([1], np.int64)), "latent")
    return graph.model("synthesis", INPUTS, OUTPUTS)


def probe(count: int, shape: tuple[int, int], seed: int = 0) -> Inputs:
    """Make what a stage sees: random waves, their sharper versions, noise, and kernels from a point to a wide one."""
    random = np.random.default_rng(seed)
    rows, cols = np.arange(shape[0])[:, None], np.arange(shape[1])
    frequency, phase = random.uniform(0.02, 0.4, (2, count, 1, 1)), random.uniform(0, 2 * np.pi, (2, count, 1, 1))
    waves = np.sin(frequency[0] * rows + phase[0]) * np.sin(frequency[1] * cols + phase[1])
    planes = 0.5 + waves[:, None] * np.array([0.4, 0.45, 0.2])[:, None, None]
    planes = planes + 0.02 * random.standard_normal(planes.shape)
    place = np.arange(_SIZES.side) - _SIZES.side // 2
    width = np.geomspace(0.2, 20, count)[:, None]
    bells = np.exp(-0.5 * (place / width) ** 2)
    kernels = bells[:, :, None] * bells[:, None, :]
    kernels /= kernels.sum((1, 2), keepdims=True)
    noise = np.geomspace(0.002, 0.04, count)
    return planes.astype(np.float32), kernels.astype(np.float32), noise.astype(np.float32)


def probes(photographs: Photographs | None) -> list[Inputs]:
    """Return made-up inputs of all `SHAPES` in all `BATCHES`; photographs make no difference."""
    return [probe(batch, shape) for shape, batch in product(SHAPES, BATCHES)]


def constants(weights: Mapping[str, Tensor]) -> dict[str, dict[str, np.ndarray]]:
    """Return the constants of the bundle."""
    # Rounded as all weights are, so that a slim checkpoint and a bundle give the same.
    rounded = to_numpy(weights["log_deviations"]).astype(np.float16)
    return {CONSTANTS: {"deviations": np.exp(rounded.astype(np.float64))}}


def unpack(stored: Mapping[str, Arrays]) -> Arrays:
    """Return the entries of the state dict that the constants hold."""
    return {"log_deviations": np.log(stored[CONSTANTS]["deviations"])}


def assumptions(network: SynthesisConfig, data: KaufmanData) -> SynthesisAssumptions:
    """Return what the runtime must know of a network and what it was trained on.

    Raises
    ------
    ValueError
        If bundles of such networks cannot be written.
    """
    if not network.inverse or (network.side, network.stages) != (_SIZES.side, _SIZES.stages):
        raise ValueError(
            f"only networks with inverse filters, {_SIZES.stages} stages and kernels of {_SIZES.side} px are exported"
        )
    return SynthesisAssumptions(side=network.side, unit=network.unit, weights=network.weights, noise=data.noise)


def _read(graph: Graph, stage: Stage, told: str) -> str:
    """Add the dense layers that read the kernel; they are float32 in either precision."""
    seen = graph.node("Sqrt", graph.node("Max", "kernels", graph.constant(FAINTEST)))
    flat = graph.node("Reshape", seen, graph.constant([0, -1], np.int64))
    x = graph.node("Concat", graph.node("Mul", flat, graph.constant(float(_SIZES.side))), told, axis=1)
    for index, layer in enumerate(stage.read):
        layer = cast(nn.Linear, layer)
        matrix, bias = (
            graph.precise(f"read.{index}.{name}", to_numpy(getattr(layer, name))) for name in ("weight", "bias")
        )
        x = graph.node("Relu", graph.node("Gemm", x, matrix, bias, transB=1))
    return x


def _first_and_others(graph: Graph, planes: int) -> tuple[str, str]:
    sizes = graph.constant([1, planes - 1], np.int64)
    first, others = graph.nodes("Split", "planes", sizes, outputs=2, axis=1)
    return first, others


def _with_noise(graph: Graph, x: str, told: str) -> str:
    """Add the noise as a plane beside the others, alike everywhere."""
    side = graph.node("Concat", graph.constant([1, 1], np.int64), graph.node("Shape", x, start=2, end=4), axis=0)
    plane = graph.node("Unsqueeze", graph.enter(told), graph.constant([2, 3], np.int64))
    return graph.node("Concat", x, graph.node("Expand", plane, side), axis=1)


def _head_order(stage: Stage) -> np.ndarray:
    """Return the channels of the first convolution: SpaceToDepth has planes innermost, pixel_unshuffle outermost."""
    parts = stage.fold**2
    order = np.arange(parts * stage.planes).reshape(stage.planes, parts).T.ravel()
    return np.append(order, parts * stage.planes)


def _block(graph: Graph, name: str, block: GuidedBlock, x: str, read: str) -> str:
    inner = convolution(graph, f"{name}.first", block.first, x)
    if block.multiply is not None:
        share = graph.linear(f"{name}.multiply", read, *_of(block.multiply))
        one = graph.constant(1.0, np.float16 if graph.half else np.float32)
        inner = graph.node("Mul", inner, _as_planes(graph, graph.node("Add", share, one)))
    if block.add is not None:
        inner = graph.node("Add", inner, _as_planes(graph, graph.linear(f"{name}.add", read, *_of(block.add))))
    return graph.node("Add", x, convolution(graph, f"{name}.second", block.second, graph.node("Relu", inner)))


def _of(layer: nn.Linear) -> tuple[np.ndarray, np.ndarray]:
    return to_numpy(layer.weight), to_numpy(layer.bias)


def _as_planes(graph: Graph, vector: str) -> str:
    return graph.node("Unsqueeze", vector, graph.constant([2, 3], np.int64))


def _restore(stored: Arrays) -> Arrays:
    """Return the entries of a state dict: a graph holds the channels of the first convolution in another order."""
    head = np.empty_like(stored["head.weight"])
    fold = round(((head.shape[1] - 1) / PLANES) ** 0.5)
    order = np.arange(fold**2 * PLANES).reshape(PLANES, fold**2).T.ravel()
    head[:, np.append(order, fold**2 * PLANES)] = stored["head.weight"]
    return {**stored, "head.weight": head}


def _assumes(config: SynthesisRunConfig) -> SynthesisAssumptions:
    return assumptions(config.network, config.data)


def parts(module: str = "") -> dict[str, PartSpec]:
    """Return the stages as parts of a bundle, for the synthesis network that is a module of a larger one."""
    return {
        part_name(stage): PartSpec(
            build_graph,
            INPUTS,
            OUTPUTS,
            probes,
            {"batches": BATCHES, "shapes": SHAPES},
            TOLERANCE,
            module=f"{module}stages.{stage}",
            restore=_restore,
        )
        for stage in range(_SIZES.stages)
    }


SPEC = BundleSpec(
    parts(),
    assumes=_assumes,
    constants=constants,
    unpack=unpack,
)
