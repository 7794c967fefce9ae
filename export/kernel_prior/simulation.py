"""Blurred photographs whose blur kernel is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.data.camera import GAMMA
from export.kernel_prior.kernels import draw_motion, random_kernel, random_motion
from export.kernel_prior.rolls import blur_by_turning
from runtime.blur.kernel import Kernel
from runtime.estimation.kernel.pyramid import shrink

FLAT = 0.03
"""Standard deviation under which a crop shows too little."""
LEAST_SIDE = 32
"""Side in pixels under which an observed image tells nothing."""
_ATTEMPTS = 200
_LEAST = {"sizes": 3, "sides": LEAST_SIDE, "noise": 1e-6, "turn": 0, "room": 0.1}


@dataclass(frozen=True)
class SimulationConfig:
    """What photographs a training set contains.

    Attributes
    ----------
    sizes
        Smallest and largest span of a kernel in pixels; its logarithm is uniform in between.
    sides
        Smallest and largest side of an observed image in pixels; its logarithm is uniform in between.
    shrinking
        Factors, each equally likely, by which photographs are made smaller first: at 1 they are as soft as they are.
    noise
        Smallest and largest standard deviation of the noise; its logarithm is uniform in between.
    linear
        Share of images blurred in linear light.
    turning
        Share of images, besides, blurred in linear light by a camera that turns about its axis as it shakes.
    turn
        By how many pixels, at least and at most, that moves the border of the picture.
    rounded
        Share of images clipped and rounded to 8 bits.
    room
        Smallest and largest ratio of the side of the kernel that is allowed for to the side that it has.
    longest
        Largest side in pixels that is allowed for.
    """

    sizes: tuple[int, int] = (4, 80)
    sides: tuple[int, int] = (140, 800)
    shrinking: tuple[float, ...] = (1, 1, 1.4, 2, 2.8)
    noise: tuple[float, float] = (0.001, 0.02)
    linear: float = 0.1
    turning: float = 0.2
    turn: tuple[float, float] = (0.3, 4)
    rounded: float = 0.5
    room: tuple[float, float] = (0.8, 2.6)
    longest: int = 101

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            low, high = getattr(self, name)
            if not least <= low <= high:
                raise ValueError(f"{name} must be a range (low, high) from {least} up, got {(low, high)}")
        for name in ("linear", "turning", "rounded"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be a share from 0 to 1, got {getattr(self, name)}")
        if not self.shrinking or min(self.shrinking) < 1:
            raise ValueError(f"shrinking must be factors of at least 1, got {self.shrinking}")
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
    """

    image: NDArray[np.float32]
    kernel: Kernel


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
    turning = rng.random() < config.turning
    motion = random_motion(max(size, 5), rng)
    kernel = draw_motion(motion) if turning else random_kernel(size, rng)
    # A picture that turns is blurred with its surroundings, of which twice the kernel is cut off at each side.
    margin = 4 * kernel.shape[0] if turning else kernel.shape[0] - 1
    allowed = max(min(plane.shape) for plane in planes) - margin
    if allowed < max(LEAST_SIDE, 2 * kernel.shape[0] - 2):
        raise ValueError(f"no photograph is large enough for a kernel of {kernel.shape[0]} px; give larger ones")
    side = min(max(round(log_uniform(rng, config.sides)), 5 * kernel.shape[0]), allowed)
    sharp = sharp_crop(planes, side + margin, config.shrinking, rng)
    if turning:
        blurred = blur_by_turning(sharp, motion, 2 * rng.uniform(*config.turn) / side, rng)
        image = blurred[margin // 2 : margin // 2 + side, margin // 2 : margin // 2 + side]
    elif rng.random() < config.linear:
        image = np.maximum(fftconvolve(sharp**GAMMA, kernel, "valid"), 0) ** (1 / GAMMA)
    else:
        image = fftconvolve(sharp, kernel, "valid")
    image = image + log_uniform(rng, config.noise) * rng.standard_normal(image.shape)
    if rng.random() < config.rounded:
        image = np.rint(255 * np.clip(image, 0, 1)) / 255
    return Observation(image.astype(np.float32), kernel)


def sharp_crop(
    planes: Sequence[NDArray[np.uint8]], side: int, shrinking: Sequence[float], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Cut a square (side, side) that is not flat, values in [0, 1], out of a photograph made smaller at random."""
    for _ in range(_ATTEMPTS):
        plane = planes[rng.integers(len(planes))]
        factor = min(float(rng.choice(shrinking)), min(plane.shape) / side)
        if factor < 1:
            continue
        need = round(side * factor)
        top, left = (int(rng.integers(length - need + 1)) for length in plane.shape)
        crop = shrink(plane[top : top + need, left : left + need].astype(np.float32) / 255, factor)
        if crop.std() > FLAT:
            return crop
    raise ValueError(f"no photograph shows anything on {side} x {side} px; give larger ones, or smaller sides")


def log_uniform(rng: np.random.Generator, bounds: tuple[float, float]) -> float:
    """Draw a number whose logarithm is uniform between the bounds."""
    return math.exp(rng.uniform(math.log(bounds[0]), math.log(bounds[1])))
