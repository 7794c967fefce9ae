"""From an ONNX network from patches to patches to a bundle of the method ``patches``."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from runtime.arguments import check_array, check_choice, check_path, check_whole, shown
from runtime.errors import ImageFileError, InvalidArgument
from runtime.inference.bundle import MANIFEST, Bundle, PatchGeometry, load_model, replacing, write_bundle
from runtime.inference.manifest import LARGEST_PATCH
from runtime.inference.planes import CHANNELS, RESIDUALS, PixelAssumptions
from runtime.inference.progress import Progress, reporting
from runtime.packing.network import Network, open_network
from runtime.packing.reach import Probe, Seams, find_margin, measure_field, measure_seams
from runtime.packing.trials import Sizes, choose_colour, find_sizes, takes_batches

METHOD = "patches"
"""The method of the bundles that are written."""
DEFAULT_PATCH = 256
"""Side of a patch in pixels, about, of a network that takes any."""
_STEP = 8
"""Patches lie multiples of this apart at least: many networks reduce planes threefold, and fill up other sizes."""
_SMALL = 64
"""Side of a patch below which they need not."""


@dataclass(frozen=True)
class Packing:
    """What is known of a network, and what is wanted; ``None`` stands for what the network shows.

    Attributes
    ----------
    patch, core, stride
        Side of a patch, of the part of it that is used, and distance between patches, in pixels.
    colour
        ``"rgb"``, ``"bgr"``, ``"grey"`` or ``"y"``; see `runtime.inference.planes.PixelAssumptions`.
    range
        The values of black and white.
    mean, std
        What is subtracted from such values, and then divided by; one number, or one for each channel in a sequence.
    residual
        ``"none"``; ``"add"`` or ``"subtract"``, if the network gives a difference.
    name, version, description, licence
        For the manifest; the name is by default that of the folder.

    Raises
    ------
    InvalidArgument, UnsupportedType
        If a value cannot be used.
    """

    patch: int | None = None
    core: int | None = None
    stride: int | None = None
    colour: str | None = None
    range: tuple[float, float] = (0, 1)
    mean: tuple[float, ...] = (0,)
    std: tuple[float, ...] = (1,)
    residual: str = "none"
    name: str | None = None
    version: str = "1"
    description: str = ""
    licence: str = ""

    def __post_init__(self) -> None:
        for name in ("patch", "core", "stride"):
            object.__setattr__(self, name, check_whole(name, getattr(self, name), least=1))
        if self.patch is not None and self.patch > LARGEST_PATCH:
            raise InvalidArgument(f"patch {self.patch}: give {LARGEST_PATCH} pixels or fewer")
        if self.colour is not None:
            check_choice("colour", self.colour, tuple(CHANNELS))
        check_choice("residual", self.residual, tuple(RESIDUALS))
        for name in ("range", "mean", "std"):
            numbers = check_array(name, getattr(self, name))
            if numbers.ndim > 1:
                raise InvalidArgument(f"{name} of shape {numbers.shape}: give one number, or a list")
            object.__setattr__(self, name, tuple(np.atleast_1d(numbers).astype(float).tolist()))

    def pixels(self, colour: str) -> PixelAssumptions:
        """Return what the network takes its input for, of a colour that has been chosen."""
        try:
            return PixelAssumptions(self.range, colour, self.mean, self.std, self.residual)
        except (TypeError, ValueError) as error:
            raise InvalidArgument(f"{error}; give the values that the network was trained with") from error


@dataclass(frozen=True)
class Packed:
    """A bundle that has been written, and what its network showed.

    Attributes
    ----------
    bundle
        The bundle.
    found
        What was found, by name: ``input``, ``output``, ``type``, ``colour``, ``range``, ``sizes`` (tried),
        ``multiple``, ``batch`` (``None``: any), ``field`` (receptive field in pixels, ``None``: the whole patch),
        ``margin``, ``patch``, ``core``, ``stride``, ``seam`` and ``mean_seam`` (differences from what they are measured
        ``against``, in [0, 1]), ``change`` (root mean square, of a photograph) and ``seconds`` (of a patch).
    """

    bundle: Bundle
    found: Mapping[str, Any] = field(default_factory=dict)


def pack_network(
    graph: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    packing: Packing | None = None,
    *,
    parity: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Packed:
    """Look at a network from patches to patches, try it on the CPU, and write it as a bundle.

    Parameters
    ----------
    graph
        An ONNX file with one input and one output, float32 or float16 ``(batch, channels, height, width)``, of 1 or 3
        channels, the output of the size of the input or less by an equal margin. Tensors may be stored in files beside
        it, which are packed too.
    folder
        The bundle to write, as a whole or not at all.
    packing
        What is known of the network, and what is wanted.
    parity
        The largest difference from the network that it was exported from, for the manifest, if it was measured.
    overwrite
        Whether a bundle that is there is replaced.
    progress
        Called as ``progress(stage, fraction)``.

    Returns
    -------
    Packed

    Raises
    ------
    InvalidModel
        If the network cannot be packed; the message says why and what to change.
    InvalidArgument
        If what is wanted does not fit the network.
    ImageFileError
        If the folder is there, or cannot be written.
    """
    source, target = Path(check_path("network", graph)), Path(check_path("folder", folder))
    packing = packing or Packing()
    _check_target(target, overwrite)
    with reporting(progress) as report:
        told = report or (lambda stage, fraction: None)
        told("load", 0.0)
        network = open_network(source)
        pixels = packing.pixels(choose_colour(network, packing.colour))
        told("sizes", 0.1)
        sizes = find_sizes(network, pixels.channels, packing.patch)
        size = _choose_size(network, sizes, packing.patch)
        told("batches", 0.3)
        batch = network.batch
        if batch is None and not takes_batches(network, sizes, size, pixels):
            batch = 1
        multiple = 1 if sizes.fixed else sizes.multiple
        step = multiple if size < _SMALL else math.lcm(multiple, _STEP)
        probe = Probe(network, sizes, pixels, batch, step)
        told("receptive field", 0.4)
        reach = measure_field(probe, size)
        margin = find_margin(probe, size)
        geometry = choose_geometry(packing, sizes, size, step, reach, margin)
        told("seams", 0.6)
        seams = measure_seams(probe, geometry)
        found = _found(network, sizes, pixels, batch, geometry, reach, seams)
        told("write", 0.9)
        bundle = _write(target, packing, probe, geometry, found, parity)
        told("write", 1.0)
    return Packed(bundle, found)


def choose_geometry(
    packing: Packing, sizes: Sizes, size: int, step: int, field: int | None, margin: int | None
) -> PatchGeometry:
    """Choose the core and the stride of patches.

    The margin is half as much again as the pixels within which the surroundings of a patch had an influence, unless
    that is more than the receptive field or a quarter of the patch. The cores overlap by about an eighth then, which
    blends what is left of it. If the influence goes further, as it does where a network looks at the whole patch, the
    margin is an eighth of the patch, and the cores overlap by about half.

    Parameters
    ----------
    packing
        What is wanted.
    sizes
        What the network takes.
    size
        Side of a patch.
    step
        Strides are multiples of this, if they can be.
    field
        As `runtime.packing.reach.measure_field` gives it.
    margin
        As `runtime.packing.reach.find_margin` gives it.

    Raises
    ------
    InvalidArgument
        If what is wanted does not fit.
    """
    largest = size - 2 * sizes.trim
    if margin is None:
        chosen = size // 8
    else:
        more = margin + margin // 2
        chosen = more if more <= size // 4 else margin
        chosen = chosen if field is None else min(chosen, max(field, margin))
    core = packing.core or max(size - 2 * max(chosen, sizes.trim), 1 + (size - 1) % 2)
    if core > largest or (size - core) % 2:
        raise InvalidArgument(
            f"core {core}: give {largest} pixels or fewer, and {'an even' if size % 2 == 0 else 'an odd'} number, for "
            f"patches of {size}"
        )
    enough = margin is not None and (size - core) // 2 >= margin
    wanted = core - core // 8 if enough else core // 2
    # Patches that do not lie alike under layers that skip pixels would have seams, however wide the margin.
    aligned = (wanted + step // 2) // step * step
    stride = packing.stride or (aligned if 0 < aligned < core else max(wanted // step * step, 0) or max(wanted, 1))
    if stride > core:
        raise InvalidArgument(f"stride {stride}: give {core} pixels or fewer, the side of the core")
    return PatchGeometry(size, core, stride)


def _choose_size(network: Network, sizes: Sizes, patch: int | None) -> int:
    """Return the side of a patch: what is wanted, what the network takes, or about the default."""
    if patch is not None:
        return patch
    if network.side is not None:
        if network.side > LARGEST_PATCH:
            raise InvalidArgument(
                f"{network.graph}: takes patches of {network.side} pixels: export it for {LARGEST_PATCH} or fewer"
            )
        return network.side
    return max(round(DEFAULT_PATCH / sizes.multiple), 1) * sizes.multiple


def _check_target(target: Path, overwrite: bool) -> None:
    if not os.path.lexists(target) or (target.is_dir() and not any(target.iterdir())):
        return
    if not (target / MANIFEST).is_file():
        raise ImageFileError(f"{target}: is there and is no bundle; name another folder")
    if not overwrite:
        raise ImageFileError(f"{target}: is there; name another folder, or have it replaced (--overwrite)")


def _found(
    network: Network,
    sizes: Sizes,
    pixels: PixelAssumptions,
    batch: int | None,
    geometry: PatchGeometry,
    reach: int | None,
    seams: Seams,
) -> dict[str, Any]:
    return {
        "input": network.taken,
        "output": network.given,
        "type": network.type,
        "colour": pixels.colour,
        "range": list(pixels.range),
        "sizes": sorted(set(sizes.tried)),
        "multiple": None if sizes.fixed else sizes.multiple,
        "batch": batch,
        "field": None if reach is None else 2 * reach + 1,
        "margin": (geometry.size - geometry.core) // 2,
        "patch": geometry.size,
        "core": geometry.core,
        "stride": geometry.stride,
        "seam": seams.largest,
        "mean_seam": seams.mean,
        "against": seams.against,
        "change": seams.change,
        "seconds": seams.seconds,
    }


def _write(
    target: Path,
    packing: Packing,
    probe: Probe,
    geometry: PatchGeometry,
    found: Mapping[str, Any],
    parity: Mapping[str, Any] | None,
) -> Bundle:
    """Write the bundle, and read it as everybody else does."""
    network = probe.network
    file = f"network.{network.precision}.onnx"
    if file in network.outside:
        file = f"graph.{network.precision}.onnx"
    part = network.part(geometry.size, probe.sizes.trim, probe.batch, probe.pixels.channels)
    manifest = {
        "name": packing.name or target.absolute().name,
        "version": packing.version,
        "method": METHOD,
        "description": packing.description,
        "licence": packing.licence,
        "parts": {
            "network": {
                "graphs": {network.precision: file},
                "opset": network.opset,
                "inputs": [asdict(spec) for spec in part.inputs],
                "outputs": [asdict(spec) for spec in part.outputs],
                "parity": {network.precision: dict(parity)} if parity else {},
            }
        },
        "patch": asdict(geometry),
        "assumes": asdict(probe.pixels),
        "accuracy": {"packing": {name: found[name] for name in ("field", "margin", "seam", "mean_seam", "against")}},
    }
    try:
        with replacing(target) as draft:
            shutil.copyfile(network.graph, draft / file)
            for name in network.outside:
                shutil.copyfile(network.graph.parent / name, draft / name)
            write_bundle(draft, manifest)
    except OSError as error:
        reason = error.strerror or shown(error)
        raise ImageFileError(f"{target}: cannot be written ({reason}): check the folder and the free space") from error
    return load_model(target.absolute())
