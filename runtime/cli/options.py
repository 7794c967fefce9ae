"""Options that several commands share, and the line that shows how far the work is."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from runtime.errors import ImageFileError

if TYPE_CHECKING:
    from types import TracebackType

    from runtime.api import Deblurrer

STREAM = "-"
"""Stands for stdin and stdout."""

Command = TypeVar("Command", bound=Callable[..., Any])

_LOADING = ("model", "device", "precision", "batch")

_SHARED_OPTIONS = (
    click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N."),
    click.option("--precision", default="auto", show_default=True, help="auto, fp32 or fp16."),
    click.option("--batch", type=click.IntRange(min=1), metavar="N", help="Patches per batch."),
    click.option("--stride", type=click.IntRange(min=1), metavar="PX", help="Distance between patches."),
)

_MODEL_OPTIONS = (
    click.option("--model", default="chakrabarti", show_default=True, help="Name or folder of a model."),
    *_SHARED_OPTIONS,
    click.option("--quality", default="balanced", show_default=True, metavar="LEVEL", help="fast, balanced or best."),
    click.option(
        "--nonblind",
        metavar="METHOD",
        help="hyper-laplacian, epll, wiener, or none to stop at the network's estimate; by default as --quality says.",
    ),
    click.option("--support", type=click.IntRange(min=3), metavar="PX", help="Side of the largest kernel sought."),
    click.option("--noise", type=click.FloatRange(0, 1), metavar="SD", help="Noise; by default estimated."),
    click.option(
        "--refine/--no-refine", default=True, show_default=True, help="Refine the kernel, or estimate it once."
    ),
    click.option("--neural/--no-neural", default=True, show_default=True, help="Let the network take part."),
    click.option("--strength", type=click.FloatRange(0, 1), default=1.0, show_default=True, help="0 does nothing."),
)

_BURST_OPTIONS = (
    click.option("--model", default="fba", show_default=True, help="fba, or the name or folder of a burst model."),
    *_SHARED_OPTIONS,
    click.option("--register/--no-register", default=True, show_default=True, help="Align the frames first."),
    click.option(
        "--reference", type=click.IntRange(min=0), metavar="N", help="Frame to align with; by default the sharpest."
    ),
    click.option("--patch", type=click.IntRange(min=1), metavar="PX", help="Fuse patches rather than whole frames."),
    click.option(
        "--p", type=click.FloatRange(min=0), default=11.0, show_default=True, help="0 is the mean; larger is sharper."
    ),
    click.option(
        "--smoothing",
        type=click.FloatRange(min=0),
        metavar="SHARE",
        help="How far weights are smoothed over the frequencies; by default 0.02 with fba, 0 with a network.",
    ),
    click.option(
        "--chroma", default="own", show_default=True, metavar="WHOSE", help="Colours of the network (own) or of fba."
    ),
)


def model_options(command: Command) -> Command:
    """Add the options of `runtime.Deblurrer` and `runtime.Deblurrer.restore` to a command."""
    return _with_options(command, _MODEL_OPTIONS)


def burst_options(command: Command) -> Command:
    """Add the options of `runtime.Deblurrer` and `runtime.Deblurrer.restore_burst` to a command."""
    return _with_options(command, _BURST_OPTIONS)


def open_deblurrer(options: dict[str, Any]) -> tuple[Deblurrer, dict[str, Any]]:
    """Load the model that the options name; return it with the options of one restoration."""
    from runtime import api

    loading, restoring = _divided(options)
    return api.Deblurrer(**loading), restoring


def list_photographs(given: str) -> list[str]:
    """List the photographs of a folder by name, or the one file that is given.

    Raises
    ------
    click.UsageError
        If the folder holds none.
    """
    from runtime.images import SUFFIXES

    if given == STREAM or not os.path.isdir(given):
        return [given]
    names = (name for name in sorted(os.listdir(given)) if Path(name).suffix.lower() in SUFFIXES)
    paths = [path for name in names if os.path.isfile(path := os.path.join(given, name))]
    if not paths:
        raise click.UsageError(f"{given} holds no photographs: files named {', '.join(SUFFIXES)}.")
    return paths


def check_target(path: str, overwrite: bool) -> None:
    """Find out before the work, not after it, that a file cannot be written.

    Raises
    ------
    ImageFileError
        If it is there and may not be replaced, or its folder takes no files.
    """
    folder = os.path.dirname(path) or os.curdir
    if not (os.path.isdir(folder) and os.access(folder, os.W_OK)):
        raise ImageFileError(f"{path}: {folder} is no folder that can be written to: create it, or give another")
    if not overwrite and os.path.lexists(path):
        raise ImageFileError(f"{path} exists: give --overwrite to replace it, or another output")


class StageLine:
    """One line on stderr that says what is being done, rewritten as it goes on; nothing where there is no terminal.

    Called as a progress callback; as a context manager it takes the line away again.

    Parameters
    ----------
    title
        What the work is on.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._stream = sys.stderr
        self._shown = ""

    def __call__(self, stage: str, fraction: float) -> None:
        """Show that `fraction` of `stage` is done."""
        self._show(f"{self._title}: {stage} {fraction:.0%}")

    def __enter__(self) -> StageLine:
        self._show(self._title)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._show("")

    def _show(self, line: str) -> None:
        if line != self._shown and self._stream.isatty():
            self._stream.write(f"\r\x1b[K{line}")
            self._stream.flush()
            self._shown = line


def _with_options(command: Command, options: Iterable[Callable[[Command], Command]]) -> Command:
    for option in reversed(tuple(options)):
        command = option(command)
    return command


def _divided(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the options that load a model, and those of one restoration."""
    return (
        {name: options[name] for name in _LOADING},
        {name: value for name, value in options.items() if name not in _LOADING},
    )
