"""`Deblurrer`: a model, loaded once, that restores many photographs or bursts."""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt

from kernels.arrays import Array
from runtime.arguments import check_choice, check_progress, check_real, check_several
from runtime.blur.blurs import Blur, MotionBlur
from runtime.burst.loader import BurstLoader
from runtime.colour import luminance
from runtime.contract import BurstMethod, Estimate, Method
from runtime.errors import InvalidModel
from runtime.estimation.response import as_it_says, in_light, is_bent
from runtime.images import Frame, open_image, pixels_of
from runtime.inference.bundle import Bundle, load_model
from runtime.inference.devices import download, on_device, resolve_device
from runtime.inference.progress import Progress, Stopwatch, reporting
from runtime.inference.stream import Stream, lanes_on, outcomes
from runtime.methods.registry import check_options, check_result, create_method, expects_blur, noisy_gain
from runtime.options import ANY, AUTO, FBA, GENERAL, BurstOptions, Loading, Options, Task
from runtime.preparation.photograph import Photograph, prepare
from runtime.response import LINEAR
from runtime.results import BurstRestoration, Restoration
from runtime.run import Run, run_on

DEFAULT_MODEL = "auto"
"""The model that is loaded if none is named."""


class Deblurrer:
    """A model that is loaded once and restores any number of photographs, from any number of threads.

    A model restores either single photographs, with `restore` and `restore_many`, or bursts, with `restore_burst`.

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
        self._loading = asked = Loading(model, device, precision, batch)
        self.bundle = asked.model if isinstance(asked.model, Bundle) else load_model(asked.model)
        self.name = self.bundle.name
        self.device = resolve_device(asked.device)
        with on_device(self.device):
            self._method = create_method(self.bundle, device=self.device, precision=asked.precision, batch=asked.batch)

    @property
    def restores_bursts(self) -> bool:
        """Whether the model restores bursts, with `restore_burst`, instead of single photographs."""
        return isinstance(self._method, BurstMethod)

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to another process as what was asked for: the bundle, which is loaded there again, and the options."""
        return _load, (replace(self._loading, model=self.bundle),)

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
        response: str | float = AUTO,
        content: str = ANY,
        variant: str = GENERAL,
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
            ``"hyper-laplacian"`` (fast), ``"epll"`` (slower, better), ``"synthesis"`` (by a network), ``"wiener"``, or
            ``"none"`` to return the patch network's own estimate; by default that of the quality level:
            hyper-Laplacian for ``"fast"``, else EPLL.
        support
            Side in pixels of the largest blur kernel to estimate; by default 85 (51 without `refine`), or less on a
            small photograph. Increase it for longer blur.
        noise
            Standard deviation of the noise, in units of the value range, in [0, 1); by default it is estimated.
        refine
            Whether the blur kernel is refined from coarse to fine (better), or estimated once from the network's
            own estimate as in the paper (faster).
        neural
            Whether networks are used; if not, the kernel is estimated by refinement alone.
        response
            The curve from light to the values of the photograph, which is undone first, since blur is a convolution of
            light: ``"srgb"``, ``"linear"`` for values that are light, the exponent of a power from 1 to 4, or
            ``"auto"`` to choose between the first two by the photograph.
        content
            What the photograph shows, for `schuler`: ``"text"``, ``"landscape"`` (textures without edges) or ``"any"``.
        variant
            Networks of `kaufman`: ``"general"``, or ``"scale-optimised"``, chosen of three by the size of the kernel.
        strength
            Weight of the restoration in [0, 1], a linear blend: 0 returns the photograph, 1 the restoration.
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
        method = self._single()
        options, strength = self._checked(
            quality=quality, stride=stride, nonblind=nonblind, support=support, noise=noise, refine=refine,
            neural=neural, response=response, content=content, variant=variant, strength=strength, progress=progress,
        )  # fmt: skip
        with on_device(self.device), reporting(progress) as progress:
            stopwatch = Stopwatch(self.device)
            observed, frame = open_image(image, self.device)
            with stopwatch("prepare"):
                photograph = prepare(observed, frame.known, blurred=expects_blur(method), bent=is_bent(frame, options))
            del observed
            options = as_it_says(frame, photograph, options)
            run = run_on(photograph, frame.quantum, options, self.device, stopwatch, progress)
            photograph, run = in_light(photograph, frame.quantum, options, run)
            if reason := photograph.too_little(expects_blur(method)):
                estimate = Estimate(photograph.planes, confidence=0.0, reason=reason)
            else:
                estimate = method.restore(photograph.planes, run)
                check_result(self.bundle, estimate.latent)
            return Restoration(
                image=_finished(photograph, frame, estimate, strength, run),
                kernel=_central_kernel(estimate.blur),
                initial=None if estimate.initial is None else frame.fetch(photograph.in_image(estimate.initial)),
                motion=None if estimate.motion is None else frame.fetch(photograph.framed_field(estimate.motion)),
                timings=run.stopwatch.seconds(),
                model=self.name,
                confidence=estimate.confidence,
                code=None if estimate.reason is None else estimate.reason.code,
                reason=None if estimate.reason is None else estimate.reason.sentence,
                response=(photograph if photograph.response is not LINEAR else estimate).response.name,
                kernel_class=estimate.kernel_class,
            )

    @overload
    def restore_many(
        self, images: Iterable[Any], *, errors: Literal["raise"] = "raise", **options: Any
    ) -> Iterator[Restoration]: ...
    @overload
    def restore_many(
        self, images: Iterable[Any], *, errors: str, **options: Any
    ) -> Iterator[Restoration | Exception]: ...
    def restore_many(
        self, images: Iterable[Any], *, errors: str = "raise", **options: Any
    ) -> Iterator[Restoration | Exception]:
        """Restore many photographs: results come in the order of the images, each the same as that of `restore`.

        Photographs are taken from `images` and decoded in another thread while others are restored. On the CPU small
        photographs are restored side by side, each with its share of the cores. No more are taken ahead than twice as
        many as are restored at a time, so that memory does not grow with their number.

        Parameters
        ----------
        images
            Any iterable, without end too, of images as in `restore`, paths of image files, functions that return one
            of these, called in that thread, or of `Task`, which holds one of these with options of its own.
        errors
            ``"raise"`` to end with the error of the first image that cannot be restored, or ``"return"`` to yield the
            error in place of its result and go on. What the iterable itself raises ends it in either case.
        **options
            As in `restore`. Progress is called from several threads; a `Task` can have a callback of its own.

        Yields
        ------
        Restoration
            As from `restore`; `Restoration.image` is a NumPy array for a path.

        Raises
        ------
        InvalidArgument
            At once, if an option has an invalid value.
        UnsupportedType
            At once, if `images` is a single image or path.
        InvalidModel
            At once, if the model restores bursts.

        Examples
        --------
        >>> for result in deblurrer.restore_many(folder.glob("*.jpg")):  # doctest: +SKIP
        ...     show(result.image)
        """
        wanted = check_choice("errors", errors, ("raise", "return"))
        inspect.signature(self.restore).bind(None, **options)
        self._checked(**options)
        several = check_several("images", images, "give a list of images or of paths, or call restore for one")
        stream = Stream(several, _opened, _size_of, partial(self._restore_task, options), lanes_on(self.device))
        return outcomes(stream, wanted == "return")

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
            Index, from 0, of the frame to which the others are aligned, whose exposure the result has, and from which
            comes what other frames contradict; by default the sharpest well exposed frame that shows the same scene as
            others, or the first frame without registration.
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
            For each frame that cannot be aligned to the reference, or whose exposure is too far from its.
        """
        if not isinstance(self._method, BurstMethod):
            raise InvalidModel(
                f"{self.name} restores one photograph, not a burst: call restore, or load another model, "
                f"such as {FBA!r} or 'wieschollek'"
            )
        options = BurstOptions(p=p, patch=patch, stride=stride, smoothing=smoothing, chroma=chroma)
        check_progress(progress)
        check_options(self.name, self._method, options)
        with on_device(self.device), reporting(progress) as progress:
            run = Run(options, self.device, Stopwatch(self.device), progress)
            gain = noisy_gain(self._method)
            loader = BurstLoader(frames, self.device, register, reference, run.stopwatch, progress, gain)
            estimate = self._method.restore_burst(loader.planes(), run)
            check_result(self.bundle, estimate.latent)
            return BurstRestoration(
                image=loader.close(estimate.latent),
                reference=loader.reference.number,
                frames=tuple(loader.used),
                leaders=None if estimate.leaders is None else loader.frame_numbers(estimate.leaders),
                shares=_on_host(estimate.shares),
                timings=run.stopwatch.seconds(),
                model=self.name,
            )

    def _single(self) -> Method:
        """Return the method, if it restores single photographs."""
        if isinstance(self._method, Method):
            return self._method
        raise InvalidModel(
            f"{self.name} restores bursts, not one photograph: call restore_burst, or load another model, "
            f"such as {DEFAULT_MODEL!r}"
        )

    def _checked(
        self, *, strength: float = 1.0, progress: Progress | None = None, **options: Any
    ) -> tuple[Options, float]:
        """Return the options of `restore`, and the strength, if they can be used."""
        checked = Options(**options)
        remedy = "give a number from 0 (unchanged) to 1 (fully restored)"
        strength = check_real("strength", strength, lambda weight: 0 <= weight <= 1, remedy)
        check_progress(progress)
        check_options(self.name, self._single(), checked)
        return checked, strength

    def _restore_task(self, options: dict[str, Any], task: Task) -> Restoration:
        return self.restore(task.image, **{**options, **task.options})


def _opened(item: Any) -> Task:
    """Return an item of a stream as a task whose image has been read and decoded."""
    task = item if isinstance(item, Task) else Task(item)
    options = task.checked_options()
    return Task(pixels_of(task.image() if callable(task.image) else task.image), options)


def _size_of(task: Task) -> int:
    """Return the number of pixels of an opened task."""
    return math.prod(task.image.values.shape[:2])


def _load(loading: Loading) -> Deblurrer:
    return Deblurrer(model=loading.model, device=loading.device, precision=loading.precision, batch=loading.batch)


def _finished(photograph: Photograph, frame: Frame, estimate: Estimate, strength: float, run: Run[Options]) -> Any:
    """Return the restored image, or the image as it came if nothing was changed."""
    if estimate.reason is not None or strength == 0:
        return frame.copy()
    latent, observed = estimate.latent, photograph.planes
    kept = photograph.kept
    if kept is not None:
        kept = photograph.kept_beside(latent, estimate.blur, run.noise_of(luminance(observed)), estimate.response)
    if strength < 1:
        latent = observed + strength * (latent - observed)
    return frame.close(photograph.with_layer(latent), kept)


def _central_kernel(blur: Blur | None) -> npt.NDArray[np.float32] | None:
    """Return the kernel at the centre of the photograph, or ``None`` if there is no blur or it is a motion field."""
    return None if blur is None or isinstance(blur, MotionBlur) else blur.on_host


def _on_host(array: Array | None) -> npt.NDArray[np.float32] | None:
    return None if array is None else np.asarray(download(array), dtype=np.float32)
