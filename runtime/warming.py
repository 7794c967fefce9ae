"""Warming up: compile and load beforehand what the first restorations would wait for."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from importlib import resources

import numpy as np
import numpy.typing as npt

from kernels import transforms
from runtime.api import deconvolve
from runtime.arguments import check_path, check_progress, check_several
from runtime.deblurrer import Deblurrer
from runtime.images import decode
from runtime.inference.bundle import Bundle, list_models
from runtime.methods.registry import METHODS
from runtime.options import DECONVOLUTIONS, FBA

_SIDE = 128
"""Side in pixels of the photograph that is restored: small, but large enough for every stage."""
_LARGE = 512
"""Side in pixels of a plane that is transformed on all cores."""
_BLUR = 9
"""Length in pixels of its blur, along a diagonal."""
_NOISE = 2.0
"""Standard deviation of its noise, of 255."""
_FRAMES = 3
"""Number of frames of a burst."""
_LEVELS = ("fast", "balanced")
"""Levels of quality: ``best`` runs what ``balanced`` runs, more often."""


def warm_up(
    *,
    models: Iterable[str | os.PathLike[str] | Bundle] | None = None,
    device: str = "auto",
    progress: Callable[[str, float], object] | None = None,
) -> dict[str, float]:
    """Restore small photographs with every model and method of deconvolution, in every way that runs other code.

    On the CPU this compiles the kernels, whose machine code Numba keeps on disk (``NUMBA_CACHE_DIR``), so that no later
    process on the same kind of processor compiles them again. On a GPU it compiles the kernels that CuPy keeps
    (``CUPY_CACHE_DIR``). In this process it also loads the networks.

    Parameters
    ----------
    models
        Names, paths or bundles of models; by default all that are installed and restore photographs or bursts.
    device
        As in `runtime.Deblurrer`.
    progress
        Called as ``progress(step, fraction)`` with the name of a model, or ``"deconvolve"``, before it begins.

    Returns
    -------
    dict
        Seconds of each step.

    Raises
    ------
    UnsupportedType
        If `models` is a single model, or an argument is of another type.
    ModelNotFound, InvalidModel
        If a model cannot be loaded.
    DeviceUnavailable
        If CUDA was requested and cannot be used.
    """
    check_progress(progress)
    if models is None:
        models = [bundle for bundle in list_models() if bundle.method in METHODS]
    wanted = list(check_several("models", models, "give a list of names, of paths or of bundles"))
    photograph = _photograph()
    names = [*(_name(model) for model in wanted), "deconvolve"]
    seconds: dict[str, float] = {}
    methods: set[str] = set()
    for number, name in enumerate(names):
        if progress is not None:
            progress(name, number / len(names))
        start = time.perf_counter()
        if number < len(wanted):
            deblurrer = Deblurrer(model=wanted[number], device=device)
            _warm_model(deblurrer, photograph, known=deblurrer.bundle.method in methods)
            methods.add(deblurrer.bundle.method)
        else:
            _warm_deconvolution(device, photograph)
        seconds[name] = time.perf_counter() - start
    return seconds


def _warm_model(deblurrer: Deblurrer, photograph: npt.NDArray[np.uint8], *, known: bool) -> None:
    """Restore with a model; if an earlier one has warmed its method up, only so much as loads its networks."""
    if deblurrer.restores_bursts:
        frames = [np.roll(photograph, shift, axis=0) for shift in range(_FRAMES)]
        deblurrer.restore_burst(frames)
        if deblurrer.bundle.method == FBA:
            deblurrer.restore_burst(frames, patch=_SIDE // 2)
        return
    if known:
        deblurrer.restore(photograph, quality="fast")
        return
    for quality in _LEVELS:
        deblurrer.restore(photograph, quality=quality)
    deblurrer.restore(photograph[..., 0], quality="fast")


def _warm_deconvolution(device: str, photograph: npt.NDArray[np.uint8]) -> None:
    kernel = np.eye(_BLUR, dtype=np.float32) / _BLUR
    motion = np.full((*photograph.shape[:2], 2), (_BLUR, -45.0), np.float32)
    # Large planes are transformed slice by slice, by kernels of other types.
    large = np.zeros((_LARGE, _LARGE), np.float32)
    transforms.irfft2(transforms.rfft2(large), _LARGE)
    for method in DECONVOLUTIONS:
        deconvolve(photograph, kernel, method=method, device=device)
    deconvolve(photograph, motion=motion, method="irc", device=device)


def _photograph() -> npt.NDArray[np.uint8]:
    """Return a blurred crop of the sample photograph, ``(_SIDE, _SIDE, 3)``."""
    sample, _ = decode(resources.files("runtime").joinpath("samples", "astronaut.jpg").read_bytes())
    crop = sample[:_SIDE, -_SIDE:].astype(np.float32)
    blurred = np.mean([np.roll(crop, (shift, shift), axis=(0, 1)) for shift in range(_BLUR)], axis=0)
    noise = np.random.default_rng(0).normal(0, _NOISE, blurred.shape)
    return np.asarray(np.rint((blurred + noise).clip(0, 255)), np.uint8)


def _name(model: str | os.PathLike[str] | Bundle) -> str:
    return model.name if isinstance(model, Bundle) else check_path("model", model)
