"""The features of each stage as ONNX graphs, and what the bundle consists of.

Between the graphs run the quotients of `kernels.quotient`; their numbers are the bundle's constants.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor

from export.data.photographs import Photographs
from export.onnx.bundles import Arrays, BundleSpec, PartSpec
from export.onnx.graph import Graph, Weights
from export.onnx.layers import to_numpy
from export.onnx.parity import Inputs, probe_patches, relative_difference
from export.schuler.data import SchulerData
from export.schuler.network import RATE, SCALES, STAGES, Features, SchulerConfig, quotient_numbers
from runtime.estimation.learned import CONSTANTS, QuotientAssumptions, part_name

SHAPES = ((24, 24), (65, 40), (119, 128))
"""Heights and widths on which the graphs are compared with the network."""
BATCHES = (1, 5)
TOLERANCE = {"fp32": 1e-4}
"""Largest difference allowed in a feature, in units of the largest one: their common scale is learned, and a quotient
does not depend on it."""
_SIZES = SchulerConfig()
"""Of the networks that are exported; a bundle states one number of features, and one side of the filters."""
_NAMES = ("sharp", "blurred")


def build_graph(features: Features, weights: Weights, half: bool = False) -> onnx.ModelProto:
    """Translate the features of a stage node by node, for any batch and any image at least as large as the filters."""
    graph = Graph(weights, half)
    raw = graph.weight("first.weight", to_numpy(features.first.weight))
    mean = graph.node("ReduceMean", raw, graph.constant([2, 3], np.int64), keepdims=1)
    hidden = graph.node("Tanh", graph.node("Conv", graph.enter("planes"), graph.node("Sub", raw, mean)))
    second = graph.weight("second.weight", to_numpy(features.second.weight))
    hidden = graph.node("Tanh", graph.node("Conv", hidden, second))
    last = graph.node("Conv", hidden, graph.weight("last.weight", to_numpy(features.last.weight)))
    for name, part in zip(_NAMES, graph.nodes("Split", last, outputs=2, axis=1, num_outputs=2), strict=True):
        graph.name_output(graph.leave(part), name)
    side = features.first.kernel_size[0]
    return graph.model("schuler", _inputs(features.first.in_channels), _outputs(features.images, side))


def probes(inputs: int, photographs: Photographs | None) -> list[Inputs]:
    """Return batches of all `SHAPES` of made-up planes, and of crops of the photographs, with as many inputs."""
    found: list[Inputs] = []
    for (height, width), count in product(SHAPES, BATCHES):
        side = max(height, width)
        planes = [probe_patches(count * inputs, side, seed=count)]
        if photographs is not None:
            generator = torch.Generator().manual_seed(0)
            planes.append(photographs.crops(count * inputs, side, generator).numpy())
        for each in planes:
            shaped = each.reshape(count, inputs, side, side)[:, :, :height, :width]
            found.append((np.ascontiguousarray(shaped),))
    return found


def pack(weights: Mapping[str, Tensor]) -> dict[str, Arrays]:
    """Return the numbers of the quotients of all stages ``(scales, stages)``, and the stages trained ``(scales,)``.

    They are those of weights rounded to float16, as everything learned is in a bundle and in a slim checkpoint.
    """
    rows = [[quotient_numbers(weights[_numbers(*place)].half().float()) for place in row] for row in _places()]
    numbers = np.array([[to_numpy(stage) for stage in row] for row in rows], np.float32)
    quotients = {name: numbers[..., index] for index, name in enumerate(("beta", "weight", "threshold"))}
    return {CONSTANTS: {**quotients, "trained": to_numpy(weights["trained"]).astype(np.int32)}}


def unpack(constants: Mapping[str, Arrays]) -> dict[str, np.ndarray]:
    """Return the entries of the state dict from which `pack` has made the constants."""
    stored = constants[CONSTANTS]
    logs = np.log(np.stack([stored[name] for name in ("beta", "weight", "threshold")], -1)) / RATE
    numbers = {_numbers(scale, stage): logs[scale, stage] for row in _places() for scale, stage in row}
    return {**numbers, "trained": stored["trained"]}


def _places() -> list[list[tuple[int, int]]]:
    return [[(scale, stage) for stage in range(STAGES)] for scale in range(SCALES)]


def _numbers(scale: int, stage: int) -> str:
    return f"scales.{scale}.{stage}.numbers"


def _inputs(count: int) -> dict[str, tuple[str | int, ...]]:
    return {"planes": ("batch", count, "height", "width")}


def _outputs(images: int | str, side: int) -> dict[str, tuple[str | int, ...]]:
    return dict.fromkeys(_NAMES, ("batch", images, f"height-{side - 1}", f"width-{side - 1}"))


def _part(scale: int, stage: int) -> PartSpec:
    inputs = 1 if scale == stage == 0 else 2
    return PartSpec(
        build_graph,
        _inputs(inputs),
        _outputs(_SIZES.images[stage], _SIZES.side),
        partial(probes, inputs),
        {"batches": BATCHES, "shapes": SHAPES},
        TOLERANCE,
        module=f"scales.{scale}.{stage}.features",
        difference=relative_difference,
    )


def _accuracy(errors: Any) -> dict[str, Any]:
    return {"validation_kernel_error": {name: round(value, 4) for name, value in errors.items()}}


def _assumptions(config: Any) -> QuotientAssumptions:
    """Return what the runtime must know; a network of other sizes than the manifest states cannot be exported."""
    network: SchulerConfig = config.network
    if (network.side, network.images) != (_SIZES.side, _SIZES.images):
        raise ValueError(
            f"side {network.side} and images {network.images} cannot be exported: train with side {_SIZES.side} and "
            f"images {_SIZES.images}"
        )
    data: SchulerData = config.data
    return replace(network.assumptions(), content=data.content, noise=data.noise)


SPEC = BundleSpec(
    {part_name(scale, stage): _part(scale, stage) for row in _places() for scale, stage in row},
    assumes=_assumptions,
    constants=pack,
    unpack=unpack,
    accuracy=_accuracy,
)
