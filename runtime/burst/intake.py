"""The intake of a burst: its frames brought to the device one after the other, aligned where asked."""

from __future__ import annotations

import math
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels.arrays import Array, is_cuda
from kernels.cpu.threads import core_count
from runtime.burst.frames import Burst, OpenFrame
from runtime.burst.registration import Registration, sharpness
from runtime.errors import FrameLeftOut, InvalidArgument
from runtime.inference.devices import Device, device_of, download, upload
from runtime.inference.progress import Progress, Stopwatch

LOOK_AHEAD = 4
"""Frames that are aligned at the same time, and in memory."""

WITNESSES = 3
"""Sharp frames of which one must show the scene of the reference, for that not to be a stray."""


class Intake:
    """Brings the frames of one burst to the device, aligned where asked, and remembers which took part.

    Parameters
    ----------
    frames
        Images or paths; see `runtime.burst.frames.Burst`.
    device
        Where the planes go.
    register
        Whether the frames are aligned with the reference. Then a sequence is read twice, an iterator kept.
    reference
        Number of the frame with which the others are aligned, from 0; ``None`` for the sharpest that shows the scene
        of others, or the first where nothing is aligned.
    stopwatch
        Charged for ``read``, ``sharpest frame`` and ``register``.
    progress
        Called after every frame with the stages ``"sharpest frame"`` and ``"frames"``.

    Raises
    ------
    UnsupportedType, InvalidArgument
        If this is no burst, there is no frame in it, or no frame `reference`.

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
        frames: Iterable[Any],
        device: Device,
        register: bool,
        reference: int | None,
        stopwatch: Stopwatch,
        progress: Progress | None,
    ) -> None:
        burst = Burst(frames)
        self._burst = burst.repeatable() if register else burst
        self._device, self._register, self._wanted = device, register, reference
        self._stopwatch, self._progress = stopwatch, progress
        self.used: list[int] = []
        count = self._burst.count
        if reference is not None and (not isinstance(reference, int) or not 0 <= reference < (count or math.inf)):
            raise InvalidArgument(f"reference {reference!r}: give the number of a frame, from 0, or None")

    def planes(self) -> Iterator[Array]:
        """Give float32 ``(C, H, W)`` planes of each frame that takes part, on the device.

        Raises
        ------
        ImageFileError, InvalidImage, UnsupportedType
            If a frame cannot be used, or differs from the first in size or dtype; the message names it.
        InvalidArgument
            If an iterator ends before there is any frame, or the reference.

        Warns
        -----
        FrameLeftOut
            Of each frame that cannot be aligned with the reference.
        """
        for planes in self._aligned() if self._register else self._as_they_are():
            yield upload(planes, self._device)

    def close(self, latent: Array) -> Any:
        """Return restored planes as what the reference frame was."""
        return self.reference.frame.close(latent if is_cuda(self.reference.planes) else download(latent))

    def numbers(self, places: Array) -> npt.NDArray[np.int32]:
        """Turn places among the frames that took part into their numbers in the burst."""
        return np.array(self.used, np.int32)[download(places)]

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
