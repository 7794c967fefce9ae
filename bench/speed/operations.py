"""The array kernels to benchmark: how to call them, and their bytes and operations."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np

from bench.data.motions import turning_field
from bench.speed import correlations
from bench.speed.timing import Work
from kernels.arrays import Array
from kernels.burst import SMOOTHING
from kernels.fft import fft_module
from kernels.formulas.smoothing import gaussian_taps
from kernels.nonuniform import FilterBank
from kernels.patches import PatchGrid

FACES = ("reference", "cpu", "cuda")
CHANNELS = 3
FRAMES = 8
"""Largest number of frames of a burst of patches; see `_frames`."""
LONGEST = 21.0
"""Longest motion of the field of the non-uniform convolutions, in pixels."""
FLOPS_PER_LOAD = 8
"""Float32 operations in the time of one load from the first-level cache of a GPU: 256 and 32 per cycle (sm_90)."""


@dataclass(frozen=True)
class Geometry:
    """Sizes of a patch model in pixels, by default those of Chakrabarti 2016."""

    patch: int = 65
    core: int = 33
    stride: int = 8


Count = Callable[[Geometry, int], float]


@dataclass(frozen=True)
class Operation:
    """One array kernel.

    The size of a call is the number of patches or, for kernels on whole images, the side of a square one in pixels.

    Attributes
    ----------
    family, name
        Names in the report.
    unit
        Unit of all figures: ``"patch"``, or ``"frequency"`` or ``"pixel"`` of an image.
    faces
        The implementations to time, ``"module:function"`` by name. Names of those on a GPU start with ``cuda``. Beside
        the implementation that the runtime uses there can be alternatives.
    bytes
        Bytes per unit, by geometry and size: every input read once, every output written once.
    flops
        Floating-point operations per unit of the CPU algorithm, for every implementation.
    prepare
        ``prepare(function, xp, geometry, size)`` makes the arguments and returns the call to time.
    cuda_bytes, cuda_loads
        For CUDA kernels that move more than `bytes`: their bytes per unit, and their loads per unit from the
        first-level cache, as derived in their docstrings.
    """

    family: str
    name: str
    unit: str
    faces: Mapping[str, str]
    bytes: Count
    flops: Count
    prepare: Callable[[Callable[..., Any], Any, Geometry, int], Work]
    cuda_bytes: Count | None = None
    cuda_loads: Count | None = None

    def faces_on(self, gpu: bool) -> list[str]:
        """Return the names of the implementations that can be timed, with or without a GPU."""
        return [face for face in self.faces if gpu or not face.startswith("cuda")]

    def units(self, size: int) -> int:
        """Return the number of units of a call of this size."""
        return {"patch": size, "pixel": size**2, "frequency": size * (size // 2 + 1)}[self.unit]

    def work(self, face: str, geometry: Geometry, size: int) -> Work:
        """Return a call of one implementation, on NumPy arrays or, for CUDA, on CuPy arrays."""
        module, name = self.faces[face].split(":")
        xp = import_module("cupy" if face.startswith("cuda") else "numpy")
        return self.prepare(getattr(import_module(module), name), xp, geometry, size)


def grid_for(geometry: Geometry, batch: int) -> PatchGrid:
    """Return the grid of the smallest square image with `batch` patches or more."""
    side = geometry.core + math.isqrt(batch - 1) * geometry.stride
    return PatchGrid(side, side, geometry.patch, geometry.core, geometry.stride)


def _public(family: str, name: str) -> dict[str, str]:
    """Return the three implementations of a kernel; CPU and CUDA by the public function that dispatches to them."""
    public = f"kernels.{family}:{name}"
    return {"reference": f"kernels.reference.{family}:{name}", "cpu": public, "cuda": public}


def _prepare_extract(function: Callable[..., Any], xp: Any, geometry: Geometry, batch: int) -> Work:
    grid = grid_for(geometry, batch)
    image = _random(xp, grid.height, grid.width)
    out = xp.empty((batch, geometry.patch, geometry.patch), xp.float32)
    return lambda: function(image, grid, 0, batch, out)


def _prepare_overlap_add(function: Callable[..., Any], xp: Any, geometry: Geometry, batch: int) -> Work:
    grid = grid_for(geometry, batch)
    cores = _random(xp, batch, geometry.core, geometry.core)
    out = xp.zeros((grid.height, grid.width), xp.float32)
    return lambda: function(cores, grid, 0, out)


def _prepare_filter(function: Callable[..., Any], xp: Any, geometry: Geometry, batch: int) -> Work:
    size, core = geometry.patch, geometry.core
    patches, filters = _random(xp, batch, size, size), _random(xp, batch, 2, size, size // 2 + 1)
    out = xp.empty((batch, core, core), xp.float32)
    return lambda: function(patches, filters, core, out)


def _prepare_transforms(function: Callable[..., Any], xp: Any, geometry: Geometry, batch: int) -> Work:
    patches = _random(xp, batch, geometry.patch, geometry.patch)
    return lambda: function(patches)


def _prepare_plane(function: Callable[..., Any], xp: Any, geometry: Geometry, side: int) -> Work:
    plane = _random(xp, side, side)
    return lambda: function(plane)


def _prepare_shock(function: Callable[..., Any], xp: Any, geometry: Geometry, side: int) -> Work:
    return _prepare_plane(lambda plane: function(plane, 0.4, 4), xp, geometry, side)


def _prepare_magnitudes(function: Callable[..., Any], xp: Any, geometry: Geometry, side: int) -> Work:
    spectra, magnitudes = _spectra(xp, side), xp.empty((side, side // 2 + 1), xp.float32)
    return lambda: function(spectra, magnitudes)


def _prepare_accumulate(function: Callable[..., Any], xp: Any, geometry: Geometry, side: int) -> Work:
    from kernels.burst import POWER, BurstState

    spectra, shape = _spectra(xp, side), (side, side // 2 + 1)
    magnitudes = _random(xp, *shape)
    # From the second call on, the magnitudes equal the running maximum in the state and do not exceed it.
    zeros = [xp.zeros(shape, kind) for kind in (np.float32, np.float32, np.int32)]
    state = BurstState(xp.zeros_like(spectra), *zeros)

    def work() -> Array:
        function(spectra, magnitudes, 0, POWER, state)
        return state.sums.real

    return work


def _prepare_fuse(function: Callable[..., Any], xp: Any, geometry: Geometry, batch: int) -> Work:
    patches, out = _bursts(xp, geometry, batch)
    return lambda: function(patches, out=out)


def _prepare_fuse_weighted(function: Callable[..., Any], xp: Any, geometry: Geometry, batch: int) -> Work:
    patches, out = _bursts(xp, geometry, batch)
    weights = _random(xp, *patches.shape[:3], geometry.patch // 2 + 1)
    return lambda: function(patches, weights, out=out)


def _prepare_convolve(function: Callable[..., Any], xp: Any, geometry: Geometry, side: int) -> Work:
    return _convolution(function, xp, side, 0)


def _prepare_invert(function: Callable[..., Any], xp: Any, geometry: Geometry, side: int) -> Work:
    return _convolution(function, xp, side, 1)


def _convolution(function: Callable[..., Any], xp: Any, side: int, which: int) -> Work:
    *banks, indices, weights = _motion(side)
    image, indices, weights = _random(xp, CHANNELS, side, side), xp.asarray(indices), xp.asarray(weights)
    out = xp.empty_like(image)
    return lambda: function(image, banks[which], indices, weights, out)


@lru_cache(maxsize=4)
def _motion(side: int) -> tuple[FilterBank, FilterBank, Array, Array]:
    """Return motion kernels, their inverse filters, and indices and weights of those that each pixel blends."""
    from runtime.blur.motion import blend, load_bank

    indices, weights = blend(turning_field((side, side), LONGEST, np.random.default_rng(3)))
    used, places = np.unique(indices, return_inverse=True)
    return *load_bank().select(used), places.reshape(indices.shape).astype(np.int32), weights


def _taps(side: int, which: int) -> float:
    """Return the mean number of taps of all filters that a pixel blends."""
    *banks, indices, _ = _motion(side)
    return float(np.diff(banks[which].starts)[indices].sum(axis=2).mean())


def _convolve_flops(side: int, which: int) -> float:
    """Count a multiplication and an addition per tap and per blended filter, for each plane."""
    return CHANNELS * 2 * (_taps(side, which) + _blended(side))


def _convolve_loads(side: int, which: int) -> float:
    """Count a load per tap and one for the pixel of each plane, and four per blended filter."""
    return (1 + CHANNELS) * _taps(side, which) + 4 * _blended(side)


def _adjoint_loads(side: int) -> float:
    """Count the loads for each position: index, weight and tap of each of its filters, and the pixel of each plane."""
    down, right = _motion(side)[0].reach
    return (2 * down + 1) * (2 * right + 1) * (CHANNELS + 3 * _blended(side))


def _blended(side: int) -> int:
    return int(_motion(side)[2].shape[2])


def _convolve_bytes(geometry: Geometry, side: int) -> float:
    return 8 * CHANNELS + 8 * _blended(side)


def _filter_flops(geometry: Geometry, batch: int) -> int:
    """Count matrix products of even and odd halves for the transform and its inverse, and the filter's product."""
    size, even = geometry.patch, geometry.patch // 2 + 1
    return _product_flops(size, size) + _product_flops(size, geometry.core) + 6 * size * even


def _product_flops(size: int, core: int) -> int:
    """Count the matrix products that transform a patch, or those that transform its core back."""
    even, core_even = size // 2 + 1, core // 2 + 1
    return 2 * (size + core) * (core_even * even + (core - core_even) * (size - even))


def _transform_flops(geometry: Geometry) -> float:
    """Count a real transform of a patch as ``5/2 n log2 n``."""
    return 2.5 * geometry.patch**2 * math.log2(geometry.patch**2)


def _fuse_flops(geometry: Geometry, batch: int, magnitudes: int) -> float:
    """Count per frame the products that transform it, its share of those back, the Gaussian, and 10 for the sum."""
    size, half = geometry.patch, geometry.patch // 2 + 1
    smooth = 2 * (3 * len(gaussian_taps(size, SMOOTHING * size)) - 2)
    return (1 + 1 / _frames(batch)) * _product_flops(size, size) + (smooth + 10 + magnitudes) * size * half


def _frames(batch: int) -> int:
    """Return the frames per burst of `batch` patches in all, at most `FRAMES`, by which `batch` is divisible."""
    return math.gcd(batch, FRAMES)


def _fuse_bytes(geometry: Geometry, batch: int, passes: int) -> float:
    """Count `passes` bytes per frequency and frame, and the bytes of the transforms."""
    size, half = geometry.patch, geometry.patch // 2 + 1
    return passes * size * half + (1 + 1 / _frames(batch)) * (4 * size**2 + 8 * size * half)


def _bursts(xp: Any, geometry: Geometry, batch: int) -> tuple[Array, Array]:
    """Return bursts of `batch` patches in all, and an output array for their fusion."""
    frames, size = _frames(batch), geometry.patch
    return _random(xp, batch // frames, frames, size, size), xp.empty((batch // frames, size, size), xp.float32)


def _spectra(xp: Any, side: int) -> Array:
    return fft_module(xp.empty(0)).rfft2(_random(xp, CHANNELS, side, side))


def _random(xp: Any, *shape: int) -> Array:
    return xp.asarray(np.random.default_rng(1).random(shape, np.float32))


OPERATIONS = (
    Operation(
        "patches", "extract_patches", "patch", _public("patches", "extract_patches"),
        bytes=lambda g, n: 4 * (g.patch**2 + g.stride**2),
        flops=lambda g, n: 0,
        prepare=_prepare_extract,
    ),
    Operation(
        "patches", "overlap_add", "patch", _public("patches", "overlap_add"),
        bytes=lambda g, n: 4 * (g.core**2 + 2 * g.stride**2),
        flops=lambda g, n: 3 * g.core**2,
        prepare=_prepare_overlap_add,
    ),
    Operation(
        "patch_filters", "filter_patches", "patch",
        {**_public("patch_filters", "filter_patches"), "cuda, cuBLAS": "kernels.cuda.patch_filters:_filter_by_matmul",
         "cuda, cuFFT": "kernels.cuda.patch_filters:_filter_by_fft"},
        bytes=lambda g, n: 4 * (g.patch**2 + 2 * g.patch * (g.patch // 2 + 1) + g.core**2),
        flops=_filter_flops,
        prepare=_prepare_filter,
    ),
    Operation(
        "patch_filters", "rfft2 and irfft2 alone", "patch",
        dict.fromkeys(("cpu", "cuda"), "bench.speed.transforms:transform_there_and_back"),
        bytes=lambda g, n: 8 * g.patch**2,
        flops=lambda g, n: 2 * _transform_flops(g),
        prepare=_prepare_transforms,
    ),
    Operation(
        "transforms", "rfft2 and irfft2 of a plane", "pixel",
        {"reference": "bench.speed.transforms:plane_there_and_back_in_double",
         "cpu": "bench.speed.transforms:plane_there_and_back",
         "cpu, SciPy": "bench.speed.transforms:transform_there_and_back",
         "cuda": "bench.speed.transforms:plane_there_and_back"},
        bytes=lambda g, n: 8,
        flops=lambda g, n: 5 * math.log2(n**2),
        prepare=_prepare_plane,
    ),
    Operation(
        "edges", "forward_differences", "pixel", _public("edges", "forward_differences"),
        bytes=lambda g, n: 12,
        flops=lambda g, n: 2,
        prepare=_prepare_plane,
    ),
    Operation(
        "edges", "shock_filter, 4 iterations", "pixel", _public("edges", "shock_filter"),
        bytes=lambda g, n: 8,
        flops=lambda g, n: 4 * 32,
        prepare=_prepare_shock,
        cuda_bytes=lambda g, n: 10,
    ),
    Operation(
        "burst", "mean_magnitudes", "frequency", _public("burst", "mean_magnitudes"),
        bytes=lambda g, n: 8 * CHANNELS + 4,
        flops=lambda g, n: 5 * CHANNELS + 1,
        prepare=_prepare_magnitudes,
    ),
    Operation(
        "burst", "accumulate", "frequency", _public("burst", "accumulate"),
        bytes=lambda g, n: 24 * CHANNELS + 16,
        flops=lambda g, n: 6 * CHANNELS + 4,
        prepare=_prepare_accumulate,
    ),
    Operation(
        "burst", "fuse_patches", "patch", _public("burst", "fuse_patches"),
        bytes=lambda g, n: 4 * g.patch**2 * (1 + 1 / _frames(n)),
        flops=lambda g, n: _fuse_flops(g, n, magnitudes=5),
        prepare=_prepare_fuse,
        cuda_bytes=lambda g, n: _fuse_bytes(g, n, 24),
    ),
    Operation(
        "burst", "fuse_weighted", "patch", _public("burst", "fuse_weighted"),
        bytes=lambda g, n: 4 * (g.patch**2 * (1 + 1 / _frames(n)) + g.patch * (g.patch // 2 + 1)),
        flops=lambda g, n: _fuse_flops(g, n, magnitudes=0),
        prepare=_prepare_fuse_weighted,
        cuda_bytes=lambda g, n: _fuse_bytes(g, n, 20),
    ),
    Operation(
        "nonuniform", "nonuniform_convolve, motions", "pixel", _public("nonuniform", "nonuniform_convolve"),
        bytes=_convolve_bytes,
        flops=lambda g, n: _convolve_flops(n, 0),
        prepare=_prepare_convolve,
        cuda_loads=lambda g, n: _convolve_loads(n, 0),
    ),
    Operation(
        "nonuniform", "nonuniform_adjoint, motions", "pixel", _public("nonuniform", "nonuniform_adjoint"),
        bytes=_convolve_bytes,
        flops=lambda g, n: _convolve_flops(n, 0),
        prepare=_prepare_convolve,
        cuda_loads=lambda g, n: _adjoint_loads(n),
    ),
    Operation(
        "nonuniform", "nonuniform_convolve, inverses", "pixel",
        # Without the reference, which would pass over the image for each of some 80 000 taps.
        dict.fromkeys(("cpu", "cuda"), "kernels.nonuniform:nonuniform_convolve"),
        bytes=_convolve_bytes,
        flops=lambda g, n: _convolve_flops(n, 1),
        prepare=_prepare_invert,
        cuda_loads=lambda g, n: _convolve_loads(n, 1),
    ),
    Operation(
        "correlation", "correlate, 32 maps", "pixel",
        # Without the reference, which would pass over the maps for each of 7225 lags.
        {"cpu": "kernels.correlation:correlate", "cpu, NumPy": "bench.speed.correlations:correlate_whole_planes",
         "cuda": "kernels.correlation:correlate"},
        bytes=lambda g, n: correlations.PAIRS.bytes(n),
        flops=lambda g, n: correlations.PAIRS.flops(n),
        prepare=lambda function, xp, g, n: correlations.PAIRS.prepare(function, xp, n),
    ),
    Operation(
        "correlation", "correlate_mixed, 16 maps", "pixel",
        {**_public("correlation", "correlate_mixed"), "cpu, NumPy": "bench.speed.correlations:mix_whole_planes"},
        bytes=lambda g, n: correlations.MIXTURE.bytes(n),
        flops=lambda g, n: correlations.MIXTURE.flops(n),
        prepare=lambda function, xp, g, n: correlations.MIXTURE.prepare(function, xp, n),
    ),
)  # fmt: skip
FAMILIES = tuple(dict.fromkeys(operation.family for operation in OPERATIONS))
