"""What a worker does with one request: decode, restore, encode, and say what was found."""

from __future__ import annotations

import io
import logging
import math
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.api import deconvolve
from runtime.deblurrer import Deblurrer
from runtime.errors import FrameLeftOut, InvalidArgument, InvalidImage, MetadataLost, UnsupportedType
from runtime.images import Header, decode, encode
from runtime.options import FBA
from runtime.serve.encoded import Opened, Restored, decoded, restore_each
from runtime.serve.refusals import FAILED, Refusal

log = logging.getLogger("runtime")

_TOO_LARGE = "the photograph needs more memory than there is: send a smaller one, or a part of it"


@dataclass
class Job:
    """One request as a worker gets it.

    Attributes
    ----------
    id
        The number of the request.
    kind
        ``"deblur"``, ``"deconvolve"`` or ``"burst"``.
    options
        Options of the runtime, checked; with ``"model"`` if one is named.
    format
        The format of the answer, or ``None`` for that of the photograph.
    blocks
        The files of the request. For ``"deconvolve"``, the photograph, and its blur.
    blur
        ``"kernel"`` or ``"motion"``, for ``"deconvolve"``.
    """

    id: int
    kind: str
    options: dict[str, Any]
    format: str | None
    blocks: list[bytes]
    blur: str | None = None


@dataclass
class Answer:
    """What goes back.

    Attributes
    ----------
    report
        What was found; docs/service.md lists the keys.
    photograph
        The restored photograph, encoded.
    kernel
        A picture of the estimated kernel, or nothing.
    """

    report: dict[str, Any]
    photograph: bytes
    kernel: bytes = b""


Progress = Callable[[str, float], None]
Reply = Callable[[Job, Answer | Exception], None]


class Restorer:
    """The models of one worker, loaded as they are asked for.

    Parameters
    ----------
    device
        As in `runtime.Deblurrer`.
    """

    def __init__(self, device: str) -> None:
        self.device = device
        self._deblurrers: dict[str, Deblurrer] = {}

    def deblurrer(self, model: str) -> Deblurrer:
        """Return the model of that name."""
        if model not in self._deblurrers:
            self._deblurrers[model] = Deblurrer(model=model, device=self.device)
        return self._deblurrers[model]

    def deconvolve(self, job: Job, progress: Progress) -> Answer:
        """Answer a request of the kind ``"deconvolve"``."""
        began = time.perf_counter()
        opened = open_photograph(job.blocks[0], job.format)
        opening = time.perf_counter() - began
        read = read_numbers if job.blur == "motion" else read_kernel
        given: dict[str, Any] = {str(job.blur): read(job.blocks[1])}
        began = time.perf_counter()
        image = deconvolve(opened.pixels, **given, **job.options, device=self.device, progress=progress)
        timings = {"decode": opening, "deconvolve": time.perf_counter() - began}
        return _answer(opened, partial(opened.encode, image), {"model": None, **_NOTHING_FOUND}, timings)

    def restore_burst(self, job: Job, progress: Progress) -> Answer:
        """Answer a request of the kind ``"burst"``."""
        began = time.perf_counter()
        frames = [open_photograph(block, job.format) for block in job.blocks]
        opening = time.perf_counter() - began
        options = {name: value for name, value in job.options.items() if name != "model"}
        deblurrer = self.deblurrer(job.options.get("model", FBA))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", FrameLeftOut)
            result = deblurrer.restore_burst([frame.pixels for frame in frames], progress=progress, **options)
        reference = frames[result.reference]
        found = {
            "model": result.model,
            **_NOTHING_FOUND,
            "frames": list(result.frames),
            "reference": result.reference,
            "warnings": [str(each.message) for each in caught if issubclass(each.category, FrameLeftOut)],
        }
        return _answer(reference, partial(reference.encode, result.image), found, {"decode": opening, **result.timings})


def answer_each(
    deblurrer: Deblurrer, jobs: Iterable[Job], reply: Reply, progress_of: Callable[[Job], Progress]
) -> None:
    """Answer requests of the kind ``"deblur"`` until they end.

    Parameters
    ----------
    deblurrer
        The model of all of them.
    jobs
        Any iterable, which may wait for the next request. It is advanced in another thread, where photographs are
        decoded.
    reply
        Called once for each request, in this thread or that one.
    progress_of
        Returns the callback for the progress of a request.
    """
    requests = (_Request(job, reply, progress_of(job)) for job in jobs)
    for request, outcome in restore_each(deblurrer, requests):
        if not isinstance(outcome, _Answered):
            reply(request.job, outcome if isinstance(outcome, Exception) else _attempt(_answer_to, outcome))
        del request, outcome  # nothing of it is kept while the next one is waited for


class _Answered(Exception):
    """The request has been answered already."""


class _Request:
    """A request of the kind ``"deblur"`` as a source of a photograph."""

    def __init__(self, job: Job, reply: Reply, progress: Progress) -> None:
        self.job, self._reply = job, reply
        self.options = {name: value for name, value in job.options.items() if name != "model"} | {"progress": progress}

    def open(self) -> Opened:
        try:
            return open_photograph(self.job.blocks[0], self.job.format)
        except Exception as error:  # nobody waits with it until those before are restored
            self._reply(self.job, error)
            raise _Answered from error


_NOTHING_FOUND: dict[str, Any] = {
    "confidence": None,
    "code": None,
    "reason": None,
    "response": None,
    "kernel_size": None,
    "kernel_class": None,
}


def open_photograph(data: bytes, format: str | None) -> Opened:
    """Decode a photograph, and check that the format of the answer can store it.

    Raises
    ------
    Refusal
        ``undecodable``, if it cannot be decoded.
    InvalidImage, OutOfMemory
        If the format cannot store it, or it does not fit into memory.
    """
    try:
        opened = decoded(data)
    except InvalidImage as error:
        raise Refusal("undecodable", str(error)) from error
    return opened.into(format)


def read_numbers(data: bytes) -> npt.NDArray[Any]:
    """Return the array of a ``.npy`` file, which must hold plain numbers and be as long as its header says.

    Raises
    ------
    InvalidArgument
        If it is no such file.
    """
    remedy = "send what numpy.save writes of an array of numbers"
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(stream)
    except Exception as error:  # forged headers raise many kinds of errors
        raise InvalidArgument(f"the blur is no .npy file: {remedy}") from error
    content = data[stream.tell() :]
    if dtype.kind not in "fiu" or math.prod(shape) * dtype.itemsize != len(content):
        raise InvalidArgument(f"the .npy file of the blur is cut short, or holds no plain numbers: {remedy}")
    return np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C")


def read_kernel(data: bytes) -> npt.NDArray[Any]:
    """Return the kernel (h, w) of a ``.npy`` file, or of a picture, whose values are scaled to the sum 1.

    Raises
    ------
    InvalidArgument
        If it is neither.
    """
    if data.startswith(b"\x93NUMPY"):
        return read_numbers(data)
    try:
        pixels, _ = decode(data)
    except InvalidImage as error:
        raise InvalidArgument(f"the kernel is neither a .npy file nor a picture ({error})") from error
    values = pixels.astype(np.float64)
    values = values if values.ndim == 2 else values[..., : 1 if values.shape[2] < 3 else 3].mean(axis=2)
    if not values.sum() > 0:
        raise InvalidArgument("the picture of the kernel is black: send one whose largest value is white")
    return np.asarray(values / values.sum())


def refusal_of(error: Exception) -> Refusal:
    """Return what a client is told of an error: nothing of paths, versions or the code.

    Messages of the runtime about the request itself are passed on. Of everything else the cause goes to the log.
    """
    if isinstance(error, Refusal):
        return error
    if isinstance(error, MemoryError):
        return Refusal("out-of-memory", _TOO_LARGE)
    if isinstance(error, InvalidImage | UnsupportedType):
        return Refusal("invalid-image", str(error))
    if isinstance(error, InvalidArgument):
        return Refusal("invalid-option", str(error))
    log.error("a restoration failed", exc_info=error)
    return Refusal("failed", FAILED)


def _attempt(work: Callable[..., Answer], *arguments: Any) -> Answer | Exception:
    try:
        return work(*arguments)
    except Exception as error:
        return error


def _answer_to(restored: Restored) -> Answer:
    """Return the answer for a restored photograph."""
    result = restored.result
    kernel = result.kernel
    found = {
        "model": result.model,
        "confidence": result.confidence,
        "code": result.code,
        "reason": result.reason,
        "response": result.response,
        "kernel_size": None if kernel is None else list(kernel.shape),
        "kernel_class": result.kernel_class,
    }
    answer = _answer(restored.opened, restored.encode, found, {"decode": restored.opening, **result.timings})
    if kernel is not None:
        levels = np.rint(kernel * (255 / (float(kernel.max()) or 1.0)))
        answer.kernel = encode(levels.astype(np.uint8), Header("PNG"))
    return answer


def _answer(
    opened: Opened, encode_result: Callable[[], bytes], found: dict[str, Any], timings: dict[str, float]
) -> Answer:
    """Encode the answer, and say how long it took and what its format does not hold."""
    began = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", MetadataLost)
        encoded = encode_result()
    lost = [str(each.message) for each in caught if issubclass(each.category, MetadataLost)]
    height, width = opened.pixels.shape[:2]
    report = {
        **found,
        "width": width,
        "height": height,
        "format": opened.format,
        "timings": {**timings, "encode": time.perf_counter() - began},
        "warnings": [*found.get("warnings", []), *lost],
    }
    return Answer(report, encoded)
