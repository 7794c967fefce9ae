"""The misfit of a restoration: the difference between the observed image and the restored image, blurred again."""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array, array_module
from kernels.edges import forward_differences
from runtime.blur.motion import LONGEST
from runtime.decisions.thresholds import SATURATED
from runtime.deconvolution.saturation import apart_from_lights, unsaturated
from runtime.inference.devices import download
from runtime.metrics import parts, unevenness
from runtime.response import Response


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
    blurred: Array,
    observed: Array,
    response: Response,
    known: Array | None = None,
    saturated: float = SATURATED,
    *,
    apart: bool = False,
) -> float:
    """Return how unevenly a restoration explains a photograph: where one kernel holds everywhere, about 1.

    In light, what is dark counts for little: any kernel explains a night sky, so that parts that show next to nothing
    are left out.

    Parameters
    ----------
    blurred, observed, known
        As in `find_misfit`; light, unless `response` is linear.
    response
        The curve from these values to those of the image. The noise of light grows with the light: the misfit is
        divided by what it grows by, about.
    saturated : float
        Observed values from here on are taken for clipped, and left out with their neighbours.
    apart : bool
        Whether all that lights may have changed is left out, too, see `apart_from_lights`.

    Returns
    -------
    float
        The largest root mean square misfit of nine parts over their median; 1 if there are too few to compare.
    """
    xp = array_module(observed)
    used = apart_from_lights(observed, saturated) if apart else unsaturated(observed, saturated)
    if known is not None:
        used &= known
    error, stored = blurred - observed, response.from_light(observed)
    if not response.linear:
        error = error * (2 / (response.slope(stored) + np.float32(response.mean_slope(stored))))
    margins = (min(LONGEST, size // 4) for size in observed.shape)
    inside = tuple(slice(margin, size - margin) for margin, size in zip(margins, observed.shape, strict=True))
    edges = forward_differences(xp.ascontiguousarray(stored))
    errors, masks, squares = (
        parts(plane[..., *inside]) for plane in (xp.where(used, error, 0), used, xp.where(used, xp.square(edges), 0))
    )
    sums = [*(xp.square(part).sum() for part in errors), *(part.sum() for part in (*masks, *squares))]
    # One transfer from a GPU for all.
    squares, counts, contrasts = download(xp.stack([each.astype(np.float64) for each in sums])).reshape(3, -1)
    sizes = [part.size for part in masks]
    return unevenness(np.stack([squares, counts]), sizes, None if response.linear else contrasts)
