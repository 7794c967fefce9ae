"""Parts of a photograph that its blur kernel does not explain, though it explains everything else."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.arrays import Array, array_module
from runtime.blur.blurs import KernelBlur
from runtime.deconvolution.saturation import unsaturated
from runtime.deconvolution.uniform import deconvolve_uniform
from runtime.inference.devices import download
from runtime.options import Options
from runtime.run import Run

_EXTRA_NOISE = 0.005
"""Standard deviation added to that of the noise, for the error of the kernel, in units of the value range."""
_NEIGHBOURHOOD = 9
"""Side in pixels of the square over which the misfit is averaged."""
_OUTLYING = 4.0
"""Misfit of an outlier, in units of the median misfit."""
_MARGIN = 4
"""Pixels around an outlier that belong to it, and half of the gaps between outliers that are closed."""
_LARGEST_SHARE = 0.08
"""Share of the pixels, at most, that can be outliers: beyond, the kernel explains the photograph poorly."""


def find_outliers(observed: Array, kernel: NDArray[np.float32], run: Run[Options]) -> Array | None:
    """Find the parts of a photograph that a kernel does not explain, such as a date stamp or something that moved.

    The photograph is restored and blurred again. Where the difference is many times that of most places, there is
    something that this kernel has not blurred.

    Parameters
    ----------
    observed : (H, W) array of float32
        Luminance, values in [0, 1].
    kernel : (h, w) array of float32
        In host memory.
    run : Run

    Returns
    -------
    (H, W) array of bool, on the device of `observed`, or None
        ``None`` if there are none, or too many to be exceptions.
    """
    from scipy import ndimage

    xp = array_module(observed)
    blur = xp.asarray(kernel)
    latent = deconvolve_uniform(
        observed[None],
        blur,
        run.options.level.deconvolution,
        method="hyper-laplacian",
        noise=run.noise_of(observed) + _EXTRA_NOISE,
        known=run.known,
        saturated=run.saturated,
    )
    used = unsaturated(observed, run.saturated)
    if run.known is not None:
        used &= run.known
    misfit = download(xp.where(used, xp.abs(KernelBlur(blur).apply(latent)[0] - observed), 0))
    local = ndimage.uniform_filter(misfit, _NEIGHBOURHOOD)
    outlying = local > _OUTLYING * float(np.median(local[download(used)]))
    grown = ndimage.maximum_filter(outlying.view(np.uint8), 4 * _MARGIN + 1)
    outliers = ndimage.minimum_filter(grown, 2 * _MARGIN + 1).view(bool)
    return xp.asarray(outliers) if 0 < outliers.mean() <= _LARGEST_SHARE else None
