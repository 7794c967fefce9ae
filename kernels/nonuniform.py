"""Spatially varying convolution: the filter of each pixel is a blend of a few filters of a bank.

Eboli et al. (Eq. 17) blend four of 511 linear motion kernels at each pixel, or of their inverse filters. With J filters
per pixel and T non-zero taps in each filter, the cost per pixel of a plane is

====================================  =======================================  =================================
formulation                           operations                               memory
====================================  =======================================  =================================
pixel by pixel                        J T multiplications, each with its own   a tap and a pixel each, from cache
                                      address, none vectorised
a Fourier transform per filter used   5 log2(H W) per filter                   a plane per filter
tile by tile, filter by filter        D T, D >= J the filters used in a tile   a tap per tile; a row of pixels
                                                                               from the L1 cache per tap
====================================  =======================================  =================================

A linear motion of `l` pixels has about 2 l non-zero taps, not l squared, so that filters are stored as lists of taps.
Motion fields are smooth, so that the pixels of a small tile share their filters: `D` is 4 where the quantised motion is
constant, and 6 to 9 where it changes. The CPU implementation works on tiles of 8 rows and one SIMD vector, for which
every tap is read once. The CUDA implementation runs one thread per pixel; the threads of a warp then read the same tap
and neighbouring pixels.

Milliseconds on one core of an EPYC 9005, for three planes of 409 x 534 pixels and fields of up to 21 pixels:

================================  =====  ==============  =============
filters                           tiles  pixel by pixel  by transforms
================================  =====  ==============  =============
235 motions of 21 taps on average     9              62           1600
their inverses, of 328 taps          40             839           1756
8 motions of 43 taps                  9             121             61
their inverses, of 972 taps          65            2351             62
================================  =====  ==============  =============

``python -m bench nonblind`` repeats the measurement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels._dispatch import check_array, check_output, implementation
from kernels.arrays import Array, array_module, is_cuda


@dataclass(frozen=True, eq=False)
class FilterBank:
    """Filters as lists of their non-zero taps.

    Tap `n` of filter `f`, ``starts[f] <= n < starts[f + 1]``, multiplies the pixel ``rows[n]`` above and ``cols[n]`` to
    the left of the output pixel by ``values[n]``: a true convolution. All arrays are NumPy's; the CUDA implementation
    copies them to the device once per bank.

    Attributes
    ----------
    starts
        int32 ``(F + 1,)``.
    rows, cols
        int32 ``(N,)``, from ``-reach`` to ``reach``.
    values
        float32 ``(N,)``.
    reach
        Largest absolute value of `rows` and of `cols`.
    """

    starts: npt.NDArray[np.int32]
    rows: npt.NDArray[np.int32]
    cols: npt.NDArray[np.int32]
    values: npt.NDArray[np.float32]
    reach: tuple[int, int]

    def __len__(self) -> int:
        """Return the number of filters."""
        return len(self.starts) - 1

    @classmethod
    def from_filters(cls, filters: Sequence[npt.NDArray[Any]]) -> FilterBank:
        """Make a bank of 2-D filters of any sizes, the origin of each at ``((h - 1) // 2, (w - 1) // 2)``.

        Raises
        ------
        ValueError
            If there is no filter, or a filter is not 2-D, is empty, or is not finite.
        """
        if len(filters) == 0:
            raise ValueError("a bank needs at least one filter")
        rows, cols, values = [], [], []
        for number, kernel in enumerate(filters):
            kernel = np.asarray(kernel, np.float32)
            if kernel.ndim != 2 or kernel.size == 0 or not np.isfinite(kernel).all():
                raise ValueError(f"filter {number} of shape {kernel.shape} must be 2-D, not empty, and finite")
            row, col = np.nonzero(kernel)
            rows.append(row - (kernel.shape[0] - 1) // 2)
            cols.append(col - (kernel.shape[1] - 1) // 2)
            values.append(kernel[row, col])
        starts = np.cumsum([0, *map(len, values)])
        all_rows, all_cols = np.concatenate(rows).astype(np.int32), np.concatenate(cols).astype(np.int32)
        reach = tuple(int(np.abs(places).max(initial=0)) for places in (all_rows, all_cols))
        return cls(starts.astype(np.int32), all_rows, all_cols, np.concatenate(values), (reach[0], reach[1]))

    def dense(self) -> npt.NDArray[np.float32]:
        """Return the filters as one float32 array ``(F, 2 reach[0] + 1, 2 reach[1] + 1)``, origin in the middle."""
        filters = np.zeros((len(self), 2 * self.reach[0] + 1, 2 * self.reach[1] + 1), np.float32)
        numbers = np.repeat(np.arange(len(self)), np.diff(self.starts))
        filters[numbers, self.rows + self.reach[0], self.cols + self.reach[1]] = self.values
        return filters


def nonuniform_convolve(
    image: Array, bank: FilterBank, indices: Array, weights: Array, out: Array | None = None
) -> Array:
    """Convolve each plane of an image with a filter that varies from pixel to pixel.

    With the filters ``k_i`` of the bank, and the weights ``w_j`` and indices ``i_j`` of the output pixel `p`
    (Eboli et al., Eq. 17)::

        out[c, p] = sum_j w_j(p) sum_t k_(i_j(p))(t) image[c, p - t]

    Pixels beyond the border are 0: with one filter everywhere this is ``scipy.signal.convolve(..., mode="same")``.

    Parameters
    ----------
    image
        float32 ``(C, H, W)``, C-contiguous, NumPy or CuPy.
    bank
        The filters.
    indices
        int32 ``(H, W, J)``: numbers of the filters to blend at each pixel, from 0 to ``len(bank) - 1``; they may
        repeat. Those of a CuPy array are not checked, for which the host would have to wait for the GPU; it takes the
        nearest filter for others.
    weights
        float32 ``(H, W, J)``: their weights, which need not sum to 1.
    out
        float32 ``(C, H, W)`` to write to, not the memory of `image`; allocated if ``None``.

    Returns
    -------
    out
        float32 ``(C, H, W)``; `out` if it was given.

    Raises
    ------
    TypeError
        If an array has another dtype, or the arrays are not all NumPy or all CuPy.
    ValueError
        If a shape does not fit, an array is not contiguous, or an index of a NumPy array is not that of a filter.
    """
    _check(image, bank, indices, weights, out)
    return implementation("nonuniform", image, indices, weights, out).nonuniform_convolve(
        image, bank, indices, weights, out
    )


def nonuniform_adjoint(
    image: Array, bank: FilterBank, indices: Array, weights: Array, out: Array | None = None
) -> Array:
    """Apply the adjoint of `nonuniform_convolve`.

    With the same arguments, where weights and indices now belong to the pixels of `image`::

        out[c, q] = sum_t sum_j w_j(q + t) k_(i_j(q + t))(t) image[c, q + t]

    The order of summation depends on the arguments alone, not on the number of threads. Parameters, result and errors
    are those of `nonuniform_convolve`.
    """
    _check(image, bank, indices, weights, out)
    return implementation("nonuniform", image, indices, weights, out).nonuniform_adjoint(
        image, bank, indices, weights, out
    )


def _check(image: Array, bank: FilterBank, indices: Array, weights: Array, out: Array | None) -> None:
    if not isinstance(bank, FilterBank):
        raise TypeError(f"bank must be a FilterBank, got {type(bank).__name__}: make one with FilterBank.from_filters")
    check_array("image", image, (None, None, None))
    height, width = image.shape[1:]
    check_array("weights", weights, (height, width, None))
    array_module(indices)
    if indices.dtype != np.int32:
        raise TypeError(f"indices must be int32, got {indices.dtype}: convert them with astype")
    if indices.shape != weights.shape:
        raise ValueError(f"indices must have the shape {weights.shape} of the weights, got {indices.shape}")
    if not indices.flags.c_contiguous:
        raise ValueError("indices must be C-contiguous: use ascontiguousarray")
    if not is_cuda(indices) and indices.size and not 0 <= int(indices.min()) <= int(indices.max()) < len(bank):
        raise ValueError(f"indices must be from 0 to {len(bank) - 1}, the filters of the bank")
    if out is not None:
        check_output("out", out, image.shape)
