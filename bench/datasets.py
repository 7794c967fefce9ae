"""Sets of blurred photographs with known truth, each a function from the data folder to cases."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import click
import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.float32]
T = TypeVar("T")

NOISE = 0.01
SUN_BORDER = 50
LEVIN_BORDER = 15
"""Pixels that do not count, besides half the blur kernel."""
LEVIN_KERNELS = 8


@dataclass(frozen=True)
class Sample:
    """One blurred image and its truth.

    Attributes
    ----------
    observed, sharp
        Float32 luminance ``(H, W)`` of one shape, values in about [0, 1].
    kernel
        The blur as a true convolution: float32 ``(h, w)``, sum 1.
    border
        Pixels at each side that do not count in the score.
    max_shift
        Largest translation in pixels between restored and sharp image that the score forgives.
    """

    observed: Plane
    sharp: Plane
    kernel: Plane
    border: int
    max_shift: int = 10


@dataclass(frozen=True)
class Case:
    """The name of a sample within its set, and how to load it."""

    name: str
    load: Callable[[], Sample]


def levin(data: Path) -> list[Case]:
    """Return the real camera shakes of Levin et al. 2009: the stored images, each with each measured kernel.

    The stored kernels describe correlations. The blurred images are a few pixels off what their kernels say, by a
    fixed shift per kernel, so even the true kernel restores a shifted image.
    """
    files = _files(data / "eval" / "levin2009", "im*_ker*.npz")
    return [Case(file.stem, partial(_load_levin, file)) for file in files]


def sun_style(data: Path) -> list[Case]:
    """Return sharp photographs blurred by Levin's kernels, with 1 % Gaussian noise: the recipe of Sun et al. 2013."""
    photographs = _files(data / "eval" / "sharp_cid22_val", "*.png")
    measured = levin(data)[:LEVIN_KERNELS]
    return [
        Case(f"{photograph.stem}_{case.name.split('_')[1]}", partial(_load_sun_style, photograph, case, (row, column)))
        for row, photograph in enumerate(photographs)
        for column, case in enumerate(measured)
    ]


SETS: dict[str, Callable[[Path], list[Case]]] = {"levin": levin, "sun": sun_style}
"""Every set that the accuracy benchmark knows, by name."""


def data_folder(given: str | None) -> Path:
    """Return the folder of the evaluation data: the one given, or the one that DEBLUR_DATA names.

    Raises
    ------
    click.UsageError
        If there is none.
    """
    name = given or os.environ.get("DEBLUR_DATA")
    if not name:
        raise click.UsageError("the evaluation data: give its folder with --data or in DEBLUR_DATA")
    if not Path(name).is_dir():
        raise click.UsageError(f"{name}: no such folder; give that of the data with --data or in DEBLUR_DATA")
    return Path(name)


def choose(cases: Sequence[T], count: int | None) -> list[T]:
    """Choose `count` of the cases, always the same, and always among those of a larger `count`; ``None`` for all."""
    order = np.random.default_rng(0).permutation(len(cases))
    return [cases[index] for index in sorted(order[:count])]


def blur_valid(sharp: Plane, kernel: Plane, noise: float, seed: Sequence[int]) -> tuple[Plane, Plane]:
    """Convolve where the kernel lies wholly inside the image, add Gaussian noise, and crop the truth to match.

    Parameters
    ----------
    sharp
        ``(H, W)``.
    kernel
        ``(h, w)``; its origin is ``((h - 1) // 2, (w - 1) // 2)``.
    noise
        Standard deviation.
    seed
        Of the noise.

    Returns
    -------
    observed, cropped
        Float32 ``(H - h + 1, W - w + 1)`` each.
    """
    from scipy.signal import fftconvolve

    observed = fftconvolve(sharp.astype(np.float64), kernel, "valid")
    observed += noise * np.random.default_rng(seed).standard_normal(observed.shape)
    top, left = kernel.shape[0] // 2, kernel.shape[1] // 2
    cropped = sharp[top : top + observed.shape[0], left : left + observed.shape[1]]
    return observed.astype(np.float32), np.ascontiguousarray(cropped)


def _load_levin(file: Path) -> Sample:
    with np.load(file, allow_pickle=False) as stored:
        observed, sharp, kernel = (stored[key].astype(np.float32) for key in ("y", "x", "f"))
    return Sample(observed, sharp, _convolution(kernel), LEVIN_BORDER + max(kernel.shape) // 2)


def _load_sun_style(photograph: Path, measured: Case, seed: tuple[int, int]) -> Sample:
    kernel = measured.load().kernel
    observed, sharp = blur_valid(_luminance(photograph), kernel, NOISE, seed)
    return Sample(observed, sharp, kernel, SUN_BORDER)


def _convolution(correlation: Plane) -> Plane:
    """Flip a stored correlation kernel and give it the sum 1."""
    return np.ascontiguousarray(correlation[::-1, ::-1] / correlation.sum())


def _luminance(file: Path) -> Plane:
    from runtime.images import luminance, open_image, read_file

    plane: Plane = luminance(open_image(read_file(file)[0])[0])
    return plane


def _files(folder: Path, pattern: str) -> list[Path]:
    files = sorted(folder.glob(pattern))
    if not files:
        raise click.UsageError(f"{folder}: no files {pattern} there; give the folder of the data with --data")
    return files
