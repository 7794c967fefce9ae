"""Export of a trained burst network as a bundle of two parts: ``fusion`` and ``network``."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from export.burst_train import VALIDATION_FRAMES, VALIDATION_NOISE, load_burst_network
from export.bursts import BurstConfig, synthesise_bursts
from export.check import compare, largest_difference, parity_patches, probe_patches, refuse_difference, round_weights
from export.config import BurstRunConfig
from export.graph import OPSET, Graph, Weights
from export.layers import add_module, clip, silu, to_numpy, transform_taps
from export.networks.bands import BANDS
from export.networks.chakrabarti import CONTRAST_FLOOR, CORE, OUTPUT_SCALE, PATCH, POWER_FLOOR
from export.networks.wieschollek import (
    BAND_FLOOR,
    CROSS_FLOOR,
    EXPONENT,
    HALF,
    SCORE_SCALE,
    SCORE_SUPPORT,
    SPARSE,
    BurstAnalysis,
    Fusion,
    Sharing,
)
from export.onnx import replacing, write_graphs, write_part
from export.photographs import Photographs, find_photographs, split
from runtime.bundle import Bundle, load_model, write_bundle

STRIDE = 5
"""That of the paper, Section 3.3."""

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
        If a graph differs from the network by more than `export.check.TOLERANCE`.
    """
    network, _ = load_burst_network(checkpoint)
    round_weights(network)
    bundle, bursts, patches = load_model(folder), parity_bursts(data), parity_patches(data)
    fusion, restoration = bundle.part("fusion").graphs, bundle.part("network").graphs
    found = {
        "fusion": {key: compare_fusion(network.fusion, graph, bursts) for key, graph in fusion.items()},
        "network": {key: compare(network.restoration, graph, patches) for key, graph in restoration.items()},
    }
    for name, parity in found.items():
        refuse_difference(bundle.part(name).graphs, parity, checkpoint)
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
    """Return bursts of `SHAPES`: of probe patches that have nothing in common, and of the photographs under `data`."""
    bursts = [probe_patches(count * frames).reshape(count, frames, PATCH, PATCH) for count, frames in SHAPES]
    if data is not None:
        _, files = split(find_photographs(data))
        photographs, generator = Photographs.read(files[:8]), torch.Generator().manual_seed(0)
        for count, frames in SHAPES:
            config = BurstConfig(frames=(frames,), share=1)
            bursts.append(synthesise_bursts(photographs, config, count, generator).observed.numpy())
    return bursts


def build_fusion(fusion: Fusion, weights: Weights, half: bool) -> onnx.ModelProto:
    """Translate the network node by node.

    The analysis, the weights of the frames and the expansion of the taps to filters are float32 in either precision;
    the layers in between compute in float16 if `half`, their normalisation in float32.
    """
    graph = Graph(weights, half)
    seen = _Analysis(graph, fusion.analysis)
    bands = [
        _share(graph, f"sharing.{index}", fusion.sharing[index], seen.bands[index], band.scalars)
        for index, band in enumerate(BANDS)
    ]
    groups = [
        add_module(graph, f"bands.{index}", layer, graph.node("Concat", *pair, axis=1))
        for index, (layer, pair) in enumerate(zip(fusion.bands, pairwise(bands), strict=True))
    ]
    features = {
        name: add_module(graph, name, getattr(fusion, name), graph.enter(value))
        for name, value in seen.features.items()
    }
    own = graph.node("Concat", *groups, features["kernels"], features["spectra"], axis=1)
    burst = graph.node("ReduceMean", seen.by_burst(own, fusion.own.in_features), graph.constant([1], np.int64))
    width = fusion.own.out_features
    joined = graph.node("Concat", _rows(graph, burst, fusion.own.in_features), features["context"], axis=1)
    shared = graph.node("MatMul", joined, graph.weight("shared.weight.T", to_numpy(fusion.shared.weight).T))
    shared = graph.node("Reshape", shared, graph.constant([-1, 1, width], np.int64))
    x = graph.node("Add", seen.by_burst(add_module(graph, "own", fusion.own, own), width), shared)
    x = _rows(graph, x, width)
    for index, module in enumerate(fusion.trunk):
        x = add_module(graph, f"trunk.{index}", module, x)
    x = graph.leave(add_module(graph, "head", fusion.head, x))
    graph.name_output(_filters(graph, fusion, seen, x), "filters")
    return graph.model(
        "wieschollek",
        {"patches": ["batch", "frames", PATCH, PATCH]},
        {"filters": ["batch", "frames", 2, PATCH, HALF]},
    )


class _Analysis:
    """Adds the analysis of a burst.

    Attributes
    ----------
    bands
        Coefficients ``(batch, frames, scalars)`` of each band.
    features
        Inputs of the layers of these names, one row per frame or, of ``context``, per burst.
    log_power
        ``(batch, frames, 65, 33)``.
    """

    def __init__(self, graph: Graph, analysis: BurstAnalysis) -> None:
        self._graph, self._module = graph, analysis
        normal = self._normalise()
        self.sizes = graph.node("Shape", "patches", start=0, end=2)
        self.bands = self._bands(normal)
        real, imaginary = self._spectra(normal)
        power = graph.node("Add", self._square(real), self._square(imaginary))
        power = graph.node("MatMul", self._table("rows"), power)
        power = graph.node("MatMul", power, graph.table("analysis.columns.T", to_numpy(analysis.columns).T))
        self.log_power = graph.node("Log", graph.node("Add", power, graph.constant(POWER_FLOOR)))
        self.features = self._features(self._kernels(real, imaginary))

    def by_burst(self, x: str, width: int) -> str:
        """Reshape rows of frames ``(batch * frames, width)`` to ``(batch, frames, width)``."""
        graph = self._graph
        shape = graph.node("Concat", self.sizes, graph.constant([width], np.int64), axis=0)
        return graph.node("Reshape", x, shape)

    def _table(self, name: str) -> str:
        return self._graph.table(f"analysis.{name}", to_numpy(self._module.get_buffer(name)))

    def _square(self, x: str) -> str:
        return self._graph.node("Mul", x, x)

    def _normalise(self) -> str:
        graph = self._graph
        plane, burst = graph.constant([2, 3], np.int64), graph.constant([1, 2, 3], np.int64)
        centred = "patches"
        for _ in range(2):
            centred = graph.node("Sub", centred, graph.node("ReduceMean", centred, plane))
        variance = graph.node("ReduceMean", self._square(centred), burst)
        floor = graph.constant(CONTRAST_FLOOR**2)
        return graph.node("Div", centred, graph.node("Sqrt", graph.node("Add", variance, floor)))

    def _bands(self, normal: str) -> list[str]:
        graph, levels, bands = self._graph, [], []
        for index, basis in enumerate(to_numpy(self._module.basis)):
            product = graph.node("MatMul", normal, graph.table(f"analysis.basis{index}.T", basis.T))
            product = graph.node("MatMul", graph.table(f"analysis.basis{index}", basis), product)
            levels.append(graph.node("Reshape", product, graph.constant([0, 0, -1], np.int64)))
        for index, level in enumerate((*levels, levels[-1])):
            ring = to_numpy(self._module.get_buffer(f"ring{index}"))
            bands.append(graph.node("Gather", level, graph.constant(ring, np.int64), axis=2))
        return bands

    def _spectra(self, normal: str) -> tuple[str, str]:
        graph = self._graph
        right = graph.table("analysis.spectrum.T", to_numpy(self._module.spectrum).T)
        product = graph.node("MatMul", self._table("spectrum"), graph.node("MatMul", normal, right))
        top, bottom = graph.nodes("Split", product, outputs=2, axis=2, num_outputs=2)
        cc, cs = graph.nodes("Split", top, outputs=2, axis=3, num_outputs=2)
        sc, ss = graph.nodes("Split", bottom, outputs=2, axis=3, num_outputs=2)
        backwards = graph.constant(np.arange(HALF - 1, 0, -1), np.int64)

        def rows(falling: str, rising: str) -> str:
            return graph.node("Concat", falling, graph.node("Gather", rising, backwards, axis=2), axis=2)

        real = rows(graph.node("Sub", cc, ss), graph.node("Add", cc, ss))
        imaginary = rows(graph.node("Neg", graph.node("Add", cs, sc)), graph.node("Sub", sc, cs))
        return real, imaginary

    def _kernels(self, real: str, imaginary: str) -> str:
        graph = self._graph
        frames = graph.constant([1], np.int64)
        scores = graph.node("Mul", self.log_power, graph.constant(EXPONENT / 2))
        weights = graph.node("Softmax", scores, axis=1)
        whole = [graph.node("ReduceSum", graph.node("Mul", weights, part), frames) for part in (real, imaginary)]
        power = graph.node("Add", *(self._square(part) for part in whole))
        power = graph.node("Add", power, graph.constant(CROSS_FLOOR))

        def cross(op: str, *pairs: tuple[str, str]) -> str:
            return graph.node("Div", graph.node(op, *(graph.node("Mul", *pair) for pair in pairs)), power)

        cross_real = cross("Add", (real, whole[0]), (imaginary, whole[1]))
        cross_imaginary = cross("Sub", (imaginary, whole[0]), (real, whole[1]))
        cosine, sine = (
            graph.table(f"analysis.upper{index}", half)
            for index, half in enumerate(np.split(to_numpy(self._module.upper), 2))
        )
        even = graph.node("Sub", graph.node("MatMul", cosine, cross_real), graph.node("MatMul", sine, cross_imaginary))
        odd = graph.node("Add", graph.node("MatMul", sine, cross_real), graph.node("MatMul", cosine, cross_imaginary))
        return graph.node("MatMul", graph.node("Concat", even, odd, axis=3), self._table("lower"))

    def _features(self, kernels: str) -> dict[str, str]:
        graph = self._graph
        ends, axes = graph.constant([PATCH, HALF], np.int64), graph.constant([2, 3], np.int64)
        steps = graph.constant([SPARSE, SPARSE], np.int64)
        sampled = graph.node("Slice", self.log_power, graph.constant([0, 0], np.int64), ends, axes, steps)
        context = graph.node("ReduceMean", sampled, graph.constant([1], np.int64))
        values = {"kernels": kernels, "spectra": graph.node("Sub", sampled, context), "context": context}
        features = {}
        for name, value in values.items():
            size = self._module.get_buffer(f"{name}_mean").numel()
            flat = graph.node("Reshape", value, graph.constant([-1, size], np.int64))
            centred = graph.node("Sub", flat, self._table(f"{name}_mean"))
            features[name] = clip(graph, graph.node("Mul", centred, self._table(f"{name}_gain")))
        return features


def _share(graph: Graph, name: str, share: Sharing, band: str, scalars: int) -> str:
    """Add the small network across the burst, from ``(batch, frames, scalars)`` to one row per frame."""
    frames, last = graph.constant([1], np.int64), graph.constant([3], np.int64)
    square = graph.node("ReduceMean", graph.node("Mul", band, band), frames)
    square = graph.node("Add", square, graph.constant(BAND_FLOOR))
    relative = graph.node("Div", band, graph.node("Sqrt", square))
    mean = graph.node("ReduceMean", relative, frames)
    level = graph.node("Mul", graph.node("Log", square), graph.constant(0.5))
    shape = graph.node("Shape", band)
    spread = [relative, *(graph.node("Expand", value, shape) for value in (mean, level))]
    features = graph.node("Concat", *(graph.node("Unsqueeze", value, last) for value in spread), axis=3)
    x = graph.enter(_rows(graph, features, len(spread)))
    x = silu(graph, add_module(graph, f"{name}.inner", share.inner, x))
    return _rows(graph, add_module(graph, f"{name}.outer", share.outer, x), scalars * share.outer.out_features)


def _both_sides(graph: Graph, name: str, table: np.ndarray, x: str) -> str:
    """Add ``T x T^T`` for frequencies of the half spectrum across."""
    right = graph.node("MatMul", x, graph.table(f"{name}.T", table[:HALF].T))
    return graph.node("MatMul", graph.table(name, table), right)


def _rows(graph: Graph, x: str, width: int) -> str:
    return graph.node("Reshape", x, graph.constant([-1, width], np.int64))


def _filters(graph: Graph, fusion: Fusion, seen: _Analysis, x: str) -> str:
    """Turn the outputs of the last layer into weighted filters."""
    support = fusion.config.support
    sizes = graph.constant([support**2, SCORE_SUPPORT**2], np.int64)
    flat_taps, flat_scores = graph.nodes("Split", x, sizes, outputs=2, axis=1)

    def by_burst(values: str, side: int) -> str:
        shape = graph.node("Concat", seen.sizes, graph.constant([side, side], np.int64), axis=0)
        return graph.node("Reshape", values, shape)

    taps, scores = by_burst(flat_taps, support), by_burst(flat_scores, SCORE_SUPPORT)
    upper, lower = transform_taps(graph, "expand", taps, to_numpy(fusion.cosines), to_numpy(fusion.sines))
    even, odd = (
        _both_sides(graph, name, to_numpy(table), scores)
        for name, table in (("score.cosines", fusion.score_cosines), ("score.sines", fusion.score_sines))
    )
    learned = graph.node("Mul", graph.node("Sub", even, odd), graph.constant(SCORE_SCALE))
    exponent = graph.leave(graph.weight("exponent", to_numpy(fusion.exponent)))
    power = graph.node("Mul", seen.log_power, graph.node("Mul", exponent, graph.constant(0.5)))
    weights = graph.node("Softmax", graph.node("Add", power, learned), axis=1)
    gain = graph.table("expand.weight", to_numpy(fusion.weight) * OUTPUT_SCALE)
    real = graph.node("Add", graph.node("Mul", upper, gain), graph.constant(1))
    imaginary = graph.node("Mul", lower, gain)
    plane = graph.constant([2], np.int64)
    planes = [graph.node("Unsqueeze", graph.node("Mul", weights, part), plane) for part in (real, imaginary)]
    return graph.node("Concat", *planes, axis=2)


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
