"""Encoded photographs restored, one or many: decoded ahead of their turn, and encoded again beside the next ones."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from runtime.images import Header, Pixels, check_storable, decode, encode, pixels_of_file
from runtime.options import Task

if TYPE_CHECKING:
    import numpy.typing as npt

    from runtime.deblurrer import Deblurrer
    from runtime.results import Restoration


class Finished(Exception):
    """Raised by `Source.open`: the result of the photograph is there already, and nothing is to be done."""


@dataclass(frozen=True)
class Opened:
    """An encoded photograph that has been decoded.

    Attributes
    ----------
    data
        The photograph as it came.
    pixels, header
        As from `runtime.images.decode`.
    format
        The format that the result is to have.
    """

    data: bytes
    pixels: npt.NDArray[Any]
    header: Header
    format: str

    def into(self, format: str | None) -> Opened:
        """Return the photograph with a format for its result, which must be able to store it; see `open_encoded`."""
        format = format or self.header.format
        check_storable(self.pixels, format)
        return replace(self, format=format)

    def encode(self, image: npt.NDArray[Any]) -> bytes:
        """Encode an image that was made of the photograph; the metadata are those of the photograph."""
        return encode(image, replace(self.header, format=self.format))


@dataclass(frozen=True)
class Restored:
    """A photograph after its restoration.

    Attributes
    ----------
    opened
        The photograph.
    result
        What `runtime.Deblurrer.restore` returned.
    unchanged
        Whether it was left as it was.
    opening, seconds
        The time that opening it took, and opening and restoring it together.
    """

    opened: Opened
    result: Restoration
    unchanged: bool
    opening: float
    seconds: float

    def encode(self) -> bytes:
        """Return the encoded result: the photograph as it came, if nothing was changed and its format is kept."""
        if self.unchanged and self.opened.format == self.opened.header.format:
            return self.opened.data
        return self.opened.encode(self.result.image)


class Source(Protocol):
    """Something that an encoded photograph comes from."""

    @property
    def options(self) -> Mapping[str, Any]:
        """Options of `runtime.Deblurrer.restore` for this photograph alone."""

    def open(self) -> Opened:
        """Read and decode the photograph; called once, perhaps in another thread, some photographs ahead."""


AnySource = TypeVar("AnySource", bound=Source)


def open_encoded(data: bytes, format: str | None = None) -> Opened:
    """Decode a photograph, and check that the format of the result can store it.

    Parameters
    ----------
    data
        The content of a PNG, JPEG, TIFF or WebP file.
    format
        One of the values of `runtime.images.SUFFIXES`; ``None`` for the format of the photograph.

    Raises
    ------
    InvalidImage
        If the photograph cannot be decoded, or the format cannot store it.
    OutOfMemory
        If it does not fit into memory.
    """
    return decoded(data).into(format)


def decoded(data: bytes) -> Opened:
    """Decode a photograph, the result of which is to have its own format; errors as in `runtime.images.decode`."""
    pixels, header = decode(data)
    return Opened(data, pixels, header, header.format)


def restore_one(deblurrer: Deblurrer, source: Source, **options: Any) -> Restored:
    """Restore one photograph, in this thread and on all cores.

    Parameters
    ----------
    deblurrer
        A model for single photographs.
    source
        Where the photograph comes from.
    **options
        As in `runtime.Deblurrer.restore`.

    Raises
    ------
    Exception
        Whatever `source` raises.
    DeblurError
        As `runtime.Deblurrer.restore`.
    """
    turn = _Turn(source, {**options, **source.options})
    pixels = turn.open()
    began = time.perf_counter()
    result = deblurrer.restore(pixels, **turn.options)
    return turn.restored(result, time.perf_counter() - began)


def restore_each(
    deblurrer: Deblurrer, sources: Iterable[AnySource], **options: Any
) -> Generator[tuple[AnySource, Restored | Exception], None, None]:
    """Restore many photographs by `runtime.Deblurrer.restore_many`.

    Whoever takes the results encodes them, which goes on beside the restoration of the next ones, on a GPU too.

    Parameters
    ----------
    deblurrer
        A model for single photographs.
    sources
        Any iterable, which may wait for the next photograph. It is advanced in another thread, where the photographs
        are opened too.
    **options
        As in `runtime.Deblurrer.restore`; those of a source take their place.

    Returns
    -------
    generator of (source, Restored or Exception)
        In the order of the sources; an error in the place of a photograph that could not be opened or restored. Close
        it to end the work early.

    Raises
    ------
    InvalidArgument, InvalidModel
        At once, if an option has an invalid value, or the model restores bursts.
    """
    begun: deque[_Turn[AnySource]] = deque()

    def tasks() -> Iterator[Task]:
        for source in sources:
            begun.append(_Turn(source, {**options, **source.options}))
            yield Task(begun[-1].open, begun[-1].options)

    results = deblurrer.restore_many(tasks(), errors="return", **options)

    def outcomes() -> Generator[tuple[AnySource, Restored | Exception], None, None]:
        for result in results:
            turn = begun.popleft()
            if isinstance(result, Exception):
                yield turn.source, result
            else:
                # What it took by itself: it may have waited for others before and after.
                yield turn.source, turn.restored(result, sum(result.timings.values()))
            del turn, result  # a large photograph is not kept while the next one is restored

    return outcomes()


class _Turn(Generic[AnySource]):
    """A photograph on its way from its source to its result."""

    def __init__(self, source: AnySource, options: Mapping[str, Any]) -> None:
        self.source, self.options = source, options

    def open(self) -> Pixels:
        began = time.perf_counter()
        self._opened = self.source.open()
        self._seconds = time.perf_counter() - began
        return pixels_of_file(self._opened.pixels, self._opened.header)

    def restored(self, result: Restoration, seconds: float) -> Restored:
        unchanged = result.code is not None or result.reason is not None or self.options.get("strength", 1.0) == 0
        return Restored(self._opened, result, unchanged, self._seconds, self._seconds + seconds)
