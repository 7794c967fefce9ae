"""Denoising of patches under a Gaussian mixture, the patch step of EPLL (Zoran and Weiss 2011)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kernels._dispatch import check_array, implementation
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
