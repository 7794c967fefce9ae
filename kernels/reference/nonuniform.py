"""Reference of `kernels.nonuniform`, which documents the functions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from kernels.arrays import Array

if TYPE_CHECKING:
    from kernels.nonuniform import FilterBank


def nonuniform_convolve(
    image: Array, bank: FilterBank, indices: Array, weights: Array, out: Array | None = None
) -> Array:
    """Convolve the whole image with each filter, and sum the results with the weights of each pixel."""
    total = np.zeros(image.shape)
    for share, taps in _filters(bank, indices, weights):
        for row, col, value in taps:
            total += share * value * _shifted(image, row, col)
    return _result(total, out)


def nonuniform_adjoint(
    image: Array, bank: FilterBank, indices: Array, weights: Array, out: Array | None = None
) -> Array:
    """Correlate the image, multiplied by the weights of each filter, with that filter."""
    total = np.zeros(image.shape)
    for share, taps in _filters(bank, indices, weights):
        for row, col, value in taps:
            total += value * _shifted(share * image, -row, -col)
    return _result(total, out)


def _filters(
    bank: FilterBank, indices: Array, weights: Array
) -> Iterator[tuple[npt.NDArray[np.float64], list[tuple[int, int, float]]]]:
    """Yield for each filter that is used its weight at every pixel ``(H, W)``, and its taps."""
    for number in np.unique(indices):
        taps = slice(bank.starts[number], bank.starts[number + 1])
        share = np.where(indices == number, weights, 0).sum(axis=2, dtype=np.float64)
        yield share, list(zip(bank.rows[taps], bank.cols[taps], bank.values[taps].astype(float), strict=True))


def _shifted(image: Array, down: int, right: int) -> npt.NDArray[np.float64]:
    """Return the planes shifted down and to the right, filled with zeros."""
    _, height, width = image.shape
    moved = np.zeros(image.shape)
    if abs(down) < height and abs(right) < width:
        moved[:, max(0, down) : height + min(0, down), max(0, right) : width + min(0, right)] = image[
            :, max(0, -down) : height + min(0, -down), max(0, -right) : width + min(0, -right)
        ]
    return moved


def _result(total: npt.NDArray[np.float64], out: Array | None) -> Array:
    if out is None:
        return total.astype(np.float32)
    out[...] = total
    return out
