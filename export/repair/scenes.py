"""Blurred photographs whose truth is known: most blurred by one kernel, some by none that explains all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.data.camera import GAMMA
from export.kernel_prior.kernels import FAINTEST, arc_path, draw_motion, random_kernel, random_motion
from export.kernel_prior.rolls import blur_by_turning
from export.kernel_prior.simulation import log_uniform, sharp_crop
from runtime.blur.kernel import Kernel
from runtime.restoration.repair import UNIT

KINDS = {"uniform": 0.6, "turning": 0.2, "moving": 0.1, "depth": 0.05, "faint": 0.05}
"""Shares of the scenes: one kernel; a camera that turns as it shakes; an object that moves unlike what is behind it; a
blur that fades across the picture; a faint Gaussian blur, or none."""
LEAST_SIDE = 64
BACKGROUND, OBJECT = (2.0, 14.0), (5.0, 35.0)
"""Lengths in pixels of the motion of what is behind, and of an object before it; their logarithms are uniform."""
RADII = 0.1, 0.5
"""Of an object, in sides of the picture."""
DEEPEST = 30
"""Largest span in pixels of a blur that fades."""
FADING = 60
"""Pixels over which it fades."""
FAINT = 1.5
"""Largest standard deviation in pixels of a faint blur."""
LIGHTS = 0.0005, 0.08
"""Shares of the pixels that are lights; their logarithms are uniform."""
BRIGHTNESS = 1.5, 8.0
"""Of the brightest light, where 1 is white; its logarithm is uniform."""
GRAIN = 0.002, 0.015
"""Standard deviation of grain; its logarithm is uniform."""
COARSEST_GRAIN = 0.8
"""Largest standard deviation in pixels of a Gaussian that grain is smoothed by."""
_MOMENTS = 13

Plane = NDArray[np.float32]
Cut = Callable[[int], Plane]
"""Gives a sharp square with a margin of some pixels around the picture."""


@dataclass(frozen=True)
class SceneConfig:
    """What scenes there are.

    Attributes
    ----------
    side
        Of the pictures in pixels, a multiple of `runtime.restoration.repair.UNIT`.
    sizes
        Smallest and largest span of a kernel in pixels; its logarithm is uniform in between.
    shrinking
        Factors, each equally likely, by which photographs are made smaller first.
    linear
        Share of the uniform scenes that are blurred in linear light; all the others are, but for depth and faint ones.
    turn
        By how many pixels, at least and at most, a turn moves the border of the picture; the logarithm is uniform.
    noise
        Smallest and largest standard deviation of the noise; its logarithm is uniform in between.
    rounded
        Share of pictures clipped and rounded to 8 bits.
    compressed
        Share of pictures compressed as JPEG.
    quality
        Lowest and highest quality of the compression.
    saturated
        Share of the scenes with lights that are brighter than white: blur spreads them, and the camera clips what it
        sees of them.
    grainy
        Share of the scenes whose sharp picture has grain, as film has; it is blurred with the rest.
    """

    side: int = 288
    sizes: tuple[int, int] = (5, 61)
    shrinking: tuple[float, ...] = (1, 1, 4 / 3, 2, 2.5)
    linear: float = 0.15
    turn: tuple[float, float] = (0.5, 8)
    noise: tuple[float, float] = (0.001, 0.02)
    rounded: float = 0.7
    compressed: float = 0.2
    quality: tuple[int, int] = (75, 97)
    saturated: float = 0.12
    grainy: float = 0.2

    def __post_init__(self) -> None:
        if self.side < LEAST_SIDE or self.side % UNIT:
            raise ValueError(f"side must be a multiple of {UNIT} from {LEAST_SIDE} px up, got {self.side}")
        for name, least, most in (("sizes", 3, self.side // 4), ("turn", 1e-6, None), ("noise", 1e-6, None),
                                  ("quality", 1, 100)):  # fmt: skip
            low, high = getattr(self, name)
            if not least <= low <= high or (most is not None and high > most):
                bounds = f"from {least} up" if most is None else f"within {least} to {most}"
                raise ValueError(f"{name} must be a range (low, high) {bounds}, got {(low, high)}")
        for name in ("linear", "rounded", "compressed", "saturated", "grainy"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be a share from 0 to 1, got {getattr(self, name)}")
        if not self.shrinking or min(self.shrinking) < 1:
            raise ValueError(f"shrinking must be factors of at least 1, got {self.shrinking}")


@dataclass(frozen=True)
class Scene:
    """A picture that was taken, and what it should have been.

    Attributes
    ----------
    observed : array (n, n) float32
        Values about [0, 1], noise included.
    sharp : array (n, n) float32
        Values in [0, 1].
    kernel : array (s, s) float64, s odd, or None
        Of sum 1, where one kernel stands for the blur.
    """

    observed: Plane
    sharp: Plane
    kernel: Kernel | None


def make_scene(
    planes: Sequence[NDArray[np.uint8]], config: SceneConfig, rng: np.random.Generator, kind: str | None = None
) -> Scene:
    """Make a scene of random photographs.

    Parameters
    ----------
    planes
        Sharp photographs, (H, W) each.
    config
        Sizes, noise and so on.
    rng
        Source of randomness.
    kind
        One of `KINDS`, at random in their shares if not given.

    Raises
    ------
    ValueError
        If `kind` is unknown, or the photographs are too small or flat.
    """
    names = list(KINDS)
    chosen = kind or names[rng.choice(len(names), p=list(KINDS.values()))]
    if chosen not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(names)}, got {chosen!r}")

    saturated, grainy = rng.random() < config.saturated, rng.random() < config.grainy

    def cut(margin: int) -> Plane:
        sharp = sharp_crop(planes, config.side + 2 * margin, config.shrinking, rng)
        sharp = light(sharp, rng) if saturated else sharp
        return add_grain(sharp, rng) if grainy else sharp

    blurred, sharp, kernel = _MAKERS[chosen](cut, config, rng)
    return Scene(develop(blurred, config, rng), np.clip(sharp, 0, 1), kernel)


def light(sharp: Plane, rng: np.random.Generator) -> Plane:
    """Let the brightest pixels of a picture be lights, as bright as `BRIGHTNESS` says."""
    share, brightest = (log_uniform(rng, bounds) for bounds in (LIGHTS, BRIGHTNESS))
    threshold, most = float(np.quantile(sharp, 1 - share)), float(sharp.max())
    excess = np.maximum(sharp - threshold, 0) / max(most - threshold, 1e-6)
    return (sharp + (brightest - most) * excess).astype(np.float32)


def add_grain(sharp: Plane, rng: np.random.Generator) -> Plane:
    """Add grain to a picture, finer or coarser; nothing gets darker than black."""
    from scipy import ndimage

    grain = ndimage.gaussian_filter(rng.standard_normal(sharp.shape), rng.uniform(0, COARSEST_GRAIN))
    return np.maximum(sharp + log_uniform(rng, GRAIN) / grain.std() * grain, 0).astype(np.float32)


def develop(blurred: Plane, config: SceneConfig, rng: np.random.Generator) -> Plane:
    """Return what a camera makes of a picture: noise, nothing above white, and shares of rounding and compression."""
    import cv2

    image = np.minimum(blurred + log_uniform(rng, config.noise) * rng.standard_normal(blurred.shape), 1)
    compressed = rng.random() < config.compressed
    if compressed or rng.random() < config.rounded:
        image = np.rint(255 * np.clip(image, 0, 1)) / 255
    if compressed:
        low, high = config.quality
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(low, high + 1))]
        _, file = cv2.imencode(".jpg", np.rint(255 * image).astype(np.uint8), quality)
        image = cv2.imdecode(file, cv2.IMREAD_GRAYSCALE) / 255
    return image.astype(np.float32)


Made = tuple[Plane, Plane, Kernel | None]
"""Blurred and sharp picture, before the camera adds noise, and the kernel."""


def _uniform(cut: Cut, config: SceneConfig, rng: np.random.Generator) -> Made:
    from scipy.signal import fftconvolve

    kernel = random_kernel(round(log_uniform(rng, config.sizes)), rng)
    margin = kernel.shape[0] // 2
    sharp = cut(margin)
    if rng.random() < config.linear:
        blurred = np.maximum(fftconvolve(sharp**GAMMA, kernel, "valid"), 0) ** (1 / GAMMA)
    else:
        blurred = fftconvolve(sharp, kernel, "valid")
    return blurred, _inside(sharp, margin), kernel


def _turning(cut: Cut, config: SceneConfig, rng: np.random.Generator) -> Made:
    margin = config.sizes[1]
    motion = random_motion(max(round(log_uniform(rng, config.sizes)), 5), rng)
    turn = 2 * log_uniform(rng, config.turn) / config.side
    sharp = cut(margin)
    blurred = blur_by_turning(sharp, motion, turn, rng)
    return _inside(blurred, margin), _inside(sharp, margin), draw_motion(motion)


def _moving(cut: Cut, config: SceneConfig, rng: np.random.Generator) -> Made:
    """Let an ellipse of one photograph move before another, in linear light; the middle of the exposure is true."""
    margin = config.sizes[1]
    behind, before = cut(margin), cut(margin)
    mask = _ellipse(config, rng)
    paths = [log_uniform(rng, lengths) * _line(rng) for lengths in (BACKGROUND, OBJECT)]
    seen = []
    for there, here in zip(*paths, strict=True):
        share = _moved(mask, here)
        seen.append(np.maximum(_moved(behind, there) * (1 - share) + _moved(before, here) * share, 0))
    blurred = np.mean([frame**GAMMA for frame in seen], axis=0) ** (1 / GAMMA)
    return _inside(blurred, margin), _inside(seen[_MOMENTS // 2], margin), None


def _depth(cut: Cut, config: SceneConfig, rng: np.random.Generator) -> Made:
    from scipy.signal import fftconvolve

    kernel = random_kernel(round(min(log_uniform(rng, config.sizes), DEEPEST)), rng)
    margin = kernel.shape[0] // 2
    sharp = cut(margin)
    inside = _inside(sharp, margin)
    middle = config.side * rng.uniform(0.3, 0.7)
    share = np.clip((np.arange(config.side) - middle) / FADING + 0.5, 0, 1)
    return fftconvolve(sharp, kernel, "valid") * share + inside * (1 - share), inside, None


def _faint(cut: Cut, config: SceneConfig, rng: np.random.Generator) -> Made:
    import cv2

    sharp, width = cut(0), rng.uniform(0, FAINT)
    return (sharp if width < FAINTEST else cv2.GaussianBlur(sharp, (0, 0), width)), sharp, None


_MAKERS: dict[str, Callable[[Cut, SceneConfig, np.random.Generator], Made]] = {
    "uniform": _uniform,
    "turning": _turning,
    "moving": _moving,
    "depth": _depth,
    "faint": _faint,
}


def _line(rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw a line (13, 2), slightly bent, of length 1."""
    path = arc_path(rng)
    return path[np.linspace(0, len(path) - 1, _MOMENTS).astype(int)]


def _ellipse(config: SceneConfig, rng: np.random.Generator) -> Plane:
    """Draw where an object is, with a margin of ``config.sizes[1]`` around the picture; its border is soft."""
    import cv2

    side, margin = config.side, config.sizes[1]
    mask = np.zeros((side + 2 * margin,) * 2, np.float32)
    centre = [margin + int(place) for place in rng.integers(side, size=2)]
    radii = [round(side * radius) for radius in rng.uniform(*RADII, 2)]
    cv2.ellipse(mask, centre, radii, rng.uniform(0, 180), 0, 360, 1.0, -1)
    return cv2.GaussianBlur(mask, (0, 0), 1)


def _moved(plane: Plane, place: NDArray[np.float64]) -> Plane:
    """Move a plane by pixels (rows, columns), mirrored beyond its border."""
    import cv2

    warp = np.array([[1, 0, place[1]], [0, 1, place[0]]])
    return cv2.warpAffine(plane, warp, plane.shape[::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)


def _inside(plane: Plane, margin: int) -> Plane:
    return plane[margin : plane.shape[0] - margin, margin : plane.shape[1] - margin]
