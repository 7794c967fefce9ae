"""Stdin, stdout and stderr, which may be closed, full, or a pipe whose reader has gone; and text that fits a line."""

from __future__ import annotations

import io
import os
import stat
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TextIO

import click

from runtime.errors import ImageFileError, InvalidImage
from runtime.messages import printable

if TYPE_CHECKING:
    from types import TracebackType


def prepare() -> None:
    """Make the three streams usable.

    A file opened later must not take the place of a stream that the caller has closed: what a library prints would go
    into it. Reading stdin, or writing to stdout, is then an error like any other; what goes to stderr is lost.
    """
    for descriptor, (name, mode, flags) in enumerate(
        (("stdin", "r", os.O_WRONLY), ("stdout", "w", os.O_RDONLY), ("stderr", "w", os.O_WRONLY))
    ):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, flags)  # it gets the lowest number that is free, which is this one
            setattr(sys, name, open(descriptor, mode, closefd=False, encoding="utf-8"))  # noqa: SIM115
    if isinstance(sys.stderr, io.TextIOWrapper):
        # Descriptor 2 is left to what libraries print; see `runtime.images.quiet`.
        encoding, errors = sys.stderr.encoding, sys.stderr.errors
        sys.stderr = open(os.dup(2), "w", buffering=1, encoding=encoding, errors=errors)  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names that are no text, or not of this encoding


class _Stdout:
    """Stdout whose errors name it, whoever writes: help and version are printed by Click.

    It is not silenced after an error: Click also tries what a stream takes, and passes over what that raises.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with _naming_stdout(silenced=False):
            return self._stream.write(text)

    def flush(self) -> None:
        with _naming_stdout(silenced=False):
            self._stream.flush()


@contextmanager
def named_stdout() -> Iterator[None]:
    """Let all errors of stdout be an `ImageFileError` that names it, but that of a pipe whose reader has gone."""
    plain = sys.stdout
    sys.stdout = _Stdout(plain)
    try:
        yield
    finally:
        sys.stdout = plain


@contextmanager
def _naming_stdout(*, silenced: bool = True) -> Iterator[None]:
    """Raise an error of stdout as an `ImageFileError`; if it is `silenced`, what it did not take is not tried again."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        if silenced:
            _silence(1)
        if isinstance(error, ImageFileError):
            raise
        raise _unwritable(error) from error


def flush() -> None:
    """Flush stdout at the end.

    Raises
    ------
    ImageFileError
        If that fails.
    """
    try:
        with _naming_stdout():
            sys.stdout.flush()
    except BrokenPipeError as error:
        _silence(1)
        raise _unwritable(error) from error


def say(text: str) -> None:
    """Print a line on stderr; where that is not possible, nobody can be told."""
    try:
        click.echo(printable(text), err=True)
    except (OSError, ValueError):
        _silence_stderr()


def show(error: click.ClickException) -> None:
    """Print an error of usage on stderr, as `say` does."""
    try:
        error.show()
    except (OSError, ValueError):
        _silence_stderr()


class SaidWarnings:
    """Prints each warning as one line on stderr, once, with the name of what it is about; those of all threads.

    As a context manager it keeps them, and prints at the end what has not been printed before.

    Parameters
    ----------
    subject
        What warnings are about unless `about` says otherwise in the thread that warns.
    """

    def __init__(self, subject: str = "") -> None:
        self._subject, self._here = subject, threading.local()
        self._texts: dict[str, dict[str, None]] = {}
        self._caught = warnings.catch_warnings()

    def __enter__(self) -> SaidWarnings:
        self._caught.__enter__()
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = self._keep
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._caught.__exit__(kind, error, trace)
        for subject in list(self._texts):
            self.say(subject)

    @contextmanager
    def about(self, subject: str) -> Iterator[None]:
        """Keep the warnings of this thread as such about something, as long as the ``with`` block lasts."""
        self._here.subject = subject
        try:
            yield
        finally:
            del self._here.subject

    def say(self, subject: str) -> None:
        """Print each warning about something as one line on stderr, once, with its name."""
        for text in self._texts.pop(subject, {}):
            say(f"deblur: {text if text.startswith(subject) else f'{subject}: {text}'}")

    def _keep(self, message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
        if issubclass(category, UserWarning | RuntimeWarning):
            subject = getattr(self._here, "subject", self._subject)
            self._texts.setdefault(subject, {})[str(message)] = None


def tell(text: str) -> None:
    """Print lines on stdout.

    Raises
    ------
    BrokenPipeError
        If the reader of a pipe has gone.
    ImageFileError
        If they cannot be written.
    """
    with _naming_stdout():
        click.echo(text)


def write_photograph(data: bytes) -> None:
    """Write an encoded photograph to stdout; errors as in `tell`."""
    with _naming_stdout():
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def read_photograph() -> tuple[bytes, list[os.stat_result]]:
    """Read stdin; return its content, and the status of the file that it comes from, if there is one.

    Of what is no photograph only the beginning is read and returned, since it may be without end.

    Raises
    ------
    ImageFileError
        If it cannot be read.
    InvalidImage
        If it is empty.
    """
    from runtime.images.codecs import LONGEST_MAGIC, recognise

    try:
        data = sys.stdin.buffer.read(LONGEST_MAGIC)
        if recognise(data) is not None:
            data += sys.stdin.buffer.read()
    except (OSError, ValueError) as error:
        remedy = "redirect a photograph to it, or name a file"
        raise ImageFileError(f"stdin cannot be read ({_reason(error)}): {remedy}") from error
    if not data:
        raise InvalidImage("stdin is empty: redirect a photograph to it, or name a file")
    with suppress(OSError, ValueError):
        status = os.fstat(sys.stdin.fileno())
        if stat.S_ISREG(status.st_mode):
            return data, [status]
    return data, []


def check_photograph_goes_to_stdout() -> None:
    """Raise an error, before the work, if stdout takes no photograph.

    Raises
    ------
    click.UsageError
        If it is a terminal.
    ImageFileError
        If it is closed.
    """
    if sys.stdout.isatty():
        raise click.UsageError("stdout is a terminal: redirect it, or name an output file.")
    check_stdout()


def check_stdout() -> None:
    """Raise `ImageFileError`, before the work, if stdout is closed."""
    try:
        os.write(1, b"")
    except OSError as error:
        raise _unwritable(error) from error


def is_stdout(path: str) -> bool:
    """Return whether stdout is redirected to a file."""
    with suppress(OSError, ValueError):
        return os.path.samestat(os.fstat(1), os.stat(path))
    return False


def _unwritable(error: OSError) -> ImageFileError:
    remedy = "redirect it to a file on a disk with free space, or name an output file"
    return ImageFileError(f"stdout cannot be written ({_reason(error)}): {remedy}")


def _silence_stderr() -> None:
    with suppress(OSError, ValueError):
        _silence(sys.stderr.fileno())


def _silence(descriptor: int) -> None:
    """Let what could not be written go nowhere, instead of being tried again when the process ends."""
    with suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, descriptor)
        os.close(nowhere)


def _reason(error: OSError | ValueError) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)
