"""`kernels.nnls` for CuPy arrays, by whole-array operations and cuFFT; that module documents the function."""

from __future__ import annotations

from kernels.arrays import Array, array_module
from kernels.fft import fft_module
from kernels.nnls import TOLERANCE


def convolution_nnls(spectrum: Array, target: Array, start: Array, rate: float, iterations: int) -> Array:
    """Take each step an array at a time; the host waits for two numbers, to restart and to stop."""
    xp, fft = array_module(spectrum), fft_module(spectrum)
    grid, corner = (len(spectrum), len(spectrum)), (slice(len(target)), slice(len(target)))
    found = ahead = start.copy()
    momentum = 1.0
    for _ in range(iterations):
        product = fft.irfft2(spectrum * fft.rfft2(ahead, s=grid), s=grid)[corner]
        new = xp.maximum(ahead - rate * (product - target), 0)
        if float(xp.sum((ahead - new) * (new - found))) > 0:
            momentum = 1.0
        following = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        ahead = new + (momentum - 1) / following * (new - found)
        settled = bool(xp.abs(new - found).max() <= TOLERANCE * new.max())
        found, momentum = new, following
        if settled:
            break
    return found
