"""Trials of a network: the sizes, channels and batches that it takes, and what it takes off the border."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from runtime.errors import InvalidModel
from runtime.inference.bundle import PatchGeometry
from runtime.inference.planes import CHANNELS, PixelAssumptions
from runtime.inference.progress import Stopwatch
from runtime.packing.network import Network, sample

_SIDES = {
    1: 67, 2: 74, 4: 68, 8: 72, 16: 80, 32: 96, 64: 192, 128: 384, 3: 69, 5: 65, 6: 78, 7: 77, 10: 70, 12: 84, 14: 98,
    20: 100, 24: 120, 28: 140, 48: 144, 56: 168, 96: 288,
}  # fmt: skip
"""Sides that are tried, by the multiple that they show to suffice: an odd multiple of it, and the next one is even."""
_BATCH_TOLERANCE = 1e-3
"""Difference of a patch that is restored beside another one from the same alone, at most, relative to the largest
value; half precision differs by as much."""


@dataclass(frozen=True)
class Sizes:
    """Sizes that a network takes.

    Attributes
    ----------
    multiple
        Sides must be multiples of this; a fixed side is a multiple of itself.
    trim
        Pixels by which what it gives is smaller on each side.
    tried
        The sides that were tried with success.
    """

    multiple: int
    trim: int
    tried: tuple[int, ...]

    @property
    def fixed(self) -> bool:
        """Whether one size alone is known to be taken."""
        return len(self.tried) == 1


def choose_colour(network: Network, colour: str | None) -> str:
    """Return the colour of the network: that which was named, or RGB for three channels and grey for one.

    Raises
    ------
    InvalidModel
        If it has another number of channels than the colour that was named.
    """
    if colour is None:
        return "grey" if network.channels == 1 else "rgb"
    if network.channels not in (None, CHANNELS[colour]):
        fitting = " or ".join(name for name, count in CHANNELS.items() if count == network.channels)
        raise InvalidModel(
            f"{network.graph}: takes {network.channels} channels, and {colour} has {CHANNELS[colour]}; give the colour "
            f"{fitting}"
        )
    return colour


def find_sizes(network: Network, channels: int, patch: int | None) -> Sizes:
    """Find the sizes of patches that a network takes, by trying some.

    Parameters
    ----------
    network
        The network.
    channels
        Its channels.
    patch
        The size that is wanted, if one is.

    Raises
    ------
    InvalidModel
        If it takes none that was tried, or gives another size than it takes.
    """
    if network.side is not None:
        if patch not in (None, network.side):
            raise InvalidModel(f"{network.graph}: takes patches of {network.side} pixels only; leave out the size")
        return Sizes(network.side, _must(network, channels, network.side), (network.side,))
    trim = None if patch is None else _must(network, channels, patch)
    reason = ""
    for multiple, side in _SIDES.items():
        trims = []
        for each in (side, side + multiple):
            found = _trim(network, channels, each)
            if isinstance(found, str):
                reason = f"with {each} pixels: {found}"
                break
            trims.append(found)
        if len(trims) == 2 and trims[0] == trims[1] and trim in (None, trims[0]):
            return Sizes(multiple, trims[0], (side, side + multiple, *(() if patch is None else (patch,))))
    if trim is not None and patch is not None:
        return Sizes(patch, trim, (patch,))
    raise InvalidModel(
        f"{network.graph}: takes none of the sizes that were tried ({reason}); give a patch size that it takes, or "
        "export it for one"
    )


def takes_batches(network: Network, sizes: Sizes, side: int, pixels: PixelAssumptions) -> bool:
    """Tell whether a network that says that it takes any batch restores two patches as it does each alone."""
    if network.batch is not None or isinstance(network.attempt(2, pixels.channels, side), str):
        return False
    photograph = sample(pixels.channels, side)
    pair = [np.stack([plane, plane[::-1]]) for plane in photograph]
    model = network.model(PatchGeometry(side, side - 2 * sizes.trim, 1), sizes.trim, None, pixels)
    together = model.predict(pair, Stopwatch())
    for index in (0, 1):
        alone = model.predict([plane[index : index + 1] for plane in pair], Stopwatch())
        for one, two in zip(alone, together, strict=True):
            if np.abs(one[0] - two[index]).max() > _BATCH_TOLERANCE * max(1.0, float(np.abs(one).max())):
                return False
    return True


def _must(network: Network, channels: int, side: int) -> int:
    found = _trim(network, channels, side)
    if isinstance(found, str):
        raise InvalidModel(
            f"{network.graph}: fails with {side} pixels ({found}); give another size, or export it again"
        )
    return found


def _trim(network: Network, channels: int, side: int) -> int | str:
    """Return what a network takes off each side of a patch, or why it fails.

    Raises
    ------
    InvalidModel
        If what it gives is no patch of the same scale and channels.
    """
    batch = network.batch or 1
    shape = network.attempt(batch, channels, side)
    if isinstance(shape, str):
        return shape
    where = f"{network.graph}: gives {shape} for {(batch, channels, side, side)}"
    if len(shape) != 4 or shape[:2] != (batch, channels) or shape[2] != shape[3]:
        raise InvalidModel(f"{where}: needed is a patch of the same batch and channels; export the part that gives one")
    left = shape[3]
    if left > side or 2 * left <= side:
        larger = "enlarges" if left > side else "makes smaller"
        raise InvalidModel(f"{where}: a network that {larger} cannot be packed; leave out what changes the scale")
    if (side - left) % 2:
        return f"it gives {left}, which is not in the middle"
    return (side - left) // 2
