"""The checks of arguments that every deconvolution makes."""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array, array_module
from runtime.errors import InvalidImage, UnsupportedType


def check_planes_and(name: str, planes: Array, other: Array) -> None:
    """Raise an error, which names the remedy, unless `planes` and the array called `name` can be used together.

    Parameters
    ----------
    name : str
        What `other` is, for the messages: ``"kernel"`` or ``"motion"``.
    planes : array
        Observed photograph; has to be finite, float32 and (C, H, W).
    other : array
        The blur; has to be float32 and on the device of `planes`. Its shape and values are not checked.

    Raises
    ------
    InvalidImage
        If `planes` is not a finite image of three axes.
    UnsupportedType
        If an array is not of float32, or the arrays are on different devices.
    """
    try:
        xp = array_module(planes)
        same_device = array_module(other) is xp
    except TypeError as error:
        raise UnsupportedType(f"planes and {name} must be NumPy or CuPy arrays; {error}") from error
    if not same_device:
        raise UnsupportedType(f"planes and {name} lie on different devices; move the {name} to where the planes are")
    if planes.dtype != np.float32 or other.dtype != np.float32:
        raise UnsupportedType(f"planes are {planes.dtype} and the {name} is {other.dtype}; convert both to float32")
    if planes.ndim != 3 or planes.size == 0:
        raise InvalidImage(f"planes have shape {planes.shape}; give a (C, H, W) array of at least one pixel")
    if not bool(xp.isfinite(planes).all()):
        raise InvalidImage("planes hold NaN or infinity; replace these pixels first")
