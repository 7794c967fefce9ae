"""What decoders say by themselves about damaged files, beside the error that they raise, which says enough.

Pillow's warnings are ignored. What libpng, libtiff and OpenCV print goes to descriptor 2, which can only be turned away
for the whole process; so that is done where nobody else writes to it, because Python's stderr has a descriptor of its
own, as that of the command line has.
"""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

_STDERR = 2
_lock = threading.Lock()
_until_last = ExitStack()
"""Ends what the first of the threads that decode at the same time has begun."""
_decoding = 0


@contextmanager
def quiet() -> Iterator[None]:
    """Decode or encode without foreign words; from any number of threads."""
    global _decoding
    with _lock:
        if _decoding == 0:
            _until_last.enter_context(_without_warnings())
            if _is_for_libraries_alone():
                _until_last.enter_context(_without_stderr())
        _decoding += 1
    try:
        yield
    finally:
        with _lock:
            _decoding -= 1
            if _decoding == 0:
                _until_last.close()


def _is_for_libraries_alone() -> bool:
    try:
        return sys.stderr.fileno() != _STDERR
    except (AttributeError, OSError, ValueError):  # there is none, or it is no file
        return False


@contextmanager
def _without_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


@contextmanager
def _without_stderr() -> Iterator[None]:
    try:
        kept = os.dup(_STDERR)
    except OSError:  # closed, so nothing is to be heard
        yield
        return
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, _STDERR)
        os.close(nowhere)
        yield
    finally:
        with suppress(OSError):
            os.dup2(kept, _STDERR)
        os.close(kept)
