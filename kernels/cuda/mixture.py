"""`kernels.mixture` for CuPy arrays, by whole-array operations; that module documents the function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernels.arrays import Array, array_module

if TYPE_CHECKING:
    from kernels.mixture import Tables


def restore_patches(patches: Array, tables: Tables) -> Array:
    """Go through the components twice: to find each patch's most likely one, and to filter the patches of each."""
    xp = array_module(patches)
    starts = tables.starts.tolist()
    directions, constants, tails, filters = (
        xp.asarray(table) for table in (tables.directions, tables.constants, tables.tails, tables.filters)
    )
    means = patches.mean(axis=1, keepdims=True)
    centred = patches - means
    energy = xp.square(centred).sum(axis=1)
    best = xp.full(len(patches), -xp.inf, dtype=xp.float32)
    choice = xp.zeros(len(patches), dtype=xp.int64)
    for k in range(len(starts) - 1):
        score = xp.square(centred @ directions[starts[k] : starts[k + 1]].T).sum(axis=1)
        score += constants[k] - tails[k] * energy
        choice = xp.where(score > best, k, choice)
        best = xp.maximum(score, best)
    restored = xp.empty_like(patches)
    for k in range(len(starts) - 1):
        chosen = xp.flatnonzero(choice == k)
        restored[chosen] = centred[chosen] @ filters[k] + means[chosen]
    return restored
