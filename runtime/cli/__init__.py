"""The command line, ``deblur``.

* ``deblur image`` (`image`): restore photographs from files, folders or stdin. `motion` draws motion fields.
* ``deblur burst`` (`burst`): restore one photograph from several frames.
* ``deblur demo`` (`demo`): blur a sample photograph, restore it and report the gain.
* ``deblur serve`` (`serving.serve`): restore photographs over HTTP.
* ``deblur ray`` (`serving.ray`): restore many photographs on the machines of a Ray cluster.
* ``deblur triton`` (`serving.triton`): write a model repository for NVIDIA's Triton Inference Server.
* ``deblur pack`` (`pack`): make a model of anybody's network from patches to patches.
* ``deblur models`` (`info`): list the installed models.
* ``deblur doctor`` (`info`): report what works, and why the rest does not.
* ``deblur warmup`` (`warmup`): compile and load beforehand what the first restorations would wait for.

`options` holds the options and the progress line that these commands share, `paths` the rules for their inputs and
outputs, `jobs` what becomes of which photograph, `streams` stdin, stdout and stderr, `entry` what becomes of errors.

This module imports little and the rest when `main` is called, after which an interruption leaves no traceback.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_SIGNALS = {"SIGINT": "interrupted", "SIGTERM": "terminated", "SIGHUP": "terminated"}
"""The signals that end the command, as far as the system has them, and what is said."""


def main() -> None:
    """Run ``deblur``.

    It exits with 0 on success, 1 after a failure, 2 after incorrect usage, and 128 more than its number after a signal:
    130 after Ctrl-C.
    """
    with _ended_by_signals():
        from runtime.cli.entry import run

        status = run()
    if status:
        sys.exit(status)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """End at once after a signal of `_SIGNALS`, unless the caller ignores it, as ``nohup`` does.

    An exception raised in a handler could be lost: some modules, while they are imported, and all callbacks swallow it.
    """
    replaced = {}
    for name in _SIGNALS:
        number = getattr(signal, name, None)
        with suppress(ValueError):  # this is not the main thread, which alone gets signals
            if number is not None and signal.getsignal(number) != signal.SIG_IGN:
                replaced[number] = signal.signal(number, _end)
    try:
        yield
    finally:
        for number, handler in replaced.items():
            signal.signal(number, handler)


def _end(number: int, _: FrameType | None) -> None:
    """Remove what is being written, say one line, and end."""
    atomic = sys.modules.get("runtime.images.atomic")
    with suppress(AttributeError):  # it is not imported, or not yet whole
        atomic.discard_unfinished()  # type: ignore[union-attr]
    with suppress(OSError, ValueError, AttributeError):
        descriptor = sys.stderr.fileno()
        clear = "\r\x1b[K" if os.isatty(descriptor) else ""
        os.write(descriptor, f"{clear}deblur: {_SIGNALS[signal.Signals(number).name]}\n".encode())
    os._exit(128 + number)
