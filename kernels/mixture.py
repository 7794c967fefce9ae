"""Denoising of patches under a Gaussian mixture, the patch step of EPLL (Zoran and Weiss 2011).

`cut_patches` takes them out of a periodic image, on a grid, and `average_patches` makes an image of them again.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kernels._dispatch import check_array, check_integer, check_size, implementation
from kernels.arrays import Array, is_cuda

ROW_UNIT = 4
"""The directions of each component are padded with rows of zeros to a multiple of this."""


class Tables(NamedTuple):
    """A zero-mean Gaussian mixture over patches of D pixels, prepared for one noise level.

    Up to a constant that all components share, the log density of a noisy patch `x` of mean zero under component `k` is
    ``constants[k] - tails[k] |x|^2 + |directions_k x|^2``, where ``directions_k`` are the rows ``starts[k]`` to
    ``starts[k + 1] - 1`` of `directions`. `starts` is always a NumPy array; the others may lie on
    the GPU of the patches, so that the tables of many noise levels need not be uploaded.

    Attributes
    ----------
    directions
        float32 ``(R, D)``: scaled eigenvectors of the covariances.
    starts
        int64 ``(K + 1,)``: from 0 to R in steps that are positive multiples of `ROW_UNIT`.
    constants
        float32 ``(K,)``: logarithm of the weight over the normalisation of the density.
    tails
        float32 ``(K,)``: half the inverse of the variance in the directions that are left out.
    filters
        float32 ``(K, D, D)``, symmetric: the Wiener filters, which map a noisy patch to the expected one.
    """

    directions: Array
    starts: NDArray[np.int64]
    constants: Array
    tails: Array
    filters: Array


def restore_patches(patches: Array, tables: Tables) -> Array:
    """Restore noisy patches, each by the Wiener filter of the component under which it is most likely.

    The mean of each patch is subtracted first and added again (Zoran and Weiss 2011, section 3.2)::

        k = argmax_k log p(x - mean(x) | k),    restored = filters[k] (x - mean(x)) + mean(x)

    Parameters
    ----------
    patches
        float32 ``(N, D)``, one patch per row, C-contiguous, NumPy or CuPy.
    tables
        The mixture, for the noise level of the patches.

    Returns
    -------
    restored
        float32 ``(N, D)``, on the device of `patches`.

    Raises
    ------
    TypeError
        If an array has another dtype, or `tables` is not a `Tables` of NumPy arrays, or of arrays beside `patches`.
    ValueError
        If a shape does not fit, an array is not contiguous, or `starts` does not divide up the rows of `directions`.
    """
    check_array("patches", patches, (None, None))
    _check_tables(tables, patches)
    return implementation("mixture", patches).restore_patches(patches, tables)


def cut_patches(image: Array, side: int, stride: int, origin: tuple[int, int]) -> Array:
    """Cut square patches out of a periodic image, on a grid that covers every pixel.

    Along an axis of n pixels there are ``ceil(n / stride)`` patches, which begin at ``origin + stride * i``, modulo n.

    Parameters
    ----------
    image
        float32 ``(H, W)``, C-contiguous, NumPy or CuPy; H and W are at least ``side + stride - 1``.
    side
        Side of a patch in pixels, at least 1.
    stride
        Distance of two patches in pixels, from 1 to `side`.
    origin
        Row and column of the first patch, each from 0 to ``stride - 1``.

    Returns
    -------
    patches
        float32 ``(N, side * side)``, one patch per row, the grid row by row.

    Raises
    ------
    TypeError
        If `image` is not a float32 array, or another argument is not an integer.
    ValueError
        If `image` is not 2-D and contiguous or too small, or a number is out of range.
    """
    check_array("image", image, (None, None))
    side, stride, origin = _check_grid(image.shape, side, stride, origin)
    return implementation("mixture", image).cut_patches(image, side, stride, origin)


def average_patches(patches: Array, shape: tuple[int, int], stride: int, origin: tuple[int, int]) -> Array:
    """Make a periodic image of patches, the mean of all that cover a pixel.

    Parameters
    ----------
    patches
        float32 ``(N, side * side)``, C-contiguous, NumPy or CuPy, as `cut_patches` gives them.
    shape
        Height and width of the image.
    stride, origin
        As for `cut_patches`.

    Returns
    -------
    image
        float32 ``(H, W)``, on the device of `patches`.

    Raises
    ------
    TypeError
        If `patches` is not a float32 array, or another argument is not an integer.
    ValueError
        If `patches` does not fit the grid or is not contiguous, or a number is out of range.
    """
    check_array("patches", patches, (None, None))
    side, stride, origin = _check_grid(shape, math.isqrt(patches.shape[1]), stride, origin)
    height, width = shape
    check_array("patches", patches, (-(-height // stride) * -(-width // stride), side**2))
    return implementation("mixture", patches).average_patches(patches, (height, width), stride, origin)


def _check_grid(
    shape: tuple[int, ...], side: int, stride: int, origin: tuple[int, int]
) -> tuple[int, int, tuple[int, int]]:
    side, stride = check_size("side", side), check_size("stride", stride)
    row, col = (check_integer("origin", number) for number in origin)
    if stride > side:
        raise ValueError(f"stride {stride} exceeds the side of a patch, {side}: some pixels would be in none")
    if not (0 <= row < stride and 0 <= col < stride):
        raise ValueError(f"origin must be from 0 to {stride - 1}, got {(row, col)}")
    if min(shape) < side + stride - 1:
        raise ValueError(f"an image of {tuple(shape)} is too small: its sides must be at least {side + stride - 1}")
    return side, stride, (row, col)


def _check_tables(tables: Tables, patches: Array) -> None:
    pixels = patches.shape[1]
    if not isinstance(tables, Tables):
        raise TypeError(f"tables must be Tables, got {type(tables).__name__}")
    for name, table in zip(Tables._fields, tables, strict=True):
        beside = name != "starts" and is_cuda(table) and is_cuda(patches)
        if not (beside or isinstance(table, np.ndarray)):
            raise TypeError(f"tables.{name} must be a numpy array, got {type(table).__name__}")
    count = len(tables.constants)
    check_array("tables.directions", tables.directions, (None, pixels))
    check_array("tables.starts", tables.starts, (count + 1,), np.int64)
    check_array("tables.constants", tables.constants, (count,))
    check_array("tables.tails", tables.tails, (count,))
    check_array("tables.filters", tables.filters, (count, pixels, pixels))
    if count == 0:
        raise ValueError("tables hold no component: give at least one")
    steps = np.diff(tables.starts)
    if (
        tables.starts[0] != 0
        or tables.starts[-1] != len(tables.directions)
        or (steps <= 0).any()
        or (steps % ROW_UNIT).any()
    ):
        raise ValueError(
            f"tables.starts must go from 0 to the {len(tables.directions)} rows of directions in positive multiples "
            f"of {ROW_UNIT}"
        )
