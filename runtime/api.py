"""The public face: `deblur`, `deblur_burst`, `deconvolve` and `Deblurrer`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels.arrays import Array, is_cuda
from runtime.blur.blurs import CENTRE, Blur, KernelBlur, MotionBlur
from runtime.burst.intake import Intake
from runtime.contract import BurstMethod, Method
from runtime.deconvolution import deconvolve as _deconvolve
from runtime.errors import InvalidArgument, InvalidModel
from runtime.images import open_image
from runtime.inference.bundle import Bundle, load_model
from runtime.inference.devices import Device, download, on_device, resolve_device, upload
from runtime.inference.progress import Progress, Stopwatch
from runtime.methods.registry import check_options, create_method
from runtime.options import DECONVOLUTIONS, FBA, BurstOptions, Options
from runtime.results import BurstRestoration, Restoration
from runtime.run import Run

DEFAULT_MODEL = "chakrabarti"


class Deblurrer:
    """A model, loaded once, that restores as many photographs as you like, from as many threads as you like.

    A model restores single photographs, with `restore`, or bursts, with `restore_burst`.

    Parameters
    ----------
    model
        Name or path of a bundle, or a `Bundle`; see `runtime.load_model` and `runtime.list_models`.
    device
        ``"cpu"``, ``"cuda"``, ``"cuda:N"``, or ``"auto"``: a GPU where one works, else the CPU.
    precision
        ``"fp32"``, ``"fp16"``, or ``"auto"``: what the model verified for the device.
    batch
        Patches per batch; by default what suits the device.

    Raises
    ------
    ModelNotFound, InvalidModel
        If the model cannot be loaded.
    DeviceUnavailable
        If CUDA was asked for and cannot be had.

    Examples
    --------
    >>> deblurrer = Deblurrer(device="cpu")
    >>> result = deblurrer.restore(photograph)                       # doctest: +SKIP
    >>> result.image, result.kernel, result.timings                  # doctest: +SKIP
    >>> deblurrer = Deblurrer(model="fba", device="cpu")
    >>> deblurrer.restore_burst(sorted(folder.glob("*.jpg"))).image  # doctest: +SKIP
    """

    def __init__(
        self,
        *,
        model: str | os.PathLike[str] | Bundle = DEFAULT_MODEL,
        device: str = "auto",
        precision: str = "auto",
        batch: int | None = None,
    ) -> None:
        self.bundle = model if isinstance(model, Bundle) else load_model(model)
        self.name = self.bundle.name
        self.device = resolve_device(device)
        with on_device(self.device):
            self._method = create_method(self.bundle, device=self.device, precision=precision, batch=batch)

    def restore(
        self,
        image: Any,
        *,
        quality: str = "balanced",
        stride: int | None = None,
        nonblind: str | None = None,
        support: int | None = None,
        noise: float | None = None,
        refine: bool = True,
        neural: bool = True,
        strength: float = 1.0,
        progress: Progress | None = None,
    ) -> Restoration:
        """Restore one blurred photograph.

        Parameters
        ----------
        image
            ``numpy.ndarray``, ``cupy.ndarray``, DLPack array (a torch tensor), ``PIL.Image`` or encoded ``bytes``;
            arrays are ``(H, W)`` or ``(H, W, 1 | 2 | 3 | 4)``, uint8, uint16 or floating point in [0, 1].
        quality
            ``"fast"``, ``"balanced"`` or ``"best"``: how much work to put into every part.
        stride
            Distance between patches in pixels: smaller is slower and slightly better. By default the model's.
        nonblind
            ``"hyper-laplacian"`` (quick), ``"epll"`` (slower, better), ``"wiener"``, or ``"none"`` to stop at the
            network's own estimate; by default that of the quality level: hyper-Laplacian for ``"fast"``, else EPLL.
        support
            Side in pixels of the square in which the blur kernel is sought; by default 85 (51 without `refine`), or
            what the photograph allows. Ask for more where the blur is longer.
        noise
            Standard deviation of the noise in [0, 1]; by default estimated from the photograph.
        refine
            Whether the blur kernel is refined from coarse to fine (better), or estimated once from the network's
            own estimate as in the paper (quicker).
        neural
            Whether the network takes part; if not, the kernel is found by refinement alone.
        strength
            0 gives the photograph back, 1 the whole restoration, between them a blend.
        progress
            Called as ``progress(stage, fraction)``.

        Returns
        -------
        Restoration

        Raises
        ------
        InvalidImage, UnsupportedType
            If the image cannot be used.
        InvalidArgument
            If an option has a value that cannot be used.
        InvalidModel
            If the model restores bursts.
        """
        if not isinstance(self._method, Method):
            raise InvalidModel(
                f"{self.name} restores bursts, not one photograph: call restore_burst, or load another model, "
                f"such as {DEFAULT_MODEL!r}"
            )
        options = Options(
            quality=quality,
            stride=stride,
            nonblind=nonblind,
            support=support,
            noise=noise,
            refine=refine,
            neural=neural,
        )
        if not 0 <= strength <= 1:
            raise InvalidArgument(f"strength {strength!r}: give a number from 0 (nothing) to 1 (all)")
        check_options(self.name, self._method, options)
        with on_device(self.device):
            run = Run(options, self.device, Stopwatch(self.device), progress)
            observed, frame = open_image(image, self.device)
            estimate = self._method.restore(observed, run)
            latent = observed + strength * (estimate.latent - observed) if strength < 1 else estimate.latent
            return Restoration(
                image=frame.close(latent),
                kernel=_central_kernel(estimate.blur),
                initial=None if estimate.initial is None else frame.fetch(estimate.initial),
                motion=None if estimate.motion is None else frame.fetch(estimate.motion),
                timings=run.stopwatch.seconds(),
                model=self.name,
                confidence=estimate.confidence,
                code=None if estimate.reason is None else estimate.reason.code,
                reason=None if estimate.reason is None else estimate.reason.sentence,
            )

    def restore_burst(
        self,
        frames: Iterable[Any],
        *,
        register: bool = True,
        reference: int | None = None,
        p: float = 11.0,
        patch: int | None = None,
        stride: int | None = None,
        smoothing: float | None = None,
        chroma: str = "own",
        progress: Progress | None = None,
    ) -> BurstRestoration:
        """Restore one photograph from frames of one scene.

        Parameters
        ----------
        frames
            Images as `restore` takes them, or paths of image files; all of one size and dtype. ``"fba"`` holds one of
            any number of files in memory, or a few while they are aligned, for which most are read twice. Of an
            iterator that must be read again all frames are kept.
        register
            Whether the frames are aligned first. On the host, also for a GPU.
        reference
            Number of the frame with which the others are aligned, from 0; by default the sharpest that shows the scene
            of others, or the first where nothing is aligned.
        p
            Power of the magnitudes in accumulation: 0 is the mean of the frames; the larger it is, the sharper the
            result and the fewer frames share in it, and in averaging its noise.
        patch
            With ``"fba"``, side in pixels of patches that are fused each on its own, for a blur that differs across
            the frame; much larger than the blur, such as 128. Then all frames are in memory. By default they are
            fused whole.
        stride
            Distance between patches in pixels; by default the model's, or with ``"fba"`` half the patch.
        smoothing
            Standard deviation of the Gaussian that smooths the frames' weights over the frequencies, as a share of
            the shorter side of what is fused; 0 does not smooth. By default 0.02 with ``"fba"`` and 0 with a network.
        chroma
            ``"own"``, or ``"fba"`` for the a and b channels (CIE Lab) of Fourier burst accumulation under a network's
            lightness.
        progress
            Called as ``progress(stage, fraction)``.

        Returns
        -------
        BurstRestoration

        Raises
        ------
        InvalidImage, UnsupportedType, ImageFileError
            If a frame cannot be used, or differs from the first in size or dtype; the message names it.
        InvalidArgument
            If there is no frame, or an option has a value that cannot be used.
        InvalidModel
            If the model restores single photographs.

        Warns
        -----
        FrameLeftOut
            Of each frame that cannot be aligned with the reference.
        """
        if not isinstance(self._method, BurstMethod):
            raise InvalidModel(
                f"{self.name} restores one photograph, not a burst: call restore, or load another model, "
                f"such as {FBA!r} or 'wieschollek'"
            )
        options = BurstOptions(p=p, patch=patch, stride=stride, smoothing=smoothing, chroma=chroma)
        check_options(self.name, self._method, options)
        with on_device(self.device):
            run = Run(options, self.device, Stopwatch(self.device), progress)
            intake = Intake(frames, self.device, register, reference, run.stopwatch, progress)
            estimate = self._method.restore_burst(intake.planes(), run)
            return BurstRestoration(
                image=intake.close(estimate.latent),
                reference=intake.reference.number,
                frames=tuple(intake.used),
                leaders=None if estimate.leaders is None else intake.numbers(estimate.leaders),
                shares=_on_host(estimate.shares),
                timings=run.stopwatch.seconds(),
                model=self.name,
            )


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
        As in `Deblurrer`; what they load stays loaded for the next call.
    **options
        ``quality``, ``stride``, ``nonblind``, ``support``, ``noise``, ``refine``, ``neural``, ``strength`` and
        ``progress``, as in `Deblurrer.restore`.

    Returns
    -------
    Type, dtype and shape of `image`.

    Examples
    --------
    >>> import runtime
    >>> sharp = runtime.deblur(photograph)                           # doctest: +SKIP
    >>> sharp = runtime.deblur(photograph, device="cuda", quality="best", stride=4)  # doctest: +SKIP
    """
    deblurrer = _deblurrer(os.fspath(model), device, precision, batch, os.getpid())
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
    """Restore one photograph from many blurred frames of one scene.

    Parameters
    ----------
    frames
        As in `Deblurrer.restore_burst`.
    model, device, precision, batch
        As in `Deblurrer`; what they load stays loaded for the next call.
    **options
        ``register``, ``reference``, ``p``, ``patch``, ``stride``, ``smoothing``, ``chroma`` and ``progress``, as in
        `Deblurrer.restore_burst`.

    Returns
    -------
    Type, dtype and shape of the reference frame; a NumPy array where that is a file.

    Examples
    --------
    >>> import runtime
    >>> sharp = runtime.deblur_burst(sorted(folder.glob("*.jpg")))   # doctest: +SKIP
    >>> sharp = runtime.deblur_burst(frames, register=False, p=30)   # doctest: +SKIP
    """
    deblurrer = _deblurrer(os.fspath(model), device, precision, batch, os.getpid())
    return deblurrer.restore_burst(frames, **options).image


def deconvolve(
    image: Any,
    kernel: npt.ArrayLike | None = None,
    *,
    motion: npt.ArrayLike | None = None,
    method: str | None = None,
    quality: str = "balanced",
    noise: float | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> Any:
    """Restore a blurred photograph whose blur is known: one kernel everywhere, or a motion for each pixel.

    Parameters
    ----------
    image
        As in `Deblurrer.restore`, of any size.
    kernel
        ``(h, w)``, non-negative, of sum 1: ``observed = latent * kernel``, a convolution whose origin is
        ``((h - 1) // 2, (w - 1) // 2)``. Flip a kernel that describes a correlation.
    motion
        ``(H, W, 2)``, instead of a kernel: at each pixel the length of a straight motion in pixels, from 0 to 35 (up to
        1 is no blur), and its angle in degrees, counter-clockwise as the photograph is seen.
    method
        For a kernel ``"hyper-laplacian"`` (quick), ``"epll"`` (slower, better), ``"irc"`` or ``"wiener"``; by default
        that of the quality level: hyper-Laplacian for ``"fast"``, else EPLL. For a motion ``"irc"``.
    quality
        ``"fast"``, ``"balanced"`` or ``"best"``: how much work to put in. A motion takes the same at all of them.
    noise
        Standard deviation of the noise in [0, 1]; by default estimated from the photograph.
    device
        As in `Deblurrer`.
    progress
        Called as ``progress(stage, fraction)``.

    Returns
    -------
    Type, dtype and shape of `image`.

    Raises
    ------
    InvalidImage, UnsupportedType, InvalidArgument
        If the image, the blur or an option cannot be used.
    """
    if (kernel is None) == (motion is None):
        both = "both a kernel and a motion" if motion is not None else "neither a kernel nor a motion"
        raise InvalidArgument(f"{both}: give the one that describes the blur")
    if method not in (None, *DECONVOLUTIONS):
        raise InvalidArgument(f"method {method!r} is unknown; choose one of {', '.join(DECONVOLUTIONS)}")
    if noise is not None and not (np.isfinite(noise) and noise >= 0):
        raise InvalidArgument(f"noise is {noise}; give a number of 0 or more")
    place = resolve_device(device)
    with on_device(place):
        run = Run(Options(quality=quality, nonblind=method), place, Stopwatch(place), progress)
        observed, frame = open_image(image, place)
        blur = KernelBlur(_floats(kernel, place)) if motion is None else MotionBlur(_floats(motion, place))
        return frame.close(_deconvolve(observed, blur, run, noise=noise))


@lru_cache(maxsize=8)
def _deblurrer(model: str, device: str, precision: str, batch: int | None, process: int) -> Deblurrer:
    """Keep what `deblur` and `deblur_burst` load; a forked process loads its own."""
    return Deblurrer(model=model, device=device, precision=precision, batch=batch)


def _central_kernel(blur: Blur | None) -> npt.NDArray[np.float32] | None:
    """Return the kernel at the centre of the photograph, unless the blur is a motion field, which is given whole."""
    return None if blur is None or isinstance(blur, MotionBlur) else _on_host(blur.kernel_at(CENTRE))


def _on_host(array: Array | None) -> npt.NDArray[np.float32] | None:
    return None if array is None else np.asarray(download(array), dtype=np.float32)


def _floats(array: Any, device: Device) -> Array:
    """Return an array as float32 on a device."""
    return upload(array if is_cuda(array) else np.ascontiguousarray(array, np.float32), device)
