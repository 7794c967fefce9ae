"""How far pixels of a patch influence each other: the receptive field, the margin that follows, and the seams."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from runtime.inference.bundle import PatchGeometry
from runtime.inference.planes import PixelAssumptions, PlanesEngine
from runtime.inference.progress import Stopwatch
from runtime.packing.network import Network, sample
from runtime.packing.trials import Sizes

TOLERANCE = 1 / 1024
"""Influence of what lies beyond a patch, at most, for a margin to suffice: a quarter of a step of eight bits."""
_WIDEST = 96
"""Pixels around a patch that are shown to the network in addition, at most."""
_CHANGE = 0.25
"""Change of the pixels whose influence is looked for."""


@dataclass(frozen=True)
class Probe:
    """A network with what is known of it.

    Attributes
    ----------
    network, sizes, pixels
        The network, the sizes that it takes, and what it takes its input for.
    batch
        The fixed batch, or ``None``.
    step
        Pixels of which positions of patches are multiples, so that all lie alike under layers that skip pixels.
    """

    network: Network
    sizes: Sizes
    pixels: PixelAssumptions
    batch: int | None
    step: int

    def restore(self, planes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Restore a square ``(C, side, side)`` at once; what the network takes off the border is not there."""
        side, trim = planes.shape[-1], self.sizes.trim
        model = self.network.model(PatchGeometry(side, side - 2 * trim, 1), trim, self.batch, self.pixels)
        return np.stack([each[0] for each in model.predict([plane[None] for plane in planes], Stopwatch())])


@dataclass(frozen=True)
class Seams:
    """How much patches differ from what they are cut from.

    Attributes
    ----------
    largest, mean
        Difference, in units of the range of a photograph.
    against
        ``"the whole image"``, restored at once; or ``"neighbours"``, where a network takes one size alone.
    change
        Root of the mean squared difference of the restored photograph from the photograph.
    seconds
        Of the network, for each patch.
    """

    largest: float
    mean: float
    against: str
    change: float
    seconds: float


def measure_field(probe: Probe, side: int) -> int | None:
    """Return how many pixels beyond a pixel have any influence on it; ``None`` if all of a patch have."""
    block = probe.step if side >= 4 * probe.step else 1
    photograph = sample(probe.pixels.channels, side)
    first = side // 2 // block * block
    changed = photograph.copy()
    middle = changed[:, first : first + block, first : first + block]
    middle += np.where(middle < 0.5, _CHANGE, -_CHANGE).astype(np.float32)
    moved = (probe.restore(photograph) != probe.restore(changed)).any(axis=0)
    rows, cols = np.flatnonzero(moved.any(axis=1)), np.flatnonzero(moved.any(axis=0))
    if not len(rows):
        return 0
    first -= probe.sizes.trim
    if 0 in (rows[0], cols[0]) or len(moved) - 1 in (rows[-1], cols[-1]):
        return None
    return int(max(first - rows[0], first - cols[0], rows[-1] - first - block + 1, cols[-1] - first - block + 1, 0))


def find_margin(probe: Probe, side: int) -> int | None:
    """Return the margin within which what lies beyond a patch has an influence; ``None`` if it has further in.

    Up to a quarter of the patch is looked at, or half of that where the network takes one size alone and a patch can be
    compared with its neighbour only.
    """
    profile = _beside_a_neighbour(probe, side) if probe.sizes.fixed else _in_a_larger_one(probe, side)
    beyond = np.flatnonzero(profile > TOLERANCE)
    margin = 0 if not len(beyond) else int(beyond[-1]) + 1
    return None if margin >= len(profile) else margin + probe.sizes.trim


def measure_seams(probe: Probe, geometry: PatchGeometry) -> Seams:
    """Restore a photograph of four patches as the runtime does, and compare it with the same at once."""
    engine = PlanesEngine(probe.network.model(geometry, probe.sizes.trim, probe.batch, probe.pixels))
    margin = (geometry.size - geometry.core) // 2
    side = geometry.core + geometry.stride
    stopwatch = Stopwatch()
    photograph = sample(probe.pixels.channels, side)
    restored = engine.restore(photograph, stopwatch=stopwatch)
    if probe.sizes.fixed:
        difference = _beside_a_neighbour(probe, geometry.size)[margin - probe.sizes.trim :]
    else:
        # What lies beyond the border is the same for the patches and for the whole, but for what fills the size up.
        end = margin - (side + 2 * margin) % -probe.sizes.multiple
        whole = probe.restore(np.pad(photograph, ((0, 0), (margin, end), (margin, end)), mode="symmetric"))
        offset = margin - probe.sizes.trim
        at_once = whole[:, offset : offset + side, offset : offset + side]
        difference = np.abs(restored - at_once)
    return Seams(
        largest=float(difference.max(initial=0)),
        mean=float(difference.mean()) if difference.size else 0.0,
        against="neighbours" if probe.sizes.fixed else "the whole image",
        change=float(np.sqrt(np.mean((restored.astype(np.float64) - photograph) ** 2))),
        seconds=stopwatch.seconds()["network"] / 4,
    )


def _in_a_larger_one(probe: Probe, side: int) -> npt.NDArray[np.float32]:
    """Return the largest difference, at each distance from the border, that the surroundings of a patch make."""
    around = max(min(side // 4, _WIDEST) // probe.step, 1) * probe.step
    photograph = sample(probe.pixels.channels, side + 2 * around)
    larger = probe.restore(photograph)
    patch = probe.restore(np.ascontiguousarray(photograph[:, around:-around, around:-around]))
    length = patch.shape[-1]
    difference = np.abs(larger[:, around : around + length, around : around + length] - patch).max(axis=0)
    return np.array(
        [_frame(difference, distance) for distance in range(max(min(side // 4, length // 2), 1))], np.float32
    )


def _beside_a_neighbour(probe: Probe, side: int) -> npt.NDArray[np.float32]:
    """Return the largest difference of two patches that overlap by half, at each distance from the nearer border."""
    offset = max(side // 2 // probe.step, 1) * probe.step if side > probe.step else side // 2
    photograph = sample(probe.pixels.channels, side + offset)
    left = probe.restore(np.ascontiguousarray(photograph[:, :side, :side]))
    right = probe.restore(np.ascontiguousarray(photograph[:, :side, offset:]))
    length = left.shape[-1]
    shared = np.abs(left[:, :, offset:] - right[:, :, : length - offset]).max(axis=(0, 1))
    nearer = np.minimum(np.arange(len(shared)), np.arange(len(shared))[::-1])
    return np.array([shared[nearer == distance].max() for distance in range(int(nearer.max()) + 1)], np.float32)


def _frame(values: npt.NDArray[np.float32], distance: int) -> float:
    """Return the largest of the values that lie at a distance from the border."""
    end = len(values) - distance
    square = values[distance:end, distance:end]
    return float(max(square[0].max(), square[-1].max(), square[:, 0].max(), square[:, -1].max()))
