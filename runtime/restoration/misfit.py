"""How well a restored photograph, blurred again, explains the observed one."""

from __future__ import annotations

from kernels.arrays import Array, array_module
from runtime.blur.motion import LONGEST
from runtime.decisions.thresholds import SATURATED


def find_misfit(blurred: Array, observed: Array) -> float:
    """Return how far a restored plane, blurred again, is from the observed one.

    Parameters
    ----------
    blurred, observed : (H, W) array of float32
        Values in [0, 1]. Saturated pixels do not count, nor those near the border, as far as there are others.

    Returns
    -------
    float
        Root mean square of the difference, in units of the value range; 0 where no pixel counts.
    """
    xp = array_module(observed)
    margins = (min(LONGEST, size // 4) for size in observed.shape)
    inside = tuple(slice(margin, size - margin) for margin, size in zip(margins, observed.shape, strict=True))
    error = (blurred - observed)[inside][(xp.abs(observed) < SATURATED)[inside]]
    return float(xp.square(error).mean()) ** 0.5 if error.size else 0.0
