"""Shrinkage: the effect of a sparse prior on the gradients of an image, value by value.

Half-quadratic splitting and ADMM alternate between a quadratic problem in the image and, for each gradient `v`, the
problem ``min_z rho(z) + coupling / 2 (z - v)^2``. Its solution is given here for the hyper-Laplacian prior
``rho(z) = |z|^(2/3)`` (Krishnan and Fergus 2009, section 3.2), and as a table for any other prior.
"""

from __future__ import annotations

import numpy as np

from kernels._dispatch import check_array, check_positive, implementation
from kernels.arrays import Array


def shrink(values: Array, coupling: float) -> Array:
    """Solve ``min_z |z|^(2/3) + coupling / 2 (z - v)^2`` for each value `v` (Krishnan and Fergus 2009, Eq. 5).

    At a coupling of 1, small values become 0 and the others ``sign(v) r^3``, where `r` is the largest root of
    ``r^4 - |v| r + 2/3 = 0``. Other couplings only scale `v` and `z`.

    Parameters
    ----------
    values
        float32 of any shape, C-contiguous, NumPy or CuPy.
    coupling
        Weight of the quadratic term, positive.

    Returns
    -------
    shrunk
        float32 of the same shape.

    Raises
    ------
    TypeError
        If `values` is not a float32 array, or `coupling` is not a number.
    ValueError
        If `values` is not contiguous, or `coupling` is not positive and finite.
    """
    check_array("values", values, None)
    return implementation("shrinkage", values).shrink(values, check_positive("coupling", coupling))


def shrunk_divergence(image: Array, coupling: float) -> Array:
    """Compute ``D^T shrink(D x)``, where `D` takes the forward differences of a periodic image along both axes.

    Parameters
    ----------
    image
        float32 ``(H, W)`` of at least one pixel, C-contiguous, NumPy or CuPy: `x`.
    coupling
        Weight of the quadratic term of `shrink`, positive.

    Returns
    -------
    divergence
        float32 ``(H, W)``.

    Raises
    ------
    TypeError
        If `image` is not a float32 array, or `coupling` is not a number.
    ValueError
        If `image` is not 2-D and contiguous, or has no pixel, or `coupling` is not positive and finite.
    """
    check_array("image", image, (None, None))
    if image.size == 0:
        raise ValueError(f"image has shape {image.shape}: give at least one pixel")
    return implementation("shrinkage", image).shrunk_divergence(image, check_positive("coupling", coupling))


def shrink_by_table(values: Array, table: Array, reach: float, threshold: float) -> Array:
    """Compute ``threshold f(v / threshold)`` for each value `v`, with an odd function `f` given by a table.

    `f` is linear between the entries of the table, and beyond `reach` rises with slope 1.

    Parameters
    ----------
    values
        float32 of any shape, C-contiguous, NumPy or CuPy.
    table
        float32 ``(n,)`` with n of at least 2, always a NumPy array: `f` at n evenly spaced places from 0, where it
        is 0, to `reach`.
    reach
        Last place of the table, positive.
    threshold
        Scale of the values, positive.

    Returns
    -------
    shrunk
        float32 of the shape of `values`.

    Raises
    ------
    TypeError
        If an array is not float32, `table` is not a NumPy array, or a number is not one.
    ValueError
        If an array is not contiguous, `table` is not 1-D or too short, or a number is not positive and finite.
    """
    check_array("values", values, None)
    if not isinstance(table, np.ndarray):
        raise TypeError(f"table must be a numpy array, got {type(table).__name__}")
    check_array("table", table, (None,))
    if len(table) < 2:
        raise ValueError(f"table must have at least 2 entries, got {len(table)}")
    return implementation("shrinkage", values).shrink_by_table(
        values, table, check_positive("reach", reach), check_positive("threshold", threshold)
    )
