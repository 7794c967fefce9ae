"""`kernels.nnls` for CuPy arrays; that module documents the functions."""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array, array_module
from kernels.cancellation import checkpoint
from kernels.cuda._module import THREADS, launch
from kernels.fft import fft_module
from kernels.nnls import TOLERANCE

DIRECT = 41
"""Side of the largest kernels that are convolved pixel by pixel, which takes as long as transforms then."""
_MANY = 1024
"""Threads for these, at most."""


def convolution_nnls(spectrum: Array, target: Array, start: Array, rate: float | Array, iterations: int) -> Array:
    """Go all steps without waiting, in one launch if the kernel is small.

    Otherwise a step is two transforms, a product and one launch; once they are over, they change nothing, as the device
    alone knows.
    """
    xp, fft = array_module(spectrum), fft_module(spectrum)
    support, grid, found = len(target), len(spectrum), start.copy()
    length = xp.full((), rate, np.float32) if isinstance(rate, float) else rate
    if support <= DIRECT:
        lags = fft.irfft2(spectrum.astype(np.complex64), s=(grid, grid))
        threads = min(max(2 ** (support**2 - 1).bit_length(), 32), _MANY)
        launch(
            "nnls", "descend_all", (1,), (threads,), lags, target, length, support, grid, TOLERANCE, iterations, found,
            shared_bytes=4 * (threads + (2 * support - 1) ** 2 + 2 * support**2),
        )  # fmt: skip
        return found
    ahead = xp.zeros((grid, grid), np.float32)
    ahead[:support, :support] = start
    state = xp.zeros(2, np.float32)
    state[0] = 1
    for _ in range(iterations):
        checkpoint()
        product = fft.irfft2(spectrum * fft.rfft2(ahead), s=ahead.shape, overwrite_x=True)
        _launch_block("descend", product, target, length, support, grid, TOLERANCE, ahead, found, state)
    return found


def prune(kernel: Array, relative: float, island: float) -> Array:
    """Find the components in one launch of one block, and scale what is left in double precision."""
    xp = array_module(kernel)
    kept, labels, masses = xp.empty_like(kernel), xp.empty(kernel.shape, np.int32), xp.empty_like(kernel)
    height, width = kernel.shape
    _launch_block("keep_connected", kernel, height, width, relative, island, labels, masses, kept)
    kept = kept.astype(np.float64)
    total = kept.sum()
    # No kernel at all is one that does nothing.
    kept[(height - 1) // 2, (width - 1) // 2] += total <= 0
    return kept / xp.where(total > 0, total, 1)


def _launch_block(name: str, *arguments: Array | float) -> None:
    launch("nnls", name, (1,), (THREADS,), *arguments, shared_bytes=4 * THREADS)
