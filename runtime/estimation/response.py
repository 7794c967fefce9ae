"""Which response curve a blurred photograph was stored under, judged by what its restoration looks like.

Light that the photograph was not blurred in cannot be restored: at every strong edge the deconvolution overshoots. In
the shadows it then proposes less than no light, and the gradients become less sparse. So a rough kernel is enough to
tell the curves apart, as long as there are dark places beside bright ones. What is in the image but has not been
blurred, such as ink, overshoots more than all of it, so that dark places are asked one by one, and count alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kernels.arrays import Array, array_module, is_cuda
from kernels.graphs import replayed
from runtime.blur.blurs import CENTRE, Blur, KernelBlur, MotionBlur
from runtime.blur.kernel import Kernel, extent, fit
from runtime.colour import luminance
from runtime.decisions.thresholds import (
    FLAT_RANGE,
    RESPONSE_BENT,
    RESPONSE_DARK,
    RESPONSE_DARKNESS,
    RESPONSE_SPARSITY_WEIGHT,
)
from runtime.deconvolution.hyper_laplacian import hyper_laplacian
from runtime.deconvolution.observation import Observation
from runtime.deconvolution.saturation import bounded, unsaturated
from runtime.deconvolution.uniform import check_kernel
from runtime.estimation.kernel.edges import gradients
from runtime.estimation.kernel.pyramid import BlurredImage, informative_window
from runtime.images import Frame
from runtime.inference.devices import download
from runtime.options import AUTO, Options
from runtime.preparation.photograph import Photograph
from runtime.response import LINEAR, SRGB, Response, find_response
from runtime.run import Run, run_on

_PIXELS = 100_000
"""Pixels of the window that is looked at, about."""
_EXTRA_NOISE = 0.01
"""Standard deviation added to that of the noise, for the error of the kernel."""
_STEPS = 8
"""Conjugate-gradient steps for the pixels beyond the border."""
_UNTOUCHED = 0.01
"""Share of the light of a latent pixel that may reach clipped pixels for it to be counted."""
_CELL = 16
"""Side in pixels of the places that are asked."""
_TINY = 1e-12


@dataclass(frozen=True)
class Overshoot:
    """What speaks against a response curve.

    Attributes
    ----------
    darkness : (n,) array of float64
        Root mean square of the restored light below 0, in units of white, at each place; 0 where no pixel counts.
    sparsity_gain : float
        Ratio ``|g|_1 / |g|_2`` of the gradients of the restored light, over that of the observed light.
    """

    darkness: NDArray[np.float64]
    sparsity_gain: float


def is_bent(frame: Frame, options: Options) -> bool:
    """Tell whether the black of an image is known to be 0: in 8 bits, or on a response curve that is given."""
    if frame.dtype == np.uint8:
        return True
    return options.response != AUTO and not find_response(options.response).linear


def as_it_says(frame: Frame, photograph: Photograph, options: Options) -> Options:
    """Return the options for a photograph, without a response curve to be found where none is or none can be told.

    An image may say of itself that its values are light, and of what stands on a pedestal the true black is not known.
    Nor is it of floats that are shifted otherwise than by half or all of their range, such as those of a mean of 0.
    """
    guessed = photograph.white.black or frame.scale.is_guessed
    if options.response == AUTO and (frame.linear or guessed):
        return replace(options, response=LINEAR.name)
    return options


def in_light(
    photograph: Photograph, quantum: float, options: Options, run: Run[Options], blur: Blur | None = None
) -> tuple[Photograph, Run[Options]]:
    """Return a photograph as the light that its values stand for, and a run on that.

    Parameters
    ----------
    photograph
        Its planes are used up.
    quantum : float
        As in `runtime.run.run_on`.
    options
        Those of the call: they tell the response curve, or that it is to be chosen.
    run
        On the photograph as it is.
    blur
        The blur, if it is known.
    """
    given = options.response
    if given != AUTO:
        response = find_response(given)
    elif blur is None or isinstance(blur, MotionBlur):
        response = LINEAR
    else:
        if isinstance(blur, KernelBlur):
            check_kernel(photograph.planes, blur.kernel)
        kernel = download(blur.kernel_at(CENTRE)).astype(np.float64)
        response = choose_response(luminance(photograph.planes), run, kernel)
    if response.linear:
        return photograph, run
    light = photograph.as_light(response)
    return light, run_on(light, quantum, options, run.device, run.stopwatch, run.progress)


def choose_response(observed: Array, run: Run[Options], kernel: Kernel) -> Response:
    """Choose the response curve of a photograph: `LINEAR` or `SRGB`; the arguments are those of `evidence_of_bend`."""
    return SRGB if evidence_of_bend(observed, run, kernel) > RESPONSE_BENT else LINEAR


def evidence_of_bend(observed: Array, run: Run[Options], kernel: Kernel) -> float:
    """Return what speaks for the curve of sRGB in a photograph (`bend`); that of a flat one is minus infinity.

    Parameters
    ----------
    observed : (H, W) array of float32
        Observed luminance as stored, in units of white.
    run : Run
        Knows the noise, and the pixels that are known and not clipped.
    kernel : (h, w) array
        The kernel, in host memory, known or nearly right.
    """
    window = informative_window(observed, _PIXELS, narrowest=2 * max(kernel.shape))
    image = bounded(observed[window])
    brightest, darkest = download(array_module(image).stack([image.max(), image.min()])).tolist()
    if brightest - darkest <= FLAT_RANGE:
        return -math.inf
    clipped = ~unsaturated(image, run.saturated)
    known = ~clipped if run.known is None else run.known[window] & ~clipped
    blurred = BlurredImage(image, known, None, run.noise_of(observed))
    straight, bent = (measure_overshoot(blurred, kernel, each, clipped) for each in (LINEAR, SRGB))
    return bend(straight, bent)


def bend(straight: Overshoot, bent: Overshoot) -> float:
    """Return the evidence for a bent response curve, from the overshoot under a straight and under the bent one.

    ``mean(log((d + d0) / (d' + d0))) + w log(s / s')``, with the darkness d at the places where one curve leaves more
    than a little, and the sparsity gain s.
    """
    dark = np.maximum(straight.darkness, bent.darkness) > RESPONSE_DARK
    ratios = np.log((straight.darkness[dark] + RESPONSE_DARKNESS) / (bent.darkness[dark] + RESPONSE_DARKNESS))
    darkness = float(ratios.mean()) if ratios.size else 0.0
    return darkness + RESPONSE_SPARSITY_WEIGHT * math.log(
        max(straight.sparsity_gain, _TINY) / max(bent.sparsity_gain, _TINY)
    )


def measure_overshoot(blurred: BlurredImage, kernel: Kernel, response: Response, clipped: Array) -> Overshoot:
    """Restore a photograph in the light of a response curve, and measure what it shows that cannot be.

    Unknown pixels, and latent ones that spread light to clipped ones, are left out.

    Parameters
    ----------
    blurred : BlurredImage
        Values as stored.
    kernel : array (side, side)
        Nearly right.
    response
        The curve.
    clipped : (H, W) array of bool
        Clipped pixels; `BlurredImage.known` is False there too.
    """
    blur = fit(kernel, extent(kernel)).astype(np.float32)
    arrays = blurred.image, blurred.known, clipped, blurred.noise, blur
    below, counted, *edges = replayed(_restore_in, *arrays, response=response)
    xp = array_module(below)
    of_edges = [sums for each in edges for sums in (xp.abs(each).sum(axis=0), xp.square(each).sum(axis=0))]
    planes = [xp.ones_like(below), xp.square(below), *of_edges]
    sums = download(xp.stack([_sums_by_place(xp.where(counted, plane, np.float32(0))) for plane in planes]))
    counts, dark, *of_edges = sums.astype(np.float64)
    total = counts.sum()
    if not total:
        return Overshoot(np.zeros(len(counts)), 1.0)
    after, before = (
        sizes.sum() / max(math.sqrt(2 * total * squares.sum()), _TINY)
        for sizes, squares in (of_edges[:2], of_edges[2:])
    )
    return Overshoot(np.sqrt(dark / np.maximum(counts, 1)), after / max(before, _TINY))


def _restore_in(
    image: Array, known: Array, clipped: Array, noise: float | Array, blur: Array, *, response: Response
) -> tuple[Array, ...]:
    """Restore an image in the light of a response curve.

    Return what lies below 0, the pixels that count, and the gradients of the restored and of the observed light, all
    without what lies near the boundary.
    """
    xp, light = array_module(image), response.to_light(image)
    noise = noise * response.mean_slope_there(image)
    noise = noise.astype(np.float32) if is_cuda(image) else float(noise)
    observation = Observation(light, blur, noise + _EXTRA_NOISE, valid=known)
    model = observation.model
    latent = model.crop(hyper_laplacian(observation, steps=_STEPS))
    sources = xp.zeros(model.shape, np.float32)
    model.crop(sources)[...] = clipped
    share = model.crop(model.filter(sources, model.transfer.conj() * model.power))
    rows, cols = (min(max(blur.shape) // 2 + 1, side // 4) for side in light.shape)
    inside = slice(rows, light.shape[0] - rows), slice(cols, light.shape[1] - cols)
    counted = ((share < _UNTOUCHED) & known)[inside]
    edges = [gradients(plane)[:, *inside] for plane in (latent, light)]
    return xp.minimum(latent[inside], 0), counted, *edges


def _sums_by_place(plane: Array) -> Array:
    """Return the sums (n,) of a plane (h, w) over squares of `_CELL` pixels; the last ones may be cut off."""
    xp, (height, width) = array_module(plane), plane.shape
    plane = xp.pad(plane, ((0, -height % _CELL), (0, -width % _CELL)))
    rows, cols = (side // _CELL for side in plane.shape)
    return plane.reshape(rows, _CELL, cols, _CELL).sum(axis=(1, 3)).reshape(-1)
