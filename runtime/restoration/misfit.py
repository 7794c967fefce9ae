"""The misfit of a restoration: the difference between the observed image and the restored image, blurred again."""

from __future__ import annotations

from kernels.arrays import Array, array_module
from runtime.blur.motion import LONGEST
from runtime.decisions.thresholds import SATURATED


def find_misfit(blurred: Array, observed: Array, known: Array | None = None) -> float:
    """Return the root mean square difference between a restored plane, blurred again, and the observed plane.

    Parameters
    ----------
    blurred, observed : (H, W) array of float32
        Values in [0, 1]. Saturated pixels and those near the border are excluded, the latter up to a quarter of a side.
    known : (H, W) array of bool, optional
        Pixels whose observed values are known; all of them by default.

    Returns
    -------
    float
        In units of the value range; 0 if no pixel remains.
    """
    xp = array_module(observed)
    margins = (min(LONGEST, size // 4) for size in observed.shape)
    inside = tuple(slice(margin, size - margin) for margin, size in zip(margins, observed.shape, strict=True))
    used = xp.abs(observed) < SATURATED
    if known is not None:
        used &= known
    error = (blurred - observed)[inside][used[inside]]
    return float(xp.square(error).mean()) ** 0.5 if error.size else 0.0
