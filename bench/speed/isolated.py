"""Run one measurement in a process of its own, to learn what memory it takes."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import click


def run_isolated(
    function: str, arguments: Mapping[str, Any], environment: Mapping[str, str] | None = None
) -> tuple[Any, int]:
    """Call a function in a fresh Python process.

    Parameters
    ----------
    function
        ``"module:name"``. It takes and returns what JSON can carry; what it prints goes to stderr.
    arguments
        Its keyword arguments.
    environment
        Environment variables to add or replace.

    Returns
    -------
    result
        What the function returned.
    peak
        Largest resident memory of that process in bytes, the interpreter and all libraries included.

    Raises
    ------
    click.ClickException
        If the process fails; what it said is on stderr.
    """
    command = [sys.executable, "-m", "bench.speed.isolated", function]
    done = subprocess.run(
        command,
        input=json.dumps(dict(arguments)),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        env={**os.environ, **(environment or {})},
    )
    if done.returncode:
        raise click.ClickException(f"{function} failed with exit status {done.returncode}; its own message is above")
    answer = json.loads(done.stdout)
    return answer["result"], answer["peak"]


def peak_resident() -> int:
    """Return the largest resident memory of this process so far, in bytes.

    Linux counts into ``ru_maxrss`` also what the process that started this one held; its ``VmHWM`` is our own.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _main() -> None:
    from contextlib import redirect_stdout

    from runtime.errors import DeblurError

    module, name = sys.argv[1].split(":")
    try:
        with redirect_stdout(sys.stderr):
            result = getattr(import_module(module), name)(**json.load(sys.stdin))
    except DeblurError as error:
        sys.exit(f"Error: {error}")
    json.dump({"result": result, "peak": peak_resident()}, sys.stdout)


if __name__ == "__main__":
    _main()
