"""Linear motion blur: a bank of kernels with their inverse filters, and interpolation between them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.arrays import Array, array_module
from kernels.nonuniform import FilterBank
from runtime.blur.inverse import PENALTY
from runtime.errors import InvalidModel
from runtime.inference.bundle import load_model

MODEL = "eboli-bank"
_LENGTH_STEP, LONGEST = 2, 35
"""Step between lengths of the bank, and the largest length, in pixels."""
_ANGLE_STEP = 6
"""Step between angles of the bank, in degrees."""
LENGTHS = np.arange(1, LONGEST + 1, _LENGTH_STEP)
"""Lengths of the motions of the bank in pixels (Eboli et al., section 2.2)."""
ANGLES = np.arange(0, 180, _ANGLE_STEP)
"""Their angles in degrees, counter-clockwise."""
_LONGEST_INVERSE = 4 * LONGEST
"""Largest side of an inverse filter in pixels."""
_NEIGHBOUR_DISTANCE = 4.0
"""Squared distance of neighbouring lengths of the bank in Eq. 17, in pixels; neighbouring angles count the same."""


@dataclass(frozen=True)
class BankAssumptions:
    """What the inverse filters of a bank were computed for; the runtime provides the defaults, and nothing else.

    Attributes
    ----------
    penalty
        Weight of the gradients in the inverse, see `runtime.blur.inverse.inverse_filter`.
    longest, length_step
        Longest motion and distance between lengths, in pixels.
    angle_step
        Distance between angles, in degrees.
    """

    penalty: float = PENALTY
    longest: int = LONGEST
    length_step: int = _LENGTH_STEP
    angle_step: int = _ANGLE_STEP


@dataclass(frozen=True, eq=False)
class MotionBank:
    """All motions of the bank, in the order of `motions`.

    Attributes
    ----------
    kernels : list of (side, side) arrays of float32
        Blur kernels, point symmetric, of sum 1.
    inverses : list of (side, side) arrays of float32
        Their inverse filters, see `runtime.blur.inverse.inverse_filter`.
    """

    kernels: list[NDArray[np.float32]]
    inverses: list[NDArray[np.float32]]

    def select(self, numbers: NDArray[np.integer]) -> tuple[FilterBank, FilterBank]:
        """Return the blur kernels and the inverse filters of some of the motions."""
        return (
            FilterBank.from_filters([self.kernels[number] for number in numbers]),
            FilterBank.from_filters([self.inverses[number] for number in numbers]),
        )


def motion_kernel(length: float, angle: float) -> NDArray[np.float32]:
    """Return the blur kernel of a linear motion.

    A line of `length` pixels through the origin, one pixel wide: the weight of a pixel falls linearly with its
    distance from the line, to 0 at one pixel. A motion of one pixel is no blur at all.

    Parameters
    ----------
    length : float
        In pixels, at least 1.
    angle : float
        In degrees, counter-clockwise as the photograph is seen: the line runs along ``(cos angle, -sin angle)`` in
        (column, row).

    Returns
    -------
    (side, side) array of float32
        Sum 1, point symmetric; `side` is odd.
    """
    reach, radians = (length - 1) / 2, np.deg2rad(angle)
    half = int(np.ceil(reach))
    row, col = np.mgrid[-half : half + 1, -half : half + 1].astype(np.float64)
    across, down = np.cos(radians), -np.sin(radians)
    along = np.clip(col * across + row * down, -reach, reach)
    # The tolerance keeps pixels at distance 1 out of the line in spite of rounding.
    weights = np.maximum(1 - np.hypot(col - along * across, row - along * down) - 1e-9, 0)
    kernel: NDArray[np.float32] = (weights / weights.sum()).astype(np.float32)
    return kernel


def motions() -> list[tuple[int, int]]:
    """Return length and angle of the 511 motions of the bank; length 1, which has no angle, occurs once, at first."""
    return [(1, 0), *((int(length), int(angle)) for length in LENGTHS[1:] for angle in ANGLES)]


def blend(field: Array) -> tuple[Array, Array]:
    """Return the neighbours in the bank of each motion of a field, and their weights (Eboli et al., Eq. 17).

    The neighbours are the next shorter and longer length with the next smaller and larger angle. The weights are the
    softmax of the negative squared distances, in which a step of 6 degrees counts as much as one of 2 pixels. The angle
    after 174 degrees is 0; lengths below 1 are set to 1.

    Parameters
    ----------
    field : (H, W, 2) array of float32
        Length in pixels, at most 35, and angle in degrees, counter-clockwise, of any range (modulo 180).

    Returns
    -------
    indices : (H, W, 4) array of int32
        Numbers in the order of `motions`.
    weights : (H, W, 4) array of float32
        Of sum 1.
    """
    xp = array_module(field)
    length = (xp.clip(field[..., 0], 1, LONGEST) - 1) / _LENGTH_STEP
    angle = xp.mod(field[..., 1], 180) / _ANGLE_STEP
    shorter = xp.minimum(xp.floor(length), len(LENGTHS) - 2)
    smaller = xp.floor(angle)
    indices = xp.empty((*field.shape[:2], 4), np.int32)
    weights = xp.empty((*field.shape[:2], 4), np.float32)
    longer_weight, larger_weight = _upper_weight(xp, length - shorter), _upper_weight(xp, angle - smaller)
    for j, (longer, larger) in enumerate(((0, 0), (0, 1), (1, 0), (1, 1))):
        row, col = (shorter + longer).astype(np.int32), (smaller + larger).astype(np.int32) % len(ANGLES)
        indices[..., j] = xp.where(row == 0, 0, 1 + (row - 1) * len(ANGLES) + col)
        weights[..., j] = xp.abs(1 - longer - longer_weight) * xp.abs(1 - larger - larger_weight)
    return indices, weights


def load_bank(model: str | os.PathLike[str] = MODEL) -> MotionBank:
    """Load a bank from its bundle; the last two are cached.

    Raises
    ------
    ModelNotFound, InvalidModel
        If there is no such bundle, or inverse filters are missing in it.
    """
    return _load_bank(os.fspath(model))


@lru_cache(maxsize=2)
def _load_bank(model: str) -> MotionBank:
    bundle = load_model(model)
    bundle.require_assumptions(BankAssumptions())
    stored = bundle.load_constants("inverse")
    inverses = []
    for length, angle in motions():
        filters = stored.get(f"length_{length}", np.empty(0))
        number = angle // _ANGLE_STEP
        if filters.ndim != 3 or number >= len(filters) or not _is_filter(filters[number]):
            raise InvalidModel(f"{bundle.path}: no inverse filter for {length} px at {angle} degrees; export it again")
        inverses.append(filters[number].astype(np.float32))
    return MotionBank([motion_kernel(length, angle) for length, angle in motions()], inverses)


def _is_filter(array: NDArray[Any]) -> bool:
    """Tell whether an array is square, with an odd side of a length that an inverse filter can have."""
    height, width = array.shape
    return bool(height == width and height % 2 == 1 and height <= _LONGEST_INVERSE)


def _upper_weight(xp: object, position: Array) -> Array:
    """Return the softmax weight of the neighbour at 1, the other being at 0, for positions in [0, 1]."""
    return 1 / (1 + xp.exp(_NEIGHBOUR_DISTANCE * (1 - 2 * position)))  # type: ignore[attr-defined]
