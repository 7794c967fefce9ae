"""The misfit of a restoration: the difference between the observed image and the restored image, blurred again."""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array, array_module, packed
from kernels.edges import forward_differences
from kernels.graphs import replayed
from runtime.blur.motion import LONGEST
from runtime.decisions.thresholds import SATURATED
from runtime.deconvolution.saturation import apart_from_lights, unsaturated
from runtime.inference.devices import download
from runtime.metrics import parts, unevenness
from runtime.response import Response
from runtime.tiles import bands


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
    inside = _inside(observed.shape)
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
    used = apart_from_lights(observed, saturated) if apart else unsaturated(observed, saturated)
    if known is not None:
        used &= known
    sizes = [part.size for part in parts(used[_inside(used.shape)])]
    sums = download(replayed(_sums_of_parts, blurred, observed, used, response=response)[0]).reshape(-1, len(sizes))
    return unevenness(sums[:2], sizes, None if response.linear else sums[2])


def _sums_of_parts(blurred: Array, observed: Array, used: Array, *, response: Response) -> tuple[Array]:
    """Return sums over the parts: of squared misfits, of used pixels, and in light of squared gradients."""
    xp, inside = array_module(observed), _inside(observed.shape)
    squares, sums = blurred - observed, []
    if not response.linear:
        edges, mean = xp.empty_like(observed), response.mean_slope_there_of(observed).astype(np.float32)
        for band in bands(observed.shape):
            rows = band.stop - band.start
            stored = response.from_light(observed[band.start : band.stop + 1])
            squares[band] *= 2 / (response.slope(stored[:rows]) + mean)
            edges[band] = xp.square(forward_differences(xp.ascontiguousarray(stored))[:, :rows]).sum(axis=0)
        edges *= used
        sums = [part.sum() for part in parts(edges[inside])]
    squares *= used
    xp.square(squares, out=squares)
    return (packed(observed, [*(part.sum() for plane in (squares, used) for part in parts(plane[inside])), *sums]),)


def _inside(shape: tuple[int, int]) -> tuple[slice, slice]:
    """Return the pixels that are not near the boundary."""
    rows, cols = (min(LONGEST, size // 4) for size in shape)
    return slice(rows, shape[0] - rows), slice(cols, shape[1] - cols)
