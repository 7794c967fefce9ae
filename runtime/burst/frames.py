"""The frames of a burst, opened one at a time and checked for equal shape and dtype."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass
from typing import Any

from kernels.arrays import Array
from runtime.arguments import check_several
from runtime.errors import DeblurError, InvalidArgument, InvalidImage, OutOfMemory
from runtime.images import Frame, open_image, read_file


@dataclass(frozen=True)
class OpenFrame:
    """One frame of a burst.

    Attributes
    ----------
    number
        Index in the burst, from 0.
    name
        Name for messages: the number, and the path if the frame is a file.
    planes, frame
        Float32 ``(C, H, W)`` in [0, 1], and the format of the image; see `runtime.images.open_image`.
    """

    number: int
    name: str
    planes: Array
    frame: Frame


class Burst:
    """The frames of one scene, all of the same shape and dtype.

    Iteration opens them one after the other.

    Parameters
    ----------
    frames
        Images as in `runtime.images.open_image`, or paths of files. A sequence can be read more than once, an iterator
        only once.

    Raises
    ------
    UnsupportedType
        If `frames` is a single image or path.
    InvalidArgument
        If the sequence is empty.
    """

    def __init__(self, frames: Iterable[Any]) -> None:
        self._frames = check_several("a burst", frames, "give a list of images or of paths, or an array (F, H, W, C)")
        self._first: tuple[str, Frame] | None = None
        if self.count == 0:
            raise InvalidArgument("a burst of no frames: give at least one")

    @property
    def count(self) -> int | None:
        """Number of frames, or ``None`` for an iterator, whose length is not known."""
        return len(self._frames) if isinstance(self._frames, Sized) else None

    def __iter__(self) -> Iterator[OpenFrame]:
        """Open the frames in order.

        Raises
        ------
        ImageFileError, InvalidImage, UnsupportedType
            If a frame cannot be used; the message names it.
        InvalidImage
            If a frame differs from the first in size, number of channels or dtype.
        InvalidArgument
            If there is no frame.
        """
        number = -1
        for number, image in enumerate(self._frames):
            yield self._open(number, image)
        if number < 0:
            raise InvalidArgument("a burst of no frames: give at least one")

    def __getitem__(self, number: int) -> OpenFrame:
        """Open one frame of a sequence."""
        frames: Sequence[Any] = self._frames  # type: ignore[assignment]
        return self._open(number, frames[number])

    @property
    def is_repeatable(self) -> bool:
        """Whether frames can be opened repeatedly and in any order."""
        return isinstance(self._frames, Sized) and hasattr(self._frames, "__getitem__")

    def repeatable(self) -> Burst:
        """Return a burst that can be read repeatedly: itself, or for an iterator a copy with all frames in memory."""
        return self if self.is_repeatable else Burst(list(self._frames))

    def _open(self, number: int, image: Any) -> OpenFrame:
        is_path = isinstance(image, (str, os.PathLike))
        try:
            scale = self._first[1].scale if self._first else None
            planes, frame = open_image(read_file(image)[0] if is_path else image, scale=scale)
        except DeblurError as error:
            path, message = os.fspath(image) if is_path else "", str(error)
            message = message if message.startswith(path) else f"{path}: {message}"
            raise type(error)(f"frame {number}: {message}") from error
        except MemoryError as error:
            path = f"{os.fspath(image)}: " if is_path else ""
            raise OutOfMemory(f"frame {number}: {path}it does not fit into memory: give smaller frames") from error
        name = f"frame {number} ({os.fspath(image)})" if is_path else f"frame {number}"
        self._first = self._first or (name, frame)
        first_name, first = self._first
        for what, found, expected in (("shape", frame.shape, first.shape), ("dtype", frame.dtype, first.dtype)):
            if found != expected:
                raise InvalidImage(f"{name} has {what} {found}, {first_name} has {expected}: give frames of one {what}")
        return OpenFrame(number, name, planes, frame)
