"""The network that fuses bursts, as an ONNX graph."""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import numpy as np
import onnx

from export.chakrabarti.bands import BANDS
from export.chakrabarti.network import CONTRAST_FLOOR, PATCH, POWER_FLOOR
from export.onnx.graph import Graph, Weights
from export.onnx.layers import add_module, clip, silu, to_numpy, transform_taps
from export.wieschollek.analysis import CROSS_FLOOR, EXPONENT, HALF, SPARSE, BurstAnalysis
from export.wieschollek.network import (
    BAND_FLOOR,
    FIRST_EXPONENT,
    FIRST_NOISE,
    SCORE_SCALE,
    SCORE_SUPPORT,
    Fusion,
    Sharing,
)

INPUTS = {"patches": ("batch", "frames", PATCH, PATCH)}
OUTPUTS = {"filters": ("batch", "frames", 2, PATCH, HALF)}


def build_fusion(fusion: Fusion, weights: Weights, half: bool) -> onnx.ModelProto:
    """Translate the network node by node.

    The analysis, the weights of the frames and the expansion of the taps to filters are float32 in either precision;
    the layers in between compute in float16 if `half`, their normalisation in float32.
    """
    graph = Graph(weights, half)
    seen = _Analysis(graph, fusion.analysis)
    bands = [
        _share(graph, f"sharing.{index}", cast(Sharing, fusion.sharing[index]), seen.bands[index], band.scalars)
        for index, band in enumerate(BANDS)
    ]
    groups = [
        add_module(graph, f"bands.{index}", layer, graph.node("Concat", *pair, axis=1))
        for index, (layer, pair) in enumerate(zip(fusion.bands, pairwise(bands), strict=True))
    ]
    spectra = add_module(graph, "spectra", fusion.spectra, graph.enter(seen.features["spectra"]))
    context = add_module(graph, "context", fusion.context, graph.enter(seen.features["context"]))
    known = graph.node("Concat", *groups, spectra, axis=1)
    kernels, filters = seen.features["kernels"], ""
    for number in range(fusion.config.passes):
        if filters:
            kernels = seen.relative_kernels(filters)
        own = graph.node("Concat", known, add_module(graph, "kernels", fusion.kernels, graph.enter(kernels)), axis=1)
        filters = _filters(graph, fusion, seen, _predict(graph, fusion, seen, number, own, context))
    graph.name_output(filters, "filters")
    return graph.model("wieschollek", INPUTS, OUTPUTS)


def _predict(graph: Graph, fusion: Fusion, seen: _Analysis, number: int, own: str, context: str) -> str:
    """Add the layers after the first ones in pass `number`; return the output of the last one, float32 rows."""
    inputs, width = fusion.own.in_features, fusion.own.out_features
    burst = graph.node("ReduceMean", seen.by_burst(own, inputs), graph.constant([1], np.int64))
    joined = graph.node("Concat", _rows(graph, burst, inputs), context, axis=1)
    shared = graph.node("MatMul", joined, graph.weight("shared.weight.T", to_numpy(fusion.shared.weight).T))
    shared = graph.node("Add", shared, graph.weight(f"stage.{number}", to_numpy(fusion.stage[number])))
    shared = graph.node("Reshape", shared, graph.constant([-1, 1, width], np.int64))
    x = graph.node("Add", seen.by_burst(add_module(graph, "own", fusion.own, own), width), shared)
    x = _rows(graph, x, width)
    for index, module in enumerate(fusion.trunk):
        x = add_module(graph, f"trunk.{index}", module, x)
    return graph.leave(add_module(graph, "head", fusion.head, x))


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
    sizes
        Batch and frames.
    """

    def __init__(self, graph: Graph, analysis: BurstAnalysis) -> None:
        self._graph, self._module = graph, analysis
        normal = self._normalise()
        self.sizes = graph.node("Shape", "patches", start=0, end=2)
        self.bands = self._bands(normal)
        self._real, self._imaginary = self._spectra(normal)
        power = graph.node("Add", self._square(self._real), self._square(self._imaginary))
        power = graph.node("MatMul", self._table("rows"), power)
        power = graph.node("MatMul", power, graph.table("analysis.columns.T", to_numpy(analysis.columns).T))
        self.log_power = graph.node("Log", graph.node("Add", power, graph.constant(POWER_FLOOR)))
        self.features = self._features()

    def relative_kernels(self, filters: str) -> str:
        """Add the standardised blur kernels relative to the patch that `filters` fuse: one row per frame."""
        graph, plane, frames = self._graph, self._graph.constant([2], np.int64), self._graph.constant([1], np.int64)
        planes = graph.nodes("Split", filters, outputs=2, axis=2, num_outputs=2)
        real, imaginary = (graph.node("Squeeze", part, plane) for part in planes)

        def total(op: str, first: str, second: str) -> str:
            products = graph.node("Mul", real, first), graph.node("Mul", imaginary, second)
            return graph.node("ReduceSum", graph.node(op, *products), frames)

        whole = total("Sub", self._real, self._imaginary), total("Add", self._imaginary, self._real)
        return self._standardise("kernels", self._kernels(*whole))

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

    def _accumulated(self) -> tuple[str, str]:
        graph, frames = self._graph, self._graph.constant([1], np.int64)
        weights = _weights(graph, graph.node("Mul", self.log_power, graph.constant(EXPONENT / 2)))
        total = graph.node("ReduceSum", weights, frames)
        planes = self._real, self._imaginary
        sums = (graph.node("ReduceSum", graph.node("Mul", weights, part), frames) for part in planes)
        real, imaginary = (graph.node("Div", part, total) for part in sums)
        return real, imaginary

    def _kernels(self, whole_real: str, whole_imaginary: str) -> str:
        """Add the blur kernels of the frames relative to one spectrum."""
        graph, real, imaginary = self._graph, self._real, self._imaginary
        power = graph.node("Add", self._square(whole_real), self._square(whole_imaginary))
        power = graph.node("Add", power, graph.constant(CROSS_FLOOR))

        def cross(op: str, *pairs: tuple[str, str]) -> str:
            return graph.node("Div", graph.node(op, *(graph.node("Mul", *pair) for pair in pairs)), power)

        cross_real = cross("Add", (real, whole_real), (imaginary, whole_imaginary))
        cross_imaginary = cross("Sub", (imaginary, whole_real), (real, whole_imaginary))
        cosine, sine = (
            graph.table(f"analysis.upper{index}", half)
            for index, half in enumerate(np.split(to_numpy(self._module.upper), 2))
        )
        even = graph.node("Sub", graph.node("MatMul", cosine, cross_real), graph.node("MatMul", sine, cross_imaginary))
        odd = graph.node("Add", graph.node("MatMul", sine, cross_real), graph.node("MatMul", cosine, cross_imaginary))
        return graph.node("MatMul", graph.node("Concat", even, odd, axis=3), self._table("lower"))

    def _features(self) -> dict[str, str]:
        graph = self._graph
        ends, axes = graph.constant([PATCH, HALF], np.int64), graph.constant([2, 3], np.int64)
        steps = graph.constant([SPARSE, SPARSE], np.int64)
        sampled = graph.node("Slice", self.log_power, graph.constant([0, 0], np.int64), ends, axes, steps)
        context = graph.node("ReduceMean", sampled, graph.constant([1], np.int64))
        values = {
            "kernels": self._kernels(*self._accumulated()),
            "spectra": graph.node("Sub", sampled, context),
            "context": context,
        }
        return {name: self._standardise(name, value) for name, value in values.items()}

    def _standardise(self, name: str, value: str) -> str:
        graph = self._graph
        flat = _rows(graph, value, self._module.get_buffer(f"{name}_mean").numel())
        centred = graph.node("Sub", flat, self._table(f"{name}_mean"))
        return clip(graph, graph.node("Mul", centred, self._table(f"{name}_gain")))


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
    """Turn the outputs of the last layer into the Wiener filters of the frames."""
    support, taps = fusion.config.support, SCORE_SUPPORT**2
    sizes = graph.constant([support**2, taps, taps], np.int64)
    logits, scores, noise = graph.nodes("Split", x, sizes, outputs=3, axis=1)
    frames = graph.constant([1], np.int64)

    def planes(values: str, side: int) -> str:
        shape = graph.node("Concat", seen.sizes, graph.constant([side, side], np.int64), axis=0)
        return graph.node("Reshape", values, shape)

    kernels = planes(graph.node("Softmax", logits, axis=1), support)
    real, imaginary = transform_taps(graph, "kernels", kernels, to_numpy(fusion.cosines), to_numpy(fusion.sines))
    learned = _field(graph, fusion, planes(scores, SCORE_SUPPORT))
    noise = _field(graph, fusion, graph.node("ReduceMean", planes(noise, SCORE_SUPPORT), frames))

    half_exponent = graph.constant(FIRST_EXPONENT / 2)
    growth = graph.node("Exp", graph.leave(graph.weight("log_exponent", to_numpy(fusion.log_exponent))))
    strength = graph.node("Mul", seen.log_power, graph.node("Mul", growth, half_exponent))
    weights = _weights(graph, graph.node("Add", strength, learned))

    squares = graph.node("Add", *(graph.node("Mul", part, part) for part in (real, imaginary)))
    power = graph.node("ReduceSum", graph.node("Mul", weights, squares), frames)
    level = graph.table("noise", FIRST_NOISE * to_numpy(fusion.weight) ** 2)
    level = graph.node("Mul", level, graph.node("ReduceSum", weights, frames))
    power = graph.node("Add", power, graph.node("Mul", graph.node("Exp", noise), level))
    gain = graph.node("Div", weights, power)
    # The imaginary part of the conjugate: `transform_taps` gives that of the kernel.
    parts = graph.node("Mul", gain, real), graph.node("Neg", graph.node("Mul", gain, imaginary))
    plane = graph.constant([2], np.int64)
    return graph.node("Concat", *(graph.node("Unsqueeze", part, plane) for part in parts), axis=2)


def _weights(graph: Graph, scores: str) -> str:
    """Add weights proportional to the softmax over the frames, of which the largest is 1.

    ONNX Runtime's own softmax is several times as slow over another axis than the last.
    """
    largest = graph.node("ReduceMax", scores, graph.constant([1], np.int64))
    return graph.node("Exp", graph.node("Sub", scores, largest))


def _field(graph: Graph, fusion: Fusion, taps: str) -> str:
    """Add the smooth even function of frequency whose transform is `taps`."""
    even, odd = (
        _both_sides(graph, name, to_numpy(table), taps)
        for name, table in (("field.cosines", fusion.score_cosines), ("field.sines", fusion.score_sines))
    )
    return graph.node("Mul", graph.node("Sub", even, odd), graph.constant(SCORE_SCALE))
