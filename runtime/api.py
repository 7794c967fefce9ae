"""The public functions and class: `deblur`, `deblur_burst`, `deconvolve` and `Deblurrer`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels.arrays import Array, is_cuda
from runtime.blur.blurs import CENTRE, Blur, KernelBlur, MotionBlur
from runtime.burst.loader import BurstLoader
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
    """A model that is loaded once and restores any number of photographs, from any number of threads.

    A model restores either single photographs, with `restore`, or bursts, with `restore_burst`.

    Parameters
    ----------
    model
        Name or path of a model bundle, or a `Bundle`; see `runtime.load_model` and `runtime.list_models`.
    device
        ``"cpu"``, ``"cuda"``, ``"cuda:N"``, or ``"auto"``: a GPU if one works, else the CPU.
    precision
        ``"fp32"``, ``"fp16"``, or ``"auto"``: half precision on a GPU if the bundle states its parity, else single.
    batch
        Patches per batch; by default chosen for the device.

    Raises
    ------
    ModelNotFound, InvalidModel
        If the model cannot be loaded.
    DeviceUnavailable
        If CUDA was requested and cannot be used.

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
            ``"fast"``, ``"balanced"`` or ``"best"``: the computational effort of every stage.
        stride
            Distance between patches in pixels: smaller is slower and slightly better. By default the model's.
        nonblind
            ``"hyper-laplacian"`` (fast), ``"epll"`` (slower, better), ``"wiener"``, or ``"none"`` to return the
            network's own estimate; by default that of the quality level: hyper-Laplacian for ``"fast"``, else EPLL.
        support
            Side in pixels of the largest blur kernel to estimate; by default 85 (51 without `refine`), or less on a
            small photograph. Increase it for longer blur.
        noise
            Standard deviation of the noise, in units of the value range, in [0, 1); by default estimated from the
            photograph.
        refine
            Whether the blur kernel is refined from coarse to fine (better), or estimated once from the network's
            own estimate as in the paper (faster).
        neural
            Whether networks are used; if not, the kernel is estimated by refinement alone.
        strength
            Weight of the restoration in [0, 1]: 0 returns the photograph, 1 the restoration, values between them a
            linear blend.
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
            If an option has an invalid value.
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
            raise InvalidArgument(f"strength {strength!r}: give a number from 0 (unchanged) to 1 (fully restored)")
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
            Images as in `restore`, or paths of image files; all of the same size and dtype. ``"fba"`` holds one frame
            in memory at a time, or a few during registration; for registration, most files are read twice. The frames
            of an iterator that must be read twice are all kept in memory.
        register
            Whether to align the frames first. Registration runs on the CPU, also for a GPU.
        reference
            Index, from 0, of the frame to which the others are aligned; by default the sharpest frame that shows the
            same scene as others, or the first frame without registration.
        p
            Exponent of the Fourier magnitudes in the weights of Fourier burst accumulation. 0 is the mean of the
            frames; a larger exponent gives a sharper result, to which fewer frames contribute, so that less noise is
            averaged out.
        patch
            With ``"fba"``, side in pixels of patches that are fused separately, for blur that varies over the frame;
            choose it much larger than the blur, such as 128. All frames are then held in memory. By default whole
            frames are fused.
        stride
            Distance between patches in pixels; by default the model's, or with ``"fba"`` half the patch.
        smoothing
            Standard deviation of the Gaussian that smooths the frames' weights over the frequencies, as a fraction of
            the shorter side of the frame or patch; 0 for no smoothing. By default 0.02 with ``"fba"`` and 0 with a
            network.
        chroma
            ``"own"``, or ``"fba"`` to combine the a and b channels (CIE Lab) of Fourier burst accumulation with the
            lightness of a network's result.
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
            If there is no frame, or an option has an invalid value.
        InvalidModel
            If the model restores single photographs.

        Warns
        -----
        FrameLeftOut
            For each frame that cannot be aligned to the reference.
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
            loader = BurstLoader(frames, self.device, register, reference, run.stopwatch, progress)
            estimate = self._method.restore_burst(loader.planes(), run)
            return BurstRestoration(
                image=loader.close(estimate.latent),
                reference=loader.reference.number,
                frames=tuple(loader.used),
                leaders=None if estimate.leaders is None else loader.frame_numbers(estimate.leaders),
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
        As in `Deblurrer`. The loaded model is cached for the next call.
    **options
        ``quality``, ``stride``, ``nonblind``, ``support``, ``noise``, ``refine``, ``neural``, ``strength`` and
        ``progress``, as in `Deblurrer.restore`.

    Returns
    -------
    The restored image, of the type, dtype and shape of `image`.

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
        For a kernel, ``"hyper-laplacian"`` (fast), ``"epll"`` (slower, better), ``"irc"`` or ``"wiener"``; by default
        that of the quality level: hyper-Laplacian for ``"fast"``, else EPLL. For a motion, ``"irc"``.
    quality
        ``"fast"``, ``"balanced"`` or ``"best"``: the computational effort. It has no effect for a motion.
    noise
        Standard deviation of the noise, in units of the value range, 0 or more; by default estimated from the
        photograph.
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
    if method not in (None, *DECONVOLUTIONS):
        raise InvalidArgument(f"method {method!r} is unknown; choose one of {', '.join(DECONVOLUTIONS)}")
    if noise is not None and not (np.isfinite(noise) and noise >= 0):
        raise InvalidArgument(f"noise is {noise}; give a number of 0 or more")
    target = resolve_device(device)
    with on_device(target):
        run = Run(Options(quality=quality, nonblind=method), target, Stopwatch(target), progress)
        observed, frame = open_image(image, target)
        blur = KernelBlur(_floats(kernel, target)) if motion is None else MotionBlur(_floats(motion, target))
        return frame.close(_deconvolve(observed, blur, run, noise=noise))


@lru_cache(maxsize=8)
def _deblurrer(model: str, device: str, precision: str, batch: int | None, process: int) -> Deblurrer:
    """Cache the models of `deblur` and `deblur_burst`, per process, so that a forked process loads its own."""
    return Deblurrer(model=model, device=device, precision=precision, batch=batch)


def _central_kernel(blur: Blur | None) -> npt.NDArray[np.float32] | None:
    """Return the kernel at the centre of the photograph, or ``None`` if there is no blur or it is a motion field."""
    return None if blur is None or isinstance(blur, MotionBlur) else _on_host(blur.kernel_at(CENTRE))


def _on_host(array: Array | None) -> npt.NDArray[np.float32] | None:
    return None if array is None else np.asarray(download(array), dtype=np.float32)


def _floats(array: Any, device: Device) -> Array:
    """Return an array as float32 on a device."""
    return upload(array if is_cuda(array) else np.ascontiguousarray(array, np.float32), device)
