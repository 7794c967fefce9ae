"""Reference of `kernels.correlation`, which documents the functions."""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array


def correlate(maps: Array, side: int) -> Array:
    """Sum the products of all pairs at each lag."""
    first, second = np.triu_indices(maps.shape[1])
    return _all_pairs(maps, side)[:, first, second].astype(np.float32)


def correlate_mixed(maps: Array, weights: Array, side: int) -> Array:
    """Weight the correlations of all ordered pairs, and sum them."""
    return np.einsum("cij,nijst->ncst", weights.astype(np.float64), _all_pairs(maps, side)).astype(np.float32)


def _all_pairs(maps: Array, side: int) -> Array:
    """Return ``C_ij`` of all ordered pairs, float64 ``(N, F, F, side, side)``."""
    count, features, height, width = maps.shape
    reach = side // 2
    correlations = np.zeros((count, features, features, side, side))
    maps = maps.astype(np.float64)
    for s in range(-min(reach, height - 1), min(reach, height - 1) + 1):
        for t in range(-min(reach, width - 1), min(reach, width - 1) + 1):
            # The pixels (y - s, x - t) and (y, x) where both lie within the maps.
            first = maps[:, :, max(-s, 0) : height - max(s, 0), max(-t, 0) : width - max(t, 0)]
            second = maps[:, :, max(s, 0) : height - max(-s, 0), max(t, 0) : width - max(-t, 0)]
            correlations[:, :, :, reach + s, reach + t] = np.einsum("niyx,njyx->nij", first, second)
    return correlations
