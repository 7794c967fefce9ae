"""Loading a burst: its frames are read, registered if requested, and composed with the reference, one by one."""

from __future__ import annotations

import math
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels.arrays import Array, is_cuda
from kernels.cancellation import Workers, result_of
from kernels.cpu.threads import core_count
from runtime.arguments import check_flag, check_whole
from runtime.burst.composition import Composer, Unsuitable
from runtime.burst.content import Content, content_of, framed, scaled
from runtime.burst.frames import Burst, OpenFrame
from runtime.burst.registration import Registration
from runtime.burst.sharpness import ranking, reference_worth
from runtime.decisions.thresholds import NOISY_GAIN
from runtime.errors import FrameLeftOut, InvalidArgument
from runtime.inference.devices import CPU, Device, device_of, download, upload
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
        Index, from 0, of the frame to which the others are aligned and equalised; ``None`` for the sharpest well
        exposed frame that shows the same scene as another frame, or the first frame without registration. If it is not
        the first, the frames of an iterator are kept in memory.
    stopwatch
        Measures the stages ``read``, ``sharpest frame``, and ``register`` or, without registration, ``compose``.
    progress
        Called after every frame, with the stages ``"sharpest frame"`` and ``"frames"``.
    noisy_gain
        Factor from which only what rises above its noise is taken from a frame that is brightened.

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
    _content: Content
    """What counts of the reference."""

    def __init__(
        self,
        frames: Iterable[Any],
        device: Device,
        register: bool,
        reference: int | None,
        stopwatch: Stopwatch,
        progress: Progress | None,
        noisy_gain: float = NOISY_GAIN,
    ) -> None:
        burst = Burst(frames)
        self._requested = check_whole("reference", reference, least=0, what="frames")
        self._burst = burst.repeatable() if check_flag("register", register) or self._requested else burst
        self._device, self._register = device, register
        self._stopwatch, self._progress, self._noisy_gain = stopwatch, progress, noisy_gain
        self.used: list[int] = []
        count = self._burst.count
        if self._requested is not None and self._requested >= (count or math.inf):
            raise InvalidArgument(f"reference {self._requested}: there are frames 0 to {(count or 1) - 1} only")

    def planes(self) -> Iterator[Array]:
        """Yield the planes of each frame that is used: float32 ``(C, H, W)``, on the device.

        Frames are in the exposure of the reference, and composed with it where they cannot be trusted; see
        `runtime.burst.composition`. Their units, rows and columns are those of its `Content`.

        Raises
        ------
        ImageFileError, InvalidImage, UnsupportedType
            If a frame cannot be used, or differs from the first in size or dtype; the message names it.
        InvalidArgument
            If an iterator is empty or ends before the reference.

        Warns
        -----
        FrameLeftOut
            For each frame that cannot be aligned to the reference, or whose exposure is too far from its.
        """
        ranked = self._ranked() if self._register and self._requested is None else [self._requested or 0]
        frames = self._opened("frames")
        if ranked[0] == 0:
            self.reference = next(frames)
            frames = chain([self.reference], frames)
        else:
            self.reference = self._burst[ranked[0]]
        stage = "register" if self._register else "compose"
        with self._stopwatch(stage):
            prepare = self._preparation(ranked[1:])
        for opened, prepared in self._in_parallel(frames, prepare) if self._register else _in_turn(frames, prepare):
            try:
                with self._stopwatch(stage):
                    planes = prepared()
            except Unsuitable as reason:
                warnings.warn(f"{opened.name} is left out: {reason}", FrameLeftOut, stacklevel=2)
                continue
            self.used.append(opened.number)
            yield upload(planes, self._device)

    def close(self, latent: Array) -> Any:
        """Return restored planes, as `planes` gives them, as an image of the type, dtype and shape of the reference.

        The borders around the photograph are those of the reference.
        """
        content, opened = self._content, self.reference
        latent = scaled(latent if is_cuda(opened.planes) else download(latent), content.exponent)
        return opened.frame.close(*framed(latent, content.box, opened.planes.shape[1:]))

    def frame_numbers(self, positions: Array) -> npt.NDArray[np.int32]:
        """Convert positions among the frames used, an array of integers, to indices in the burst."""
        return np.array(self.used, np.int32)[download(positions)]

    def _preparation(self, others: list[int]) -> Callable[[OpenFrame], Array]:
        """Return what aligns a frame and composes it with the reference, which is first completed from `others`."""
        self._content = self._content_of(self.reference)
        planes, trust = self._content.planes, self._content.trust
        registration = Registration(planes, trust) if self._register else None
        composer = Composer(planes, trust, self._noisy_gain)

        def align(opened: OpenFrame) -> tuple[Array, Array | None]:
            planes, trust, *_ = self._content_of(opened, self._content)
            if trust is not None and not bool((trust > 0).any()):
                raise Unsuitable("none of its pixels is known: all are masked, or invisible")
            aligned = (
                registration.align(planes, trust, composer.agreed, composer.lighting)
                if registration
                else (planes, trust)
            )
            if aligned is None:
                raise Unsuitable(
                    f"it cannot be aligned with {self.reference.name}; it shows another scene, or is too blurred"
                )
            return aligned

        def prepare(opened: OpenFrame) -> Array:
            return composer.planes if opened.number == self.reference.number else composer.compose(*align(opened))

        if composer.incomplete:
            numbers = range(self._burst.count or 0) if self._burst.is_repeatable else ()
            for number in [*others, *(number for number in numbers if number not in others)]:
                if composer.incomplete and number != self.reference.number:
                    with suppress(Unsuitable):
                        composer.complete(*align(self._burst[number]))
            composer.finish()
        return prepare

    def _in_parallel(
        self, frames: Iterator[OpenFrame], prepare: Callable[[OpenFrame], Array]
    ) -> Iterator[tuple[OpenFrame, Callable[[], Array]]]:
        """Yield each frame in order with what waits for it, while the next frames are prepared in other threads."""
        with Workers(min(core_count(), _CONCURRENT_FRAMES)) as workers:
            pending: deque[tuple[OpenFrame, Callable[[], Array]]] = deque()
            for opened in frames:
                pending.append((opened, partial(result_of, workers.submit(prepare, opened))))
                if len(pending) == _CONCURRENT_FRAMES:
                    yield pending.popleft()
            yield from pending

    def _ranked(self) -> list[int]:
        """Return the indices of the frames from the best reference on.

        First comes the best that registers with another good frame, or else the best.
        """
        worth = []
        for opened in self._opened("sharpest frame"):
            with self._stopwatch("sharpest frame"):
                worth.append(reference_worth(*self._content_of(opened)[:3]))
        ranked = ranking(worth)
        for candidate in ranked[:_SHARPEST_FRAMES]:
            others = [number for number in ranked if number != candidate]
            with self._stopwatch("sharpest frame"):
                content = self._content_of(self._burst[candidate])
                registration = Registration(content.planes, content.trust)
                for number in others[:_SHARPEST_FRAMES]:
                    other = self._content_of(self._burst[number], content)
                    if registration.homography(other.planes, other.trust) is not None:
                        return [candidate, *others]
        return ranked

    def _content_of(self, opened: OpenFrame, like: Content | None = None) -> Content:
        """Return what counts of a frame, where it is prepared; see `content_of`."""
        place = CPU if self._register else self._device
        planes, known = (
            array if array is None else download(array) if place == CPU else upload(array, place)
            for array in (opened.planes, opened.frame.known)
        )
        return content_of(planes, known, like)

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


def _in_turn(
    frames: Iterator[OpenFrame], prepare: Callable[[OpenFrame], Array]
) -> Iterator[tuple[OpenFrame, Callable[[], Array]]]:
    """Yield each frame in order with what prepares it, so that only one is in memory."""
    for opened in frames:
        yield opened, partial(prepare, opened)
