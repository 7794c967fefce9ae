"""``python -m bench serve``: the service under load and faults, and its throughput beside that of the library."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from bench.options import publish, report_options
from bench.report import Column, Report, Table
from bench.serve.cases import Case, bad_cases, good_cases, photographs
from bench.serve.faults import measure_faults
from bench.serve.load import PATIENCE, Load, send
from bench.serve.running import Running, resident, running
from runtime.deblurrer import Deblurrer
from runtime.images import Header, encode
from runtime.options import Task

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SIDE = 66
"""Shorter side of the photographs of the load; blind estimation needs 65 pixels."""
_GOOD = 25
"""Different photographs of the load."""
_BAD_EVERY = 3
"""One request of so many is bad."""
_KILLED = 0.8
"""Share of the load in which workers are killed; the memory of the last worker is measured in the rest."""
_WARM = 0.05
"""Share of the load that memory is not measured in, in the beginning."""
_LOOK = 0.5
"""Seconds between two measurements of the memory."""
_QUEUE, _FILLERS, _PROBES = 2, 8, 200
"""Length of a queue, clients that keep it full with slow requests, and others that the service is to refuse then."""
_LIMITS = ("--limit-megabytes", "1", "--limit-megapixels", "20")
_PARTS = ("load", "saturation", "throughput", "faults")
_THROUGHPUT = {"quality": "fast", "refine": False}


@click.command()
@click.option(
    "--requests", type=click.IntRange(min=20), default=10_000, show_default=True, help="Requests of the load."
)
@click.option("--clients", type=click.IntRange(min=1), default=16, show_default=True, help="Clients at a time.")
@click.option("--kills", type=click.IntRange(min=0), default=10, show_default=True, help="Workers to kill.")
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Workers of the service.")
@click.option(
    "--photographs", "count", type=click.IntRange(min=4), default=120, show_default=True,
    help="Photographs for the comparison with restore_many.",
)  # fmt: skip
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True, help="Repeats of that comparison.")
@click.option(
    "--faulty", type=click.IntRange(min=1), default=12, show_default=True, help="Requests with each fault, at a time."
)
@click.option("--only", type=click.Choice(_PARTS), help="One part alone.  [default: all]")
@report_options()
def serve(
    requests: int,
    clients: int,
    kills: int,
    workers: int,
    count: int,
    rounds: int,
    faulty: int,
    only: str | None,
    json: Path | None,
    plot: Path | None,
) -> None:
    """Load a service with good and bad requests while its workers are killed, fill it, time it, and spoil requests."""
    if plot and only not in (None, "throughput"):
        raise click.UsageError("the plot shows the throughput: leave out --plot or --only")
    load = {"requests": requests, "clients": clients, "kills": kills, "workers": workers, "side_px": _SIDE}
    throughput = {"photographs": count, "rounds": rounds, "clients": clients, "workers": workers}
    used = {"load": load, "saturation": {}, "throughput": throughput, "faults": {"faulty": faulty}}
    names = [only] if only else _PARTS
    report = Report("serve", {key: value for name in names for key, value in used[name].items()})
    deblurrer = Deblurrer(device="cpu")
    parts: dict[str, Callable[[], Table]] = {
        "load": lambda: _load(deblurrer, requests, clients, kills, workers),
        "saturation": _saturation,
        "throughput": lambda: _throughput(deblurrer, count, clients, rounds, workers),
        "faults": lambda: measure_faults(deblurrer, faulty),
    }
    for name in names:
        report.tables[name] = parts[name]()
    publish(report, json, plot, draw, (7, 4))


def _load(deblurrer: Deblurrer, requests: int, clients: int, kills: int, workers: int) -> Table:
    good, bad = good_cases(deblurrer, _GOOD, _SIDE), bad_cases(_SIDE)
    cases = [
        bad[number // _BAD_EVERY % len(bad)] if number % _BAD_EVERY == 0 else good[number % len(good)]
        for number in range(_BAD_EVERY * len(bad) * len(good))
    ]
    with running("--device", "cpu", "--workers", str(workers), "--queue", "64", *_LIMITS) as service:
        watch = _Watch(service, [round(requests * _KILLED * (index + 1) / (kills or 1)) for index in range(kills)])
        load = send(service.host, service.port, cases, requests, clients, watch.note)
        watch.end()
        status = service.end()
    return Table(
        "Load with faults",
        (
            Column("requests", "requests"),
            Column("answered once", "answered_once"),
            Column("wrong", "wrong"),
            Column("lost", "lost"),
            Column("broken off", "broken_off"),
            Column("kills", "kills"),
            Column("p50, ms", "p50", ".0f", 1e3),
            Column("p99, ms", "p99", ".0f", 1e3),
            Column("a second", "rate", ".1f"),
            Column("service, MB per 1000", "service_slope", ".3f", 1e-6),
            Column("worker, MB per 1000", "worker_slope", ".3f", 1e-6),
            Column("exit status", "exit_status"),
        ),
        [{**_fates(load), **watch.summary(requests), "exit_status": status}],
        ("Good answers are compared with the library's bit by bit. Memory: slope of the resident bytes.",),
    )


def _fates(load: Load) -> dict[str, Any]:
    """Return how many requests had which fate, and the times of those that were restored."""
    restored = [fate.seconds for fate in load.fates if fate.status == 200]
    statuses: dict[str, int] = {}
    for fate in load.fates:
        key = str(fate.status)
        statuses[key] = statuses.get(key, 0) + 1
    return {
        "requests": len(load.fates),
        "answered_once": sum(fate.answers for fate in load.fates),
        "wrong": sum(not fate.right for fate in load.fates if fate.status > 0),
        "lost": sum(fate.status < 0 for fate in load.fates),
        "broken_off": sum(fate.status == 0 for fate in load.fates),
        "statuses": statuses,
        "p50": float(np.percentile(restored, 50)),
        "p99": float(np.percentile(restored, 99)),
        "longest": max(restored),
        "seconds": load.seconds,
        "rate": len(load.fates) / load.seconds,
    }


class _Watch:
    """Kills workers when so many requests have ended, and measures memory meanwhile."""

    def __init__(self, service: Running, kills: list[int]) -> None:
        self._service, self._due = service, kills
        self._lock = threading.Lock()
        self._owed = self._killed = self._done = 0
        self._samples: list[tuple[int, int, tuple[int, ...], int]] = []
        self._ended = False
        self._call = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def note(self, done: int) -> None:
        """Take note of the number of requests that have ended."""
        with self._lock:
            self._done = max(self._done, done)
            while self._due and self._due[0] <= done:
                self._due.pop(0)
                self._owed += 1
                self._call.set()  # the rest of a short load may be over before the next look

    def end(self) -> None:
        """Stop watching."""
        self._ended = True
        self._call.set()
        self._thread.join()

    def summary(self, requests: int) -> dict[str, Any]:
        """Return the number of kills, and by how many bytes memory grows with 1000 requests."""
        steady = [sample for sample in self._samples if sample[0] >= requests * _WARM]
        last = steady[-1][2] if steady else ()
        alone = [sample for sample in steady if sample[2] == last]
        later = [sample for sample in alone if sample[0] >= alone[0][0] + (requests - alone[0][0]) / 3]
        return {
            "kills": self._killed,
            "service_slope": _slope([(done, memory) for done, memory, _, _ in steady]),
            "worker_slope": _slope([(done, memory) for done, _, _, memory in later]),
            "service_bytes": steady[-1][1] if steady else None,
            "workers_bytes": steady[-1][3] if steady else None,
        }

    def _look(self) -> None:
        while True:
            self._call.wait(_LOOK)
            self._call.clear()
            if self._ended:
                return
            if self._owed and self._service.kill_worker():
                with self._lock:
                    self._owed, self._killed = self._owed - 1, self._killed + 1
            workers = tuple(self._service.workers())
            memory = sum(map(resident, workers))
            self._samples.append((self._done, self._service.memory(), workers, memory))


def _slope(samples: list[tuple[int, int]]) -> float | None:
    """Return by how much a quantity grows with 1000 requests, by least squares."""
    if len({done for done, _ in samples}) < 3:
        return None
    done, values = np.array(samples, float).T
    return float(np.polyfit(done / 1000, values, 1)[0])


def _saturation() -> Table:
    """Fill a short queue with slow requests, and time the refusal of others, each over a new connection."""
    (pixels,) = photographs(1, 200)
    body = encode(pixels, Header("PNG"))
    slow, probe = Case("slow", "quality=fast", body, 200), Case("probe", "quality=fast", body, 503)
    refused: list[float] = []
    ended = threading.Event()
    with running("--device", "cpu", "--queue", str(_QUEUE)) as service:

        def fill() -> None:
            """Send slow requests one after another, so that each place that an answer leaves is taken again."""
            while not ended.is_set():
                if send(service.host, service.port, [slow], 1, 1).fates[0].status == 503:
                    ended.wait(0.05)  # the others keep it full; what is timed is not to wait for this one

        fillers = [threading.Thread(target=fill) for _ in range(_FILLERS)]
        for filler in fillers:
            filler.start()
        try:
            deadline = time.monotonic() + PATIENCE
            while not service.is_full(_QUEUE) and time.monotonic() < deadline:
                time.sleep(0.02)
            for _ in range(2 * _PROBES):  # those that come before a slow request takes a place again are answered
                fate = send(service.host, service.port, [probe], 1, 1).fates[0]
                if fate.status == 503:
                    refused.append(fate.seconds)
                if len(refused) == _PROBES:
                    break
        finally:
            ended.set()
            for filler in fillers:
                filler.join()
    row = {
        "refused": len(refused),
        "p50": float(np.percentile(refused, 50)) if refused else None,
        "p99": float(np.percentile(refused, 99)) if refused else None,
        "longest": max(refused, default=None),
    }
    columns = (
        Column("refused", "refused"),
        Column("p50, ms", "p50", ".1f", 1e3),
        Column("p99, ms", "p99", ".1f", 1e3),
        Column("longest, ms", "longest", ".1f", 1e3),
    )
    return Table("Time to 503 of a full service", columns, [row])


def _throughput(deblurrer: Deblurrer, count: int, clients: int, rounds: int, workers: int) -> Table:
    """Restore the same photographs by the service and by `restore_many`, in turn."""
    bodies = [encode(pixels, Header("PNG")) for pixels in photographs(count, 96)]
    query = "quality=fast&refine=false"
    cases = [Case("photograph", query, body, 200) for body in bodies]
    times: dict[str, list[float]] = {"service": [], "restore_many": []}
    with running("--device", "cpu", "--workers", str(workers)) as service:
        for number in range(rounds + 1):
            load = send(service.host, service.port, cases, count, clients)
            began = time.perf_counter()
            for _ in deblurrer.restore_many(Task(body, _THROUGHPUT) for body in bodies):
                pass
            seconds = time.perf_counter() - began
            if number:  # the first round warms up
                times["service"].append(load.seconds)
                times["restore_many"].append(seconds)
    rows = [
        {"by": by, "rate": {"median": statistics.median(rates), "min": min(rates), "max": max(rates)}}
        for by, seconds in times.items()
        for rates in [[count / each for each in seconds]]
    ]
    columns = (Column("by", "by"), Column("photographs a second", "rate", ".2f"))
    return Table("Throughput, 96 px, PNG in and out", columns, rows, ("Median (min-max) of the rounds, in turn.",))


def draw(report: Report, figure: Figure) -> None:
    """Draw the throughput."""
    rows = report.tables["throughput"].rows
    axes = figure.add_subplot()
    axes.bar([row["by"] for row in rows], [row["rate"]["median"] for row in rows])
    axes.set_ylabel("photographs a second")
