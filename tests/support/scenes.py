"""Pictures and kernels that all tests of non-blind deconvolution share."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.signal import fftconvolve


class Scene:
    """A latent image larger than its photograph, so that the photograph's border is a true one."""

    def __init__(self, kernel, noise=0.0, shape=(96, 112), seed=0):
        height, width = kernel.shape
        random = np.random.default_rng(seed)
        whole = _picture(random, (shape[0] + height - 1, shape[1] + width - 1))
        top, left = height - 1 - (height - 1) // 2, width - 1 - (width - 1) // 2
        self.latent = whole[top : top + shape[0], left : left + shape[1]].astype(np.float32)
        blurred = fftconvolve(whole, kernel, mode="valid")
        self.observed = (blurred + noise * random.normal(size=shape)).astype(np.float32)
        self.kernel = kernel


def _picture(random, shape):
    """Draw overlapping rectangles of flat and of textured grey, the edges a little soft."""
    picture = np.full(shape, 0.5)
    for _ in range(40):
        top, left = random.integers(0, shape[0]), random.integers(0, shape[1])
        bottom, right = top + random.integers(8, 48), left + random.integers(8, 48)
        picture[top:bottom, left:right] = random.uniform(0.1, 0.9)
    texture = gaussian_filter(random.normal(size=shape), 1.5)
    return gaussian_filter(picture, 0.6) + 0.1 * texture


def _shake(size):
    """Draw the curved path of a hand-held camera."""
    kernel = np.zeros((size, size))
    for t in np.linspace(0, 1, 40 * size):
        row = (size - 1) * (0.5 + 0.42 * np.sin(2.5 * t + 0.3))
        col = (size - 1) * (0.08 + 0.84 * t)
        kernel[round(row), round(col)] += 1
    return (kernel / kernel.sum()).astype(np.float32)


@pytest.fixture(scope="session")
def shake():
    return _shake(13)


@pytest.fixture(scope="session")
def scene(shake):
    return Scene(shake, noise=0.005)


@pytest.fixture(scope="session")
def make_scene():
    return Scene


@pytest.fixture(scope="session")
def psnr():
    def compute(a, b, border=0):
        inside = slice(border, -border or None)
        return -10 * np.log10(np.mean(np.square((a - b)[inside, inside], dtype=np.float64)))

    return compute
