"""`kernels.patch_filters` for CuPy arrays; that module documents the function."""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array, array_module
from kernels.cuda._module import SHARED_BYTES, THREADS, launch
from kernels.device_tables import constants
from kernels.fft import fft_module

FUSED_THREADS = 192
"""Threads of a block; a patch of 65 pixels has 182 tiles of sums, one per thread."""


def filter_patches(patches: Array, filters: Array, core: int, out: Array | None = None) -> Array:
    """Filter in one kernel if a patch fits into shared memory (up to 69 pixels), otherwise by cuBLAS.

    For 16,384 patches of 65 pixels, an H200 takes 60 ns per patch in one kernel, 146 by cuBLAS and 157 by cuFFT.
    """
    fused = _fused_bytes(patches.shape[1]) <= SHARED_BYTES
    return (_filter_fused if fused else _filter_by_matmul)(patches, filters, core, out)


def _filter_fused(patches: Array, filters: Array, core: int, out: Array | None = None) -> Array:
    """Filter by matrix products of the folded patch with cosines and sines, all in shared memory.

    A patch of 65 pixels with a core of 33 takes 39 kB of memory traffic and 0.76 million floating-point operations.
    """
    xp, (count, size) = array_module(patches), patches.shape[:2]
    if out is None:
        out = xp.empty((count, core, core), np.float32)
    launch(
        "patch_filters", "filter_patches", (count,), (FUSED_THREADS,),
        patches, filters, *constants(patches, _tables, size), size, core, out,
        shared_bytes=_fused_bytes(size),
    )  # fmt: skip
    return out


def _filter_by_matmul(patches: Array, filters: Array, core: int, out: Array | None = None) -> Array:
    """Filter by matrix products with cosines and sines in cuBLAS, and one kernel between them.

    A patch of 65 pixels with a core of 33 takes 160 kB of memory traffic, 52 of them in the kernel, and 1.5 million
    floating-point operations, not counting those that cuBLAS wastes because its tiles do not divide 65. CuPy computes
    in float32 unless its ``CUPY_TF32`` is set.
    """
    xp, (count, size) = array_module(patches), patches.shape[:2]
    if out is None:
        out = xp.empty((count, core, core), np.float32)
    if count == 0:
        return out
    basis, transposed, rows, cols = constants(patches, _bases, size, core)
    columns, sums = xp.empty_like(patches), xp.empty_like(patches)
    xp.matmul(patches.reshape(-1, size), transposed, out=columns.reshape(-1, size))
    xp.matmul(basis, columns, out=sums)
    launch("patch_filters", "filter_sums", (count,), (THREADS,), sums, filters, size)
    restored = columns.reshape(-1)[: count * core * size].reshape(count, core, size)
    xp.matmul(rows, sums, out=restored)
    xp.matmul(restored.reshape(-1, size), cols, out=out.reshape(-1, core))
    return out


def _filter_by_fft(patches: Array, filters: Array, core: int, out: Array | None = None) -> Array:
    """Filter by cuFFT, whose plans CuPy caches per device, and one kernel for the product.

    Per patch of 65 pixels the product takes 51 kB of memory traffic and 13 thousand floating-point operations, the crop
    of 33 pixels 9 kB, and the transforms 68 kB and 0.25 million operations.
    """
    xp, fft, (count, size) = array_module(patches), fft_module(patches), patches.shape[:2]
    if out is None:
        out = xp.empty((count, core, core), np.float32)
    if count == 0:
        return out
    spectra = fft.rfft2(patches)
    launch("patch_filters", "multiply_spectra", (count,), (THREADS,), spectra, filters, size)
    kept = slice((size - core) // 2, (size - core) // 2 + core)
    out[...] = fft.irfft2(spectra, s=(size, size), overwrite_x=True)[:, kept, kept]
    return out


def _fused_bytes(size: int) -> int:
    half = size // 2
    return 4 * (2 * size**2 + (half + 1) ** 2 + half**2)


def _tables(size: int) -> tuple[Array, Array]:
    """Tabulate the cosine ``(half + 1, half + 1)`` and, from 1 on, the sine ``(half, half)`` of 2 pi u x / size."""
    terms = np.arange(size // 2 + 1)
    # Angles are reduced as integers, which is exact for any size.
    angles = 2 * np.pi / size * (np.outer(terms, terms) % size)
    return np.cos(angles).astype(np.float32), np.ascontiguousarray(np.sin(angles[1:, 1:]), np.float32)


def _bases(size: int, core: int) -> tuple[Array, Array, Array, Array]:
    """Make the real Fourier basis ``(size, size)``, its transpose, and both cropped to the core for the inverse.

    Its rows are ``cos u`` for the frequencies 0 to size // 2 and ``sin u`` from 1.
    """
    half, margin = size // 2, (size - core) // 2
    angles = 2 * np.pi / size * (np.outer(np.arange(half + 1), np.arange(size)) % size)
    basis = np.concatenate([np.cos(angles), np.sin(angles[1:])])
    kept = basis[:, margin : margin + core]
    return tuple(np.ascontiguousarray(matrix, np.float32) for matrix in (basis, basis.T, kept.T, kept))  # type: ignore[return-value]
