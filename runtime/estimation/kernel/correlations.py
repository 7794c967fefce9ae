"""The least-squares problem of a blur kernel, reduced to correlations at the lags that the kernel can reach.

With ``F_i`` the (masked) filtered latent image and ``Y_i`` the filtered observed image, the cost of
Chakrabarti 2016, Eq. 5 is a quadratic form of the kernel,

    sum_i || k * F_i - Y_i ||^2  =  k' A k - 2 b' k + c,
    A[m, m'] = auto[m - m'],   auto[l] = sum_i sum_n F_i[n] F_i[n + l],
    b[m] = cross[m],           cross[l] = sum_i sum_n F_i[n] Y_i[n + l],   c = sum_i ||Y_i||^2.

It is exact, without wrap-around, if every ``F_i`` is zero at the pixels that a shift within the kernel's support could
move out of the image. The images are read once; then the cost of each candidate takes one transform of a tiny grid.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from kernels.arrays import Array, array_module, is_cuda, packed
from kernels.fft import fft_module
from kernels.transforms import rfft2
from runtime.blur.kernel import origin
from runtime.inference.devices import download


@dataclass(frozen=True)
class NormalEquations:
    """The quadratic form ``k'Ak - 2b'k + c`` of a kernel `k` of `support` x `support` pixels.

    It is where the images are from which it was built; `on_host` brings it to the host.

    Attributes
    ----------
    auto, cross : array (grid, grid), float64
        Correlations by lag, in FFT order (lag 0 first, negative lags last); ``grid >= 2 * support``.
    energy : float
        The constant ``c``, the cost of a kernel of zeros; on a GPU an array ().
    support : int
        Side of the largest kernels for which the form is exact.
    """

    auto: Array
    cross: Array
    energy: float | Array
    support: int

    @property
    def grid(self) -> int:
        """Side in pixels of the grid on which kernels are transformed."""
        return int(self.auto.shape[0])

    def on_host(self) -> NormalEquations:
        """Return the same form on the host, after one copy from a GPU."""
        return self.unpacked(download(self.packed()), self.support) if is_cuda(self.auto) else self

    def packed(self) -> Array:
        """Return all numbers of the form, float64 ``(n,)``."""
        return packed(
            self.auto,
            [self.auto, self.cross, np.float64(self.energy) if isinstance(self.energy, float) else self.energy],
        )

    @classmethod
    def unpacked(cls, numbers: NDArray[np.float64], support: int) -> NormalEquations:
        """Return the form whose numbers they are."""
        auto, cross = numbers[:-1].reshape(2, math.isqrt(len(numbers) // 2), -1)
        return cls(auto, cross, float(numbers[-1]), support)

    def embed(self, kernel: Array) -> Array:
        """Place kernels (..., s, s), s <= grid, on grids (..., grid, grid) with their origin at lag 0, float64."""
        xp = array_module(kernel)
        padded = xp.zeros((*kernel.shape[:-2], self.grid, self.grid))
        padded[..., : kernel.shape[-2], : kernel.shape[-1]] = kernel
        rows, cols = origin(kernel.shape[-2:])
        return xp.roll(padded, (-rows, -cols), axis=(-2, -1))

    def extract(self, lags: Array) -> Array:
        """Return the kernels (..., support, support) of grids (..., grid, grid); the inverse of `embed`."""
        xp, (rows, cols) = array_module(lags), origin((self.support, self.support))
        centred = xp.roll(lags, (rows, cols), axis=(-2, -1))
        return xp.ascontiguousarray(centred[..., : self.support, : self.support])

    def cost(self, kernel: Array) -> Array:
        """Return the cost of Eq. 5, without regularisation, of one kernel of at most `support` pixels a side.

        It is a number, on a GPU an array (), for which nobody waits.
        """
        lags, fft = self.embed(kernel), lag_transforms(kernel)
        quadratic = fft.irfft2(fft.rfft2(self.auto) * fft.rfft2(lags), s=lags.shape)
        return (lags * (quadratic - 2 * self.cross)).sum() + self.energy


def from_tiles(
    tiles: Iterable[tuple[Array, Array, Array]],
    *,
    reach: int,
    support: int,
    done: Callable[[], None] = lambda: None,
) -> NormalEquations:
    """Build the form from the tiles of an image, by adding up their correlations.

    Parameters
    ----------
    tiles : iterable of (core, latent, observed), each (N, h + 2 reach, w + 2 reach) float32
        N filtered planes of one tile with a margin of `reach` pixels, all of the same shape. `latent` and `observed`
        include the margin; `core` is `latent` with the margin set to zero. The tiles without margins cover the image;
        the energy of `observed` is summed over them.
    reach : int
        Largest lag kept, in pixels, at least ``support - 1``.
    support : int
        Side of the kernel in pixels.
    done : callable
        Called after each tile.
    """
    auto: Array = 0.0
    cross: Array = 0.0
    energy: Array = 0.0
    shape = (0, 0)
    for core, latent, observed in tiles:
        fft, xp = fft_module(core), array_module(core)
        shape = core.shape[-2:]
        middle = (..., slice(reach, shape[0] - reach), slice(reach, shape[1] - reach))
        spectrum = fft.rfft2(core).conj()
        auto = auto + xp.multiply(spectrum, fft.rfft2(latent)).sum(axis=0)
        cross = cross + xp.multiply(spectrum, fft.rfft2(observed)).sum(axis=0)
        energy = energy + xp.square(observed[middle]).sum(dtype=np.float64)
        done()
    return _equations(auto, cross, energy, shape, reach, support).on_host()


def from_periodic(latent: Array, observed: Array, support: int, profile: Array | None = None) -> NormalEquations:
    """Build the form for periodic planes (N, h, w), all of whose pixels take part; nobody waits for a GPU.

    Parameters
    ----------
    latent, observed : array (N, h, w) float32
    support : int
        Side of the kernel in pixels.
    profile : array (h, w // 2 + 1), optional
        Transfer function that is applied to `latent` first.
    """
    spectrum, target = rfft2(latent), rfft2(observed)
    if profile is not None:
        spectrum = spectrum * profile
    auto = (spectrum.conj() * spectrum).sum(axis=0)
    cross = (spectrum.conj() * target).sum(axis=0)
    energy = array_module(observed).square(observed).sum(dtype=np.float64)
    return _equations(auto, cross, energy, latent.shape[-2:], support, support)


def lag_transforms(array: Array) -> ModuleType:
    """Return the library that transforms grids of lags where `array` is, in double precision."""
    return fft_module(array) if is_cuda(array) else np.fft


def _equations(
    auto: Array, cross: Array, energy: Array, shape: tuple[int, int], reach: int, support: int
) -> NormalEquations:
    """Build the form from cross spectra and an array ()."""
    return NormalEquations(_lags(auto, shape, reach), _lags(cross, shape, reach), energy, support)


def _lags(spectrum: Array, shape: tuple[int, int], reach: int) -> Array:
    """Return the correlation of a cross spectrum at lags -reach .. reach - 1, lag 0 first, float64.

    It is periodic: lags that are longer than the planes, as those of a strip may be, are the shorter ones again.
    """
    xp, lags = array_module(spectrum), fft_module(spectrum).irfft2(spectrum, s=shape)
    wanted = (xp.arange(2 * reach) + reach) % (2 * reach) - reach
    rows, cols = (wanted % size for size in shape)
    return lags[rows[:, None], cols].astype(np.float64)
