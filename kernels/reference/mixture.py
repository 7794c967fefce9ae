"""Reference of `kernels.mixture`, which documents the function."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kernels.arrays import Array

if TYPE_CHECKING:
    from kernels.mixture import Tables


def restore_patches(patches: Array, tables: Tables) -> Array:
    """Compute the log densities under all components and filter by the component of the largest."""
    x = patches.astype(np.float64)
    means = x.mean(axis=1, keepdims=True)
    x = x - means
    products = np.split(x @ tables.directions.T.astype(np.float64), tables.starts[1:-1], axis=1)
    likelihoods = np.stack([np.square(product).sum(axis=1) for product in products], axis=1)
    likelihoods += tables.constants - tables.tails * np.square(x).sum(axis=1, keepdims=True)
    filters = tables.filters[likelihoods.argmax(axis=1)].astype(np.float64)
    return (np.einsum("nde,ne->nd", filters, x) + means).astype(np.float32)
