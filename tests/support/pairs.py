"""Bundles of the pair of Kaufman and Fattal whose networks do something simple and known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from runtime.deconvolution import synthesis
from runtime.estimation import analysis, classes, correlated
from runtime.inference.bundle import Bundle, write_bundle

from .models import OPSET

SIDE, UNIT = 21, 4
ASSUMES = {
    "range": [0, 1], "colour": "luminance", "side": SIDE, "unit": UNIT, "weights": [100.0, 10.0], "noise": [0.002, 0.04]
}  # fmt: skip


def write_synthesis_bundle(folder: Path, plane: int = 0, **manifest: Any) -> Bundle:
    """Write a bundle whose stages return one of the planes that they see."""
    return _write(folder, "synthesis", _stages(folder, plane), {synthesis.CONSTANTS: _deviations(folder)}, manifest)


def write_pair_bundle(folder: Path, threshold: float = 0.0, **manifest: Any) -> Bundle:
    """Write a pair of one level whose kernel is the auto-correlation of the photograph above a threshold."""
    folder.mkdir(parents=True, exist_ok=True)
    shape = [
        helper.make_node("Sub", ["correlations1", "threshold"], ["above"]),
        helper.make_node("Relu", ["above"], ["positive"]),
        helper.make_node("ReduceSum", ["positive", "axes"], ["sum"], keepdims=1),
        helper.make_node("Div", ["positive", "sum"], ["scaled"]),
        helper.make_node("Squeeze", ["scaled", "one"], ["kernels"]),
    ]
    constants = {"one": np.array([1]), "axes": np.array([2, 3]), "threshold": np.float32(threshold)}
    parts = {
        correlated.FEATURES: _features(folder),
        analysis.SHAPE: _part(
            folder, "shape", shape, constants,
            {"correlations1": ["batch", 1, SIDE, SIDE]}, {"kernels": ["batch", SIDE, SIDE]},
        ),
    }  # fmt: skip
    constants_of = {correlated.CONSTANTS: _mix(folder), synthesis.CONSTANTS: _deviations(folder)}
    assumes = {**ASSUMES, "lags": [SIDE], "contrast": 1e-3}
    return _write(folder, "kaufman", {**parts, **_stages(folder, 0)}, constants_of, {"assumes": assumes, **manifest})


def write_classifier_bundle(folder: Path, **manifest: Any) -> Bundle:
    """Write a classifier of three classes, by how much a halved photograph agrees with itself some columns further.

    Under a row of fewer than 6 px a kernel is of the first class, under one of more than about 16 px of the third.
    """
    folder.mkdir(parents=True, exist_ok=True)
    matrix = np.zeros((SIDE, SIDE, 3), np.float32)
    matrix[SIDE // 2, SIDE // 2 + 2, 1], matrix[SIDE // 2, SIDE // 2 + 5, 2] = 1, 2
    constants = {"matrix": matrix.reshape(-1, 3), "bias": np.array([0.4, 0, 0], np.float32)}
    nodes = [
        helper.make_node("Flatten", ["correlations1"], ["flat"]),
        helper.make_node("Gemm", ["flat", "matrix", "bias"], ["scores"]),
    ]
    parts = {
        correlated.FEATURES: _features(folder),
        classes.SCORES: _part(
            folder, "scores", nodes, constants, {"correlations1": ["batch", 1, SIDE, SIDE]}, {"scores": ["batch", 3]}
        ),
    }
    assumes = {"range": [0, 1], "colour": "luminance", "lags": [SIDE], "contrast": 1e-3}
    constants_of = {correlated.CONSTANTS: _mix(folder)}
    return _write(folder, "kernel-classifier", parts, constants_of, {"assumes": assumes, **manifest})


def _features(folder: Path) -> dict[str, Any]:
    """Write features that are the photograph itself, of unit energy."""
    nodes = [
        helper.make_node("Unsqueeze", ["planes", "one"], ["map"]),
        helper.make_node("ReduceL2", ["map", "axes"], ["norm"], keepdims=1),
        helper.make_node("Max", ["norm", "least"], ["energy"]),
        helper.make_node("Div", ["map", "energy"], ["maps1"]),
    ]
    constants = {"one": np.array([1]), "axes": np.array([2, 3]), "least": np.float32(1e-6)}
    planes, maps = {"planes": ["batch", "height", "width"]}, {"maps1": ["batch", 1, "height", "width"]}
    return _part(folder, "features", nodes, constants, planes, maps)


def _mix(folder: Path) -> str:
    np.savez(folder / "analysis.npz", mix=np.ones((1, 1, 1, 1), np.float16))
    return "analysis.npz"


def _stages(folder: Path, plane: int) -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    nodes = [helper.make_node("Gather", ["planes", "index"], ["latent"], axis=1)]
    inputs = {
        "planes": ["batch", synthesis.PLANES, "height", "width"],
        "kernels": ["batch", SIDE, SIDE],
        "noise": ["batch"],
    }
    return {
        synthesis.part_name(stage): _part(
            folder, f"stage{stage + 1}", nodes, {"index": np.array(plane)}, inputs,
            {"latent": ["batch", "height", "width"]},
        )
        for stage in range(2)
    }  # fmt: skip


def _deviations(folder: Path) -> str:
    np.savez(folder / "synthesis.npz", deviations=np.array([0.02]))
    return "synthesis.npz"


def _part(
    folder: Path,
    name: str,
    nodes: list[onnx.NodeProto],
    constants: dict[str, Any],
    inputs: dict[str, list[Any]],
    outputs: dict[str, list[Any]],
) -> dict[str, Any]:
    used = {each for node in nodes for each in node.input}
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info(key, TensorProto.FLOAT, shape) for key, shape in inputs.items()],
        [helper.make_tensor_value_info(key, TensorProto.FLOAT, shape) for key, shape in outputs.items()],
        [numpy_helper.from_array(np.asarray(value), key) for key, value in constants.items() if key in used],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    onnx.checker.check_model(model)
    onnx.save(model, folder / f"{name}.fp32.onnx")
    return {
        "graphs": {"fp32": f"{name}.fp32.onnx"},
        "opset": OPSET,
        "inputs": [{"name": key, "type": "float32", "shape": shape} for key, shape in inputs.items()],
        "outputs": [{"name": key, "type": "float32", "shape": shape} for key, shape in outputs.items()],
        "parity": {"fp32": {"max_abs": 0.0, "batches": [1]}},
    }


def _write(
    folder: Path, method: str, parts: dict[str, Any], constants: dict[str, str], manifest: dict[str, Any]
) -> Bundle:
    described = {
        "name": f"simple-{method}",
        "version": "1",
        "method": method,
        "description": "does something simple",
        "licence": "Apache-2.0",
        "parts": parts,
        "constants": constants,
        "assumes": ASSUMES,
    }
    return write_bundle(folder, {**described, **manifest})
