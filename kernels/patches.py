"""Overlapping patches: extraction from an image, and overlap-add of the restored cores.

The image is covered by square cores of `core` pixels, `stride` pixels apart; each is restored from the larger
patch around it, and overlapping cores are averaged under a Hann window (Chakrabarti 2016, section 3).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from kernels._dispatch import check_array, check_integer, check_output, check_size, implementation
from kernels.arrays import Array


@dataclass(frozen=True)
class PatchGrid:
    """Positions of all patches of an image, numbered row by row.

    The grid covers the image and extends beyond opposite borders by equal amounts, to a pixel.

    Parameters
    ----------
    height, width
        Size of the image in pixels, each at least 1.
    patch
        Side of a patch in pixels.
    core
        Side of the central square of a patch that is restored from it, in pixels, at most `patch`.
    stride
        Distance between neighbouring cores in pixels, from 1 to `core`.

    Raises
    ------
    TypeError
        If a parameter is not an integer.
    ValueError
        If a parameter is below 1, the core is larger than the patch, or the stride than the core.
    """

    height: int
    width: int
    patch: int
    core: int
    stride: int

    def __post_init__(self) -> None:
        for field in fields(self):
            object.__setattr__(self, field.name, check_size(field.name, getattr(self, field.name)))
        if self.core > self.patch:
            raise ValueError(f"core {self.core} exceeds patch {self.patch}: make the patch at least as large")
        if self.stride > self.core:
            raise ValueError(
                f"stride {self.stride} leaves gaps between cores of {self.core} pixels: "
                f"choose a stride from 1 to {self.core}"
            )

    def __len__(self) -> int:
        """Return the number of patches."""
        return self.rows * self.cols

    @property
    def rows(self) -> int:
        """Number of patches from top to bottom."""
        return _axis_count(self.height, self.core, self.stride)

    @property
    def cols(self) -> int:
        """Number of patches from left to right."""
        return _axis_count(self.width, self.core, self.stride)

    @property
    def margin(self) -> int:
        """Number of pixels of a patch above its core, and to the left of it."""
        return (self.patch - self.core) // 2

    @property
    def top(self) -> int:
        """First image row of the first core, 0 or negative."""
        return -((self.core + (self.rows - 1) * self.stride - self.height) // 2)

    @property
    def left(self) -> int:
        """First image column of the first core, 0 or negative."""
        return -((self.core + (self.cols - 1) * self.stride - self.width) // 2)

    def row_weights(self) -> npt.NDArray[np.float32]:
        """Weight of each pixel row of each row of cores: float32 ``(rows, core)``, read-only.

        The half-sample Hann window ``sin^2(pi (n + 1/2) / core)``, which is nowhere zero, divided by the sum of all
        windows of the grid at that pixel row.
        """
        return _axis_weights(self.rows, self.core, self.stride)

    def col_weights(self) -> npt.NDArray[np.float32]:
        """Weight of each pixel column of each column of cores, ``(cols, core)``; see `row_weights`."""
        return _axis_weights(self.cols, self.core, self.stride)

    def source_rows(self) -> npt.NDArray[np.int32]:
        """Image row that is read for each pixel row of the grid: int32 ``((rows - 1) * stride + patch,)``, read-only.

        Entry 0 is for the first row of the first patch, ``top - margin``. Beyond the border the image is mirrored about
        the edge of its last pixel (half-sample symmetric), repeatedly if necessary.
        """
        return _mirrored(self.top - self.margin, (self.rows - 1) * self.stride + self.patch, self.height)

    def source_cols(self) -> npt.NDArray[np.int32]:
        """Image column that is read for each pixel column of the grid; see `source_rows`."""
        return _mirrored(self.left - self.margin, (self.cols - 1) * self.stride + self.patch, self.width)


def extract_patches(image: Array, grid: PatchGrid, start: int, stop: int, out: Array | None = None) -> Array:
    """Copy the patches `start` to `stop - 1` of `grid` from an image.

    Beyond the border the image is mirrored about the edge of its last pixel (half-sample symmetric), repeatedly if
    necessary, so that even an image of one pixel works.

    Parameters
    ----------
    image
        float32 ``(H, W)`` of the grid's size, C-contiguous, NumPy or CuPy.
    grid
        Positions of the patches.
    start, stop
        Range of patch numbers, ``0 <= start <= stop <= len(grid)``.
    out
        float32 ``(stop - start, patch, patch)`` to write to, on the device of `image`; allocated if ``None``.

    Returns
    -------
    patches
        float32 ``(stop - start, patch, patch)``; `out` if it was given.

    Raises
    ------
    TypeError
        If an array is not float32, the arrays are not all NumPy or all CuPy, or another argument is of a wrong type.
    ValueError
        If a shape or the range does not fit the grid, or an array is not contiguous.
    """
    _check_grid(grid)
    start, stop = _check_range(grid, start, stop)
    check_array("image", image, (grid.height, grid.width))
    if out is not None:
        check_output("out", out, (stop - start, grid.patch, grid.patch))
    return implementation("patches", image, out).extract_patches(image, grid, start, stop, out)


def overlap_add(cores: Array, grid: PatchGrid, start: int, out: Array) -> Array:
    """Add the restored cores of the patches `start`, `start + 1`, ... to an image, each under its window.

    The weights, `PatchGrid.row_weights` times `PatchGrid.col_weights`, are normalised over the whole grid: once every
    patch has been added, in batches of any size, the weighted average has been added to `out`. Each output pixel adds
    the cores that cover it in the order of their numbers, so that the result does not depend on the number of threads.

    Parameters
    ----------
    cores
        float32 ``(N, core, core)``, C-contiguous, NumPy or CuPy.
    grid
        Positions of the patches.
    start
        Number of the first core, ``0 <= start <= len(grid) - N``.
    out
        float32 ``(H, W)`` of the grid's size, on the device of `cores`; changed in place.

    Returns
    -------
    out
        The same array.

    Raises
    ------
    TypeError
        If an array is not float32, the arrays are not all NumPy or all CuPy, or another argument is of a wrong type.
    ValueError
        If a shape or the range does not fit the grid, or an array is not contiguous.
    """
    _check_grid(grid)
    check_array("cores", cores, (None, grid.core, grid.core))
    check_output("out", out, (grid.height, grid.width))
    start, _ = _check_range(grid, start, start + cores.shape[0])
    return implementation("patches", cores, out).overlap_add(cores, grid, start, out)


def _check_grid(grid: PatchGrid) -> None:
    if not isinstance(grid, PatchGrid):
        raise TypeError(f"grid must be a PatchGrid, got {type(grid).__name__}")


def _check_range(grid: PatchGrid, start: int, stop: int) -> tuple[int, int]:
    start, stop = check_integer("start", start), check_integer("stop", stop)
    if not 0 <= start <= stop <= len(grid):
        raise ValueError(f"patches {start} to {stop} are not a range within the grid's 0 to {len(grid)}")
    return start, stop


def _axis_count(size: int, core: int, stride: int) -> int:
    return max(0, -((core - size) // stride)) + 1


@lru_cache(maxsize=64)
def _axis_weights(count: int, core: int, stride: int) -> npt.NDArray[np.float32]:
    window = np.sin(np.pi * (np.arange(core) + 0.5) / core) ** 2
    pixels = stride * np.arange(count)[:, None] + np.arange(core)
    total = np.bincount(pixels.ravel(), np.tile(window, count))
    weights: npt.NDArray[np.float32] = (window / total[pixels]).astype(np.float32)
    weights.flags.writeable = False
    return weights


@lru_cache(maxsize=64)
def _mirrored(first: int, count: int, size: int) -> npt.NDArray[np.int32]:
    position = np.arange(first, first + count) % (2 * size)
    indices = np.minimum(position, 2 * size - 1 - position).astype(np.int32)
    indices.flags.writeable = False
    return indices
