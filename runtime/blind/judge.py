"""A criterion without reference: how well a blur kernel explains the power spectrum of a photograph.

Photographs of the world have a power spectrum that falls with the square of the frequency (Field 1987); blur
multiplies it by the kernel's, and noise adds a constant. Under a Gaussian model of the latent image, which is
integrated out, the negative log-likelihood of the observed periodogram ``I`` is (Whittle 1953)

    mean over w of  I(w) / M(w) + log M(w),     M(w) = c |K(w)|^2 / |D(w)|^2 + sigma^2,

with ``c``, the contrast of the scene, chosen best for each kernel. The latent image being integrated out, no
kernel is preferred for being a point (Levin et al. 2009). The phase of the kernel is not judged: that is what
the edges are for.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.arrays import Array
from runtime.blind.kernel_shape import origin
from runtime.nonblind.noise import estimate_noise

LEAST_NOISE = 0.003
"""Standard deviation that stands for all that the model does not know, in photographs almost free of noise."""
LOWEST = 3
"""Periods in the image below which frequencies tell about the scene alone."""


class SpectrumJudge:
    """Scores blur kernels against one observed image.

    Parameters
    ----------
    image : array (H, W) float32
        Observed image, on either device.
    """

    def __init__(self, image: Array) -> None:
        self._noise = max(estimate_noise(image), LEAST_NOISE) ** 2
        host: NDArray[np.float32] = image.get() if hasattr(image, "get") else image
        self._shape = host.shape
        window = np.outer(*(np.sin(np.pi * (np.arange(n) + 0.5) / n) ** 2 for n in host.shape))
        tapered = (host - float((host * window).sum() / window.sum())) * window
        rows, cols = np.fft.fftfreq(host.shape[0])[:, None], np.fft.rfftfreq(host.shape[1])[None, :]
        self._used = np.hypot(rows, cols) > LOWEST / min(host.shape)
        power = np.square(np.abs(np.fft.rfft2(tapered))) / np.square(window).sum()
        self._periodogram = power[self._used]
        gradient = 4 * np.square(np.sin(np.pi * rows)) + 4 * np.square(np.sin(np.pi * cols))
        self._scene = 1 / gradient[self._used]

    def score(self, kernel: NDArray[np.floating]) -> float:
        """Return the negative log-likelihood of `kernel` per frequency, in nats: lower is better."""
        from scipy.optimize import minimize_scalar

        canvas = np.zeros(self._shape)
        canvas[: kernel.shape[0], : kernel.shape[1]] = kernel
        rows, cols = origin(kernel.shape)
        transfer = np.fft.rfft2(np.roll(canvas, (-rows, -cols), axis=(0, 1)))
        blurred = self._scene * np.square(np.abs(transfer))[self._used]

        def cost(log_contrast: float) -> float:
            model = np.exp(log_contrast) * blurred + self._noise
            return float(np.mean(self._periodogram / model + np.log(model)))

        return float(minimize_scalar(cost, bounds=(-20.0, 2.0), method="bounded", options={"xatol": 1e-3}).fun)
