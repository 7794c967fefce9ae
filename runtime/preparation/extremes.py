"""The largest or smallest value around each pixel."""

from __future__ import annotations

from collections.abc import Callable

from kernels.arrays import Array, array_module


def extreme_along(
    plane: Array, direction: tuple[int, int], reach: int, choose: Callable[[Array, Array], Array]
) -> Array:
    """Return the largest or smallest value on the line of ``2 * reach + 1`` pixels around each pixel.

    Parameters
    ----------
    plane : (H, W) array
        Beyond its border the nearest value goes on.
    direction : tuple of int
        Rows and columns from a pixel of the line to the next, each 0 or 1, not both 0.
    reach : int
        Pixels of the line on each side, from 0.
    choose
        The element-wise maximum or minimum of two arrays.

    Returns
    -------
    (H, W) array
    """
    down, right = direction
    plane = array_module(plane).pad(plane, ((reach * down,) * 2, (reach * right,) * 2), mode="edge")
    for shift in _shifts(2 * reach + 1):
        height, width = plane.shape
        rows, cols = shift * down, shift * right
        plane = choose(plane[rows:, cols:], plane[: height - rows, : width - cols])
    return plane


def _shifts(length: int) -> list[int]:
    """Return shifts that extend a window of one pixel to `length`, doubling it while that is possible."""
    shifts, covered = [], 1
    while covered < length:
        shifts.append(min(covered, length - covered))
        covered += shifts[-1]
    return shifts
