"""The service as a process of its own: started, watched, its workers killed, and ended."""

from __future__ import annotations

import http.client
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runtime.errors import DeblurError

_START = 180.0
"""Seconds in which a service must be ready; the first start after an installation compiles."""
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Running:
    """A service that runs.

    Attributes
    ----------
    host, port
        Where it listens.
    """

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log
        self._asked = False
        self.host, self.port = "", 0

    def wait_until_ready(self) -> None:
        """Wait until it says so."""
        end = time.monotonic() + _START
        while time.monotonic() < end and self._process.poll() is None:
            if found := re.search(r"ready on http://([\d.]+):(\d+)", self._log.read_text()):
                self.host, self.port = found[1], int(found[2])
                return
            time.sleep(0.05)
        raise DeblurError(f"the service did not start: {self._log.read_text()[-500:]}")

    def workers(self) -> list[int]:
        """Return the ids of its worker processes."""
        children = Path(f"/proc/{self._process.pid}/task").glob("*/children")
        return [int(number) for file in children for number in file.read_text().split()]

    def kill_worker(self) -> bool:
        """Kill a worker; return False if there is none at the moment."""
        workers = self.workers()
        if workers:
            os.kill(workers[0], signal.SIGKILL)
        return bool(workers)

    def is_full(self, length: int) -> bool:
        """Return whether so many requests wait in its queue."""
        return self.metric("deblur_queue_length") >= length

    def metric(self, name: str) -> float:
        """Return a number that ``/metrics`` tells, the sum over its labels; 0 if it tells none of this name."""
        _, text = self._get("/metrics")
        return sum(map(float, re.findall(rf"^{name}(?:{{.*}})? (\S+)", text, re.MULTILINE)))

    def refuses(self) -> bool:
        """Return whether it takes no requests, or does not listen any more."""
        try:
            return self._get("/readyz")[0] != 200
        except (OSError, http.client.HTTPException):
            return True

    def memory(self) -> int:
        """Return the resident bytes of the service itself."""
        return resident(self._process.pid)

    def ask_to_end(self) -> None:
        """Ask it to end, by SIGTERM."""
        self._process.send_signal(signal.SIGTERM)
        self._asked = True

    def end(self) -> int:
        """Ask it to end, unless it has been asked; return its exit status."""
        if not self._asked:  # a second signal would end it at once
            self.ask_to_end()
        return self._process.wait(_START)

    def _get(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=_START)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()


def resident(process: int) -> int:
    """Return the resident bytes of a process, 0 if it has ended."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


@contextmanager
def running(*options: str, addresses: int | None = None, home: Path | None = None) -> Iterator[Running]:
    """Run ``deblur serve`` with options until the ``with`` block ends.

    Parameters
    ----------
    options
        Of the command.
    addresses
        Bytes of addresses that the service and each worker may have; None for as many as there are.
    home
        Folder that takes what it keeps in the home of the user, and temporary files; None for those of the user.
    """
    environment = dict(os.environ)
    if home is not None:
        # The packages that the user has installed at home are still found.
        paths = os.pathsep.join(filter(None, sys.path))
        environment |= {"HOME": str(home), "TMPDIR": str(home), "PYTHONPATH": paths}
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        command = [sys.executable, "-m", "runtime.cli", "serve", "--port", "0", *options]
        with log.open("wb") as stream:
            process = subprocess.Popen(command, stdout=stream, stderr=stream, env=environment)
        if addresses is not None:
            resource.prlimit(process.pid, resource.RLIMIT_AS, (addresses, addresses))
        service = Running(process, log)
        try:
            service.wait_until_ready()
            yield service
        finally:
            process.kill()
            process.wait()
