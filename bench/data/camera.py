"""What a camera makes of a scene: light is blurred, bent by a tone curve, clipped, sharpened and compressed.

Each recipe takes a sharp photograph as stored, float32 luminance ``(H, W)`` or RGB ``(H, W, 3)`` in [0, 1], a kernel
``(h, w)`` of a true convolution, and a seed. It returns the blurred photograph and the sharp one that it is compared
with, cropped alike to ``(H - h + 1, W - w + 1)``.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from runtime.colour import luminance
from runtime.response import SRGB

Photograph = npt.NDArray[np.float32]
Recipe = Callable[[Photograph, Photograph, Sequence[int]], tuple[Photograph, Photograph]]

NOISE = 0.01
"""Standard deviation of the noise of stored values."""
_SHOT, _READ = 2e-4, 4e-6
"""Variance of the noise of light: in units of the light, and without any."""
_BRIGHT, _BRIGHTEST = 0.5, 12.0
"""Luminance in linear light from which highlights are brighter than they were stored, and how often at most."""
_SMOOTHING, _SHARPENING_RADIUS, _SHARPENING, _QUALITY = 0.6, 1.0, 0.6, 88
"""What a phone does: deviations in pixels of smoothing and of the unsharp mask, its strength, quality of the JPEG."""


def plain(sharp: Photograph, kernel: Photograph, seed: Sequence[int]) -> tuple[Photograph, Photograph]:
    """Blur the stored values and add Gaussian noise, as most benchmarks do."""
    observed = _blurred(sharp, kernel)
    observed = observed + NOISE * np.random.default_rng(seed).standard_normal(observed.shape)
    return observed.astype(np.float32), _cropped(sharp, kernel)


def light(sharp: Photograph, kernel: Photograph, seed: Sequence[int]) -> tuple[Photograph, Photograph]:
    """Blur the light, with the noise of a sensor, and store it in 8 bits under the curve of sRGB."""
    return _eight_bits(_exposed(SRGB.to_light(sharp), kernel, seed)), _cropped(sharp, kernel)


def lights(sharp: Photograph, kernel: Photograph, seed: Sequence[int]) -> tuple[Photograph, Photograph]:
    """Make highlights up to 12 times brighter than white before they are blurred and clipped, as lamps at night are."""
    scene = SRGB.to_light(sharp)
    brightness = scene if scene.ndim == 2 else luminance(np.moveaxis(scene, -1, 0))
    excess = ((brightness - _BRIGHT) / (1 - _BRIGHT)).clip(0, 1)
    factor = 1 + (_BRIGHTEST - 1) * excess
    scene = scene * (factor if sharp.ndim == 2 else factor[..., None]).astype(np.float32)
    truth = SRGB.from_light(scene.clip(0, 1))
    return _eight_bits(_exposed(scene, kernel, seed)), _cropped(truth, kernel)


def phone(sharp: Photograph, kernel: Photograph, seed: Sequence[int]) -> tuple[Photograph, Photograph]:
    """Blur the light, then smooth, sharpen and compress it, as a phone does."""
    from PIL import Image
    from scipy.ndimage import gaussian_filter

    stored = _exposed(SRGB.to_light(sharp), kernel, seed)
    radius = (1, 1, 0)[: sharp.ndim]
    stored = gaussian_filter(stored, [_SMOOTHING * each for each in radius])
    stored += _SHARPENING * (stored - gaussian_filter(stored, [_SHARPENING_RADIUS * each for each in radius]))
    file = io.BytesIO()
    Image.fromarray(np.rint(stored.clip(0, 1) * 255).astype(np.uint8)).save(
        file, "JPEG", quality=_QUALITY, subsampling="4:2:0"
    )
    return np.asarray(Image.open(file)).astype(np.float32) / np.float32(255), _cropped(sharp, kernel)


RECIPES: dict[str, Recipe] = {"plain": plain, "light": light, "lights": lights, "phone": phone}
"""The recipes by name."""


def _exposed(scene: Photograph, kernel: Photograph, seed: Sequence[int]) -> Photograph:
    """Blur light, add the noise of a sensor, clip, and apply the curve of sRGB."""
    exposure = _blurred(scene, kernel)
    noise = np.sqrt(_SHOT * exposure.clip(0) + _READ) * np.random.default_rng(seed).standard_normal(exposure.shape)
    return SRGB.from_light((exposure + noise).clip(0, 1).astype(np.float32))


def _blurred(image: Photograph, kernel: Photograph) -> npt.NDArray[np.float64]:
    """Convolve without padding."""
    from scipy.signal import fftconvolve

    kernel = kernel if image.ndim == 2 else kernel[..., None]
    return np.asarray(fftconvolve(image.astype(np.float64), kernel.astype(np.float64), "valid", axes=(0, 1)))


def _cropped(image: Photograph, kernel: Photograph) -> Photograph:
    """Return the part of an image that the origin of the kernel reaches in a convolution without padding."""
    rows, cols = (
        slice(side // 2, size - (side - 1) // 2) for side, size in zip(kernel.shape, image.shape, strict=False)
    )
    return np.ascontiguousarray(image[rows, cols])


def _eight_bits(stored: Photograph) -> Photograph:
    return np.rint(stored * 255).astype(np.float32) / np.float32(255)
