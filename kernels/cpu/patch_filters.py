"""`kernels.patch_filters` for NumPy arrays; that module documents the function."""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array
from kernels.cpu._compile import compiled
from kernels.cpu.simd.folding import back, bases_for, forward, scratch_for
from kernels.cpu.simd.vectors import LANES, load, store
from kernels.cpu.threads import run_in_slices


def filter_patches(patches: Array, filters: Array, core: int, out: Array | None = None) -> Array:
    """Transform patch by patch through matrix products with cosines and sines, in the cache of one core.

    The products are those of `kernels.cpu.simd.folding`; those back compute the pixels of the core only. A patch of 65
    and a core of 33 pixels takes 0.76 million floating-point operations, half those of products that are not folded.

    Shifting the origin to the middle changes the phase of the spectrum, but not the filtered patch.

    On one core of an EPYC 9005 such a patch takes 5.7 us. The products alone take 15.6 us as large matrices in
    OpenBLAS, and 10.2 us folded; FFTs of 65 points take 22 us.
    """
    size = patches.shape[1]
    if out is None:
        out = np.empty((len(patches), core, core), np.float32)
    run_in_slices(_filter, len(patches), patches, filters, out, bases_for(size, core))
    return out


@compiled
def _filter(first, last, patches, filters, out, bases):  # type: ignore[no-untyped-def]
    """Filter the patches `first` to `last - 1`."""
    sums, scratch = scratch_for(bases), scratch_for(bases)
    for index in range(first, last):
        forward(patches[index], bases, sums, scratch)
        _apply(filters[index, 0], filters[index, 1], sums, bases.col_cos.shape[0], bases.row_cos.shape[1])
        back(sums, bases, scratch, out[index])


@compiled
def _apply(real, imag, sums, odd_row, odd_col):  # type: ignore[no-untyped-def]
    """Combine the sums to the spectrum at ``(u, v)`` and ``(-u, v)``, filter both, and separate them again."""
    size, frequencies = real.shape
    for u in range(frequencies):
        minus = (size - u) % size
        for v in range(0, frequencies, LANES):
            count = frequencies - v
            cc, cs = load(sums, u, v, LANES), load(sums, u, odd_col - 1 + v, LANES)
            sc, ss = load(sums, odd_row - 1 + u, v, LANES), load(sums, odd_row - 1 + u, odd_col - 1 + v, LANES)
            # The spectrum is (cc - ss) - i (sc + cs) at u, and (cc + ss) + i (sc - cs) at -u.
            x, y = cc - ss, sc + cs
            g, h = load(real, u, v, count), load(imag, u, v, count)
            p, q = x * g + y * h, y * g - x * h
            x, y = cc + ss, sc - cs
            g, h = load(real, minus, v, count), load(imag, minus, v, count)
            r, s = x * g - y * h, x * h + y * g
            store(sums, u, v, LANES, p + r)
            store(sums, u, odd_col - 1 + v, LANES, q - s)
            store(sums, odd_row - 1 + u, v, LANES, q + s)
            store(sums, odd_row - 1 + u, odd_col - 1 + v, LANES, r - p)
