"""Deconvolution with one blur kernel for all of a photograph: plane by plane, in tiles."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from kernels.arrays import Array, array_module
from kernels.graphs import replayed
from runtime.blur.periodic import BlurModel
from runtime.decisions.thresholds import PARTLY_SATURATED, PARTLY_SATURATED_LIGHT, PARTLY_SATURATED_NOISY, SATURATED
from runtime.deconvolution.arguments import check_planes_and
from runtime.deconvolution.chroma import CHROMA_NOISE, HiddenNoise, combined, hidden_noise, noise_scales, separated
from runtime.deconvolution.epll import epll
from runtime.deconvolution.hyper_laplacian import hyper_laplacian
from runtime.deconvolution.irc import irc
from runtime.deconvolution.lights import restore_lights
from runtime.deconvolution.observation import Observation
from runtime.deconvolution.saturation import LARGEST_VALUE, bounded
from runtime.deconvolution.synthesis import load_synthesiser
from runtime.deconvolution.wiener import wiener
from runtime.errors import InvalidArgument
from runtime.inference.bundle import Bundle
from runtime.inference.devices import device_of, download
from runtime.inference.progress import Progress
from runtime.noise import LEAST_NOISE, estimate_noises
from runtime.options import SYNTHESIS
from runtime.quality import DeconvolutionEffort
from runtime.response import LINEAR, Response
from runtime.tiles import bands, tiles

_TOGETHER = ("hyper-laplacian", "wiener")
"""Methods whose planes are restored together, on a GPU by one graph: they know all that they do beforehand."""


def deconvolve_uniform(
    planes: Array,
    kernel: Array,
    effort: DeconvolutionEffort,
    *,
    method: str | None = None,
    noise: float | None = None,
    kernel_error: float = 0.0,
    adapt: bool = False,
    known: Array | None = None,
    saturated: float = SATURATED,
    hidden: HiddenNoise | None = None,
    response: Response = LINEAR,
    synthesis: Bundle | None = None,
    progress: Progress | None = None,
) -> Array:
    """Restore a photograph that is blurred by one kernel.

    Solves ``planes = kernel * x + noise`` for `x`. Three planes are converted to their mean and two colour differences,
    or light, where these have noise of their own, to its luma and the differences of stored values; the first is
    restored by `method`, the differences by a cheaper one. Other numbers of planes are restored one by one.
    Saturated and unknown pixels are left out of the data term. Large photographs are restored in tiles, which are
    blended where they overlap.

    Parameters
    ----------
    planes, noise, kernel_error
        As in `runtime.deconvolution.deconvolve`.
    known, saturated
        As in `runtime.run.Run`.
    kernel : (h, w) array of float32
        Non-negative, of sum 1, at most as large as the image, origin at ``((h - 1) // 2, (w - 1) // 2)``.
    effort
        Amount of work.
    method
        One of `runtime.options.DECONVOLUTIONS`; by default that of `effort`.
    adapt
        Whether hyper-Laplacian deconvolution follows the contrast of the photograph, for a kernel that is known. The
        error of an estimated one holds the data back already, and so do levels of noise that is not white.
    hidden
        Noise of the two colour differences that is not white, by default `hidden_noise` of the planes. A difference
        that has any is restored with a hyper-Laplacian prior, whatever the method, and only partly corrected; where
        the planes are light, that of their stored values is.
    response
        The curve from the planes to stored values. If it is not linear, the planes are light, and what surrounds
        saturated pixels is restored by `runtime.deconvolution.lights`.
    synthesis
        The network of that method; by default the one included in the package.
    progress
        Called with ``("deconvolve", fraction)``.

    Returns
    -------
    (C, H, W) array of float32
        Not clipped.

    Raises
    ------
    InvalidImage, InvalidArgument, UnsupportedType
        If the planes, the kernel or the noise are not valid.
    """
    check_kernel(planes, kernel)
    for name, value in (("noise", noise), ("kernel_error", kernel_error)):
        if value is not None and not (np.isfinite(value) and value >= 0):
            raise InvalidArgument(f"{name} is {value}; give a number of 0 or more")
    xp, (height, width) = array_module(planes), planes.shape[1:]
    method = method or effort.method
    methods, scales, factors = [method] * len(planes), [1.0] * len(planes), [1.0] * len(planes)
    if saturated <= LARGEST_VALUE:  # What lies far beyond must not outweigh the others in a transform.
        planes = bounded(planes)
    everywhere, partly = _valid_in_all_and_in_some(planes, saturated, known)
    hidden = hidden_noise(planes, everywhere, [kernel], response) if hidden is None else hidden
    adapt = adapt and method == "hyper-laplacian" and not hidden.luma and not hidden.found
    slope = response.mean_slope_of(planes)
    limit = PARTLY_SATURATED_NOISY if hidden.found else PARTLY_SATURATED if response.linear else PARTLY_SATURATED_LIGHT
    opponent = len(planes) == 3 and partly < limit
    curve = response if hidden.found else LINEAR
    parts_of = partial(separated, response=curve) if opponent else xp.asarray
    if opponent:
        methods[1:] = ["hyper-laplacian" if method in ("epll", SYNTHESIS) else method] * 2
        # The small contrast of the differences is what this factor stands for.
        factor = 1.0 if adapt else CHROMA_NOISE
        scales, factors = noise_scales(curve, slope), [1.0, factor, factor]
    given = [] if noise is None else [max(noise, LEAST_NOISE) * scale for scale in scales]
    levels = given or estimate_noises(planes, kernel, parts_of)
    if not given:
        count = 1 if opponent else len(levels)
        levels[:count] = [hidden.with_luma(level, slope) for level in levels[:count]]
    deviations = [factor * level for factor, level in zip(factors, levels, strict=True)]
    shares = [1.0] * len(planes)
    if opponent:
        for index, level in enumerate(hidden.levels, start=1):
            if level:
                methods[index], deviations[index] = "hyper-laplacian", max(deviations[index], level)
                shares[index] = hidden.share
    restored = xp.zeros_like(planes)
    corrected = [index for index, share in enumerate(shares) if share > 0]
    together = [index for index in corrected if methods[index] in _TOGETHER]
    groups = [[index] for index in corrected if index not in together] + ([together] if together else [])
    spans = list(tiles((height, width), kernel.shape))
    model: BlurModel | None = None
    for done, (rows, cols) in enumerate(spans):
        window = slice(rows.start, rows.stop), slice(cols.start, cols.stop)
        parts, weights = (
            parts_of(planes[:, *window]),
            rows.weights(height, planes)[:, None] * cols.weights(width, planes),
        )
        if opponent:
            # The differences of clipped pixels, above all those of white, say what their colours are, or nearly so.
            every = xp.ones_like(everywhere[window]) if known is None else known[window]
            valid = [everywhere[window], every, every]
        else:
            valid = [_valid(plane[window], saturated, None if known is None else known[window]) for plane in planes]
        for step, group in enumerate(groups, start=1):
            if group == together:
                found = replayed(
                    _restore_together, kernel, *(deviations[index] for index in group),
                    *(parts[index] for index in group), *(valid[index] for index in group),
                    methods=tuple(methods[index] for index in group), adapt=adapt, kernel_error=kernel_error,
                    steps=effort.steps,
                )  # fmt: skip
            else:
                (index,) = group
                plane = parts[index]
                # Most tiles have the same size.
                if model is None or model.image_shape != plane.shape:
                    model = BlurModel(plane.shape, kernel)
                observation = Observation(
                    plane, kernel, deviations[index], kernel_error=kernel_error, valid=valid[index], model=model
                )
                found = (model.crop(_restore(observation, methods[index], effort, synthesis)),)
            for index, tile in zip(group, found, strict=True):
                tile *= weights
                restored[index][window] += tile
            if progress is not None:
                progress("deconvolve", (done + step / len(groups)) / len(spans))
    if min(shares) < 1:
        for band in bands((height, width)):
            parts = parts_of(planes[:, band])
            for index, share in enumerate(shares):
                if share < 1:
                    restored[index, band] = parts[index] + share * (restored[index, band] - parts[index])
    if opponent:
        restored = combined(restored, curve)
    if not response.linear:
        stored = response if hidden.found else None
        restore_lights(planes, restored, kernel, saturated, known, exact=kernel_error == 0, stored=stored)
    return restored


def _valid(plane: Array, saturated: float, known: Array | None) -> Array:
    """Return the mask of the pixels of a plane that are known and not clipped."""
    valid = array_module(plane).abs(plane) < saturated
    if known is not None:
        valid &= known
    return valid


def _valid_in_all_and_in_some(planes: Array, saturated: float, known: Array | None) -> tuple[Array, float]:
    """Return the mask (H, W) of the pixels that are valid in all planes, and the share of those that are in some."""
    everywhere = somewhere = _valid(planes[0], saturated, known)
    for plane in planes[1:]:
        valid = _valid(plane, saturated, known)
        everywhere, somewhere = everywhere & valid, somewhere | valid
    return everywhere, float((somewhere & ~everywhere).mean())


def _restore_together(
    kernel: Array, *given: Array, methods: Sequence[str], adapt: bool, kernel_error: float, steps: int
) -> tuple[Array, ...]:
    """Restore planes (h, w) of one photograph, each by its method; given are deviations, planes, and valid pixels."""
    count = len(methods)
    deviations, planes, valid = given[:count], given[count : 2 * count], given[2 * count :]
    model = BlurModel(planes[0].shape, kernel)
    observations = (
        Observation(plane, kernel, deviation, kernel_error=kernel_error, valid=known, model=model)
        for plane, deviation, known in zip(planes, deviations, valid, strict=True)
    )
    return tuple(
        model.crop(
            wiener(observation, steps=steps)
            if method == "wiener"
            else hyper_laplacian(observation, steps=steps, adapt=adapt)
        )
        for method, observation in zip(methods, observations, strict=True)
    )


def _restore(observation: Observation, method: str, effort: DeconvolutionEffort, network: Bundle | None) -> Array:
    """Restore one plane by another method than those of `_TOGETHER`."""
    if method == "epll":
        return epll(observation, steps=effort.steps, stride=effort.stride)
    if method == "irc":
        return irc(observation)
    return load_synthesiser(device_of(observation.extended), network).restore(observation, steps=effort.steps)


def check_kernel(planes: Array, kernel: Array) -> None:
    """Raise an error, which names the remedy, unless planes (C, H, W) can be deconvolved with a kernel (h, w).

    Raises
    ------
    InvalidImage, InvalidArgument, UnsupportedType
        As `deconvolve_uniform`.
    """
    check_planes_and("kernel", planes, kernel)
    if kernel.ndim != 2 or kernel.size == 0:
        raise InvalidArgument(f"kernel has shape {kernel.shape}; give one 2-D blur kernel")
    kernel = download(kernel)
    if not bool(np.isfinite(kernel).all()) or float(kernel.min()) < 0:
        raise InvalidArgument("kernel holds negative values, NaN or infinity; clip it to 0 and divide it by its sum")
    if abs(float(kernel.sum()) - 1) > 1e-3:
        raise InvalidArgument(f"kernel sums to {float(kernel.sum()):.4g}; divide it by its sum")
    if kernel.shape[0] > planes.shape[1] or kernel.shape[1] > planes.shape[2]:
        raise InvalidArgument(
            f"kernel {kernel.shape} is larger than the image {planes.shape[1:]}; crop the kernel or give more image"
        )
