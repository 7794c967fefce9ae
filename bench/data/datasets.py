"""Sets of blurred photographs: functions that take the data folder and return cases."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import click
import numpy as np
import numpy.typing as npt

from bench.data.camera import RECIPES
from bench.data.drawings import DRAWINGS
from bench.data.files import find_files, read_photograph
from bench.data.spoiled import SPOILED, View

Plane = npt.NDArray[np.float32]
Photograph = npt.NDArray[np.float32]
T = TypeVar("T")

NOISE = 0.01
MAX_SHIFT = 10
_LEVIN_KERNELS = 8
_LEVIN_BORDER, _SUN_BORDER, _KOHLER_BORDER, _LAI_BORDER, _PAIR_BORDER = 15, 50, 60, 20, 20
"""Pixels at each side left out of the scores; on Levin and Lai half the kernel size is added."""
_KOHLER_SHIFT = 40
_KOHLER_LARGE = (9, 10)
"""Shots with very large blur, which tables list separately."""
_LAI_KINDS = {"natural": "natural, people", "people": "natural, people"}
"""Kinds of scenes that are summarised together."""
SAMPLES = {"astronaut": 13, "camera": 17, "chelsea": 21, "coffee": 25, "hubble_deep_field": 29, "rocket": 33}
"""Free photographs of scikit-image, and the sizes of their kernels in pixels."""
_CAMERA_STEP = 3
"""Distance of the two kernels, in their order, under which a photograph of `camera_cid` is seen."""
_SAMPLE_SIDE, _SAMPLE_SEED = 512, 7
"""Largest side of the centre crop of a photograph, and the seed of the first kernel."""
BUNDLED = frozenset({"samples", "camera", *SPOILED})
"""Sets that need no data folder."""
DEFAULT_CASES = {"sun": 24}
"""Default number of cases by set; all cases of sets not listed."""


@dataclass(frozen=True)
class Sample:
    """One blurred photograph, and what is known about it.

    Attributes
    ----------
    observed
        float32, luminance ``(H, W)`` or RGB ``(H, W, 3)``, values in about [0, 1]; any image if there is a `view`.
    sharp
        The sharp image, of the same shape as the `view` of `observed`; ``None`` if unknown. For a photograph that is
        not blurred, `observed` itself.
    kernel
        Blur kernel of a true convolution, float32 ``(h, w)``, sum 1; ``None`` if unknown or not uniform.
    border
        Pixels at each side that are left out of the score.
    max_shift
        Largest translation between restored and sharp image that the score corrects, in pixels.
    fit_brightness
        Whether the score corrects a common factor of all values.
    view
        Takes the observed or a restored image, and returns what is comparable with the sharp image, float32.
    covered
        Mask (H, W) of the pixels of the `view` that show something else than the sharp image; none by default.
    """

    observed: Photograph
    sharp: Photograph | None = None
    kernel: Plane | None = None
    border: int = 0
    max_shift: int = MAX_SHIFT
    fit_brightness: bool = False
    view: View = np.asarray
    covered: npt.NDArray[np.bool_] | None = None

    @property
    def plain(self) -> bool:
        """Whether `observed` is the photograph itself."""
        return self.view is np.asarray


@dataclass(frozen=True)
class Case:
    """A sample of a set: its name, how to load it, and its kind, if the set has several kinds."""

    name: str
    load: Callable[[], Sample]
    kind: str = ""


def levin(data: Path) -> list[Case]:
    """Return the real camera shakes of Levin et al. 2009: the stored images, each with each measured kernel.

    The stored kernels are correlation kernels. The blurred images are shifted by a few pixels, fixed for each kernel,
    against their kernels, so that even the true kernel restores a shifted image.
    """
    files = find_files(data / "eval" / "levin2009", "im*_ker*.npz")
    return [Case(file.stem, partial(_load_levin, file)) for file in files]


def sun_style(data: Path, noise: float = NOISE) -> list[Case]:
    """Return sharp photographs blurred by Levin's kernels, with 1 % Gaussian noise: the recipe of Sun et al. 2013.

    Another `noise`, a standard deviation, may be asked for.
    """
    photographs = find_files(data / "eval" / "sharp_cid22_val", "*.png")
    measured = find_files(data / "eval" / "levin2009", "im*_ker*.npz")[:_LEVIN_KERNELS]
    return [
        Case(
            f"{photograph.stem}_{file.stem.split('_')[1]}",
            partial(_load_sun_style, photograph, file, (row, column), noise),
        )
        for row, photograph in enumerate(photographs)
        for column, file in enumerate(measured)
    ]


def kohler(data: Path, *, large: bool = False) -> list[Case]:
    """Return shots of Köhler et al. 2012: recorded camera shakes replayed by a robot, non-uniform blur.

    As in their protocol, the score corrects one translation and one factor of the values. Theirs takes the best score
    over about 200 sharp photographs along the path of the camera; here there is one, as JPEG, so scores are lower.

    Parameters
    ----------
    data
        The data folder.
    large
        Whether to return the shots `_KOHLER_LARGE`, with large blur, instead of the others.
    """
    folder = data / "eval" / "kohler2012"
    cases = []
    for file in find_files(folder, "Blurry*_*.png"):
        scene, shot = file.stem.removeprefix("Blurry").split("_")
        if (int(shot) in _KOHLER_LARGE) == large:
            load = partial(
                _load_photograph, file, folder / f"GroundTruth{scene}_jpegQ50.jpg",
                border=_KOHLER_BORDER, max_shift=_KOHLER_SHIFT, fit_brightness=True,
            )  # fmt: skip
            cases.append(Case(f"{scene}_{shot}", load))
    return cases


def lai(data: Path) -> list[Case]:
    """Return the uniform cases of Lai et al. 2016: colour photographs of several kinds, with known kernels."""
    folder = data / "eval" / "lai2016"
    cases = []
    for file in find_files(folder / "uniform", "*_kernel_*.png"):
        scene, number = file.stem.split("_kernel_")
        kernel = folder / "kernels" / f"kernel_{number}.png"
        load = partial(_load_photograph, file, folder / "sharp" / f"{scene}.png", kernel, border=_LAI_BORDER)
        kind = scene.split("_")[0]
        cases.append(Case(file.stem, load, _LAI_KINDS.get(kind, kind)))
    return cases


def lai_real(data: Path) -> list[Case]:
    """Return real blurred photographs of Lai et al. 2016, without sharp images."""
    files = find_files(data / "eval" / "lai2016" / "real", "*.jpg")
    return [Case(file.stem, partial(_load_photograph, file)) for file in files]


def gopro(data: Path) -> list[Case]:
    """Return averaged video frames of moving cameras and objects (Nah et al. 2017)."""
    cases = []
    for sharp in find_files(data / "eval" / "gopro", "*_gt.png"):
        blurred = sharp.with_name(sharp.name.replace("_gt.png", ".png"))
        cases.append(Case(blurred.stem, partial(_load_photograph, blurred, sharp, border=_PAIR_BORDER)))
    return cases


def shake(data: Path) -> list[Case]:
    """Return photographs blurred by recorded rotations of the camera, non-uniform blur."""
    folder = data / "eval" / "blur2seq_shake"
    return [
        Case(file.stem, partial(_load_photograph, file, folder / "sharp" / file.name, border=_PAIR_BORDER))
        for file in find_files(folder / "blurry", "*.jpg")
    ]


def harmless(data: Path) -> list[Case]:
    """Return sharp photographs and drawings, which a restoration should leave unchanged."""
    photographs = [
        Case(file.stem, partial(_load_harmless, partial(read_photograph, file)), "photograph")
        for file in find_files(data / "eval" / "sharp_cid22_val", "*.png")
    ]
    return photographs + [Case(name, partial(_load_harmless, draw), "drawing") for name, draw in DRAWINGS.items()]


def samples(data: Path) -> list[Case]:
    """Return photographs of scikit-image under simulated shakes with 1 % noise; needs no data folder."""
    return [
        Case(f"{name}_{size}", partial(_load_sample, name, size, number))
        for number, (name, size) in enumerate(SAMPLES.items())
    ]


def spoiled(data: Path, *, how: str) -> list[Case]:
    """Return the photographs of `samples`, each in every way in which set `how` of `SPOILED` spoils it."""
    return [
        Case(f"{name}_{size}_{way}", partial(_load_spoiled, name, size, number, how, way), way)
        for way in SPOILED[how]
        for number, (name, size) in enumerate(SAMPLES.items())
    ]


def camera(data: Path) -> list[Case]:
    """Return the photographs of `samples` as a camera makes them: by each of `bench.data.camera.RECIPES`."""
    return [
        Case(f"{name}_{size}_{recipe}", partial(_load_camera_sample, name, size, number, recipe), recipe)
        for recipe in RECIPES
        for number, (name, size) in enumerate(SAMPLES.items())
    ]


def camera_cid(data: Path) -> list[Case]:
    """Return sharp photographs, each under two of Levin's kernels, as a camera makes them."""
    photographs = find_files(data / "eval" / "sharp_cid22_val", "*.png")
    measured = find_files(data / "eval" / "levin2009", "im*_ker*.npz")[:_LEVIN_KERNELS]
    return [
        Case(
            f"{photograph.stem}_{file.stem.split('_')[1]}_{recipe}",
            partial(_load_camera_photograph, photograph, file, recipe, (row, column)),
            recipe,
        )
        for recipe in RECIPES
        for row, photograph in enumerate(photographs)
        for column, file in enumerate(measured)
        if column in (row, (row + _CAMERA_STEP) % _LEVIN_KERNELS)
    ]


SETS: dict[str, Callable[[Path], list[Case]]] = {
    "levin": levin, "sun": sun_style, "kohler": kohler, "kohler_large": partial(kohler, large=True), "lai": lai,
    "lai_real": lai_real, "gopro": gopro, "shake": shake, "harmless": harmless, "samples": samples,
    "camera": camera, "camera_cid": camera_cid,
    **{how: partial(spoiled, how=how) for how in SPOILED},
}  # fmt: skip
"""All sets, by name."""


def data_folder(given: str | None) -> Path:
    """Return the folder of the evaluation data: `given`, or else that of the environment variable DEBLUR_DATA.

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


def choose_cases(data: str | None, sets: Sequence[str], count: int | None) -> dict[str, list[Case]]:
    """Return `count` cases of each set, by default `DEFAULT_CASES`; see `data_folder` and `choose`.

    Raises
    ------
    click.UsageError
        If there is no such set, or its data are missing.
    """
    folder = data_folder(data) if not set(sets) <= BUNDLED else Path()
    if unknown := set(sets) - set(SETS):
        raise click.UsageError(f"no set {', '.join(sorted(unknown))}; give some of {', '.join(SETS)}")
    return {name: choose(SETS[name](folder), count or DEFAULT_CASES.get(name)) for name in sets}


def choose(cases: Sequence[T], count: int | None) -> list[T]:
    """Choose `count` cases, or all if ``None``: always the same ones, and a subset of those for a larger `count`."""
    order = np.random.default_rng(0).permutation(len(cases))
    return [cases[index] for index in sorted(order[:count])]


def luma(image: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Return the luminance ``(H, W)`` of an RGB image ``(H, W, 3)``, and a plane ``(H, W)`` as it is."""
    from runtime.colour import luminance

    return image if image.ndim == 2 else luminance(np.moveaxis(image, -1, 0))


def blur_valid(sharp: Plane, kernel: Plane, noise: float, seed: Sequence[int]) -> tuple[Plane, Plane]:
    """Convolve without padding, add Gaussian noise, and crop the sharp image to match.

    Parameters
    ----------
    sharp
        ``(H, W)``.
    kernel
        ``(h, w)``; its origin is ``((h - 1) // 2, (w - 1) // 2)``.
    noise
        Standard deviation of the noise.
    seed
        Seed of the noise.

    Returns
    -------
    observed, cropped
        float32 ``(H - h + 1, W - w + 1)`` each.
    """
    from scipy.signal import fftconvolve

    observed = fftconvolve(sharp.astype(np.float64), kernel, "valid")
    observed += noise * np.random.default_rng(seed).standard_normal(observed.shape)
    top, left = kernel.shape[0] // 2, kernel.shape[1] // 2
    cropped = sharp[top : top + observed.shape[0], left : left + observed.shape[1]]
    return observed.astype(np.float32), np.ascontiguousarray(cropped)


def _load_levin(file: Path) -> Sample:
    observed, sharp, kernel = _read_levin(file)
    return Sample(observed, sharp, kernel, _LEVIN_BORDER + max(kernel.shape) // 2)


def _read_levin(file: Path) -> tuple[Plane, Plane, Plane]:
    """Return observed image, sharp image and kernel."""
    with np.load(file, allow_pickle=False) as stored:
        observed, sharp, kernel = (stored[key].astype(np.float32) for key in ("y", "x", "f"))
    return observed, sharp, _convolution(kernel)


def _load_sun_style(photograph: Path, measured: Path, seed: tuple[int, int], noise: float) -> Sample:
    _, _, kernel = _read_levin(measured)
    observed, sharp = blur_valid(read_photograph(photograph, grey=True), kernel, noise, seed)
    return Sample(observed, sharp, kernel, _SUN_BORDER)


def _load_photograph(
    observed: Path, sharp: Path | None = None, kernel: Path | None = None, *, border: int = 0,
    max_shift: int = MAX_SHIFT, fit_brightness: bool = False,
) -> Sample:  # fmt: skip
    """Load a photograph, its sharp image, and a correlation kernel, half the size of which is added to the border."""
    blur = None if kernel is None else _convolution(read_photograph(kernel, grey=True))
    return Sample(
        read_photograph(observed),
        None if sharp is None else read_photograph(sharp),
        blur,
        border + (0 if blur is None else max(blur.shape) // 2),
        max_shift,
        fit_brightness,
    )


def _load_camera_photograph(photograph: Path, measured: Path, recipe: str, seed: tuple[int, int]) -> Sample:
    _, _, kernel = _read_levin(measured)
    observed, sharp = RECIPES[recipe](read_photograph(photograph), kernel, seed)
    return Sample(observed, sharp, kernel, _SUN_BORDER)


def _load_camera_sample(name: str, size: int, number: int, recipe: str) -> Sample:
    sharp, kernel = _sharp_sample(name, size, number)
    observed, truth = RECIPES[recipe](sharp, kernel, (number,))
    return Sample(observed, truth, kernel, _SUN_BORDER)


def _sharp_sample(name: str, size: int, number: int) -> tuple[Photograph, Plane]:
    """Return the centre of a photograph of scikit-image, and a kernel."""
    from skimage import data

    from runtime.cli.demo import motion_kernel

    sharp = getattr(data, name)().astype(np.float32) / 255
    top, left = (max(side - _SAMPLE_SIDE, 0) // 2 for side in sharp.shape[:2])
    sharp = sharp[top : top + _SAMPLE_SIDE, left : left + _SAMPLE_SIDE]
    return sharp, motion_kernel(_SAMPLE_SEED + number, size)


def _load_sample(name: str, size: int, number: int) -> Sample:
    sharp, kernel = _sharp_sample(name, size, number)
    planes = [sharp] if sharp.ndim == 2 else list(np.moveaxis(sharp, -1, 0))
    pairs = [blur_valid(plane, kernel, NOISE, (number, index)) for index, plane in enumerate(planes)]
    observed, truth = (each[0] if len(each) == 1 else np.stack(each, axis=-1) for each in zip(*pairs, strict=True))
    return Sample(observed, truth, kernel, _SUN_BORDER)


def _load_spoiled(name: str, size: int, number: int, how: str, way: str) -> Sample:
    sample = _load_sample(name, size, number)
    if sample.sharp is None:
        raise ValueError(f"{name} has no sharp image")
    image, view, covered = SPOILED[how][way](sample.observed, sample.sharp)
    return replace(sample, observed=image, view=view, covered=covered)


def _load_harmless(make: Callable[[], Photograph]) -> Sample:
    image = make()
    return Sample(image, image, max_shift=0)


def _convolution(correlation: Plane) -> Plane:
    """Flip a stored correlation kernel and normalise it to sum 1."""
    return np.ascontiguousarray(correlation[::-1, ::-1] / correlation.sum())
