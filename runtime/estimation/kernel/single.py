"""One blur kernel for a whole photograph, from an estimate of its latent image (Chakrabarti 2016, Eq. 5 and 6).

The images are read once: filtered by 16 derivative filters, tile by tile, and reduced to their correlations at the few
lags that a kernel can reach (`correlations`). Every kernel of the L1 path is then computed, and its cost, on that tiny
grid. At most 16 tiles of about 512 pixels a side take part, those with the strongest gradients, so that time and memory
are bounded for a photograph of any size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.arrays import Array, array_module
from kernels.fft import fft_module
from kernels.graphs import replayed
from runtime.blur.kernel import centre, delta, prune
from runtime.errors import InvalidArgument, InvalidImage, UnsupportedType
from runtime.estimation.kernel.correlations import NormalEquations, from_tiles
from runtime.inference.progress import Progress

_ORIENTATIONS = 8
"""Orientations of the derivative filters, over 180 degrees."""
_MAX_TILES = 16
_TILE = 512
"""Side of a tile in pixels, about, without the margin that its correlations need."""
_MAX_SAMPLES = 2**18
"""Pixels of all tiles, at most, from which the threshold of a filter is estimated."""
_ROUNDING = np.float32(2.0**-20)
"""Difference of two filtered pixels, in units of the largest value, that may be rounding alone."""

LAMBDAS = tuple(float(v) for v in np.geomspace(0.003, 0.3, 8))
"""Weights of the L1 term in Eq. 6 that are tried, relative to the largest correlation of the two filtered images."""


@dataclass(frozen=True)
class KernelEstimate:
    """An estimated blur kernel, and how it was chosen.

    Attributes
    ----------
    kernel : array (support, support), float32, non-negative, of sum 1
        On the device of the observed image. Its centre of mass is at the origin, to half a pixel.
    regularization : float
        Weight of the L1 term with which the kernel was estimated, relative to the largest correlation (see `LAMBDAS`).
    cost : float
        Cost of Eq. 5 for `kernel`, without regularisation, as a fraction of that of a kernel of zeros.
    costs : tuple of (float, float)
        (regularization, cost) for every weight.
    """

    kernel: Array
    regularization: float
    cost: float
    costs: tuple[tuple[float, float], ...]


def estimate_kernel(
    observed: Array,
    latent: Array,
    *,
    support: int = 51,
    strongest: float = 0.02,
    progress: Progress | None = None,
) -> KernelEstimate:
    """Estimate the blur kernel that turns `latent` into `observed`.

    Minimises Chakrabarti 2016, Eq. 6 for a range of weights of its L1 term, and returns the kernel of the lowest
    cost without that term (Eq. 5). The filters are first and second derivatives at 8 orientations; of each filtered
    latent image only the strongest locations take part.

    Parameters
    ----------
    observed : array (H, W) float32
        The blurred luminance, of any range: the kernel does not depend on brightness.
    latent : array (H, W) float32
        An estimate of the sharp luminance, on the same device.
    support : int
        Side of the kernel in pixels, at least that of the blur.
    strongest : float
        Fraction of locations of each filtered latent image that take part, in (0, 1].
    progress : callable ``(stage, fraction)``, optional

    Returns
    -------
    KernelEstimate
        A delta where the latent image has no gradients, as none has of fewer than three rows or columns. The kernel is
        moved by whole pixels so that its centre of mass is at its origin: opposite translations of kernel and latent
        image cannot be observed, and this choice keeps the restored image in place.

    Raises
    ------
    UnsupportedType
        If the images are not float arrays of one library.
    InvalidImage
        If the images are not two finite planes of one shape.
    InvalidArgument
        If `support` does not fit into the image, or `strongest` is out of range.
    """
    check_planes(observed, latent, support)
    if not 0 < strongest <= 1:
        raise InvalidArgument(f"strongest is {strongest}: give a fraction above 0 and up to 1, such as 0.02")
    # The filters leave nothing of fewer than three rows or columns.
    equations = gradient_equations(observed, latent, support, strongest, progress) if min(latent.shape) > 2 else None
    # The gradients of a constant image are rounding errors, from which no kernel can be estimated.
    least = 1e-10 * float(array_module(latent).square(latent).sum(dtype=np.float64))
    if equations is None or equations.auto[0, 0] <= least:
        point = array_module(observed).asarray(delta((support, support)).astype(np.float32))
        return KernelEstimate(point, 0.0, 1.0, ())
    candidates = [prune(kernel) for kernel in l1_path(equations)]
    costs = [equations.cost(kernel) / equations.energy for kernel in candidates]
    best = int(np.argmin(costs))
    kernel = centre(candidates[best]).astype(np.float32)
    if progress is not None:
        progress("kernel", 1.0)
    return KernelEstimate(
        kernel=array_module(observed).asarray(kernel),
        regularization=LAMBDAS[best],
        cost=costs[best],
        costs=tuple(zip(LAMBDAS, costs, strict=True)),
    )


def check_planes(observed: Array, latent: Array, support: int) -> None:
    """Raise a clear error unless a kernel of `support` can be estimated from these two planes."""
    check_plane("observed", observed)
    check_plane("latent", latent)
    if array_module(observed) is not array_module(latent):
        raise UnsupportedType("observed and latent lie on different devices: move one to the other's")
    if observed.shape != latent.shape:
        raise InvalidImage(f"observed is {observed.shape} but latent is {latent.shape}: give two of one shape")
    check_support(observed.shape, support)


def check_plane(name: str, plane: Array) -> None:
    """Raise a clear error unless an array is a plane (H, W) of finite floats."""
    try:
        xp = array_module(plane)
    except TypeError as error:
        raise UnsupportedType(f"{name}: {error}") from None
    if plane.dtype.kind != "f":
        raise UnsupportedType(f"{name} is {plane.dtype}: convert it to float32 in [0, 1] first")
    if plane.ndim != 2 or plane.size == 0:
        raise InvalidImage(f"{name} has shape {plane.shape}: give one (H, W) plane, such as the luminance")
    if not bool(xp.isfinite(plane).all()):
        raise InvalidImage(f"{name} holds NaN or infinity: replace those pixels first")


def check_support(shape: tuple[int, int], support: int) -> None:
    """Raise an error unless an image (H, W) is large enough for kernels of `support` pixels."""
    largest = min(shape) // 2
    if not 1 <= support <= largest:
        raise InvalidArgument(f"support is {support}: this {shape[0]}x{shape[1]} image allows 1 to {largest} px")


def gradient_equations(
    observed: Array, latent: Array, support: int, strongest: float, progress: Progress | None = None
) -> NormalEquations:
    """Build the normal equations of Eq. 5 from the most informative tiles of two planes (H, W)."""
    tiles = Tiles(latent, support)
    thresholds = tiles.thresholds(strongest)
    finished = 0

    def done() -> None:
        nonlocal finished
        finished += 1
        if progress is not None:
            progress("kernel", 0.9 * finished / len(tiles.corners))

    return from_tiles(tiles.windows(observed, thresholds), reach=tiles.reach, support=support, done=done)


class Tiles:
    """The tiles of a latent image that have the strongest gradients.

    Coordinates are those of the filtered planes, (H - 2, W - 2): a 3x3 filter loses a pixel at each border.

    Parameters
    ----------
    latent : array (H, W) float32
    support : int
        Side of the kernel in pixels, which is also the margin of the tiles.
    """

    def __init__(self, latent: Array, support: int) -> None:
        self.latent = latent
        self.height, self.width = latent.shape[0] - 2, latent.shape[1] - 2
        self.reach = support
        self.border = (support - 1) // 2, support // 2
        fast = fft_module(latent).next_fast_len
        self.shape = tuple(
            fast(min(_TILE, side) + 2 * self.reach, True) - 2 * self.reach for side in (self.height, self.width)
        )
        corners = [
            (top, left) for top in range(0, self.height, self.shape[0]) for left in range(0, self.width, self.shape[1])
        ]
        if len(corners) > _MAX_TILES:
            corners = sorted(corners, key=self._strength, reverse=True)[:_MAX_TILES]
        self.corners = corners

    def _strength(self, corner: tuple[int, int]) -> float:
        """Return the total variation of one tile."""
        xp = array_module(self.latent)
        window = self.latent[tuple(slice(c, c + n) for c, n in zip(corner, self.shape, strict=True))]
        return sum(float(xp.abs(xp.diff(window, axis=axis)).sum(dtype=np.float64)) for axis in (0, 1))

    def _interior(self, planes: Array, top: int, left: int) -> Array:
        """Set to zero, in place, the pixels that a shift within the kernel's support could move out of the image."""
        before, after = self.border
        # The kernel moves F[n] to n + m with -before <= m <= after.
        planes[..., : max(before - top, 0), :] = 0
        planes[..., :, : max(before - left, 0)] = 0
        planes[..., max(self.height - after - top, 0) :, :] = 0
        planes[..., :, max(self.width - after - left, 0) :] = 0
        return planes

    def thresholds(self, strongest: float) -> Array:
        """Return for each filter the magnitude (N, 1, 1) that the fraction `strongest` of pixels reaches.

        Many pixels of a photograph of few levels have the very same gradient. If that is the threshold, all of them
        reach it: it lies below what rounding, which differs with the brightness, makes of them.
        """
        xp = array_module(self.latent)
        # Every tile contributes the same number of samples.
        step = max(1, int(np.ceil(len(self.corners) * self.shape[0] * self.shape[1] / _MAX_SAMPLES)))
        samples = []
        for top, left in self.corners:
            window = self.latent[top : top + self.shape[0] + 2, left : left + self.shape[1] + 2]
            if min(window.shape) > 2:
                samples.append(xp.abs(derivatives(window)).reshape(2 * _ORIENTATIONS, -1)[:, ::step])
        reached = xp.quantile(xp.concatenate(samples, axis=1), 1 - strongest, axis=1)[:, None, None]
        return xp.maximum(reached - _ROUNDING * xp.abs(self.latent).max(), 0)

    def windows(self, observed: Array, thresholds: Array) -> Iterator[tuple[Array, Array, Array]]:
        """Yield the tiles for `from_tiles`: masked latent core, masked latent, observed, (N, h, w) with margins."""
        xp = array_module(self.latent)
        reach = self.reach
        for corner in self.corners:
            window = [
                (max(c - reach, 0), min(c + n + reach, side))
                for c, n, side in zip(corner, self.shape, (self.height, self.width), strict=True)
            ]
            (top, bottom), (left, right) = window
            rows = slice(top - corner[0] + reach, bottom - corner[0] + reach)
            cols = slice(left - corner[1] + reach, right - corner[1] + reach)
            padded = xp.zeros(
                (3, 2 * _ORIENTATIONS, self.shape[0] + 2 * reach, self.shape[1] + 2 * reach), dtype=np.float32
            )
            core, filtered, target = padded
            source = (slice(top, bottom + 2), slice(left, right + 2))
            target[:, rows, cols] = derivatives(observed[source])
            strong = derivatives(self.latent[source])
            strong *= xp.abs(strong) >= thresholds
            filtered[:, rows, cols] = self._interior(strong, top, left)
            inner = (..., slice(reach, reach + self.shape[0]), slice(reach, reach + self.shape[1]))
            core[inner] = filtered[inner]
            yield core, filtered, target


def derivatives(plane: Array) -> Array:
    """Filter a plane (H, W) by first and second directional derivatives at 8 orientations.

    Returns (16, H - 2, W - 2): ``cos t dx + sin t dy`` and ``cos^2 t dxx + 2 cos t sin t dxy + sin^2 t dyy`` for
    t = 0, pi/8, ... 7 pi/8, from differences of neighbouring pixels.
    """
    return replayed(_derivatives, plane)[0]


def _derivatives(plane: Array) -> tuple[Array]:
    xp = array_module(plane)
    dx, dy = xp.diff(plane, axis=1), xp.diff(plane, axis=0)
    dxx, dyy, dxy = xp.diff(dx, axis=1)[1:-1], xp.diff(dy, axis=0)[:, 1:-1], xp.diff(dx, axis=0)[1:, 1:]
    dx, dy = dx[1:-1, 1:], dy[1:, 1:-1]
    angles = np.pi * np.arange(_ORIENTATIONS) / _ORIENTATIONS
    filtered = xp.empty((2, _ORIENTATIONS, *dx.shape), np.float32)
    for first, second, t in zip(*filtered, angles, strict=True):
        first[...] = float(np.cos(t)) * dx + float(np.sin(t)) * dy
        second[...] = float(np.cos(t) ** 2) * dxx + float(np.sin(2 * t)) * dxy + float(np.sin(t) ** 2) * dyy
    return (filtered.reshape(2 * _ORIENTATIONS, *dx.shape),)


def l1_path(equations: NormalEquations, lambdas: tuple[float, ...] = LAMBDAS) -> NDArray[np.float64]:
    """Minimise Eq. 6 for every lambda at once by half-quadratic splitting in the Fourier domain.

    Alternates, while beta grows (Geman and Yang 1995; Krishnan and Fergus 2009),

        k = argmin  k' A k - 2 b' k + beta ||k - z||^2       (a division of spectra)
        z = argmin  beta ||k - z||^2 + lambda sum |z|        (a shrinkage; z is non-negative and within the support)

    Parameters
    ----------
    equations : NormalEquations
    lambdas : tuple of float
        Weights of the L1 term, relative to the largest value of ``b``.

    Returns
    -------
    array (len(lambdas), support, support), float64, non-negative
        Not normalised.
    """
    # A correlation cut to finitely many lags may have a slightly negative spectrum.
    auto = np.maximum(np.fft.rfft2(equations.auto).real, 0.0)
    cross = np.fft.rfft2(equations.cross)
    scale = float(auto.max())
    weights = np.asarray(lambdas)[:, None, None] * float(equations.cross.max())
    split = equations.embed(np.repeat(delta((equations.support,) * 2)[None], len(lambdas), axis=0))
    kernels: NDArray[np.float64] = equations.extract(split)
    for beta in scale * np.geomspace(1e-3, 10.0, 28):
        spectrum = (cross + beta * np.fft.rfft2(split)) / (auto + beta)
        free = np.fft.irfft2(spectrum, s=split.shape[-2:])
        kernels = np.maximum(equations.extract(free) - weights / (2 * beta), 0.0)
        split = equations.embed(kernels)
    return kernels
