"""`pack`: a network from patches to patches, in PyTorch or as an ONNX file, becomes a bundle of the runtime."""

from __future__ import annotations

import copy
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.export import Dim

from export.onnx.parity import Inputs, measure
from runtime.errors import InvalidModel
from runtime.inference.planes import CHANNELS
from runtime.inference.progress import Progress
from runtime.packing import Packed, Packing, pack_network
from runtime.packing.network import open_network, sample

_EXAMPLE = 128
"""Side in pixels of the patches with which a network is traced, unless patches of a size are wanted."""
_FURTHER = (64, 192)
"""Sides of further patches on which a network that takes any size is compared with its graph."""
_TOLERANCE = {"fp32": 1e-4, "fp16": 2e-2}
"""Largest difference of a graph from its network, by precision, in units of the largest value, at least 1."""
_INLINE = 2**30
"""Bytes of weights that are stored in the graph itself, at most."""
_FREEDOMS: tuple[dict[int, Any], ...] = ({0: Dim.AUTO, 2: Dim.AUTO, 3: Dim.AUTO}, {0: Dim.AUTO}, {})
"""Axes whose sizes a graph leaves free, tried in this order: batch, height and width; the batch; none."""


def pack(
    network: nn.Module | str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
    **packing: Any,
) -> Packed:
    """Write a network from patches to patches as a bundle that the runtime runs like its own.

    Parameters
    ----------
    network
        The path of an ONNX file; or a module whose ``forward`` takes and gives ``(batch, channels, height, width)``.
        The module is exported as it is in evaluation, with heights and widths left free if it can be, and compared with
        its graph.
    folder, overwrite, progress
        As in `runtime.packing.pack_network`.
    **packing
        The fields of `runtime.packing.Packing`: ``patch``, ``core``, ``stride``, ``colour``, ``range``, ``mean``,
        ``std``, ``residual``, ``name``, ``version``, ``description``, ``licence``.

    Returns
    -------
    Packed
        Of a module, ``bundle.part("network").parity`` has the largest difference of its graph.

    Raises
    ------
    InvalidModel
        If the network cannot be exported or packed, or its graph computes something else.
    InvalidArgument
        If what is wanted does not fit the network.
    ImageFileError
        If the folder is there, or cannot be written.

    Examples
    --------
    >>> from export.pack import pack
    >>> pack(network, "my-model/", colour="rgb").found["seam"]  # doctest: +SKIP
    """
    wanted = Packing(**packing)
    if not isinstance(network, nn.Module):
        return pack_network(network, folder, wanted, overwrite=overwrite, progress=progress)
    with tempfile.TemporaryDirectory(prefix="deblur-pack-") as name:
        graph, parity = _export(network, Path(name) / "network.onnx", wanted)
        return pack_network(graph, folder, wanted, parity=parity, overwrite=overwrite, progress=progress)


def _export(network: nn.Module, graph: Path, packing: Packing) -> tuple[Path, dict[str, Any]]:
    """Write the graph of a network with as many sizes left free as can be, and compare the two."""
    module = copy.deepcopy(network).cpu().eval().requires_grad_(False)
    channels = CHANNELS[packing.colour or "rgb"]
    side = packing.patch or _EXAMPLE
    dtype = next((each.dtype for each in module.parameters()), torch.float32)
    batch = torch.from_numpy(_probe(2, channels, side)).to(dtype)
    try:
        with torch.no_grad():
            module(batch)
    except Exception as error:
        # What a network says of a patch that it cannot use is its own.
        raise InvalidModel(
            f"the network fails on {tuple(batch.shape)} of {dtype} ({_first_line(error)}); give the colour and the "
            "patch size that it takes"
        ) from error
    reason = ""
    for free in _FREEDOMS:
        example = batch if 0 in free else batch[:1]
        try:
            with _quiet():
                program = torch.onnx.export(
                    module,
                    (example,),
                    dynamo=True,
                    dynamic_shapes=(dict(free),),
                    input_names=["input"],
                    output_names=["output"],
                    verbose=False,
                )
                assert program is not None
                weights = sum(each.nbytes for each in module.state_dict().values())
                program.save(str(graph), external_data=weights > _INLINE)
            return graph, _parity(module, graph, channels, side, np.dtype(str(dtype).partition(".")[2]))
        except InvalidModel as error:
            reason = str(error)
        except Exception as error:
            # The exporter fails in as many ways as networks can be written.
            reason = _first_line(error)
        for left in graph.parent.iterdir():
            left.unlink()
    raise InvalidModel(
        f"the network cannot be exported ({reason}); export it to ONNX in its own way and pack that file"
    )


def _parity(module: nn.Module, graph: Path, channels: int, side: int, dtype: np.dtype[Any]) -> dict[str, Any]:
    """Compare a graph with its network on patches of every size and batch that it takes.

    Raises
    ------
    InvalidModel
        If they differ.
    """
    taken = open_network(graph)
    sides = (
        [side] if taken.side else sorted({side, *(each for each in _FURTHER if _runs(module, channels, each, dtype))})
    )
    batches = [taken.batch] if taken.batch else [1, 2]
    worst, largest = 0.0, 1.0
    for each in sides:
        probes: list[Inputs] = [(_probe(batch, channels, each).astype(dtype),) for batch in batches]
        with torch.no_grad():
            largest = max(largest, *(float(module(torch.from_numpy(probe)).abs().max()) for (probe,) in probes))
        try:
            worst = max(worst, measure(module, graph, [taken.taken], [taken.given], probes))
        except Exception as error:
            raise InvalidModel(f"its graph fails on patches of {each} pixels: {_first_line(error)}") from error
    if not worst <= _TOLERANCE[taken.precision] * largest:
        raise InvalidModel(f"its graph differs by {worst:.1e}")
    return {"max_abs": worst, "batches": batches, "sizes": sides}


def _runs(module: nn.Module, channels: int, side: int, dtype: np.dtype[Any]) -> bool:
    """Tell whether the network itself takes patches of a size."""
    try:
        with torch.no_grad():
            module(torch.from_numpy(_probe(1, channels, side).astype(dtype)))
    except Exception:
        return False
    return True


def _probe(batch: int, channels: int, side: int) -> np.ndarray:
    """Return different patches of a photograph, ``(batch, channels, side, side)`` in [0, 1]."""
    photograph = sample(channels, side + 8 * batch)
    return np.stack(
        [photograph[:, 8 * each : 8 * each + side, 8 * each : 8 * each + side] for each in range(batch)]
    ).astype(np.float32)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter from telling of what it tries."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
