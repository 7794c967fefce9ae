"""Standard deviation of the noise of a blurred photograph, from the photograph alone."""

from __future__ import annotations

from kernels.arrays import Array, array_module

LEAST = 1.0 / 255 / 12**0.5
"""Standard deviation of rounding to 8 bits: no photograph is taken for cleaner."""


def estimate_noise(plane: Array) -> float:
    """Estimate the standard deviation of white noise in a blurred plane.

    The median absolute response to the second difference along both axes, which blurred edges hardly excite
    (the mask of Immerkaer 1996, read robustly). Clipped pixels are left out.

    Parameters
    ----------
    plane : (H, W) array of float32
        Observed plane, values in [0, 1].

    Returns
    -------
    float
        At least `LEAST`.
    """
    xp = array_module(plane)
    if min(plane.shape) < 3:
        return LEAST
    rows = plane[:-2] - 2 * plane[1:-1] + plane[2:]
    response = xp.abs(rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:]) / 6.0
    centre = plane[1:-1, 1:-1]
    response = response[(centre > 0.0) & (centre < 1.0)]
    if response.size == 0:
        return LEAST
    return max(LEAST, float(xp.median(response)) / 0.6745)
