"""The command ``deblur`` in a process of its own, under what a shell can do to it, and the rule for how it ends."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.fuzz.case import Broken
from runtime.errors import DeblurError, ImageFileError, InvalidImage
from runtime.images import read_file

_COMMAND = (sys.executable, "-m", "runtime.cli")
_ROOT = Path(__file__).parents[2]
_LONGEST = 45.0
"""Seconds that a command may take."""
_GOOD, _FAILED, _MISUSED, _INTERRUPTED = 0, 1, 2, 130
_FORBIDDEN = ("Traceback", "Exception ignored", "Segmentation", "terminate called", "Aborted")
"""Words that a person must not be shown."""


class CommandFailed(DeblurError):
    """A command ended with a status of its own and a line that says why."""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    command: str
    status: int
    stdout: bytes
    stderr: str

    def check(self, allowed: Iterable[int] = (_GOOD, _FAILED, _MISUSED), *, speaks: bool = True) -> None:
        """Raise `Broken` unless the command ended as promised, and `CommandFailed` if it failed as promised.

        Parameters
        ----------
        allowed
            Statuses that may be.
        speaks
            Whether what is written to stderr arrives, so that a failure has to be explained there.
        """
        for word in _FORBIDDEN:
            if word in self.stderr:
                raise Broken(f"{self.command}: {word!r} on stderr: {self.stderr.strip().splitlines()[-1][:200]}")
        if self.status not in allowed:
            raise Broken(f"{self.command}: exit status {self.status}: {self.stderr.strip()[-200:]}")
        if self.status != _GOOD:
            lines = [line for line in self.stderr.replace("\r", "\n").splitlines() if line.strip()]
            if speaks and not lines:
                raise Broken(f"{self.command}: exit status {self.status} without a word")
            raise CommandFailed(lines[-1][:300] if lines else "not to be heard")


def start(arguments: Sequence[str], shell: str = "") -> subprocess.Popen[bytes]:
    """Start ``deblur`` with arguments.

    Parameters
    ----------
    arguments
        Of ``deblur``.
    shell
        Redirections and limits in the language of ``sh``, around ``"$@"``, the command; nothing for the plain command.
    """
    command = [*_COMMAND, *arguments]
    return subprocess.Popen(
        ["sh", "-c", shell, "sh", *command] if shell else command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=_ROOT,
    )


def finish(process: subprocess.Popen[bytes], seconds: float = _LONGEST) -> Ended:
    """Wait until a command ends; `Broken` if it does not."""
    assert isinstance(process.args, list)
    command = " ".join(str(part)[-40:] for part in process.args if part not in ("sh", "-c", *_COMMAND))
    try:
        stdout, stderr = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired as error:
        process.kill()
        process.communicate()
        raise Broken(f"{command}: no end after {seconds:.0f} s") from error
    return Ended(command, process.returncode, stdout, stderr.decode(errors="replace"))


def run(arguments: Sequence[str], shell: str = "") -> Ended:
    """Run ``deblur`` to its end; see `start`."""
    return finish(start(arguments, shell))


def check_folder(folder: Path) -> None:
    """Raise `Broken` if a folder holds a picture that is not whole, or an unfinished file."""
    for file in sorted(folder.rglob("*")):
        if file.name.endswith(".part"):
            raise Broken(f"{file.name} is left behind")
        if file.suffix in (".png", ".jpg"):
            try:
                read_file(file)
            except (ImageFileError, InvalidImage) as error:
                raise Broken(f"{file.name} is not whole") from error
