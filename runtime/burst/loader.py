"""Loading a burst: its frames are read, registered if requested, and uploaded to the device one after the other."""

from __future__ import annotations

import math
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels.arrays import Array, is_cuda
from kernels.cancellation import Workers, result_of
from kernels.cpu.threads import core_count
from runtime.arguments import check_flag, check_whole
from runtime.burst.frames import Burst, OpenFrame
from runtime.burst.registration import Registration, sharpness
from runtime.errors import FrameLeftOut, InvalidArgument
from runtime.inference.devices import Device, device_of, download, upload
from runtime.inference.progress import Progress, Stopwatch

_CONCURRENT_FRAMES = 4
"""Number of frames that are registered at the same time, and held in memory."""

_SHARPEST_FRAMES = 3
"""Number of sharpest frames considered as the reference, and of other frames with which each is tried to register."""


class BurstLoader:
    """Loads the frames of one burst to the device, registers them if requested, and records which were used.

    Parameters
    ----------
    frames
        Images or paths; see `runtime.burst.frames.Burst`.
    device
        Device of the planes.
    register
        Whether to align the frames to the reference. A sequence is then read twice, and the frames of an iterator are
        kept in memory.
    reference
        Index, from 0, of the frame to which the others are aligned; ``None`` for the sharpest frame that shows the
        same scene as another frame, or the first frame without registration.
    stopwatch
        Measures the stages ``read``, ``sharpest frame`` and ``register``.
    progress
        Called after every frame, with the stages ``"sharpest frame"`` and ``"frames"``.

    Raises
    ------
    UnsupportedType, InvalidArgument
        If `frames` is not a burst, is empty, or has no frame `reference`.

    Attributes
    ----------
    reference
        The reference frame; set once `planes` has reached it.
    used
        Indices of the frames that `planes` has yielded.
    """

    reference: OpenFrame

    def __init__(
        self,
        frames: Iterable[Any],
        device: Device,
        register: bool,
        reference: int | None,
        stopwatch: Stopwatch,
        progress: Progress | None,
    ) -> None:
        burst = Burst(frames)
        self._burst = burst.repeatable() if check_flag("register", register) else burst
        self._device, self._register = device, register
        self._requested = check_whole("reference", reference, least=0, what="frames")
        self._stopwatch, self._progress = stopwatch, progress
        self.used: list[int] = []
        count = self._burst.count
        if self._requested is not None and self._requested >= (count or math.inf):
            raise InvalidArgument(f"reference {self._requested}: there are frames 0 to {(count or 1) - 1} only")

    def planes(self) -> Iterator[Array]:
        """Yield the planes of each frame that is used: float32 ``(C, H, W)`` in [0, 1], on the device.

        Raises
        ------
        ImageFileError, InvalidImage, UnsupportedType
            If a frame cannot be used, or differs from the first in size or dtype; the message names it.
        InvalidArgument
            If an iterator is empty or ends before the reference.

        Warns
        -----
        FrameLeftOut
            For each frame that cannot be aligned to the reference.
        """
        for planes in self._registered() if self._register else self._unregistered():
            yield upload(planes, self._device)

    def close(self, latent: Array) -> Any:
        """Return restored planes as an image of the type, dtype and shape of the reference frame."""
        return self.reference.frame.close(latent if is_cuda(self.reference.planes) else download(latent))

    def frame_numbers(self, positions: Array) -> npt.NDArray[np.int32]:
        """Convert positions among the frames used, an array of integers, to indices in the burst."""
        return np.array(self.used, np.int32)[download(positions)]

    def _unregistered(self) -> Iterator[Array]:
        number = self._requested or 0
        for opened in self._opened("frames"):
            if opened.number == number:
                self.reference = opened
            self.used.append(opened.number)
            yield opened.planes
        if number not in self.used:
            raise InvalidArgument(f"reference {number}: there are frames 0 to {len(self.used) - 1} only")

    def _registered(self) -> Iterator[Array]:
        number = self._sharpest() if self._requested is None else self._requested
        self.reference = self._burst[number]
        with self._stopwatch("register"):
            registration = Registration(download(self.reference.planes))
        for opened, alignment in self._in_parallel(registration.align):
            with self._stopwatch("register"):
                planes = result_of(alignment)
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

    def _in_parallel(self, align: Callable[[Array], Array | None]) -> Iterator[tuple[OpenFrame, Future[Array | None]]]:
        """Yield each frame in order with its alignment, while the next frames are being aligned in other threads."""
        with Workers(min(core_count(), _CONCURRENT_FRAMES)) as workers:
            pending: deque[tuple[OpenFrame, Future[Array | None]]] = deque()
            for opened in self._opened("frames"):
                pending.append((opened, workers.submit(align, download(opened.planes))))
                if len(pending) == _CONCURRENT_FRAMES:
                    yield pending.popleft()
            yield from pending

    def _sharpest(self) -> int:
        """Return the index of the sharpest frame that registers with another sharp frame, or else of the sharpest."""
        measured = []
        for opened in self._opened("sharpest frame"):
            with self._stopwatch("sharpest frame"):
                measured.append(sharpness(download(opened.planes)))
        ranked = [int(number) for number in np.argsort(measured, kind="stable")[::-1]]
        for candidate in ranked[:_SHARPEST_FRAMES]:
            others = [number for number in ranked if number != candidate][:_SHARPEST_FRAMES]
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
                upload(opened.planes, self._device)  # raises an error for a frame on another GPU
            yield opened
            if self._progress is not None and count:
                self._progress(stage, (opened.number + 1) / count)
