"""The public functions: `deblur`, `deblur_burst` and `deconvolve`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels.arrays import Array, is_cuda
from runtime.arguments import check_array, check_choice, check_progress, check_real
from runtime.blur.blurs import Blur, KernelBlur, MotionBlur
from runtime.colour import luminance
from runtime.deblurrer import DEFAULT_MODEL, Deblurrer
from runtime.deconvolution import deconvolve as _deconvolve
from runtime.errors import InvalidArgument
from runtime.estimation.response import as_it_says, in_light, is_bent
from runtime.images import open_image
from runtime.inference.devices import Device, on_device, resolve_device, upload
from runtime.inference.progress import Progress, Stopwatch, reporting
from runtime.options import AUTO, DECONVOLUTIONS, FBA, Loading, Options
from runtime.preparation.photograph import prepare
from runtime.run import run_on

_LARGEST_STEP = 0.45
"""Share of a kernel in two neighbouring rows or columns, at most, if it leaves no edge across them sharp."""
_SHORT_MOTION, _STILL = 4.0, 0.02
"""Motion in pixels that leaves edges rather sharp, and the share of the pixels that may move less."""
_MOST_NOISE = 1e6
"""Standard deviation of the noise, at most, in units of the value range: under it nothing is left of any photograph."""


def deblur(
    image: Any,
    *,
    model: str | os.PathLike[str] = DEFAULT_MODEL,
    device: str = "auto",
    precision: str = "auto",
    batch: int | None = None,
    **options: Any,
) -> Any:
    """Restore a blurred photograph whose blur is unknown.

    Parameters
    ----------
    image
        As in `Deblurrer.restore`.
    model, device, precision, batch
        As in `Deblurrer`. The loaded model is cached for the next call.
    **options
        ``quality``, ``stride``, ``nonblind``, ``support``, ``noise``, ``refine``, ``neural``, ``response``,
        ``content``, ``variant``, ``strength`` and ``progress``, as in `Deblurrer.restore`.

    Returns
    -------
    The restored image, of the type, dtype and shape of `image`; of a ``numpy.memmap``, an array in memory.

    Examples
    --------
    >>> import runtime
    >>> sharp = runtime.deblur(photograph)                           # doctest: +SKIP
    >>> sharp = runtime.deblur(photograph, device="cuda", quality="best", stride=4)  # doctest: +SKIP
    """
    deblurrer = _deblurrer(Loading(model, device, precision, batch), os.getpid())
    return deblurrer.restore(image, **options).image


def deblur_burst(
    frames: Iterable[Any],
    *,
    model: str | os.PathLike[str] = FBA,
    device: str = "auto",
    precision: str = "auto",
    batch: int | None = None,
    **options: Any,
) -> Any:
    """Restore one photograph from several blurred frames of one scene.

    Parameters
    ----------
    frames
        As in `Deblurrer.restore_burst`.
    model, device, precision, batch
        As in `Deblurrer`. The loaded model is cached for the next call.
    **options
        ``register``, ``reference``, ``p``, ``patch``, ``stride``, ``smoothing``, ``chroma`` and ``progress``, as in
        `Deblurrer.restore_burst`.

    Returns
    -------
    The restored image, of the type, dtype and shape of the reference frame; a NumPy array if the frames are files.

    Examples
    --------
    >>> import runtime
    >>> sharp = runtime.deblur_burst(sorted(folder.glob("*.jpg")))   # doctest: +SKIP
    >>> sharp = runtime.deblur_burst(frames, register=False, p=30)   # doctest: +SKIP
    """
    deblurrer = _deblurrer(Loading(model, device, precision, batch), os.getpid())
    return deblurrer.restore_burst(frames, **options).image


def deconvolve(
    image: Any,
    kernel: npt.ArrayLike | None = None,
    *,
    motion: npt.ArrayLike | None = None,
    method: str | None = None,
    quality: str = "balanced",
    noise: float | None = None,
    response: str | float = AUTO,
    device: str = "auto",
    progress: Progress | None = None,
) -> Any:
    """Restore a blurred photograph whose blur is known: one kernel everywhere, or a motion at each pixel.

    Parameters
    ----------
    image
        As in `Deblurrer.restore`, of any size.
    kernel
        ``(h, w)``, non-negative, of sum 1: ``observed = latent * kernel``, a convolution with the origin of the kernel
        at ``((h - 1) // 2, (w - 1) // 2)``. Flip a kernel that describes a correlation.
    motion
        ``(H, W, 2)``, instead of a kernel: at each pixel, the length of a straight motion in pixels, from 0 to 35
        (lengths up to 1 mean no blur), and its angle in degrees, counter-clockwise in the displayed image.
    method
        For a kernel, ``"hyper-laplacian"`` (fast), ``"epll"`` (slower, better), ``"synthesis"`` (by a
        network), ``"irc"`` or ``"wiener"``; by default
        that of the quality level: hyper-Laplacian for ``"fast"``, else EPLL. For a motion, ``"irc"``.
    quality
        ``"fast"``, ``"balanced"`` or ``"best"``: the computational effort. It has no effect for a motion.
    noise
        Standard deviation of the noise, in units of the value range, 0 or more; by default estimated from the
        photograph.
    response
        As in `Deblurrer.restore`; ``"auto"`` means ``"linear"`` for a motion.
    device
        As in `Deblurrer`.
    progress
        Called as ``progress(stage, fraction)``.

    Returns
    -------
    The restored image, of the type, dtype and shape of `image`.

    Raises
    ------
    InvalidImage, UnsupportedType, InvalidArgument
        If the image, the blur or an option cannot be used.
    """
    if (kernel is None) == (motion is None):
        both = "both a kernel and a motion" if motion is not None else "neither a kernel nor a motion"
        raise InvalidArgument(f"{both}: give the one that describes the blur")
    if method is not None:
        method = check_choice("method", method, DECONVOLUTIONS)
    if noise is not None:
        noise = check_real(
            "noise", noise, lambda deviation: 0 <= deviation <= _MOST_NOISE, "give a number of 0 or more"
        )
    check_progress(progress)
    target = resolve_device(device)
    with on_device(target), reporting(progress) as progress:
        observed, frame = open_image(image, target)
        given = _floats("kernel", kernel, target) if motion is None else _floats("motion", motion, target)
        options = Options(quality=quality, nonblind=method, response=response)
        photograph = prepare(observed, frame.known, blurred=_blunts_edges(given), bent=is_bent(frame, options))
        if photograph.empty:
            return frame.copy()
        blur: Blur
        if motion is None:
            blur = KernelBlur(given)
        else:
            blur = MotionBlur(given[photograph.box] if given.shape[:2] == photograph.shape else given)
        options = as_it_says(frame, photograph, options)
        run = run_on(photograph, frame.quantum, options, target, Stopwatch(target), progress)
        photograph, run = in_light(photograph, frame.quantum, options, run, blur)
        latent = _deconvolve(photograph.planes, blur, run, noise=photograph.noise(noise))
        kept = photograph.kept
        if kept is not None:
            kept = photograph.kept_beside(latent, blur, run.noise_of(luminance(photograph.planes)))
        return frame.close(photograph.with_layer(latent), kept)


@lru_cache(maxsize=8)
def _deblurrer(loading: Loading, process: int) -> Deblurrer:
    """Cache the models of `deblur` and `deblur_burst`, per process, so that a forked process loads its own."""
    return Deblurrer(model=loading.model, device=loading.device, precision=loading.precision, batch=loading.batch)


def _blunts_edges(blur: Array) -> bool:
    """Tell whether a kernel (h, w) or a motion (H, W, 2) blurs edges along one axis at least."""
    if blur.ndim == 3:
        lengths = blur[..., 0]
        return bool((lengths < _SHORT_MOTION).mean() <= _STILL)
    if blur.ndim != 2 or min(blur.shape) < 1:
        return False
    profiles = [blur.sum(axis=axis) for axis in (0, 1)]
    return any(float((each[1:] + each[:-1]).max() if each.size > 1 else 1) <= _LARGEST_STEP for each in profiles)


def _floats(name: str, array: Any, device: Device) -> Array:
    """Return an array as float32 on a device."""
    if is_cuda(array):
        return upload(array, device)
    # What overflows becomes infinite, which is refused like any other infinity.
    with np.errstate(over="ignore"):
        return upload(np.ascontiguousarray(check_array(name, array), np.float32), device)
