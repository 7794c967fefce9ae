"""Bundles whose networks do something simple and known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from runtime.estimation.learned import CONSTANTS, part_name
from runtime.inference.bundle import MANIFEST, Bundle, write_bundle

OPSET = 21
QUOTIENTS = {"beta": 1e-4, "weight": 1e-3, "threshold": 0.05}
"""Numbers of the quotients of `write_kernel_bundle`."""


def write_patch_bundle(
    folder: Path,
    predicts: str,
    *,
    size: int = 17,
    core: int = 9,
    stride: int = 4,
    spectrum: np.ndarray | None = None,
    **manifest: Any,
) -> Bundle:
    """Write a bundle whose patch network predicts the same for every patch.

    With `predicts` "cores" it returns the core of each patch; with "filters" a complex half `spectrum`
    ``(size, size // 2 + 1)``, by default the one that returns the patch.
    """
    folder.mkdir(parents=True, exist_ok=True)
    outputs = {"filters": ["batch", 2, size, size // 2 + 1], "cores": ["batch", core, core]}
    if spectrum is None:
        spectrum = np.ones((size, size // 2 + 1))
    nodes, constants = _constant_filters(spectrum) if predicts == "filters" else _central_crop(size, core)
    graph = helper.make_graph(
        nodes,
        "identity",
        [helper.make_tensor_value_info("patches", TensorProto.FLOAT, ["batch", size, size])],
        [helper.make_tensor_value_info(predicts, TensorProto.FLOAT, outputs[predicts])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    onnx.checker.check_model(model)
    onnx.save(model, folder / "network.fp32.onnx")
    part = {
        "graphs": {"fp32": "network.fp32.onnx"},
        "opset": OPSET,
        "inputs": [{"name": "patches", "type": "float32", "shape": ["batch", size, size]}],
        "outputs": [{"name": predicts, "type": "float32", "shape": outputs[predicts]}],
        "parity": {"fp32": {"max_abs": 0.0, "batches": [1]}},
    }
    described = {
        "name": f"identity-{predicts}",
        "version": "1",
        "method": "chakrabarti",
        "description": "returns its input",
        "licence": "Apache-2.0",
        "parts": {"network": part},
        "patch": {"size": size, "core": core, "stride": stride},
        "assumes": {"range": [0, 1], "colour": "luminance"},
    }
    return write_bundle(folder, {**described, **manifest})


def write_burst_bundle(folder: Path, *, size: int = 17, core: int = 9, stride: int = 4, **manifest: Any) -> Bundle:
    """Write a bundle whose burst network gives the mean of the frames: filters of 1 / frames, then of 1."""
    write_patch_bundle(folder, "filters", size=size, core=core, stride=stride)
    half = size // 2 + 1
    one = np.zeros((1, 1, 2, size, half), np.float32)
    one[:, :, 0] = 1
    nodes = [
        helper.make_node("Shape", ["patches"], ["sizes"], start=0, end=2),
        helper.make_node("Concat", ["sizes", "three"], ["repeats"], axis=0),
        helper.make_node("Tile", ["one", "repeats"], ["ones"]),
        helper.make_node("Shape", ["patches"], ["frames"], start=1, end=2),
        helper.make_node("Cast", ["frames"], ["count"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["ones", "count"], ["filters"]),
    ]
    shapes = {"patches": ["batch", "frames", size, size], "filters": ["batch", "frames", 2, size, half]}
    graph = helper.make_graph(
        nodes,
        "mean",
        [helper.make_tensor_value_info("patches", TensorProto.FLOAT, shapes["patches"])],
        [helper.make_tensor_value_info("filters", TensorProto.FLOAT, shapes["filters"])],
        [numpy_helper.from_array(one, "one"), numpy_helper.from_array(np.ones(3, np.int64), "three")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    onnx.checker.check_model(model)
    onnx.save(model, folder / "fusion.fp32.onnx")
    described = json.loads((folder / MANIFEST).read_text())
    described["parts"]["fusion"] = {
        "graphs": {"fp32": "fusion.fp32.onnx"},
        "opset": OPSET,
        "inputs": [{"name": "patches", "type": "float32", "shape": shapes["patches"]}],
        "outputs": [{"name": "filters", "type": "float32", "shape": shapes["filters"]}],
        "parity": {"fp32": {"max_abs": 0.0, "shapes": [[1, 1]]}},
    }
    return write_bundle(folder, described | {"name": "mean-of-frames", "method": "wieschollek"} | manifest)


def write_motion_bundle(
    folder: Path, motion: tuple[float, float, float], *, size: int = 17, core: int = 5, stride: int = 4, **manifest: Any
) -> Bundle:
    """Write a bundle whose motion network says the same of every patch."""
    folder.mkdir(parents=True, exist_ok=True)
    shapes = {"patches": ["batch", size, size], "motion": ["batch", 3]}
    nodes = [
        helper.make_node("Shape", ["patches"], ["batch"], start=0, end=1),
        helper.make_node("Concat", ["batch", "one"], ["repeats"], axis=0),
        helper.make_node("Tile", ["constant", "repeats"], ["motion"]),
    ]
    constants = {"constant": np.array([motion], np.float32), "one": np.ones(1, np.int64)}
    graph = helper.make_graph(
        nodes,
        "motion",
        [helper.make_tensor_value_info("patches", TensorProto.FLOAT, shapes["patches"])],
        [helper.make_tensor_value_info("motion", TensorProto.FLOAT, shapes["motion"])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    onnx.checker.check_model(model)
    onnx.save(model, folder / "motion.fp32.onnx")
    part = {
        "graphs": {"fp32": "motion.fp32.onnx"},
        "opset": OPSET,
        "inputs": [{"name": "patches", "type": "float32", "shape": shapes["patches"]}],
        "outputs": [{"name": "motion", "type": "float32", "shape": shapes["motion"]}],
        "parity": {"fp32": {"max_abs": 0.0, "batches": [1]}},
    }
    described = {
        "name": "same-motion",
        "version": "1",
        "method": "eboli",
        "description": "sees the same motion everywhere",
        "licence": "Apache-2.0",
        "parts": {"motion": part},
        "patch": {"size": size, "core": core, "stride": stride},
        "assumes": {"range": [0, 1], "colour": "luminance"},
    }
    return write_bundle(folder, {**described, **manifest})


def write_kernel_bundle(
    folder: Path, supports: tuple[int, ...] = (7, 11), trained: tuple[int, ...] = (2, 2), **manifest: Any
) -> Bundle:
    """Write a bundle of a kernel network whose features are gradients: of the last plane and of the photograph."""
    folder.mkdir(parents=True, exist_ok=True)
    shapes = {name: ["batch", 2, "height-2", "width-2"] for name in ("sharp", "blurred")}
    parts = {}
    for planes in (1, 2):
        slopes = np.zeros((4, planes, 3, 3), np.float32)
        slopes[0, -1, 1, 1:] = slopes[1, -1, 1:, 1] = slopes[2, 0, 1, 1:] = slopes[3, 0, 1:, 1] = -1, 1
        graph = helper.make_graph(
            [
                helper.make_node("Conv", ["planes", "slopes"], ["features"]),
                helper.make_node("Split", ["features"], ["sharp", "blurred"], axis=1, num_outputs=2),
            ],
            "gradients",
            [helper.make_tensor_value_info("planes", TensorProto.FLOAT, ["batch", planes, "height", "width"])],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 2, None, None]) for name in shapes],
            [numpy_helper.from_array(slopes, "slopes")],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
        onnx.checker.check_model(model)
        onnx.save(model, folder / f"gradients{planes}.fp32.onnx")
    for scale, stages in enumerate(trained):
        for stage in range(stages):
            planes = 1 if scale == stage == 0 else 2
            parts[part_name(scale, stage)] = {
                "graphs": {"fp32": f"gradients{planes}.fp32.onnx"},
                "opset": OPSET,
                "inputs": [{"name": "planes", "type": "float32", "shape": ["batch", planes, "height", "width"]}],
                "outputs": [{"name": name, "type": "float32", "shape": shape} for name, shape in shapes.items()],
                "parity": {"fp32": {"max_abs": 0.0, "batches": [1]}},
            }
    numbers = {name: np.full((len(supports), 2), value, np.float32) for name, value in QUOTIENTS.items()}
    np.savez(folder / "quotients.npz", **numbers, trained=np.array(trained, np.int32))
    described = {
        "name": "gradients",
        "version": "1",
        "method": "schuler",
        "description": "takes gradients for features",
        "licence": "Apache-2.0",
        "parts": parts,
        "constants": {CONSTANTS: "quotients.npz"},
        "assumes": {
            "range": [0, 1], "colour": "luminance", "supports": list(supports), "stages": 2, "filter": 3,
            "tied": False, "fade": 1.0, "pad": 1.0,
        },
    }  # fmt: skip
    return write_bundle(folder, {**described, **manifest})


def _constant_filters(spectrum: np.ndarray) -> tuple[list[onnx.NodeProto], dict[str, np.ndarray]]:
    one = np.stack([spectrum.real, spectrum.imag]).astype(np.float32)[None]
    nodes = [
        helper.make_node("Shape", ["patches"], ["batch"], start=0, end=1),
        helper.make_node("Concat", ["batch", "three"], ["repeats"], axis=0),
        helper.make_node("Tile", ["one", "repeats"], ["filters"]),
    ]
    return nodes, {"one": one, "three": np.ones(3, np.int64)}


def _central_crop(size: int, core: int) -> tuple[list[onnx.NodeProto], dict[str, np.ndarray]]:
    margin = (size - core) // 2
    constants = {"starts": np.full(2, margin), "ends": np.full(2, margin + core), "axes": np.array([1, 2])}
    return [helper.make_node("Slice", ["patches", *constants], ["cores"])], constants
