"""Filtering of patches in the Fourier domain, each patch by its own filter."""

from __future__ import annotations

from kernels._dispatch import check_array, check_output, check_size, implementation
from kernels.arrays import Array


def filter_patches(patches: Array, filters: Array, core: int, out: Array | None = None) -> Array:
    """Multiply the spectrum of each patch by its own filter and keep the central core of the result.

    This restores ``x = IDFT(G DFT(y))`` of Chakrabarti 2016, Eq. 2, with a filter `G` for each patch::

        irfft2(rfft2(patches) * (filters[:, 0] + 1j * filters[:, 1]), s=(P, P))[:, m : m + core, m : m + core]

    where ``m = (P - core) // 2``. The convolution is circular over the patch. As in ``irfft2``, only the part of `G`
    that has Hermitian symmetry has an effect: column 0, which holds both frequencies of each conjugate pair, acts as
    ``(G[u] + conj(G[-u])) / 2``, which is real at frequency 0.

    Parameters
    ----------
    patches
        float32 ``(N, P, P)``, P odd, C-contiguous, NumPy or CuPy.
    filters
        float32 ``(N, 2, P, P // 2 + 1)``: real and imaginary part of each half spectrum in the layout of
        ``numpy.fft.rfft2``, C-contiguous, on the device of `patches`.
    core
        Side of the central square to keep in pixels, from 1 to P.
    out
        float32 ``(N, core, core)`` to write to, on the device of `patches`; allocated if ``None``.

    Returns
    -------
    cores
        float32 ``(N, core, core)``; `out` if it was given.

    Raises
    ------
    TypeError
        If an array is not float32, `core` is not an integer, or the arrays are not all NumPy or all CuPy.
    ValueError
        If P is even, a shape does not fit, or an array is not contiguous.
    """
    check_array("patches", patches, (None, None, None))
    count, size, width = patches.shape
    if size != width or size % 2 == 0:
        raise ValueError(f"patches must be square with an odd side, got {size} x {width}: crop or pad them")
    check_array("filters", filters, (count, 2, size, size // 2 + 1))
    core = check_size("core", core)
    if core > size:
        raise ValueError(f"core {core} exceeds the patch of {size} pixels: choose a core from 1 to {size}")
    if out is not None:
        check_output("out", out, (count, core, core))
    return implementation("patch_filters", patches, filters, out).filter_patches(patches, filters, core, out)
