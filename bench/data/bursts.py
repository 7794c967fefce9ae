"""Sets of bursts: functions that take the data folder and return cases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.data.datasets import NOISE, Photograph
from bench.data.files import find_files, read_photograph

FRAMES = 14
_EXTENTS = (7, 14, 17)
"""Kernel sizes of the synthetic sets, in pixels (Wieschollek et al. 2016, sections 3.2 and 4.3)."""
BORDER = 24
"""Pixels at each side that are left out of the scores."""
FIXED_FRAME = 4
"""Index of the frame of the moved burst that is not moved, the sharpest one."""
_MARGIN = 32
_SAMPLES = 192
_KNOTS = 32
_LENGTH_SCALE = 0.3


@dataclass(frozen=True)
class Burst:
    """Frames of one scene, and its sharp image.

    Attributes
    ----------
    frames
        float32 each, luminance ``(H, W)`` or RGB ``(H, W, 3)``, values in about [0, 1].
    sharp
        The sharp image, of the same shape.
    fit_values
        Whether the score allows an affine map of the values, as the sharp image has another exposure.
    reference
        Index of the frame that is aligned with the sharp image and that the others have to be registered to; ``None``
        if all frames are registered.
    """

    frames: list[Photograph]
    sharp: Photograph
    fit_values: bool = False
    reference: int | None = None


@dataclass(frozen=True)
class BurstCase:
    """A burst of a set: its name, and how to load it."""

    name: str
    load: Callable[[], Burst]


def fba_psf(data: Path) -> list[BurstCase]:
    """Return the registered hand-held burst of Delbracio and Sapiro 2015 whose sharp image was taken on a tripod."""
    folder = data / "eval" / "fba_psf"
    files = find_files(folder, "REG_*.jpg")
    return [BurstCase("fba_psf", partial(_load_fba_psf, files, folder / "sharp_000.jpg"))]


def fba_psf_moved(data: Path) -> list[BurstCase]:
    """Return the centre of the burst of `fba_psf` twice: as it is, and with frames shifted, rotated and scaled."""
    (whole,) = fba_psf(data)
    return [BurstCase(name, partial(_load_inner, whole, moved=name == "moved")) for name in ("still", "moved")]


def synthetic(data: Path, extent: int) -> list[BurstCase]:
    """Return sharp photographs as bursts of `FRAMES` frames, each under a kernel of `extent` pixels and 1 % noise."""
    files = find_files(data / "eval" / "sharp_cid22_val", "*.png")
    return [
        BurstCase(file.stem, partial(_load_synthetic, file, extent, (extent, number)))
        for number, file in enumerate(files)
    ]


BURST_SETS: dict[str, Callable[[Path], list[BurstCase]]] = {
    "fba_psf": fba_psf,
    "fba_psf_moved": fba_psf_moved,
    **{f"synthetic_{extent}": partial(synthetic, extent=extent) for extent in _EXTENTS},
}
"""All sets of bursts, by name."""


def shake_kernels(count: int, extent: int, random: np.random.Generator) -> npt.NDArray[np.float32]:
    """Draw blur kernels along Gaussian processes with the Matern covariance of smoothness 3/2 (Schuler et al. 2014).

    Parameters
    ----------
    count
        Number of kernels.
    extent
        Side of the bounding square of each path, in pixels.
    random
        Source of randomness.

    Returns
    -------
    ndarray (count, size, size)
        float32, non-negative, each of sum 1 with its centre of mass in the central pixel; `size` is
        ``2 * extent + 1``.
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
    """Draw a weighted path with bilinear interpolation."""
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
        _moved(frame, 4 * (number - FIXED_FRAME) / len(burst.frames)) if moved and number != FIXED_FRAME else frame
        for number, frame in enumerate(burst.frames)
    ]
    return Burst(
        [_inner(frame) for frame in frames], _inner(burst.sharp), burst.fit_values, FIXED_FRAME if moved else None
    )


def _moved(frame: Photograph, step: float) -> Photograph:
    """Warp a frame `step` times: 3 px to the right, 2 px up, rotated by half a degree, enlarged by 0.4 %."""
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
