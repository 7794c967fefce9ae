"""`kernels.fourier` for CuPy arrays; that module documents the function."""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array, array_module, fft_module
from kernels.cuda._module import THREADS, constants, launch


def filter_patches(patches: Array, filters: Array, core: int, out: Array | None = None) -> Array:
    """Filter by matrix products. No GPU has been there to measure which of the two ways is faster."""
    return _filter_by_matmul(patches, filters, core, out)


def _filter_by_fft(patches: Array, filters: Array, core: int, out: Array | None = None) -> Array:
    """Filter by cuFFT, whose plans CuPy keeps per device, and one kernel for the product.

    Beside the transforms, per patch of 65 pixels: 51 kB for the product and 9 kB for the crop.
    """
    fft, size = fft_module(patches), patches.shape[1]
    spectra = fft.rfft2(patches)
    launch("fourier", "multiply_spectra", (len(patches),), (THREADS,), spectra, filters, size)
    filtered = fft.irfft2(spectra, s=(size, size), overwrite_x=True)
    kept = slice((size - core) // 2, (size - core) // 2 + core)
    if out is None:
        out = array_module(patches).empty((len(patches), core, core), np.float32)
    out[...] = filtered[:, kept, kept]
    return out


def _filter_by_matmul(patches: Array, filters: Array, core: int, out: Array | None = None) -> Array:
    """Filter by products with cosines and sines in cuBLAS, and one kernel between them.

    Per patch of 65 pixels and core of 33: 1.5 million floating-point operations and 160 kB moved, 52 of them
    by the kernel. CuPy computes the products in float32 unless its ``CUPY_TF32`` is set.
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
    launch("fourier", "filter_sums", (count,), (THREADS,), sums, filters, size)
    restored = columns.reshape(-1)[: count * core * size].reshape(count, core, size)
    xp.matmul(rows, sums, out=restored)
    xp.matmul(restored.reshape(-1, size), cols, out=out.reshape(-1, core))
    return out


def _bases(size: int, core: int) -> tuple[Array, Array, Array, Array]:
    """Make the real Fourier basis ``(size, size)``, its transpose, and the rows and columns of the inverse.

    The basis has rows ``cos u`` for the frequencies 0 to size // 2 and ``sin u`` from 1; the inverse is cropped
    to the core, ``(core, size)`` and ``(size, core)``.
    """
    half, margin = size // 2, (size - core) // 2
    # Reduced before the cosine is taken: exact for any size.
    angles = 2 * np.pi / size * (np.outer(np.arange(half + 1), np.arange(size)) % size)
    basis = np.concatenate([np.cos(angles), np.sin(angles[1:])])
    # Rows are filtered for positive and negative frequencies, so that row 0 comes twice; a column stands for its
    # mirror image too, but for column 0, which has none.
    rows, cols = basis / size, basis * 2 / size
    rows[0] /= 2
    cols[0] /= 2
    kept = slice(margin, margin + core)
    matrices = basis, basis.T, rows[:, kept].T, cols[:, kept]
    return tuple(np.ascontiguousarray(matrix, np.float32) for matrix in matrices)  # type: ignore[return-value]
