"""Run a measurement in its own process, to measure its peak memory."""

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
        ``"module:name"``. Arguments and result must be JSON values; its output goes to stderr.
    arguments
        Keyword arguments of the function.
    environment
        Environment variables to add or replace.

    Returns
    -------
    result
        The return value.
    peak
        Peak resident memory of the process in bytes, including the interpreter and all libraries.

    Raises
    ------
    click.ClickException
        If the process fails; its own message is on stderr.
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
    """Return the peak resident memory of this process so far, in bytes.

    On Linux ``ru_maxrss`` also counts the memory of the parent before ``exec``; ``VmHWM`` does not.
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
