"""Blurred photographs whose blur kernel is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.data.camera import GAMMA
from export.data.checks import check_factors, check_range, check_shares
from export.data.crops import log_uniform, sharp_crop
from export.data.kernels import draw_motion, random_kernel, random_motion
from export.data.rolls import blur_by_turning
from export.data.scenes import SceneConfig, photograph, store
from runtime.blur.kernel import Kernel
from runtime.response import LINEAR, SRGB, Response

LEAST_SIDE = 32
"""Least side of an observed image in pixels."""
_LEAST = {"sizes": 3, "sides": LEAST_SIDE, "noise": 1e-6, "turn": 0, "room": 0.1}


@dataclass(frozen=True)
class SimulationConfig:
    """What blurred photographs a training set contains.

    Attributes
    ----------
    sizes
        Smallest and largest span of a kernel in pixels; its logarithm is uniform in between.
    sides
        Smallest and largest side of an observed image in pixels; its logarithm is uniform in between.
    shrinking
        Factors, each equally likely, by which photographs are shrunk first; at 1 they keep their own softness.
    noise
        Smallest and largest standard deviation of the noise; its logarithm is uniform in between.
    linear
        Share of images blurred in linear light.
    turning
        Share of images blurred in linear light by a camera that rotates about its optical axis as it shakes.
    turn
        Least and largest displacement of the image border by that rotation, in pixels.
    rounded
        Share of the other images that are clipped and rounded to 8 bits.
    light
        Share of images as a camera makes them: light is blurred, clipped, and stored under the curve of sRGB.
    lit, processed
        Shares of these whose highlights are brighter than white, and that are smoothed and sharpened as by a phone.
    as_light
        Share of these in whose light the kernel is looked for; of the others it is in the stored values.
    room
        Smallest and largest ratio of the support that is searched to the side of the true kernel.
    longest
        Largest support that is searched, in pixels.
    """

    sizes: tuple[int, int] = (4, 80)
    sides: tuple[int, int] = (140, 800)
    shrinking: tuple[float, ...] = (1, 1, 1.4, 2, 2.8)
    noise: tuple[float, float] = (0.001, 0.02)
    linear: float = 0.1
    turning: float = 0.2
    turn: tuple[float, float] = (0.3, 4)
    rounded: float = 0.5
    light: float = 0.4
    lit: float = 0.5
    processed: float = 0.35
    as_light: float = 0.65
    room: tuple[float, float] = (0.8, 2.6)
    longest: int = 101

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            check_range(self, name, least)
        check_shares(self, "linear", "turning", "rounded", "light", "lit", "processed", "as_light")
        check_factors("shrinking", self.shrinking)
        if self.longest < 7:
            raise ValueError(f"longest must be at least 7 px, got {self.longest}")


@dataclass(frozen=True)
class Observation:
    """A blurred image and its kernel.

    Attributes
    ----------
    image : array (n, n) float32
        Values about [0, 1], noise included.
    kernel : array (s, s) float64, s odd
        Of sum 1.
    response : Response
        The curve under which the kernel is looked for.
    """

    image: NDArray[np.float32]
    kernel: Kernel
    response: Response = LINEAR


def observe(planes: Sequence[NDArray[np.uint8]], config: SimulationConfig, rng: np.random.Generator) -> Observation:
    """Blur a random crop of a random photograph by a random kernel, and add noise.

    Parameters
    ----------
    planes
        Sharp photographs, (H, W) each.
    config
        Sizes, noise and so on.
    rng
        Source of randomness.

    Raises
    ------
    ValueError
        If the photographs are too small for the kernel, or flat.
    """
    from scipy.signal import fftconvolve

    size = round(log_uniform(rng, config.sizes))
    camera = rng.random() < config.light
    turning = not camera and rng.random() < config.turning
    motion = random_motion(max(size, 5), rng)
    kernel = draw_motion(motion) if turning else random_kernel(size, rng)
    # A rotating image is blurred with a margin, which is cut off afterwards: twice the kernel on each side.
    margin = 4 * kernel.shape[0] if turning else kernel.shape[0] - 1
    allowed = max(min(plane.shape) for plane in planes) - margin
    if allowed < max(LEAST_SIDE, 2 * kernel.shape[0] - 2):
        raise ValueError(f"no photograph is large enough for a kernel of {kernel.shape[0]} px; give larger ones")
    side = min(max(round(log_uniform(rng, config.sides)), 5 * kernel.shape[0]), allowed)
    sharp = sharp_crop(planes, side + margin, config.shrinking, rng)
    if camera:
        stored, _ = photograph(sharp, kernel, rng, lit=config.lit, processed=config.processed)
        response = SRGB if rng.random() < config.as_light else LINEAR
        return Observation(store(stored, SceneConfig(), rng), kernel, response)
    if turning:
        whole = blur_by_turning(sharp, motion, 2 * rng.uniform(*config.turn) / side, rng)
        blurred = whole[margin // 2 : margin // 2 + side, margin // 2 : margin // 2 + side]
    elif rng.random() < config.linear:
        blurred = np.maximum(fftconvolve(sharp**GAMMA, kernel, "valid"), 0) ** (1 / GAMMA)
    else:
        blurred = fftconvolve(sharp, kernel, "valid")
    image = blurred + log_uniform(rng, config.noise) * rng.standard_normal(blurred.shape)
    if rng.random() < config.rounded:
        image = np.rint(255 * np.clip(image, 0, 1)) / 255
    return Observation(image.astype(np.float32), kernel)
