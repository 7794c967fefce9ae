"""Bundles of trained networks: what they consist of, writing them, checking them, and reading weights back."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from export.data.photographs import Photographs
from export.loop.checkpoints import Checkpoint
from export.onnx.graph import OPSET, Weights
from export.onnx.parity import Inputs, largest_difference, measure, round_weights
from runtime.errors import InvalidModel
from runtime.inference.bundle import Bundle, PatchGeometry, load_model, replacing, write_bundle

_LICENCE = "Apache-2.0"
Shapes = Mapping[str, Sequence[str | int]]
Arrays = Mapping[str, np.ndarray]
Parity = dict[str, dict[str, Any]]
"""By precision, the largest difference from PyTorch as ``max_abs``, and the sizes of the inputs it was measured on."""


def _unchanged(stored: Arrays) -> Arrays:
    return stored


@dataclass(frozen=True)
class PartSpec:
    """One network of a bundle.

    Attributes
    ----------
    build
        Makes the graph of a module over a file of weights, with the layers in half precision or not.
    inputs, outputs
        Shapes of the tensors by name, in the order of the module's arguments and results; a symbolic size is a string.
    probes
        Inputs on which the graphs are compared with the module; some are cut from the photographs, if there are any.
    probed
        The sizes of these inputs, for ``bundle.json``.
    tolerance
        Largest difference allowed, by precision. There is one graph for each of these precisions.
    module
        Where the module lies in the network, as in `torch.nn.Module.get_submodule`.
    difference
        How the outputs of a graph differ from the module's.
    restore
        Makes the entries of the module's state dict from the tensors stored in a graph, by their names.
    """

    build: Callable[[Any, Weights, bool], onnx.ModelProto]
    inputs: Shapes
    outputs: Shapes
    probes: Callable[[Photographs | None], Sequence[Inputs]]
    probed: Mapping[str, Any]
    tolerance: Mapping[str, float]
    module: str = ""
    difference: Callable[[Sequence[np.ndarray], Sequence[np.ndarray]], float] = largest_difference
    restore: Callable[[Arrays], Arrays] = _unchanged


@dataclass(frozen=True)
class BundleSpec:
    """What a bundle of one kind of network consists of.

    Attributes
    ----------
    parts
        The networks by name.
    assumes
        From the run's configuration to what the weights assume: a dataclass, see `Bundle.read_assumptions`.
    constants
        From the weights of a checkpoint to the arrays of each ``.npz`` file, by its name.
    unpack
        From these arrays back to entries of the state dict, for weights that lie in no part.
    patch
        Patch geometry, for networks that work on patches.
    accuracy
        From the last validation to what ``bundle.json`` records of it.
    """

    parts: Mapping[str, PartSpec] = field(default_factory=dict)
    assumes: Callable[[Any], Any] | None = None
    constants: Callable[[Mapping[str, Tensor]], Mapping[str, Arrays]] | None = None
    unpack: Callable[[Mapping[str, Arrays]], Arrays] | None = None
    patch: PatchGeometry | None = None
    accuracy: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict


@dataclass(frozen=True)
class Trained:
    """What is exported.

    Attributes
    ----------
    spec
        What the bundle consists of.
    config
        The run's configuration.
    checkpoint
        The weights and how they were trained.
    network
        The network with these weights, on the CPU, in evaluation; ``None`` for a bundle of constants alone.
    """

    spec: BundleSpec
    config: Any
    checkpoint: Checkpoint
    network: nn.Module | None = None


def export_bundle(
    trained: Trained,
    folder: str | Path,
    *,
    trained_on: Sequence[str] = (),
    photographs: Photographs | None = None,
) -> Bundle:
    """Write the bundle of a trained network, as a whole or not at all; an existing bundle there is replaced.

    Weights are rounded to float16 and shared by the graphs of all precisions.

    Parameters
    ----------
    trained
        The network and what its bundle consists of.
    folder
        The bundle to write.
    trained_on
        Names and licences of the training photographs, for the record.
    photographs
        Source of further inputs to measure parity on.

    Returns
    -------
    Bundle
        With the largest difference of each part and precision from the rounded PyTorch network under ``parity``.

    Raises
    ------
    InvalidModel
        If a graph differs from the network by more than the spec allows; nothing is written then.
    """
    spec, checkpoint = trained.spec, trained.checkpoint
    with replacing(folder) as draft:
        parts = {name: _write_part(draft, name, part, trained.network) for name, part in spec.parts.items()}
        graphs = {name: {key: draft / file for key, file in part["graphs"].items()} for name, part in parts.items()}
        for name, parity in _compare(trained, graphs, photographs).items():
            parts[name]["parity"] = parity
        constants = spec.constants(checkpoint.weights) if spec.constants else {}
        for name, arrays in constants.items():
            np.savez_compressed(draft / f"{name}.npz", **arrays)  # type: ignore[arg-type]
        manifest = {
            "name": trained.config.name,
            "version": "1",
            "method": checkpoint.method,
            "description": trained.config.description,
            "licence": _LICENCE,
            "parts": parts,
            "constants": {name: f"{name}.npz" for name in constants},
            "assumes": _assumes(trained),
            "training": {
                "data": list(trained_on),
                "samples": checkpoint.samples,
                **(checkpoint.counts or {}),
                "config": trained.config.to_dict(),
            },
            "accuracy": spec.accuracy(checkpoint.accuracy or {}),
        }
        if spec.patch:
            manifest["patch"] = dataclasses.asdict(spec.patch)
        write_bundle(draft, manifest)
    return load_model(folder)


def check_bundle(
    folder: str | Path, trained: Trained, photographs: Photographs | None = None
) -> dict[str, dict[str, dict[str, Any]]]:
    """Check that a bundle computes what a trained network computes.

    Parameters
    ----------
    folder
        The bundle.
    trained
        The network.
    photographs
        As in `export_bundle`.

    Returns
    -------
    dict
        Parity by part and precision, empty for a bundle of constants alone.

    Raises
    ------
    InvalidModel
        If a graph differs from the network by more than the spec allows, or constants or assumptions differ at all.
    """
    bundle = load_model(folder)
    if trained.checkpoint.method != bundle.method:
        raise InvalidModel(f"{folder}: is of method {bundle.method!r}, the checkpoint of {trained.checkpoint.method!r}")
    if dict(bundle.assumes) != _assumes(trained):
        raise InvalidModel(f"{folder}: assumes {bundle.assumes}, the checkpoint {_assumes(trained)}; export it again")
    for name, arrays in (trained.spec.constants(trained.checkpoint.weights) if trained.spec.constants else {}).items():
        stored = bundle.load_constants(name)
        if set(stored) != set(arrays) or any(not np.array_equal(stored[key], arrays[key]) for key in arrays):
            raise InvalidModel(f"{folder}: holds other constants {name!r} than the checkpoint; export it again")
    return _compare(trained, {name: bundle.part(name).graphs for name in trained.spec.parts}, photographs)


def read_weights(bundle: Bundle, spec: BundleSpec, network: nn.Module) -> dict[str, Tensor]:
    """Read the weights of a bundle's graphs.

    Parameters
    ----------
    bundle
        Written by `export_bundle`.
    spec
        What it consists of.
    network
        The network that they are weights of.

    Returns
    -------
    dict
        State dict of `network`; learned weights are those rounded to float16.

    Raises
    ------
    InvalidModel
        If the bundle lacks a weight.
    """
    weights = {}
    for name, part in spec.parts.items():
        graph = onnx.load(str(bundle.part(name).graphs["fp32"]), load_external_data=False).graph
        stored = {each.name: onnx.numpy_helper.to_array(each, str(bundle.path)) for each in graph.initializer}
        restored = part.restore(stored)
        prefix = f"{part.module}." if part.module else ""
        for key, value in network.get_submodule(part.module).state_dict().items():
            if value.numel() and key not in restored:
                raise InvalidModel(
                    f"{bundle.path}: holds no weight called {key!r} in part {name!r}; use another bundle"
                )
            weights[prefix + key] = torch.from_numpy(restored[key].astype(np.float32)) if value.numel() else value
    if spec.unpack:
        constants = {name: bundle.load_constants(name) for name in bundle.constants}
        weights |= {key: torch.from_numpy(value.astype(np.float32)) for key, value in spec.unpack(constants).items()}
    return weights


def write_graphs(folder: Path, name: str, part: PartSpec, module: nn.Module) -> dict[str, str]:
    """Write ``<name>.<precision>.onnx`` for each precision of a part, and ``<name>.weights``, which they share.

    Parameters
    ----------
    folder, name
        Where to write, and the name of the part.
    part
        What to write.
    module
        The module, whose weights float16 can represent, see `export.onnx.parity.round_weights`.

    Returns
    -------
    dict
        File name of each precision.
    """
    weights = Weights(folder / f"{name}.weights")
    files = {}
    for precision in part.tolerance:
        model = part.build(module, weights, precision == "fp16")
        files[precision] = f"{name}.{precision}.onnx"
        (folder / files[precision]).write_bytes(model.SerializeToString(deterministic=True))
    weights.write()
    for file in files.values():
        onnx.checker.check_model(str(folder / file), full_check=True)
    return files


def _write_part(folder: Path, name: str, part: PartSpec, network: nn.Module | None) -> dict[str, Any]:
    """Write the graphs of a part and describe it, its parity left out."""
    return {
        "graphs": write_graphs(folder, name, part, _rounded(network, part)),
        "opset": OPSET,
        "inputs": _tensors(part.inputs),
        "outputs": _tensors(part.outputs),
    }


def _compare(
    trained: Trained, graphs: Mapping[str, Mapping[str, Path]], photographs: Photographs | None
) -> dict[str, Parity]:
    """Measure the parity of all graphs, and raise `InvalidModel` if one differs by more than the spec allows."""
    found: dict[str, Parity] = {}
    for name, part in trained.spec.parts.items():
        module, probes, found[name] = _rounded(trained.network, part), part.probes(photographs), {}
        for precision, graph in graphs[name].items():
            worst = measure(module, graph, list(part.inputs), list(part.outputs), probes, part.difference)
            if not worst <= part.tolerance[precision]:
                raise InvalidModel(
                    f"{graph}: differs from {trained.config.name} in PyTorch by {worst:.1e}, more than "
                    f"{part.tolerance[precision]:.0e}; export that checkpoint again, or train with more weight decay"
                )
            found[name][precision] = {"max_abs": worst, **part.probed}
    return found


def _rounded(network: nn.Module | None, part: PartSpec) -> nn.Module:
    """Return a copy of a part's module with rounded weights."""
    if network is None:
        raise ValueError("a bundle with graphs takes a network")
    module = copy.deepcopy(network.get_submodule(part.module)).cpu().eval().requires_grad_(False)
    round_weights(module)
    return module


def _tensors(shapes: Shapes) -> list[dict[str, Any]]:
    return [{"name": name, "type": "float32", "shape": list(shape)} for name, shape in shapes.items()]


def _assumes(trained: Trained) -> dict[str, Any]:
    """Return what the weights assume, as ``bundle.json`` has it."""
    if trained.spec.assumes is None:
        return {}
    content: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(trained.spec.assumes(trained.config))))
    return content
