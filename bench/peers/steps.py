"""Extraction, filtering and overlap-add with given filters, in the runtime and in several array libraries."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.peers.patches import TorchPatches, hann, on_array, rows_per_batch
from bench.speed.timing import Work
from kernels.arrays import Array

if TYPE_CHECKING:
    from kernels.patches import PatchGrid

RUNTIME = "this runtime"


def kernel_steps(plane: Array, filters: Array, grid: PatchGrid) -> Array:
    """Extract, filter and overlap-add with the runtime's kernels."""
    from kernels.arrays import array_module
    from kernels.patch_filters import filter_patches
    from kernels.patches import extract_patches, overlap_add

    out = array_module(plane).zeros_like(plane)
    step = rows_per_batch(grid, len(filters)) * grid.cols
    for start in range(0, len(grid), step):
        patches = extract_patches(plane, grid, start, min(start + step, len(grid)))
        overlap_add(filter_patches(patches, filters[: len(patches)], grid.core), grid, start, out)
    return out


def array_steps(
    plane: Array,
    spectra: Array,
    grid: PatchGrid,
    *,
    xp: Any,
    fft: Any,
    windows: Callable[..., Array],
    add: Callable[[Array, Array, PatchGrid, int], None],
) -> Array:
    """Extract, filter and overlap-add with the functions of an array library.

    Parameters
    ----------
    plane, spectra, grid
        The photograph, complex64 filters ``(batch, P, P // 2 + 1)``, and the positions of the patches.
    xp, fft
        The library, and its module of Fourier transforms.
    windows
        ``windows(canvas, (P, P))`` returns the windows at all positions as a view ``(H - P + 1, W - P + 1, P, P)``.
    add
        ``add(canvas, cores, grid, first)`` adds the cores, starting with grid row `first`, to the canvas.
    """
    rows, cols = xp.asarray(grid.source_rows()), xp.asarray(grid.source_cols())
    views = windows(plane[rows][:, cols], (grid.patch, grid.patch))[:: grid.stride, :: grid.stride]
    window = xp.asarray(hann(grid.core))
    shape = [grid.core + (count - 1) * grid.stride for count in (grid.rows, grid.cols)]
    canvas = xp.zeros(shape, np.float32)
    kept = slice(grid.margin, grid.margin + grid.core)
    step = rows_per_batch(grid, len(spectra))
    for first in range(0, grid.rows, step):
        patches = views[first : first + step].reshape(-1, grid.patch, grid.patch)
        products = fft.rfft2(patches) * spectra[: len(patches)]
        add(canvas, fft.irfft2(products, s=(grid.patch, grid.patch))[:, kept, kept] * window, grid, first)
    # The window is separable, so its sum over the grid is an outer product.
    canvas /= xp.asarray(np.outer(*(_window_sums(grid, count) for count in (grid.rows, grid.cols))), np.float32)
    return canvas[-grid.top :, -grid.left :][: grid.height, : grid.width]


def step_makers(plane: Array, filters: Array, grid: PatchGrid, gpu: bool) -> dict[str, Callable[[], Work]]:
    """Return by library a function that prepares its work; it raises ImportError if the library is missing.

    Parameters
    ----------
    plane
        float32 ``(H, W)``, NumPy, or CuPy on a GPU.
    filters
        float32 ``(batch, 2, P, P // 2 + 1)``, half spectra of real filters, on the device of `plane`; used for every
        batch.
    grid
        Positions of the patches.
    gpu
        Whether to work on the current GPU.
    """
    makers: dict[str, Callable[..., Work]] = {RUNTIME: partial(partial, kernel_steps), "PyTorch": _torch_steps}
    if gpu:
        makers |= {"CuPy": _cupy_steps, "cuCIM": _cucim_steps}
    else:
        makers |= {"NumPy": _numpy_steps, "SciPy": _scipy_steps}
    return {name: partial(make, plane, filters, grid) for name, make in makers.items()}


def _torch_steps(plane: Array, filters: Array, grid: PatchGrid) -> Work:
    import torch

    from export.chakrabarti.network import apply_filters

    theirs = torch.from_dlpack(filters)
    patches = TorchPatches(
        lambda batch: apply_filters(batch, theirs[: len(batch)]), grid, len(filters), str(theirs.device)
    )
    return partial(on_array, patches, plane)


def _numpy_steps(plane: Array, filters: Array, grid: PatchGrid) -> partial[Array]:
    windows = np.lib.stride_tricks.sliding_window_view
    return partial(array_steps, plane, _complex(filters), grid, xp=np, fft=np.fft, windows=windows, add=_add_one_by_one)


def _scipy_steps(plane: Array, filters: Array, grid: PatchGrid) -> Work:
    import scipy.fft

    from kernels.cpu.threads import core_count

    steps = partial(_numpy_steps(plane, filters, grid), fft=scipy.fft)

    def work() -> Array:
        with scipy.fft.set_workers(core_count()):
            return steps()

    return work


def _cupy_steps(plane: Array, filters: Array, grid: PatchGrid) -> partial[Array]:
    import cupy
    import cupyx.scipy.fft

    windows, fft = cupy.lib.stride_tricks.sliding_window_view, cupyx.scipy.fft
    return partial(array_steps, plane, _complex(filters), grid, xp=cupy, fft=fft, windows=windows, add=_scatter)


def _cucim_steps(plane: Array, filters: Array, grid: PatchGrid) -> Work:
    from cucim.skimage.util import view_as_windows

    return partial(_cupy_steps(plane, filters, grid), windows=view_as_windows)


def _complex(filters: Array) -> Array:
    return filters[:, 0] + np.complex64(1j) * filters[:, 1]


def _add_one_by_one(canvas: Array, cores: Array, grid: PatchGrid, first: int) -> None:
    for number, core in enumerate(cores):
        y, x = (first + number // grid.cols) * grid.stride, number % grid.cols * grid.stride
        canvas[y : y + grid.core, x : x + grid.core] += core


def _scatter(canvas: Array, cores: Array, grid: PatchGrid, first: int) -> None:
    """Add all cores in one CUDA kernel, by atomic additions."""
    import cupy
    import cupyx

    numbers, within = cupy.arange(len(cores))[:, None, None], cupy.arange(grid.core)
    rows = (first + numbers // grid.cols) * grid.stride + within[:, None]
    cupyx.scatter_add(canvas, (rows, numbers % grid.cols * grid.stride + within), cores)


def _window_sums(grid: PatchGrid, count: int) -> Array:
    axis = np.sin(np.pi * (np.arange(grid.core) + 0.5) / grid.core) ** 2
    sums = np.zeros(grid.core + (count - 1) * grid.stride)
    for number in range(count):
        sums[number * grid.stride : number * grid.stride + grid.core] += axis
    return sums
