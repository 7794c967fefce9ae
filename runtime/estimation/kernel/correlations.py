"""The least-squares problem for a blur kernel, reduced to correlations over the lags the kernel can reach.

With ``F_i`` the (masked) filtered latent image and ``Y_i`` the filtered observed image, the cost of
Chakrabarti 2016, Eq. 5 is a quadratic form of the kernel,

    sum_i || k * F_i - Y_i ||^2  =  k' A k - 2 b' k + c,
    A[m, m'] = auto[m - m'],   auto[l] = sum_i sum_n F_i[n] F_i[n + l],
    b[m] = cross[m],           cross[l] = sum_i sum_n F_i[n] Y_i[n + l],   c = sum_i ||Y_i||^2.

It is exact, without any wrap-around, if every ``F_i`` is zero wherever a shift that the kernel can make would
leave the image. The images are visited once; after that every candidate costs a transform of a tiny grid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.arrays import Array, array_module
from kernels.fft import fft_module
from kernels.transforms import rfft2
from runtime.blur.kernel import Kernel, origin


@dataclass(frozen=True)
class NormalEquations:
    """Quadratic form of a kernel of `support` x `support` pixels.

    Attributes
    ----------
    auto, cross : array (grid, grid), float64
        Correlations by lag, in FFT order (lag 0 first, negative lags last); ``grid >= 2 * support``.
    energy : float
        The constant ``c``: the cost of a kernel of zeros.
    support : int
        Side of the kernels this form is exact for.
    """

    auto: NDArray[np.float64]
    cross: NDArray[np.float64]
    energy: float
    support: int

    @property
    def grid(self) -> int:
        """Side of the grid on which candidates are transformed."""
        return int(self.auto.shape[0])

    def embed(self, kernel: NDArray[np.floating]) -> NDArray[np.float64]:
        """Lay kernels (..., s, s), s <= grid, onto the grid with their origin at lag 0."""
        padded = np.zeros((*kernel.shape[:-2], self.grid, self.grid))
        padded[..., : kernel.shape[-2], : kernel.shape[-1]] = kernel
        rows, cols = origin(kernel.shape[-2:])
        return np.roll(padded, (-rows, -cols), axis=(-2, -1))

    def extract(self, lags: NDArray[np.float64]) -> NDArray[np.float64]:
        """Take the kernels (..., support, support) out of grids (..., grid, grid): inverse of `embed`."""
        rows, cols = origin((self.support, self.support))
        centred = np.roll(lags, (rows, cols), axis=(-2, -1))
        return np.ascontiguousarray(centred[..., : self.support, : self.support])

    def cost(self, kernel: Kernel) -> float:
        """Return the un-regularised cost of Eq. 5 for one kernel of at most `support` pixels a side."""
        lags = self.embed(kernel)
        spectrum = np.fft.rfft2(lags)
        quadratic = np.fft.irfft2(np.fft.rfft2(self.auto) * spectrum, s=lags.shape)
        return float(np.sum(lags * (quadratic - 2 * self.cross)) + self.energy)


def gather(
    pieces: Iterable[tuple[Array, Array, Array]],
    *,
    reach: int,
    support: int,
    done: Callable[[], None] = lambda: None,
) -> NormalEquations:
    """Sum the correlations of all pieces of an image.

    Parameters
    ----------
    pieces : iterable of (core, latent, observed), each (N, h + 2 reach, w + 2 reach) float32
        N filtered planes of one window, all windows of the same shape: `latent` and `observed` hold the
        whole window, `core` is `latent` set to zero but for its central h x w pixels. The centres tile
        the image; the energy of `observed` is counted in them alone.
    reach : int
        Largest lag kept, in pixels, at least ``support - 1``.
    support : int
        Side of the kernel.
    done : callable
        Called after each piece.
    """
    auto: Array = 0.0
    cross: Array = 0.0
    energy = 0.0
    shape = (0, 0)
    for core, latent, observed in pieces:
        fft = fft_module(core)
        shape = core.shape[-2:]
        middle = (..., slice(reach, shape[0] - reach), slice(reach, shape[1] - reach))
        spectrum = fft.rfft2(core).conj()
        auto = auto + (spectrum * fft.rfft2(latent)).sum(axis=0)
        cross = cross + (spectrum * fft.rfft2(observed)).sum(axis=0)
        energy += float(array_module(core).square(observed[middle]).sum(dtype=np.float64))
        done()
    return NormalEquations(_lags(auto, shape, reach), _lags(cross, shape, reach), energy, support)


def from_periodic(latent: Array, observed: Array, support: int, profile: Array | float = 1.0) -> NormalEquations:
    """Build the form for planes (N, h, w) that are periodic, so that every pixel of theirs counts.

    Parameters
    ----------
    latent, observed : array (N, h, w) float32
    support : int
        Side of the kernel.
    profile : array (h, w // 2 + 1), optional
        Transfer function that `latent` goes through first.
    """
    spectrum, target = rfft2(latent) * profile, rfft2(observed)
    auto = (spectrum.conj() * spectrum).sum(axis=0)
    cross = (spectrum.conj() * target).sum(axis=0)
    energy = float(array_module(observed).square(observed).sum(dtype=np.float64))
    shape = latent.shape[-2:]
    return NormalEquations(_lags(auto, shape, support), _lags(cross, shape, support), energy, support)


def _lags(spectrum: Array, shape: tuple[int, int], reach: int) -> NDArray[np.float64]:
    """Inverse transform, cut to lags of -reach .. reach - 1, on the host."""
    lags = fft_module(spectrum).irfft2(spectrum, s=shape)
    cut = array_module(lags).roll(lags, (reach, reach), axis=(0, 1))[: 2 * reach, : 2 * reach]
    host = cut.get() if hasattr(cut, "get") else cut
    return np.roll(host.astype(np.float64), (-reach, -reach), axis=(0, 1))
