"""Random blur kernels: camera shake, Gaussian processes, arcs, defocus discs, Gaussians and faint blur."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from export.data.trajectories import gaussian_process_paths, rasterise
from runtime.blur.kernel import Kernel, centre, delta, extent, fit, normalise

KINDS = {"shake": 0.56, "process": 0.19, "arc": 0.1, "disc": 0.045, "gaussian": 0.045, "faint": 0.06}
"""Share of each kind of kernel."""
FAINTEST = 0.25
"""Standard deviation in pixels below which a faint Gaussian is replaced by a single pixel."""
_NEGLIGIBLE = 0.02
"""Values below this fraction of the largest are set to zero."""
_STEPS = 600
_KNOTS = 12


def random_kernel(size: int, rng: np.random.Generator, kind: str | None = None) -> Kernel:
    """Draw a blur kernel.

    Parameters
    ----------
    size
        About how many pixels it spans; "faint" kernels span one to five, whatever the size.
    rng
        Source of randomness.
    kind
        One of `KINDS`, at random in their shares if not given.

    Returns
    -------
    array (s, s) float64, s odd
        Non-negative, of sum 1, its centre of mass within half a pixel of the centre, in the smallest such square.

    Raises
    ------
    ValueError
        If `size` is under 3 or `kind` unknown.
    """
    if size < 3:
        raise ValueError(f"size must be at least 3 px, got {size}; a 'faint' kernel is smaller whatever its size")
    names = list(KINDS)
    chosen = kind or names[rng.choice(len(names), p=list(KINDS.values()))]
    if chosen not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(names)}, got {chosen!r}")
    if chosen in _PATHS:
        return draw_motion(random_motion(size, rng, chosen))
    return _tight(_disc(size) if chosen == "disc" else _gaussian(size, rng) if chosen == "gaussian" else _faint(rng))


@dataclass(frozen=True)
class Motion:
    """Motion of the image during the exposure.

    Attributes
    ----------
    path : array (n, 2)
        Displacement in pixels (rows, columns) at n moments.
    exposure : array (n,)
        Non-negative weights of the moments.
    softness : float
        Standard deviation in pixels of a Gaussian that models lens and pixel.
    """

    path: NDArray[np.float64]
    exposure: NDArray[np.float64]
    softness: float


def random_motion(size: int, rng: np.random.Generator, kind: str = "shake") -> Motion:
    """Draw a motion along a path of some kind, about `size` pixels on its longer side, at unsteady exposure."""
    path = _PATHS[kind](rng)
    scaled = path * ((size - 2) / max(np.ptp(path, axis=0).max(), 1e-9))
    knots = np.clip(1 + 0.5 * rng.standard_normal(_KNOTS), 0.05, None)
    exposure = np.interp(np.linspace(0, _KNOTS - 1, len(path)), np.arange(_KNOTS), knots)
    return Motion(scaled, exposure, rng.uniform(0.3, 0.7))


def draw_motion(motion: Motion) -> Kernel:
    """Return the blur kernel of a motion, as `random_kernel` does."""
    from scipy import ndimage

    # Wide enough even if the centre of mass lies at an end of the path.
    side = 2 * int(np.ceil(np.ptp(motion.path, axis=0).max())) + 11
    path, exposure = (torch.from_numpy(each)[None].float() for each in (motion.path, motion.exposure))
    drawn = rasterise(path, exposure, side)[0].double().numpy()
    return _tight(normalise(ndimage.gaussian_filter(drawn, motion.softness)))


def shake_path(rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw the motion of a hand (600, 2): a velocity with inertia, random impulses, and occasional reversals."""
    inertia, pull, jerk = rng.uniform(0.95, 0.99), rng.uniform(0, 0.003), rng.uniform(0, 0.01)
    pushes = 0.15 * rng.standard_normal((_STEPS, 2))
    thrown = rng.random(_STEPS) < jerk
    velocity, place = rng.standard_normal(2), np.zeros(2)
    path = np.empty((_STEPS, 2))
    for step in range(_STEPS):
        push = pushes[step] - pull * place - (1.6 * velocity if thrown[step] else 0)
        velocity = inertia * velocity + push
        place = place + 0.1 * velocity
        path[step] = place
    return path


def process_path(rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw a Gaussian process of time (n, 2), of length scale 0.3 to 0.6 of the exposure."""
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    whole = gaussian_process_paths(1, generator)[0].double().numpy()
    return whole[: round(len(whole) * rng.uniform(0.5, 1))]


def arc_path(rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw a line in any direction, bent by up to a sixth of its length (200, 2)."""
    angle, bend = rng.uniform(0, np.pi), rng.uniform(-0.3, 0.3)
    along, across = np.array([np.sin(angle), np.cos(angle)]), np.array([np.cos(angle), -np.sin(angle)])
    time = np.linspace(-1, 1, 200)[:, None]
    return time / 2 * along + bend * time**2 * across


_PATHS: dict[str, Callable[[np.random.Generator], NDArray[np.float64]]] = {
    "shake": shake_path,
    "process": process_path,
    "arc": arc_path,
}


def _tight(kernel: Kernel) -> Kernel:
    """Centre a kernel and cut it to its extent."""
    kernel[kernel < _NEGLIGIBLE * kernel.max()] = 0
    # Padded first, so that centring moves nothing out of the frame.
    centred = centre(fit(kernel, 2 * kernel.shape[0] + 1))
    return fit(centred, extent(centred))


def _disc(size: int) -> Kernel:
    rows, cols = _grid(size // 2 + 1)
    return normalise(np.clip(size / 2 - np.hypot(rows, cols) + 0.5, 0, 1))


def _gaussian(size: int, rng: np.random.Generator) -> Kernel:
    angle, width = rng.uniform(0, np.pi), size / 5
    rows, cols = _grid(size)
    along, across = cols * np.cos(angle) + rows * np.sin(angle), rows * np.cos(angle) - cols * np.sin(angle)
    return normalise(np.exp(-0.5 * ((along / width) ** 2 + (across / (width * rng.uniform(0.5, 1))) ** 2)))


def _faint(rng: np.random.Generator) -> Kernel:
    width = rng.uniform(0, 0.9)
    if width < FAINTEST:
        return delta((3, 3))
    rows, cols = _grid(4)
    return normalise(np.exp(-0.5 * (rows**2 + cols**2) / width**2))


def _grid(reach: int) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    place = np.arange(-reach, reach + 1)
    return place[:, None], place[None]
