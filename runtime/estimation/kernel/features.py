"""What a photograph shows at one scale that tells right from wrong kernels: input of the learned prior."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from kernels.arrays import Array, array_module
from kernels.fft import fft_module
from runtime.blur.kernel import origin
from runtime.estimation.kernel.correlations import NormalEquations
from runtime.estimation.kernel.edges import Edges

TINY = 1e-30


@dataclass(frozen=True)
class Features:
    """Features of a photograph and of predicted edges, on their device.

    Attributes
    ----------
    strong, wide : NormalEquations
        Of the few strongest edges, and of more of them.
    scene : Scene
    """

    strong: NormalEquations
    wide: NormalEquations
    scene: Scene

    @classmethod
    def of(cls, image: Array, noise: float | Array, edges: Edges, shares: tuple[float, float]) -> Features:
        """Measure the features of an image (H, W) float32, with edges predicted for it; nobody waits for a GPU.

        Parameters
        ----------
        image, noise
            As `runtime.estimation.kernel.pyramid.BlurredImage` has them.
        edges
            On the device of `image`.
        shares
            Of the pixels whose gradients count as the strong and as the wide edges.
        """
        strong, wide = (edges.equations(share) for share in shares)
        return cls(strong, wide, Scene.of(image, noise, edges.support))


@dataclass(frozen=True)
class Scene:
    """Features of an image (one scale of an observed photograph) that do not depend on a kernel.

    Attributes
    ----------
    correlation : array (support, support) float64
        Autocorrelation of the whitened image, 1 at the centre. The gradients of a sharp photograph
        are hardly correlated, so that it resembles the autocorrelation of the kernel.
    noise_ratio : float
        Standard deviation of the noise over that of the gradients; on a GPU an array ().
    """

    correlation: Array
    noise_ratio: float | Array

    @classmethod
    def of(cls, image: Array, noise: float | Array, support: int) -> Scene:
        """Analyse an image (H, W) float32 with noise of standard deviation `noise`, for kernels of `support` pixels."""
        xp = array_module(image)
        lags, deviation = (each.astype(np.float64) for each in _measure(image, noise, support))
        (top, left), (up, across) = origin((support, support)), _lags(image.shape, support)[0]
        correlation = xp.zeros((support, support))
        inside = slice(top - up, top - up + lags.shape[0]), slice(left - across, left - across + lags.shape[1])
        correlation[inside] = lags / xp.maximum(lags[up, across], TINY)
        return cls(correlation, noise / xp.maximum(deviation, TINY))


def _lags(shape: tuple[int, int], support: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the longest negative lags that both a kernel and an image of `shape` have, and the numbers of all lags."""
    longest = [min(start, (size - 1) // 2) for start, size in zip(origin((support, support)), shape, strict=True)]
    counts = [
        min(support - start + lag, size)
        for start, lag, size in zip(origin((support, support)), longest, shape, strict=True)
    ]
    return (longest[0], longest[1]), (counts[0], counts[1])


def _measure(image: Array, noise: float | Array, support: int) -> tuple[Array, Array]:
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
    # Across a strip of one pixel there are no gradients.
    down, across = (xp.diff(image, axis=axis).std() if image.shape[axis] > 1 else np.float32(0) for axis in (0, 1))
    return cut, 0.5 * (down + across)
