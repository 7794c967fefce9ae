"""The misfit of a restoration: the difference between the observed image and the restored image, blurred again."""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array, array_module
from kernels.edges import forward_differences
from runtime.blur.motion import LONGEST
from runtime.decisions.thresholds import SATURATED
from runtime.deconvolution.saturation import unsaturated
from runtime.inference.devices import download
from runtime.response import Response

_PARTS = 3
"""Parts of a photograph along each axis whose misfits are compared."""
_LEAST_KNOWN = 0.1
"""Share of the pixels of a part that have to be known."""
_LEAST_CONTRAST = 0.1
"""Mean squared gradient of a part, relative to the largest of all, from which its misfit counts."""
_LEAST_PARTS = 3
"""Fewest such parts that can be compared."""
_TINY = 1e-12


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


def find_unevenness(
    blurred: Array, observed: Array, response: Response, known: Array | None = None, saturated: float = SATURATED
) -> float:
    """Return how unevenly a restoration explains a photograph: where one kernel holds everywhere, about 1.

    Where the photograph shows next to nothing, as a night sky, any kernel explains it; such parts do not count.

    Parameters
    ----------
    blurred, observed, known
        As in `find_misfit`; light, unless `response` is linear.
    response
        The curve from these values to those of the image. The noise of light grows with the light: the misfit is
        divided by what it grows by, about.
    saturated : float
        Observed values from here on are taken for clipped, and left out with their neighbours.

    Returns
    -------
    float
        The largest root mean square misfit of nine parts over their median; 1 if there are too few to compare.
    """
    xp = array_module(observed)
    used = unsaturated(observed, saturated)
    if known is not None:
        used &= known
    error, stored = blurred - observed, response.from_light(observed)
    if not response.linear:
        error = error * (2 / (response.slope(stored) + np.float32(response.mean_slope(stored))))
    margins = (min(LONGEST, size // 4) for size in observed.shape)
    inside = tuple(slice(margin, size - margin) for margin, size in zip(margins, observed.shape, strict=True))
    planes = error, used, forward_differences(xp.ascontiguousarray(stored))
    parts = list(zip(*(_parts(plane[..., *inside]) for plane in planes), strict=True))
    sums = [
        [seen.sum(), xp.square(xp.where(seen, errors, 0)).sum(), xp.square(xp.where(seen, edges, 0)).sum()]
        for errors, seen, edges in parts
    ]
    # One transfer from a GPU for all.
    flat = [each.astype(np.float64) for part in sums for each in part]
    counts, misfits, contrasts = np.asarray(download(xp.stack(flat))).reshape(-1, 3).T
    known = counts > [_LEAST_KNOWN * seen.size for _, seen, _ in parts]
    means = np.maximum(counts, 1)
    misfits, contrasts = np.sqrt(misfits / means), contrasts / means
    shown = known & (contrasts >= _LEAST_CONTRAST * contrasts.max(where=known, initial=0))
    if shown.sum() < _LEAST_PARTS:
        return 1.0
    return float(misfits[shown].max() / max(np.median(misfits[shown]), _TINY))


def _parts(planes: Array) -> list[Array]:
    split = array_module(planes).array_split
    return [part for band in split(planes, _PARTS, axis=-2) for part in split(band, _PARTS, axis=-1)]
