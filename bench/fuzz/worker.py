"""The process in which cases run: reads numbers of cases, answers with their outcomes, one JSON value a line.

Everything that a case prints, from C too, is caught: a library has to be silent.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import resource
import shutil
import signal
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from bench.fuzz.case import FAILED, Family, Outcome, generator, judge
from bench.speed.isolated import peak_resident

_ADDRESS_SPACE = 6 << 30
"""Bytes that a case may reserve beyond those of the process before it, so that no bomb takes the machine down."""


def run_case(family: Family, seed: int, number: int, keep: Path | None = None) -> Outcome:
    """Run one case in this process, in a folder of its own.

    Parameters
    ----------
    family, seed, number
        Which case.
    keep
        Folder into which the files of the case are copied before it runs.
    """
    with tempfile.TemporaryDirectory(prefix="deblur-fuzz-", ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch)
        case = family.make(generator(family.name, seed, number), folder)
        if keep is not None:
            shutil.copytree(folder, keep / f"{family.name}-{seed}-{number}", symlinks=True, dirs_exist_ok=True)
        start = _forget_peak()
        outcome = judge(case, folder)
        grown = peak_resident() - start
    if outcome.kind != FAILED and start and grown > family.memory:
        return replace(outcome, kind=FAILED, what=f"{grown >> 20} MiB taken, more than {family.memory >> 20}")
    return outcome


def _forget_peak() -> int:
    """Restart the measurement of the peak, and return the memory in use; 0 where the system cannot."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return 0
    return peak_resident()


class _Catcher:
    """Sends what is written to the descriptors of stdout and stderr to a file, and says what that was."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 (open as long as the process)
        for descriptor in (1, 2):
            os.dup2(self._file.fileno(), descriptor)

    def text(self) -> str:
        """Return what was written since the last call."""
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        self._file.seek(0)
        text = self._file.read().decode(errors="replace").strip()
        self._file.seek(0)
        self._file.truncate()
        return text


def serve(family: Family, seed: int, keep: Path | None, questions: TextIO, answers: TextIO, catcher: _Catcher) -> None:
    """Answer every number of a case with its outcome."""
    for line in questions:
        outcome = run_case(family, seed, int(line), keep)
        printed = catcher.text()
        if printed and family.silent and outcome.kind != FAILED:
            outcome = replace(outcome, kind=FAILED, what=f"printed: {' '.join(printed.split())[:200]}")
        print(json.dumps(outcome.as_row()), file=answers, flush=True)


def _main() -> None:
    from bench.fuzz.families import find_family

    family, seed = find_family(sys.argv[1]), int(sys.argv[2])
    keep = Path(sys.argv[3]) if len(sys.argv) > 3 else None
    logging.getLogger().addHandler(logging.NullHandler())
    # A shell lets what it runs in the background ignore Ctrl-C; the commands of the cases must not inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    answers = os.fdopen(os.dup(1), "w")
    try:
        family.warm_up()
    except Exception as error:
        print(json.dumps({"failed": f"{type(error).__name__}: {error}"}), file=answers, flush=True)
        raise
    catcher = _Catcher()
    with contextlib.suppress(OSError, ValueError):
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + _ADDRESS_SPACE, resource.RLIM_INFINITY))
    print(json.dumps({"ready": True}), file=answers, flush=True)
    serve(family, seed, keep, sys.stdin, answers, catcher)


if __name__ == "__main__":
    _main()
