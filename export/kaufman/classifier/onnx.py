"""The classifier as ONNX graphs, and what its bundle consists of; correlations run between them, as in the analysis."""

from __future__ import annotations

from typing import cast

import onnx
from torch import nn

from export.data.photographs import Photographs
from export.kaufman.analysis.network import CONTRAST
from export.kaufman.analysis.onnx import BATCHES, SIZES, constants, correlation_probes, features_part, unpack
from export.kaufman.classifier.network import ClassifierConfig, Scores
from export.kaufman.classifier.train import ClassifierRunConfig
from export.onnx.bundles import BundleSpec, PartSpec
from export.onnx.graph import Graph, Weights
from export.onnx.layers import convolution, to_numpy
from export.onnx.parity import Inputs
from runtime.estimation.classes import SCORES, ClassAssumptions
from runtime.estimation.correlated import FEATURES

_SIZES = ClassifierConfig()
"""Of the networks that are exported; a bundle states one number of classes."""
TOLERANCE = {"fp32": 1e-4}
"""Largest difference allowed in a score."""
CORRELATIONS = {"correlations1": ("batch", SIZES.channels, SIZES.side, SIZES.side)}
CLASSES = {"scores": ("batch", len(_SIZES.extents))}


def build_scores(scores: Scores, weights: Weights, half: bool = False) -> onnx.ModelProto:
    """Translate the layers from correlations to scores node by node, for any batch."""
    graph = Graph(weights, half)
    x = graph.node("Relu", convolution(graph, "enter", scores.enter, "correlations1"))
    for index, layer in enumerate(scores.tail):
        x = graph.node("Relu", convolution(graph, f"tail.{index}", cast(nn.Conv2d, layer), x))
    matrix, bias = to_numpy(scores.classify.weight), to_numpy(scores.classify.bias)
    graph.name_output(graph.linear("classify", graph.node("Flatten", x), matrix, bias), "scores")
    return graph.model("scores", CORRELATIONS, CLASSES)


def probes(photographs: Photographs | None) -> list[Inputs]:
    """Return made-up correlations; photographs make no difference."""
    return correlation_probes((SIZES.side,))


def assumptions(config: ClassifierRunConfig) -> ClassAssumptions:
    """Return what the runtime must know of the network of a run.

    Raises
    ------
    ValueError
        If bundles of such networks cannot be written.
    """
    own = config.network.analysis
    if (own.side, own.maps, own.channels, len(config.network.extents)) != (
        SIZES.side,
        SIZES.maps,
        SIZES.channels,
        len(_SIZES.extents),
    ):
        raise ValueError(
            f"only networks for kernels of {SIZES.side} px in {len(_SIZES.extents)} classes, with {SIZES.maps} maps "
            f"and {SIZES.channels} channels, are exported"
        )
    return ClassAssumptions(
        lags=own.lags,
        contrast=CONTRAST,
        classes=config.classes,
        extents=config.network.extents,
        networks=config.networks,
    )


SPEC = BundleSpec(
    {
        FEATURES: features_part(1),
        SCORES: PartSpec(build_scores, CORRELATIONS, CLASSES, probes, {"batches": BATCHES}, TOLERANCE, module="scores"),
    },
    assumes=assumptions,
    constants=constants,
    unpack=unpack,
)
