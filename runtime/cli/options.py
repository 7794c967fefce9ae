"""Options that several commands share, and the progress line."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Self, TypeVar

import click

from runtime.messages import printable

if TYPE_CHECKING:
    from types import TracebackType

    from runtime.deblurrer import Deblurrer

Command = TypeVar("Command", bound=Callable[..., Any])

_LOAD_OPTIONS = ("model", "device", "precision", "batch")
"""Names of the options that load a model; the others are those of one restoration."""

_DEVICE_OPTION = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
_SHARED_OPTIONS = (
    click.option("--precision", default="auto", show_default=True, help="auto, fp32 or fp16."),
    click.option("--batch", type=click.IntRange(min=1), metavar="N", help="Patches per batch."),
    click.option("--stride", type=click.IntRange(min=1), metavar="PX", help="Distance between patches."),
)

_PHOTOGRAPH_OPTIONS = (
    click.option("--model", default="auto", show_default=True, help="Name or folder of a model."),
    *_SHARED_OPTIONS,
    click.option("--quality", default="balanced", show_default=True, metavar="LEVEL", help="fast, balanced or best."),
    click.option(
        "--nonblind",
        metavar="METHOD",
        help="hyper-laplacian, epll, synthesis, wiener, or none for the network's own estimate; by default that of "
        "--quality.",
    ),
    click.option("--support", type=click.IntRange(min=3), metavar="PX", help="Side of the largest kernel to estimate."),
    click.option("--noise", type=click.FloatRange(0, 1), metavar="SD", help="Noise level; by default estimated."),
    click.option(
        "--refine/--no-refine", default=True, show_default=True, help="Refine the kernel, or estimate it once."
    ),
    click.option("--neural/--no-neural", default=True, show_default=True, help="Use networks."),
    click.option(
        "--response",
        default="auto",
        show_default=True,
        metavar="CURVE",
        callback=lambda context, option, value: _curve(value),
        help="From light to stored values: auto, srgb, linear, or an exponent from 1 to 4.",
    ),
    click.option(
        "--content", default="any", show_default=True, metavar="KIND", help="With schuler: any, text or landscape."
    ),
    click.option(
        "--variant",
        default="general",
        show_default=True,
        metavar="NETWORKS",
        help="With kaufman: general, or scale-optimised for the size of the kernel.",
    ),
    click.option(
        "--strength", type=click.FloatRange(0, 1), default=1.0, show_default=True, help="0 to 1; 0: unchanged."
    ),
)

_BURST_OPTIONS = (
    click.option("--model", default="fba", show_default=True, help="fba, or the name or folder of a burst model."),
    _DEVICE_OPTION,
    *_SHARED_OPTIONS,
    click.option("--register/--no-register", default=True, show_default=True, help="Align the frames first."),
    click.option(
        "--reference", type=click.IntRange(min=0), metavar="N", help="Frame to align with; by default the sharpest."
    ),
    click.option("--patch", type=click.IntRange(min=1), metavar="PX", help="Fuse patches instead of whole frames."),
    click.option(
        "--p", type=click.FloatRange(min=0), default=11.0, show_default=True, help="0 is the mean; larger is sharper."
    ),
    click.option(
        "--smoothing",
        type=click.FloatRange(min=0),
        metavar="FRACTION",
        help="Smoothing of the weights over the frequencies; by default 0.02 with fba, 0 with a network.",
    ),
    click.option(
        "--chroma", default="own", show_default=True, metavar="SOURCE", help="Colours of the network (own) or of fba."
    ),
)


def model_options(command: Command) -> Command:
    """Add the options of `runtime.Deblurrer` and `runtime.Deblurrer.restore` to a command."""
    return _with_options(command, (_PHOTOGRAPH_OPTIONS[0], _DEVICE_OPTION, *_PHOTOGRAPH_OPTIONS[1:]))


def batch_options(command: Command) -> Command:
    """Add the options of `model_options` but for the device, which is chosen machine by machine."""
    return _with_options(command, _PHOTOGRAPH_OPTIONS)


def burst_options(command: Command) -> Command:
    """Add the options of `runtime.Deblurrer` and `runtime.Deblurrer.restore_burst` to a command."""
    return _with_options(command, _BURST_OPTIONS)


def load_deblurrer(options: dict[str, Any]) -> tuple[Deblurrer, dict[str, Any]]:
    """Load the model of the options; return it with the remaining options, those of one restoration."""
    from runtime import deblurrer

    load_options, restore_options = split_options(options)
    return deblurrer.Deblurrer(**load_options), restore_options


class ProgressLine:
    """A line on stderr that shows the progress and is updated in place; nothing if stderr is not a terminal.

    It is called as a progress callback, from any thread; as a context manager, it clears the line at the end.

    Parameters
    ----------
    title
        Start of the line, such as the name of the photograph.
    """

    def __init__(self, title: str) -> None:
        self._title = printable(title)
        self._stream = sys.stderr
        self._shown = ""
        self._lock = threading.RLock()

    def __call__(self, stage: str, fraction: float) -> None:
        """Show that a fraction, in [0, 1], of `stage` is done."""
        self._show(f"{self._title}: {stage} {fraction:.0%}")

    def __enter__(self) -> Self:
        self._show(self._title)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._show("")

    def _show(self, line: str) -> None:
        with self._lock:
            if line != self._shown and self._stream.isatty():
                with suppress(OSError):  # the terminal may have gone
                    self._stream.write(f"\r\x1b[K{line}")
                    self._stream.flush()
                self._shown = line


class PhotographsLine(ProgressLine):
    """The progress of several photographs: how many are done, and the stage of the first of those in work.

    Parameters
    ----------
    count
        How many there are. Of one alone its name and stage are shown.
    """

    def __init__(self, count: int) -> None:
        self._count, self._done = count, 0
        self._stages: dict[str, str] = {}
        super().__init__(self._how_many())

    def of(self, name: str) -> Callable[[str, float], None]:
        """Return the progress callback of a photograph; photographs come in the order in which this is called."""
        with self._lock:
            self._stages[name] = ""
            self._show_first()

        def progress(stage: str, fraction: float) -> None:
            with self._lock:
                self._stages[name] = f": {stage} {fraction:.0%}"
                self._show_first()

        return progress

    @contextmanager
    def done(self, name: str) -> Iterator[None]:
        """Count a photograph as done, restored or not, and take the line away while something is said of it."""
        with self._lock:
            self._stages.pop(name, None)
            self._done += 1
            self._show("")
            yield

    def _show_first(self) -> None:
        name, stage = next(iter(self._stages.items()))
        how_many = self._how_many()
        self._show(f"{how_many}{'; ' if how_many else ''}{printable(name)}{stage}")

    def _how_many(self) -> str:
        return "" if self._count == 1 else f"{self._done} of {self._count} done"


def _curve(text: str) -> str | float:
    from runtime.options import read_response

    return read_response(text)


def _with_options(command: Command, options: Iterable[Callable[[Command], Command]]) -> Command:
    for option in reversed(tuple(options)):
        command = option(command)
    return command


def split_options(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split options into those that load a model and those of one restoration."""
    return (
        {name: options[name] for name in _LOAD_OPTIONS},
        {name: value for name, value in options.items() if name not in _LOAD_OPTIONS},
    )
