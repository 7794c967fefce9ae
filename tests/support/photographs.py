"""Photographs blurred by a known kernel."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import fftconvolve
from skimage import data as pictures


def bent_path(length, width):
    """A path that goes across, then down, with a Gaussian profile: easy to tell from its mirror image."""
    side = length + 6
    rows, cols = np.mgrid[:side, :side].astype(float)
    kernel = np.zeros((side, side))
    for step in np.linspace(0, 1, 6 * length):
        at = (3 + 0.3 * length * np.sin(2.4 * step), 3 + length * step)
        kernel += (0.4 + step) * np.exp(-((rows - at[0]) ** 2 + (cols - at[1]) ** 2) / (2 * width**2))
    kernel[kernel < 0.02 * kernel.max()] = 0
    return kernel / kernel.sum()


@pytest.fixture(scope="session")
def kernel():
    return bent_path(11, 0.6)


@pytest.fixture(scope="session")
def sharp():
    return (pictures.camera() / 255).astype(np.float32)[70:300, 100:340]


@pytest.fixture(scope="session")
def blur(kernel):
    """The same part of the picture, blurred, with noise of a standard deviation."""
    whole = fftconvolve(pictures.camera() / 255, kernel, mode="same")[70:300, 100:340]

    def blur(noise):
        return (whole + np.random.default_rng(0).normal(0, noise, whole.shape)).astype(np.float32)

    return blur


@pytest.fixture(scope="session")
def blurred(blur):
    """With 1 % noise."""
    return blur(0.01)
