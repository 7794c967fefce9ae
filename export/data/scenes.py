"""Synthetic blurred photographs: most blurred by one kernel, as values or as light, some by spatially varying blur."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.data.camera import GAMMA
from export.data.checks import check_factors, check_range, check_shares
from export.data.crops import log_uniform, sharp_crop
from export.data.kernels import FAINTEST, arc_path, draw_motion, random_kernel, random_motion
from export.data.rolls import blur_by_turning
from runtime.blur.kernel import Kernel
from runtime.response import LINEAR, SRGB, Response

KINDS = {"uniform": 0.36, "light": 0.3, "turning": 0.16, "moving": 0.08, "depth": 0.05, "faint": 0.05}
"""Shares of the scenes: one kernel; one kernel, as a camera makes it; a camera that rotates as it shakes; an object
that moves differently from the background; blur that fades across the image, as with depth; and a faint Gaussian blur,
or none."""
_AS_LIGHT = {"uniform": 0.08, "light": 0.9, "turning": 0.35, "moving": 0.35, "depth": 0.1, "faint": 0.3}
"""Shares of these that are restored as light, rightly or by mistake."""
UNIT = 8
"""Unit of the sides of images, for networks that halve their planes three times."""
LEAST_SIDE = 64
_BACKGROUND, _OBJECT = (2.0, 14.0), (5.0, 35.0)
"""Range of the motion's length in pixels, of the background and of the object; the logarithms are uniform."""
_RADII = 0.1, 0.5
"""Range of an object's radii, relative to the side of the image."""
_DEEPEST = 30
"""Largest span in pixels of a blur that fades."""
_FADING = 60
"""Pixels over which the blur fades."""
_FAINT = 1.5
"""Largest standard deviation in pixels of a faint blur."""
_LIGHTS = 0.0005, 0.08
"""Range of the share of pixels that are light sources; the logarithm is uniform."""
BRIGHTNESS = 1.5, 8.0
"""Range of the brightest light source, where 1 is white; the logarithm is uniform."""
GRAIN = 0.002, 0.015
"""Range of the standard deviation of film grain; the logarithm is uniform."""
_COARSEST_GRAIN = 0.8
"""Largest standard deviation in pixels of the Gaussian that smooths film grain."""
_MOMENTS = 13
_BRIGHT_SHARE, _BRIGHTEST = (0.001, 0.3), (2.0, 20.0)
"""Ranges of the share of pixels whose light the stored photograph had clipped, and of how many times brighter than
stored the brightest was; the logarithms are uniform."""
_SHOT, _READ = (3e-5, 1e-3), (1e-6, 5e-5)
"""Ranges of the variance of the noise of light: in units of the light, and without any; the logarithms are uniform."""
_SMOOTHED, _SHARPENED = (0.3, 0.8), (0.3, 0.9)
"""Ranges of a phone's smoothing, deviation in pixels, and of its sharpening by an unsharp mask of one pixel."""

Plane = NDArray[np.float32]
Cut = Callable[[int], Plane]
"""Returns a sharp square with a margin of some pixels around the image."""


@dataclass(frozen=True)
class SceneConfig:
    """The distribution of the scenes.

    Attributes
    ----------
    side
        Side of the images in pixels, a multiple of `UNIT`.
    sizes
        Smallest and largest span of a kernel in pixels; its logarithm is uniform in between.
    shrinking
        Factors, each equally likely, by which photographs are shrunk first.
    linear
        Share of the uniform scenes that are blurred in linear light. Rotating and moving ones always are, those with
        depth and faint ones never.
    turn
        Least and largest displacement of the image border by a rotation, in pixels; the logarithm is uniform.
    noise
        Smallest and largest standard deviation of the noise; its logarithm is uniform in between.
    rounded
        Share of images clipped and rounded to 8 bits.
    compressed
        Share of images compressed as JPEG.
    quality
        Lowest and highest quality of the compression.
    saturated
        Share of the scenes with light sources above white, which are blurred first and then clipped by the camera.
    grainy
        Share of the scenes whose sharp image has film grain, which is blurred with the rest.
    lit
        Share of the scenes as cameras make them whose highlights are brighter than stored.
    processed
        Share of the scenes as cameras make them that are smoothed and sharpened, as by a phone.
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
    lit: float = 0.5
    processed: float = 0.35

    def __post_init__(self) -> None:
        if self.side < LEAST_SIDE or self.side % UNIT:
            raise ValueError(f"side must be a multiple of {UNIT} from {LEAST_SIDE} px up, got {self.side}")
        for name, least, most in (("sizes", 3, self.side // 4), ("turn", 1e-6, None), ("noise", 1e-6, None),
                                  ("quality", 1, 100)):  # fmt: skip
            check_range(self, name, least, most)
        check_shares(self, "linear", "rounded", "compressed", "saturated", "grainy", "lit", "processed")
        check_factors("shrinking", self.shrinking)


@dataclass(frozen=True)
class Scene:
    """A blurred image and its truth.

    Attributes
    ----------
    observed : array (n, n) float32
        Values about [0, 1], noise included.
    sharp : array (n, n) float32
        Values in [0, 1].
    kernel : array (s, s) float64, s odd, or None
        Of sum 1, if one kernel approximates the blur.
    response : Response
        The curve under which the image is restored, which need not be that under which it was blurred.
    """

    observed: Plane
    sharp: Plane
    kernel: Kernel | None
    response: Response = LINEAR

    @property
    def light(self) -> Plane:
        """What is restored: the light of the observed values under this curve."""
        return self.response.to_light(self.observed)


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
        One of `KINDS`; by default random, in their shares.

    Raises
    ------
    ValueError
        If `kind` is unknown, or the photographs are too small or flat.
    """
    names = list(KINDS)
    chosen = kind or names[rng.choice(len(names), p=list(KINDS.values()))]
    if chosen not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(names)}, got {chosen!r}")

    saturated, grainy = rng.random() < config.saturated and chosen != "light", rng.random() < config.grainy

    def cut(margin: int) -> Plane:
        sharp = sharp_crop(planes, config.side + 2 * margin, config.shrinking, rng)
        sharp = light(sharp, rng) if saturated else sharp
        return add_grain(sharp, rng) if grainy else sharp

    blurred, sharp, kernel = _MAKERS[chosen](cut, config, rng)
    observed = store(blurred, config, rng) if chosen == "light" else develop(blurred, config, rng)
    response = SRGB if rng.random() < _AS_LIGHT[chosen] else LINEAR
    return Scene(observed, np.clip(sharp, 0, 1), kernel, response)


def light(sharp: Plane, rng: np.random.Generator) -> Plane:
    """Turn the brightest pixels of an image into light sources, see `_LIGHTS` and `BRIGHTNESS`."""
    share, brightest = (log_uniform(rng, bounds) for bounds in (_LIGHTS, BRIGHTNESS))
    threshold, most = float(np.quantile(sharp, 1 - share)), float(sharp.max())
    excess = np.maximum(sharp - threshold, 0) / max(most - threshold, 1e-6)
    return (sharp + (brightest - most) * excess).astype(np.float32)


def add_grain(sharp: Plane, rng: np.random.Generator) -> Plane:
    """Add film grain of random coarseness to an image; values stay at or above 0."""
    from scipy import ndimage

    grain = ndimage.gaussian_filter(rng.standard_normal(sharp.shape), rng.uniform(0, _COARSEST_GRAIN))
    return np.maximum(sharp + log_uniform(rng, GRAIN) / grain.std() * grain, 0).astype(np.float32)


def develop(blurred: Plane, config: SceneConfig, rng: np.random.Generator) -> Plane:
    """Simulate the camera: noise, clipping at white, and what `store` does."""
    noise = log_uniform(rng, config.noise) * rng.standard_normal(blurred.shape)
    return store(np.minimum(blurred + noise, 1), config, rng)


def store(image: NDArray[np.floating], config: SceneConfig, rng: np.random.Generator) -> Plane:
    """Round some images to 8 bits, and compress some as JPEG."""
    import cv2

    compressed = rng.random() < config.compressed
    if compressed or rng.random() < config.rounded:
        image = np.rint(255 * np.clip(image, 0, 1)) / 255
    if compressed:
        low, high = config.quality
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(low, high + 1))]
        _, file = cv2.imencode(".jpg", np.rint(255 * image).astype(np.uint8), quality)
        image = np.asarray(cv2.imdecode(file, cv2.IMREAD_GRAYSCALE)) / 255
    return image.astype(np.float32)


Made = tuple[Plane, Plane, Kernel | None]
"""Blurred image, before the camera adds noise unless it is blurred as light, sharp image, and kernel."""


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


def _light(cut: Cut, config: SceneConfig, rng: np.random.Generator) -> Made:
    kernel = random_kernel(round(log_uniform(rng, config.sizes)), rng)
    margin = kernel.shape[0] // 2
    stored, scene = photograph(cut(margin), kernel, rng, lit=config.lit, processed=config.processed)
    return stored, SRGB.from_light(np.minimum(_inside(scene, margin), 1)), kernel


def photograph(
    sharp: Plane, kernel: Kernel, rng: np.random.Generator, *, lit: float, processed: float
) -> tuple[Plane, Plane]:
    """Blur the light of a sharp image, without padding, and store it as a camera does.

    Parameters
    ----------
    sharp
        Stored values under the curve of sRGB, (H, W).
    kernel
        Of a true convolution, (s, s).
    rng
        Source of randomness.
    lit, processed
        Probabilities that its highlights are brighter than stored, and that the result is smoothed and sharpened.

    Returns
    -------
    stored : array (H - s + 1, W - s + 1) float32
        Values in [0, 1], not rounded.
    scene : array (H, W) float32
        The sharp light, in units of white.
    """
    from scipy.signal import fftconvolve

    scene = SRGB.to_light(sharp)
    if rng.random() < lit:
        scene = brighten(scene, rng)
    stored = expose(fftconvolve(scene, kernel, "valid"), rng)
    return (process(stored, rng) if rng.random() < processed else stored), scene


def brighten(scene: Plane, rng: np.random.Generator) -> Plane:
    """Give highlights of a scene, in light, what clipping had taken; see `_BRIGHTEST`."""
    share, brightest = log_uniform(rng, _BRIGHT_SHARE), log_uniform(rng, _BRIGHTEST)
    threshold, most = float(np.quantile(scene, 1 - share)), float(scene.max())
    excess = np.maximum(scene - threshold, 0) / max(most - threshold, 1e-6)
    return (scene * (1 + (brightest / most - 1) * excess)).astype(np.float32)


def expose(light: NDArray[np.floating], rng: np.random.Generator) -> Plane:
    """Add the noise of a sensor to blurred light, clip it, and store it under the curve of sRGB."""
    variance = log_uniform(rng, _SHOT) * np.maximum(light, 0) + log_uniform(rng, _READ)
    noisy = light + np.sqrt(variance) * rng.standard_normal(light.shape)
    return SRGB.from_light(np.clip(noisy, 0, 1).astype(np.float32))


def process(stored: Plane, rng: np.random.Generator) -> Plane:
    """Smooth and sharpen stored values, as a phone does."""
    import cv2

    smooth = cv2.GaussianBlur(stored, (0, 0), rng.uniform(*_SMOOTHED))
    sharpened = smooth + rng.uniform(*_SHARPENED) * (smooth - cv2.GaussianBlur(smooth, (0, 0), 1))
    return np.clip(sharpened, 0, 1)


def _turning(cut: Cut, config: SceneConfig, rng: np.random.Generator) -> Made:
    margin = config.sizes[1]
    motion = random_motion(max(round(log_uniform(rng, config.sizes)), 5), rng)
    turn = 2 * log_uniform(rng, config.turn) / config.side
    sharp = cut(margin)
    blurred = blur_by_turning(sharp, motion, turn, rng)
    return _inside(blurred, margin), _inside(sharp, margin), draw_motion(motion)


def _moving(cut: Cut, config: SceneConfig, rng: np.random.Generator) -> Made:
    """Move an ellipse of one photograph over another, in linear light; the truth is the middle of the exposure."""
    margin = config.sizes[1]
    behind, before = cut(margin), cut(margin)
    mask = _ellipse(config, rng)
    paths = [log_uniform(rng, lengths) * _line(rng) for lengths in (_BACKGROUND, _OBJECT)]
    seen = []
    for there, here in zip(*paths, strict=True):
        share = _moved(mask, here)
        seen.append(np.maximum(_moved(behind, there) * (1 - share) + _moved(before, here) * share, 0))
    blurred = np.mean([frame**GAMMA for frame in seen], axis=0) ** (1 / GAMMA)
    return _inside(blurred, margin), _inside(seen[_MOMENTS // 2], margin), None


def _depth(cut: Cut, config: SceneConfig, rng: np.random.Generator) -> Made:
    from scipy.signal import fftconvolve

    kernel = random_kernel(round(min(log_uniform(rng, config.sizes), _DEEPEST)), rng)
    margin = kernel.shape[0] // 2
    sharp = cut(margin)
    inside = _inside(sharp, margin)
    middle = config.side * rng.uniform(0.3, 0.7)
    share = np.clip((np.arange(config.side) - middle) / _FADING + 0.5, 0, 1)
    return fftconvolve(sharp, kernel, "valid") * share + inside * (1 - share), inside, None


def _faint(cut: Cut, config: SceneConfig, rng: np.random.Generator) -> Made:
    import cv2

    sharp, width = cut(0), rng.uniform(0, _FAINT)
    return (sharp if width < FAINTEST else cv2.GaussianBlur(sharp, (0, 0), width)), sharp, None


_MAKERS: dict[str, Callable[[Cut, SceneConfig, np.random.Generator], Made]] = {
    "uniform": _uniform,
    "light": _light,
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
    """Draw the soft mask of an elliptic object, with a margin of ``config.sizes[1]`` around the image."""
    import cv2

    side, margin = config.side, config.sizes[1]
    mask = np.zeros((side + 2 * margin,) * 2, np.float32)
    centre = [margin + int(place) for place in rng.integers(side, size=2)]
    radii = [round(side * radius) for radius in rng.uniform(*_RADII, 2)]
    cv2.ellipse(mask, centre, radii, rng.uniform(0, 180), 0, 360, 1.0, -1)
    return cv2.GaussianBlur(mask, (0, 0), 1)


def _moved(plane: Plane, place: NDArray[np.float64]) -> Plane:
    """Move a plane by pixels (rows, columns), mirrored beyond its border."""
    import cv2

    warp = np.array([[1, 0, place[1]], [0, 1, place[0]]])
    return cv2.warpAffine(plane, warp, plane.shape[::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)


def _inside(plane: Plane, margin: int) -> Plane:
    return plane[margin : plane.shape[0] - margin, margin : plane.shape[1] - margin]
