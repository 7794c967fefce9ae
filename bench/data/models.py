"""Models to measure: trained bundles, or untrained networks of a given size."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from runtime.errors import InvalidModel, MissingDependency, ModelNotFound
from runtime.inference.bundle import Bundle, PatchGeometry, load_model


@contextmanager
def open_model(name: str) -> Iterator[Bundle]:
    """Load a bundle, or make one with random weights from a training configuration of `export`.

    The latter serves to time a network before it is trained, and exists until the context ends.

    Parameters
    ----------
    name
        Name or path of a bundle or of a configuration, such as ``"paper"``.

    Raises
    ------
    ModelNotFound
        If it is neither.
    MissingDependency
        If PyTorch is needed and not installed.
    """
    try:
        bundle = load_model(name)
    except ModelNotFound as error:
        with tempfile.TemporaryDirectory(prefix="deblur-bench-") as folder:
            yield _untrained(name, Path(folder), error)
        return
    yield bundle


def make_untrained(name: str, folder: str) -> dict[str, Any]:
    """Write a bundle with random weights into a folder, and return its `describe_model`.

    Parameters
    ----------
    name
        Name or path of a configuration.
    folder
        An existing folder; the bundle is written to ``bundle`` in it.

    Raises
    ------
    ModelNotFound
        If there is no such configuration.
    MissingDependency
        If PyTorch is not installed.
    """
    return describe_model(_untrained(name, Path(folder), ModelNotFound(f"no configuration named {name!r}")))


def dense_flops(bundle: Bundle) -> int:
    """Return the floating-point operations of a network's dense layers per patch: two per weight.

    Raises
    ------
    MissingDependency
        If onnx is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise MissingDependency("counting operations needs onnx: pip install 'deblur-runtime[export]'") from error
    graph = onnx.load(bundle.part("network").graphs["fp32"], load_external_data=False).graph
    sizes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    return sum(
        2 * size[0] * size[1]
        for name, size in sizes.items()
        if len(size) == 2 and name.removesuffix("weight") + "bias" in sizes
    )


def describe_model(bundle: Bundle) -> dict[str, Any]:
    """Return name, version and ``weights`` of a model for a report.

    The weights are ``"trained"``, ``"random"``, or ``"of other models"``, where a bundle only names those.
    """
    trained = "trained" if bundle.training.get("samples") else "random"
    return {
        "name": bundle.name,
        "version": bundle.version,
        "weights": trained if bundle.parts else "of other models",
    }


def patch_geometry(bundle: Bundle) -> PatchGeometry:
    """Return the patch geometry of a patch model.

    Raises
    ------
    InvalidModel
        If the bundle is of another kind of model.
    """
    if bundle.patch is None:
        raise InvalidModel(f"{bundle.path}: no patch geometry, so this is no patch model; choose another model")
    return bundle.patch


def _untrained(name: str, folder: Path, not_found: ModelNotFound) -> Bundle:
    try:
        import torch

        from export.chakrabarti.network import Chakrabarti
        from export.chakrabarti.onnx import SPEC
        from export.chakrabarti.train import ChakrabartiRunConfig
        from export.loop.checkpoints import Checkpoint
        from export.onnx.bundles import Trained, export_bundle
        from export.registry import read_config
    except ImportError as error:
        raise MissingDependency(f"{not_found}; to make one takes pip install 'deblur-runtime[export]'") from error
    try:
        config = read_config(name)
    except FileNotFoundError:
        raise not_found from None
    if not isinstance(config, ChakrabartiRunConfig):
        raise InvalidModel(f"{name}: is not for single photographs; choose another model")
    torch.manual_seed(0)
    network = Chakrabarti(config.network)
    # The head is initialised to zero, which would make all filters the same.
    torch.nn.init.normal_(network.head.weight, std=0.01)
    untrained = Trained(SPEC, config, Checkpoint(config.to_dict(), network.state_dict()), network.eval())
    return export_bundle(untrained, folder / "bundle", trained_on=["nothing: random weights"])
