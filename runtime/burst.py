"""The public face for bursts: `deblur_burst`, `BurstDeblurrer` and `BurstRestoration`."""

from __future__ import annotations

import math
import os
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels.arrays import Array, is_cuda
from kernels.cpu.threads import core_count
from runtime.bundle import Bundle, load_model
from runtime.devices import Device, device_of, download, on_device, resolve_device, upload
from runtime.errors import FrameLeftOut, InvalidArgument
from runtime.frames import Burst, OpenFrame
from runtime.methods import BurstMethod, BurstOptions, create_burst_method, fba
from runtime.progress import Progress, Stopwatch
from runtime.registration import Registration, sharpness

FBA = "fba"
"""The model that needs no bundle: plain Fourier burst accumulation."""

LOOK_AHEAD = 4
"""Frames that are aligned at the same time, and in memory."""

WITNESSES = 3
"""Sharp frames of which one must show the scene of the reference, for that not to be a stray."""


@dataclass(frozen=True)
class BurstRestoration:
    """A photograph restored from a burst.

    Attributes
    ----------
    image
        Type, dtype and shape of the reference frame; a NumPy array ``(H, W)`` or ``(H, W, C)`` where that is a file.
    reference
        Number of the frame with which the others were aligned, and whose alpha and metadata the image has; from 0.
    frames
        Numbers of the frames that took part.
    leaders
        With ``"fba"`` of whole frames, for each frequency the number of the frame with the largest weight: int32 NumPy
        array ``(H', W' // 2 + 1)`` in the layout of ``numpy.fft.rfft2``, ``H'`` and ``W'`` being the frame's sides or
        a little more, as the Fourier transform likes it. Else ``None``.
    shares
        That weight, of a sum of 1: float32 NumPy array of that shape, or ``None``.
    timings
        Seconds by stage.
    model
        Name of the model.
    """

    image: Any
    reference: int
    frames: tuple[int, ...]
    leaders: npt.NDArray[np.int32] | None
    shares: npt.NDArray[np.float32] | None
    timings: dict[str, float]
    model: str


class BurstDeblurrer:
    """A burst model, loaded once, that restores as many bursts as you like, from as many threads as you like.

    Parameters
    ----------
    model
        ``"fba"``: Fourier burst accumulation, which needs no network; or a bundle of a burst network, its name or
        its path; see `runtime.load_model`.
    device, precision, batch
        As in `runtime.Deblurrer`.

    Raises
    ------
    ModelNotFound, InvalidModel
        If the model cannot be loaded, or is no burst model.
    DeviceUnavailable
        If CUDA was asked for and cannot be had.

    Examples
    --------
    >>> deblurrer = BurstDeblurrer(device="cpu")
    >>> result = deblurrer.restore(sorted(folder.glob("*.jpg")))     # doctest: +SKIP
    >>> result.image, result.frames, result.timings                  # doctest: +SKIP
    """

    def __init__(
        self,
        *,
        model: str | os.PathLike[str] | Bundle = FBA,
        device: str = "auto",
        precision: str = "auto",
        batch: int | None = None,
    ) -> None:
        self.device = resolve_device(device)
        self.name = FBA
        self._method: BurstMethod | None = None
        if model != FBA:
            bundle = model if isinstance(model, Bundle) else load_model(model)
            self.name = bundle.name
            with on_device(self.device):
                self._method = create_burst_method(bundle, device=self.device, precision=precision, batch=batch)

    def restore(
        self,
        frames: Iterable[Any],
        *,
        register: bool = True,
        reference: int | None = None,
        p: float = 11.0,
        patch: int | None = None,
        stride: int | None = None,
        progress: Progress | None = None,
    ) -> BurstRestoration:
        """Restore one photograph from frames of one scene.

        Parameters
        ----------
        frames
            Images as `runtime.Deblurrer.restore` takes them, or paths of image files; all of one size and dtype.
            ``"fba"`` holds one of any number of files in memory, or a few while they are aligned, for which most are
            read twice. Of an iterator that must be read again all frames are kept.
        register
            Whether the frames are aligned first. On the host, also for a GPU.
        reference
            Number of the frame with which the others are aligned, from 0; by default the sharpest that shows the scene
            of others, or the first where nothing is aligned.
        p
            Power of the magnitudes: 0 is the mean of the frames; the larger it is, the sharper the result and the
            fewer frames share in it, and in averaging its noise.
        patch
            With ``"fba"``, side in pixels of patches that are fused each on its own, for a blur that differs across
            the frame; much larger than the blur, such as 128. Then all frames are in memory. By default they are
            fused whole.
        stride
            Distance between patches in pixels; by default the model's, or with ``"fba"`` half the patch.
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

        Warns
        -----
        FrameLeftOut
            Of each frame that cannot be aligned with the reference.
        """
        if patch is not None and self._method is not None:
            raise InvalidArgument(
                f"patch {patch!r}: {self.name} has patches of its own; give it with model='{FBA}' only"
            )
        options, stopwatch = BurstOptions(p=p, patch=patch, stride=stride), Stopwatch(self.device)
        with on_device(self.device):
            intake = _Intake(Burst(frames), self.device, register, reference, stopwatch, progress)
            leaders = shares = None
            if self._method is not None:
                latent = self._method.restore_burst(list(intake.planes()), options, stopwatch, progress)
            elif patch is not None:
                latent = fba.fuse_by_patches(list(intake.planes()), patch, options, stopwatch, progress)
            else:
                fused = fba.fuse(intake.planes(), options, stopwatch)
                latent, shares = fused.latent, download(fused.shares)
                leaders = np.array(intake.used, np.int32)[download(fused.leaders)]
            return BurstRestoration(
                image=intake.close(latent),
                reference=intake.reference.number,
                frames=tuple(intake.used),
                leaders=leaders,
                shares=shares,
                timings=stopwatch.seconds(),
                model=self.name,
            )


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
        As in `BurstDeblurrer.restore`.
    model, device, precision, batch
        As in `BurstDeblurrer`; what they load stays loaded for the next call.
    **options
        ``register``, ``reference``, ``p``, ``patch``, ``stride`` and ``progress``, as in `BurstDeblurrer.restore`.

    Returns
    -------
    Type, dtype and shape of the reference frame; a NumPy array where that is a file.

    Examples
    --------
    >>> import runtime
    >>> sharp = runtime.deblur_burst(sorted(folder.glob("*.jpg")))   # doctest: +SKIP
    >>> sharp = runtime.deblur_burst(frames, register=False, p=30)   # doctest: +SKIP
    """
    return _deblurrer(os.fspath(model), device, precision, batch, os.getpid()).restore(frames, **options).image


@lru_cache(maxsize=8)
def _deblurrer(model: str, device: str, precision: str, batch: int | None, process: int) -> BurstDeblurrer:
    """Keep what `deblur_burst` loads; a forked process loads its own."""
    return BurstDeblurrer(model=model, device=device, precision=precision, batch=batch)


class _Intake:
    """Brings the frames of one burst to the device, aligned where asked, and remembers which took part.

    Attributes
    ----------
    reference
        The frame that the result looks like; known once `planes` has passed it.
    used
        Numbers of the frames that `planes` has given.
    """

    reference: OpenFrame

    def __init__(
        self,
        burst: Burst,
        device: Device,
        register: bool,
        reference: int | None,
        stopwatch: Stopwatch,
        progress: Progress | None,
    ) -> None:
        self._burst = burst.repeatable() if register else burst
        self._device, self._register, self._wanted = device, register, reference
        self._stopwatch, self._progress = stopwatch, progress
        self.used: list[int] = []
        count = self._burst.count
        if reference is not None and (not isinstance(reference, int) or not 0 <= reference < (count or math.inf)):
            raise InvalidArgument(f"reference {reference!r}: give the number of a frame, from 0, or None")

    def planes(self) -> Iterator[Array]:
        """Give the planes of each frame that takes part."""
        for planes in self._aligned() if self._register else self._as_they_are():
            yield upload(planes, self._device)

    def close(self, latent: Array) -> Any:
        """Return restored planes as what the reference frame was."""
        return self.reference.frame.close(latent if is_cuda(self.reference.planes) else download(latent))

    def _as_they_are(self) -> Iterator[Array]:
        wanted = self._wanted or 0
        for opened in self._opened("frames"):
            if opened.number == wanted:
                self.reference = opened
            self.used.append(opened.number)
            yield opened.planes
        if wanted not in self.used:
            raise InvalidArgument(f"reference {wanted}: there are frames 0 to {len(self.used) - 1} only")

    def _aligned(self) -> Iterator[Array]:
        number = self._sharpest() if self._wanted is None else self._wanted
        self.reference = self._burst[number]
        with self._stopwatch("register"):
            registration = Registration(download(self.reference.planes))
        for opened, aligning in self._ahead(registration.align):
            with self._stopwatch("register"):
                planes = aligning.result()
            if planes is None:
                warnings.warn(
                    f"{opened.name} is left out: it cannot be aligned with {self.reference.name}; it shows another "
                    "scene, or is too blurred",
                    FrameLeftOut,
                    stacklevel=2,
                )
                continue
            self.used.append(opened.number)
            yield planes

    def _ahead(self, align: Callable[[Array], Array | None]) -> Iterator[tuple[OpenFrame, Future[Array | None]]]:
        """Give each frame while some that follow are already being aligned."""
        with ThreadPoolExecutor(min(core_count(), LOOK_AHEAD)) as pool:
            waiting: deque[tuple[OpenFrame, Future[Array | None]]] = deque()
            for opened in self._opened("frames"):
                waiting.append((opened, pool.submit(align, download(opened.planes))))
                if len(waiting) == LOOK_AHEAD:
                    yield waiting.popleft()
            yield from waiting

    def _sharpest(self) -> int:
        """Return the number of the sharpest frame, unless it shows another scene than the next ones do."""
        found = []
        for opened in self._opened("sharpest frame"):
            with self._stopwatch("sharpest frame"):
                found.append(sharpness(download(opened.planes)))
        ranked = [int(number) for number in np.argsort(found, kind="stable")[::-1]]
        for candidate in ranked[:WITNESSES]:
            others = [number for number in ranked if number != candidate][:WITNESSES]
            with self._stopwatch("sharpest frame"):
                registration = Registration(self._on_host(candidate))
                if any(registration.homography(self._on_host(number)) is not None for number in others):
                    return candidate
        return ranked[0]

    def _on_host(self, number: int) -> Array:
        return download(self._burst[number].planes)

    def _opened(self, stage: str) -> Iterator[OpenFrame]:
        frames, count = iter(self._burst), self._burst.count
        while True:
            with self._stopwatch("read"):
                opened = next(frames, None)
            if opened is None:
                return
            if device_of(opened.planes).is_cuda:
                upload(opened.planes, self._device)  # refuses what lies on another GPU
            yield opened
            if self._progress is not None and count:
                self._progress(stage, (opened.number + 1) / count)
