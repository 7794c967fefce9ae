"""Reference of `kernels.mixture`, which documents the function."""

from __future__ import annotations

import math
from itertools import product
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


def cut_patches(image: Array, side: int, stride: int, origin: tuple[int, int]) -> Array:
    """Take the pixels of every patch by their numbers."""
    return image[tuple(_pixels(image.shape, side, stride, origin))].astype(np.float32)


def average_patches(patches: Array, shape: tuple[int, int], stride: int, origin: tuple[int, int]) -> Array:
    """Add every patch to the pixels that it covers, and divide by the number of patches."""
    pixels = tuple(_pixels(shape, math.isqrt(patches.shape[1]), stride, origin))
    sums, counts = np.zeros(shape), np.zeros(shape)
    np.add.at(sums, pixels, patches.astype(np.float64))
    np.add.at(counts, pixels, 1)
    return (sums / counts).astype(np.float32)


def _pixels(shape: tuple[int, ...], side: int, stride: int, origin: tuple[int, int]) -> Array:
    """Return rows and columns of the pixels of all patches (2, N, side * side)."""
    starts = product(*(range(first, first + size, stride) for first, size in zip(origin, shape, strict=True)))
    within = np.indices((side, side)).reshape(2, 1, -1)
    places = np.array(list(starts)).T[:, :, None] + within
    return places % np.reshape(shape, (2, 1, 1))
