"""Sets of bursts to fuse, each a function from the data folder to cases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.data.datasets import NOISE, Photograph, find_files, read_photograph

FRAMES = 14
EXTENTS = (7, 14, 17)
"""Sides in pixels of the squares that hold the kernels of the synthetic sets (Wieschollek et al. 2016, 3.2 and 4.3)."""
BORDER = 24
"""Pixels at each side that do not count."""
STILL = 4
"""Frame of the moved burst that stays where it is: the sharpest."""
_MARGIN = 32
_SAMPLES = 192
_KNOTS = 32
_LENGTH_SCALE = 0.3


@dataclass(frozen=True)
class Burst:
    """Frames of one scene, and the truth.

    Attributes
    ----------
    frames
        Float32 luminance ``(H, W)`` or colours ``(H, W, 3)`` each, values in about [0, 1].
    sharp
        The truth, of the same shape.
    fit_values
        Whether the score forgives an affine map of the values: the truth was exposed otherwise.
    reference
        Number of the frame that lies as the truth does, where the others must be aligned with it first; ``None`` where
        they are registered.
    """

    frames: list[Photograph]
    sharp: Photograph
    fit_values: bool = False
    reference: int | None = None


@dataclass(frozen=True)
class BurstCase:
    """The name of a burst within its set, and how to load it."""

    name: str
    load: Callable[[], Burst]


def fba_psf(data: Path) -> list[BurstCase]:
    """Return the burst of Delbracio and Sapiro 2015 whose scene was also taken from a tripod: hand-held, registered."""
    folder = data / "eval" / "fba_psf"
    files = find_files(folder, "REG_*.jpg")
    return [BurstCase("fba_psf", partial(_load_fba_psf, files, folder / "sharp_000.jpg"))]


def fba_psf_moved(data: Path) -> list[BurstCase]:
    """Return the inner part of that burst twice: as it is, and shifted, turned and scaled by known homographies."""
    (whole,) = fba_psf(data)
    return [BurstCase(name, partial(_load_inner, whole, moved=name == "moved")) for name in ("still", "moved")]


def synthetic(data: Path, extent: int) -> list[BurstCase]:
    """Return bursts of sharp photographs without a sharp frame: every kernel spans `extent` pixels, noise 1 %."""
    files = find_files(data / "eval" / "sharp_cid22_val", "*.png")
    return [
        BurstCase(file.stem, partial(_load_synthetic, file, extent, (extent, number)))
        for number, file in enumerate(files)
    ]


BURST_SETS: dict[str, Callable[[Path], list[BurstCase]]] = {
    "fba_psf": fba_psf,
    "fba_psf_moved": fba_psf_moved,
    **{f"synthetic_{extent}": partial(synthetic, extent=extent) for extent in EXTENTS},
}
"""Every set of bursts that the accuracy benchmark knows, by name."""


def shake_kernels(count: int, extent: int, random: np.random.Generator) -> npt.NDArray[np.float32]:
    """Draw blur kernels along Gaussian processes with the Matern covariance of smoothness 3/2 (Schuler et al. 2014).

    Parameters
    ----------
    count
        How many.
    extent
        Side in pixels of the square that each path just fits in.
    random
        Source of randomness.

    Returns
    -------
    ndarray (count, size, size)
        Float32, non-negative, of sum 1, with the centre of mass in the central pixel; `size` is odd, about twice
        `extent`.
    """
    time = np.linspace(0, 1, _SAMPLES)
    distance = np.sqrt(3) * np.abs(time[:, None] - time) / _LENGTH_SCALE
    factor = np.linalg.cholesky((1 + distance) * np.exp(-distance) + 1e-8 * np.eye(_SAMPLES))
    paths = factor @ random.standard_normal((count, _SAMPLES, 2))
    paths *= (extent - 1) / np.ptp(paths, axis=1).max(1)[:, None, None]
    knots = 1 + 0.5 * random.standard_normal((count, _KNOTS))
    exposure = np.stack([np.interp(time, np.linspace(0, 1, _KNOTS), row) for row in knots]).clip(1e-6)
    return np.stack(
        [_draw(path, weights / weights.sum(), extent) for path, weights in zip(paths, exposure, strict=True)]
    )


def _draw(path: npt.NDArray[np.float64], weights: npt.NDArray[np.float64], half: int) -> npt.NDArray[np.float32]:
    """Share the weight of every point bilinearly among its four pixels."""
    kernel = np.zeros((2 * half + 1, 2 * half + 1))
    place = path - weights @ path + half
    low = np.floor(place).astype(int)
    share = place - low
    for down, right in np.ndindex(2, 2):
        part = np.abs(1 - down - share[:, 0]) * np.abs(1 - right - share[:, 1])
        np.add.at(kernel, (low[:, 0] + down, low[:, 1] + right), weights * part)
    return kernel.astype(np.float32)


def _load_fba_psf(files: list[Path], sharp: Path) -> Burst:
    return Burst([read_photograph(file) for file in files], read_photograph(sharp), fit_values=True)


def _load_inner(whole: BurstCase, moved: bool) -> Burst:
    burst = whole.load()
    frames = [
        _moved(frame, 4 * (number - STILL) / len(burst.frames)) if moved and number != STILL else frame
        for number, frame in enumerate(burst.frames)
    ]
    return Burst([_inner(frame) for frame in frames], _inner(burst.sharp), burst.fit_values, STILL if moved else None)


def _moved(frame: Photograph, step: float) -> Photograph:
    """Show a frame `step` times 3 px to the right, 2 px upwards, half a degree turned and 0.4 % enlarged."""
    import cv2

    from runtime.burst.registration import warp

    planes = np.ascontiguousarray(frame.transpose(2, 0, 1))
    homography = np.eye(3)
    height, width = frame.shape[:2]
    homography[:2] = cv2.getRotationMatrix2D((width / 2, height / 2), step / 2, 1 + 0.004 * step)
    homography[:2, 2] += 3 * step, -2 * step
    return np.ascontiguousarray(warp(planes, homography, outside=planes).transpose(1, 2, 0))


def _inner(image: Photograph) -> Photograph:
    return np.ascontiguousarray(image[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN])


def _load_synthetic(file: Path, extent: int, seed: tuple[int, int]) -> Burst:
    from scipy.signal import fftconvolve

    random = np.random.default_rng(seed)
    sharp = read_photograph(file)
    frames = []
    for kernel in shake_kernels(FRAMES, extent, random):
        blurred = fftconvolve(sharp, kernel[..., None] if sharp.ndim == 3 else kernel, "valid", axes=(0, 1))
        noisy = blurred + NOISE * random.standard_normal(blurred.shape)
        frames.append(np.clip(noisy, 0, 1).astype(np.float32))
    height, width = frames[0].shape[:2]
    return Burst(frames, np.ascontiguousarray(sharp[extent : extent + height, extent : extent + width]))
