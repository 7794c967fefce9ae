"""The input of the learned kernel prior: features of a photograph, as planes of the size of the kernel."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.arrays import Array, array_module, packed
from kernels.fft import fft_module
from kernels.graphs import replayed
from runtime.blur.kernel import Kernel, origin
from runtime.estimation.kernel.correlations import NormalEquations, periodic_length
from runtime.estimation.kernel.refine import BlurredImage, Edges
from runtime.inference.devices import download

CHANNELS = 8
"""Planes of the evidence."""
TINY = 1e-30


@dataclass(frozen=True)
class PriorAssumptions:
    """How the evidence for a network is made, as its bundle states it.

    Attributes
    ----------
    unit
        Sides of the planes are padded to a multiple of this many pixels.
    smallest
        Least side in pixels of the kernels that the network was trained on.
    strongest, wider
        Shares of the pixels whose gradients count as the strong and as the wide edges.
    ridges, wide_ridge
        Relative ridges of the two least-squares kernels of the strong edges, and of the one of the wide edges.
    level
        Euclidean norm given to the kernel, so that its values are of the order of 1.
    largest
        Bound on the magnitude of a value; only least squares of hardly any edges come near it.
    least_ratio
        Ratio of noise to gradients below which the ratio counts as this much.
    """

    unit: int
    smallest: int
    strongest: float
    wider: float
    ridges: tuple[float, float]
    wide_ridge: float
    level: float
    largest: float
    least_ratio: float

    def __post_init__(self) -> None:
        if not isinstance(self.unit, int) or self.unit < 1:
            raise ValueError(f"unit must be a whole number of pixels, got {self.unit!r}")
        if not 0 < self.strongest <= self.wider <= 1:
            raise ValueError(f"strongest and wider must be shares, the former smaller: {self.strongest}, {self.wider}")
        if len(self.ridges) != 2 or min(*self.ridges, self.wide_ridge, self.level, self.largest, self.least_ratio) <= 0:
            raise ValueError("ridges must be two and, like wide_ridge, level, largest and least_ratio, positive")


@dataclass(frozen=True)
class Scene:
    """Features of an image (one scale of an observed photograph) that do not depend on a kernel.

    Attributes
    ----------
    correlation : array (support, support) float64
        Autocorrelation of the whitened image, 1 at the centre. The gradients of a sharp photograph
        are hardly correlated, so that it resembles the autocorrelation of the kernel.
    noise_ratio : float
        Standard deviation of the noise over that of the gradients.
    """

    correlation: NDArray[np.float64]
    noise_ratio: float

    @classmethod
    def of(cls, image: Array, noise: float, support: int) -> Scene:
        """Analyse an image (H, W) float32 with noise of standard deviation `noise`, for kernels of `support` pixels."""
        return cls.unpacked(download(packed(image, _scene(image, noise, support))), image.shape, noise, support)

    @classmethod
    def unpacked(cls, numbers: NDArray[np.float64], shape: tuple[int, int], noise: float, support: int) -> Scene:
        """Return the features whose numbers `_scene` gives, of an image of `shape`."""
        (top, left), (up, across), size = origin((support, support)), *_lags(shape, support)
        host = numbers[:-1].reshape(size)
        correlation = np.zeros((support, support))
        inside = slice(top - up, top - up + host.shape[0]), slice(left - across, left - across + host.shape[1])
        correlation[inside] = host / max(float(host[up, across]), TINY)
        return cls(correlation, noise / max(float(numbers[-1]), TINY))


def _lags(shape: tuple[int, int], support: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the longest negative lags that both a kernel and an image of `shape` have, and the numbers of all lags."""
    longest = [min(start, (size - 1) // 2) for start, size in zip(origin((support, support)), shape, strict=True)]
    counts = [
        min(support - start + lag, size)
        for start, lag, size in zip(origin((support, support)), longest, shape, strict=True)
    ]
    return (longest[0], longest[1]), (counts[0], counts[1])


def _scene(image: Array, noise: float | Array, support: int) -> tuple[Array, Array]:
    """Return the autocorrelation of the whitened image at the lags of a kernel, and the deviation of its gradients."""
    xp, fft = array_module(image), fft_module(image)
    height, width = image.shape
    taper = [xp.sin(math.pi * (xp.arange(n) + 0.5) / n) ** 2 for n in (height, width)]
    window = (taper[0][:, None] * taper[1]).astype(xp.float32)
    tapered = (image - (image * window).sum() / window.sum()) * window
    power = xp.square(xp.abs(fft.rfft2(tapered))) / xp.square(window).sum()
    down = 4 * xp.square(xp.sin(math.pi * xp.arange(height) / height))
    across = 4 * xp.square(xp.sin(math.pi * xp.arange(width // 2 + 1) / width))
    white = xp.maximum(power - noise**2, 0) * (down[:, None] + across)
    lags = fft.irfft2(white, s=(height, width))
    longest, (rows, cols) = _lags(image.shape, support)
    cut = xp.roll(lags, longest, axis=(0, 1))[:rows, :cols]
    gradient = 0.5 * (xp.diff(image, axis=0).std() + xp.diff(image, axis=1).std())
    return cut, gradient


def gather(blurred: BlurredImage, edges: Edges, kernel: Kernel, assumes: PriorAssumptions) -> NDArray[np.float32]:
    """Return the evidence for a kernel at one scale, as `lay_out` does, from the edges that it was estimated from."""
    image, support = blurred.image, len(kernel)
    arrays = image, blurred.noise, edges.latent, edges.observed, edges.profile
    (measured,) = replayed(_measure, *arrays, support=support, shares=(assumes.strongest, assumes.wider))
    strong, wide, features = np.split(download(measured), np.cumsum([periodic_length(support)] * 2))
    scene = Scene.unpacked(features, image.shape, float(blurred.noise), support)
    strong_equations, wide_equations = (NormalEquations.unpacked(each, support) for each in (strong, wide))
    return lay_out(kernel, strong_equations, wide_equations, scene, assumes)


def _measure(
    image: Array,
    noise: float | Array,
    latent: Array,
    observed: Array,
    profile: Array | None,
    *,
    support: int,
    shares: tuple[float, float],
) -> tuple[Array]:
    """Return the numbers of the normal equations for both shares, and of the scene: one array, for one copy."""
    edges = Edges(latent, observed, profile, support)
    forms = [edges.equations(share).packed() for share in shares]
    return (packed(image, [*forms, *_scene(image, noise, support)]),)


def lay_out(
    kernel: Kernel, strong: NormalEquations, wide: NormalEquations, scene: Scene, assumes: PriorAssumptions
) -> NDArray[np.float32]:
    """Return the evidence for a kernel, planes (`CHANNELS`, support, support).

    Parameters
    ----------
    kernel : array (support, support)
        The current estimate.
    strong, wide : NormalEquations
        Normal equations of the few strongest edges, and of more of them.
    scene : Scene
    assumes
        Of the network.

    Returns
    -------
    array (8, support, support), float32
        The estimate; the least-squares kernels, of any sign, of the strong edges (weak and strong ridge) and of the
        wide ones; the image's autocorrelation; and three planes of one value each: the share of the gradients'
        energy that the estimate explains, the logarithm of the noise ratio, and 1, to tell the frame from padding.
        The first five are in units in which the estimate has the assumed norm. All are clipped to the assumed bound.
    """
    norm = max(float(np.linalg.norm(kernel)), TINY)
    unit = assumes.level / norm
    explained = 1 - strong.cost(kernel) / max(strong.energy, TINY)
    planes = [
        kernel * unit,
        *(least_squares(strong, ridge) * unit for ridge in assumes.ridges),
        least_squares(wide, assumes.wide_ridge) * unit,
        scene.correlation * assumes.level,
        np.full(kernel.shape, explained),
        np.full(kernel.shape, math.log10(max(scene.noise_ratio, assumes.least_ratio))),
        np.ones(kernel.shape),
    ]
    bounded: NDArray[np.float32] = np.clip(np.stack(planes), -assumes.largest, assumes.largest).astype(np.float32)
    return bounded


def least_squares(equations: NormalEquations, ridge: float) -> Kernel:
    """Return the kernel, of any sign, that solves the equations frequency by frequency with a relative ridge."""
    spectrum = np.maximum(np.fft.rfft2(equations.auto).real, 0.0)
    level = max(float(equations.auto[0, 0]) * ridge, TINY)
    solution = np.fft.irfft2(np.fft.rfft2(equations.cross) / (spectrum + level), s=equations.auto.shape)
    return np.asarray(equations.extract(solution))
