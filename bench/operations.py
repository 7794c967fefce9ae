"""The array kernels as benchmarks see them: how to call them, what they move and compute per patch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np

from bench.timing import Work
from kernels.arrays import Array
from kernels.patches import PatchGrid

FACES = ("reference", "cpu", "cuda")


@dataclass(frozen=True)
class Geometry:
    """Sizes of a patch model in pixels; the published method's by default."""

    patch: int = 65
    core: int = 33
    stride: int = 8


@dataclass(frozen=True)
class Operation:
    """One kernel.

    Attributes
    ----------
    family, name
        Function ``kernels.<family>.<name>``.
    bytes
        Bytes per patch that have to move: every input read once, every output written once.
    flops
        Floating-point operations per patch, the same for every face: those of its CPU and CUDA algorithm.
    prepare
        ``prepare(function, xp, geometry, batch)`` returns the call to time.
    alternatives
        Other ways in which the CUDA face could do it, kept until a GPU has shown which is quickest: names of
        functions of ``kernels.cuda.<family>``, by the face they are reported as.
    """

    family: str
    name: str
    bytes: Callable[[Geometry], int]
    flops: Callable[[Geometry], int]
    prepare: Callable[[Callable[..., Array], Any, Geometry, int], Work]
    alternatives: Mapping[str, str] = field(default_factory=dict)

    def faces(self, gpu: bool) -> list[str]:
        """Return the names of what can be timed, with or without a GPU."""
        return [*FACES, *self.alternatives] if gpu else list(FACES[:2])

    def work(self, face: str, geometry: Geometry, batch: int) -> Work:
        """Return a call of one face on `batch` patches: on NumPy arrays, or on CuPy arrays for CUDA.

        The CPU and CUDA faces are called through the public one, as the runtime calls them.
        """
        if face == "reference":
            package, name = "kernels.reference", self.name
        elif face in self.alternatives:
            package, name = "kernels.cuda", self.alternatives[face]
        else:
            package, name = "kernels", self.name
        xp = import_module("cupy" if face.startswith("cuda") else "numpy")
        return self.prepare(getattr(import_module(f"{package}.{self.family}"), name), xp, geometry, batch)


def grid_for(geometry: Geometry, batch: int) -> PatchGrid:
    """Return the grid of the smallest square image with `batch` patches or more."""
    side = geometry.core + math.isqrt(batch - 1) * geometry.stride
    return PatchGrid(side, side, geometry.patch, geometry.core, geometry.stride)


def _prepare_extract(function: Callable[..., Array], xp: Any, geometry: Geometry, batch: int) -> Work:
    grid = grid_for(geometry, batch)
    image = _random(xp, grid.height, grid.width)
    out = xp.empty((batch, geometry.patch, geometry.patch), xp.float32)
    return lambda: function(image, grid, 0, batch, out)


def _prepare_overlap_add(function: Callable[..., Array], xp: Any, geometry: Geometry, batch: int) -> Work:
    grid = grid_for(geometry, batch)
    cores = _random(xp, batch, geometry.core, geometry.core)
    out = xp.zeros((grid.height, grid.width), xp.float32)
    return lambda: function(cores, grid, 0, out)


def _prepare_filter(function: Callable[..., Array], xp: Any, geometry: Geometry, batch: int) -> Work:
    size, core = geometry.patch, geometry.core
    patches, filters = _random(xp, batch, size, size), _random(xp, batch, 2, size, size // 2 + 1)
    out = xp.empty((batch, core, core), xp.float32)
    return lambda: function(patches, filters, core, out)


def _filter_flops(geometry: Geometry) -> int:
    """Count products of a patch folded into even and odd halves, there and back for the core, and with the filter."""
    size, core = geometry.patch, geometry.core
    even, core_even = size // 2 + 1, core // 2 + 1
    there = 4 * size * (even**2 + (size - even) ** 2)
    back = 2 * (size + core) * (core_even * even + (core - core_even) * (size - even))
    return there + back + 6 * size * even


def _random(xp: Any, *shape: int) -> Array:
    return xp.asarray(np.random.default_rng(1).random(shape, np.float32))


OPERATIONS = (
    Operation(
        "patches",
        "extract_patches",
        bytes=lambda g: 4 * (g.patch**2 + g.stride**2),
        flops=lambda g: 0,
        prepare=_prepare_extract,
    ),
    Operation(
        "patches",
        "overlap_add",
        bytes=lambda g: 4 * (g.core**2 + 2 * g.stride**2),
        flops=lambda g: 3 * g.core**2,
        prepare=_prepare_overlap_add,
    ),
    Operation(
        "fourier",
        "filter_patches",
        bytes=lambda g: 4 * (g.patch**2 + 2 * g.patch * (g.patch // 2 + 1) + g.core**2),
        flops=_filter_flops,
        prepare=_prepare_filter,
        alternatives={"cuda, cuBLAS": "_filter_by_matmul", "cuda, cuFFT": "_filter_by_fft"},
    ),
)
