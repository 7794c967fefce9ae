"""Restoration around highlights that the camera clipped, under a model that clips too.

Deconvolution leaves clipped pixels out. They say more than nothing: that at least white arrived there. And light that
a lamp has spread over its surroundings cannot be undone by less than no light, which a linear deconvolution proposes.
Richardson-Lucy iterations know both (Whyte, Sivic and Zisserman 2014): the latent image stays positive, and a clipped
pixel asks for more light only where less than white is predicted.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kernels.arrays import Array, array_module
from kernels.cancellation import checkpoint
from runtime.blur.periodic import BlurModel
from runtime.colour import luminance
from runtime.deconvolution.chroma import combined, separated
from runtime.inference.devices import download
from runtime.response import Response
from runtime.tiles import tiles

_ITERATIONS, _EXACT_ITERATIONS = 30, 60
"""Iterations with an estimated kernel, whose errors more of them would bring out, and with the true one."""
_BRIGHT = 2.0
"""Light of clipped pixels in the first estimate with the true kernel, in units of white; with another one, white."""
_LEAST, _MOST = 1e-6, 32.0
"""Bounds of the latent image, in units of white."""
_DARKEST = 1e-3
"""What the first estimate is at least: what is nearly 0 stays there."""
_SPREAD = 0.002
"""Share of the light of a latent pixel that reaches clipped pixels, from which it is restored here alone; where none
does, not at all."""


class _Lights(NamedTuple):
    """The observed plane (h, w) on the periodic plane of its blur, and masks of the known and of the clipped pixels."""

    observed: Array
    known: Array
    clipped: Array


def restore_lights(
    planes: Array,
    restored: Array,
    kernel: Array,
    clipped: Array,
    known: Array,
    *,
    exact: bool = False,
    stored: Response | None = None,
) -> None:
    """Restore what clipped pixels received light from, and blend it into a restoration.

    With ``b = kernel * x``, an iteration is ``x <- x (kernel' * r)``, where ``r`` is ``planes / b`` at known pixels,
    ``max(1 / b, 1)`` at clipped ones, and 1 elsewhere.

    Parameters
    ----------
    planes : (C, H, W) array of float32
        Observed photograph; values are light, or nearly so, and white is 1.
    restored : (C, H, W) array of float32
        Its restoration without the clipped pixels; changed in place.
    kernel : (h, w) array of float32
        Blur kernel of sum 1.
    clipped, known : (C, H, W) arrays of bool
        Pixels that are clipped, and those whose values are known; never both.
    exact : bool
        Whether the kernel is the true one.
    stored
        If given, the curve to stored values whose colour differences have noise of their own: what is no brighter than
        white keeps those of its restoration (`runtime.deconvolution.chroma`).
    """
    xp, (height, width) = array_module(planes), planes.shape[1:]
    largest = max(kernel.shape)
    for rows, cols in tiles((height, width), (2 * largest, 2 * largest)):
        window = slice(rows.start, rows.stop), slice(cols.start, cols.stop)
        present = download(clipped[:, *window].any(axis=(1, 2)))
        if not present.any():
            continue
        model = BlurModel((rows.stop - rows.start, cols.stop - cols.start), kernel)
        before = None if stored is None else separated(restored[:, *window], stored)
        seams = rows.weights(height, planes)[:, None] * cols.weights(width, planes)
        for plane, out, clip, know, some in zip(planes, restored, clipped, known, present, strict=True):
            if not some:
                continue
            lights = _placed(plane[window], clip[window], know[window], model)
            latent = model.crop(_iterate(lights, model, exact))
            weight = seams * xp.clip(_share_of_clipped(lights, model) / np.float32(_SPREAD), 0, 1)
            out[window] += weight * (latent - out[window])
        if before is not None and stored is not None:
            before[0] = luminance(restored[:, *window])
            dim = (restored[:, *window] <= 1).all(axis=0)
            restored[:, *window] = xp.where(dim, combined(before, stored), restored[:, *window])


def _placed(plane: Array, clipped: Array, known: Array, model: BlurModel) -> _Lights:
    xp = array_module(plane)

    def masked(mask: Array) -> Array:
        whole = xp.zeros(model.shape, bool)
        model.crop(whole)[...] = mask
        return whole

    return _Lights(xp.ascontiguousarray(model.extend(plane)), masked(known), masked(clipped))


def _iterate(lights: _Lights, model: BlurModel, exact: bool) -> Array:
    """Return the latent image on the periodic plane."""
    xp = array_module(lights.observed)
    latent, adjoint = xp.maximum(lights.observed, np.float32(_DARKEST)), model.transfer.conj()
    if exact:
        latent = xp.where(lights.clipped, np.float32(_BRIGHT), latent)
    for _ in range(_EXACT_ITERATIONS if exact else _ITERATIONS):
        checkpoint()
        predicted = xp.maximum(model.filter(latent, model.transfer), np.float32(_LEAST))
        ratio = xp.where(lights.known, lights.observed / predicted, np.float32(1))
        ratio = xp.where(lights.clipped, xp.maximum(1 / predicted, np.float32(1)), ratio)
        latent = xp.clip(latent * model.filter(ratio, adjoint), _LEAST, _MOST).astype(np.float32)
    return latent


def _share_of_clipped(lights: _Lights, model: BlurModel) -> Array:
    """Return, for latent pixels of the image, the share of light that they exchange with what clipped pixels saw."""
    clipped, seen_again = lights.clipped.astype(np.float32), model.transfer.conj() * model.power
    return model.crop(model.filter(clipped, seen_again))
