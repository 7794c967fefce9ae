"""``python -m bench ray``: a batch over a Ray cluster that loses a worker and a machine while it works."""

from __future__ import annotations

import logging
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from importlib import resources
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt

from bench.options import QUALITIES, output_file
from bench.report import Column, Report, Table
from runtime.images import decode, read_file, write_file
from runtime.serve.batch.cluster import Workers
from runtime.serve.batch.jobs import STATUSES, Job, Ledger, plan_batch
from runtime.serve.batch.ray import run_batch
from runtime.serve.cores import confine_to_cores

_SEED = 20
_MODEL = "chakrabarti"
"""On the cluster as in the library that its results are compared with."""
_BLURS = (3, 5, 7, 9)
"""Lengths in pixels of the horizontal and vertical motions of the photographs."""
_WAIT = 0.05
"""Seconds between two looks at the results."""
_INTO_WORK = 0.3
"""Seconds after a result in which its worker has begun the next photograph, but not yet finished it."""
_WORKER_TITLE = "ray::MapWorker"
"""Start of the name under which Ray runs a worker."""

_COLUMNS = (
    Column("photographs", "photographs"),
    Column("written", "written"),
    Column("whole", "whole"),
    Column("as the library", "equal"),
    Column("failed", "failed"),
    Column("lost once or more", "lost"),
    Column("workers killed", "workers_killed"),
    Column("machines killed", "machines_killed"),
    Column("seconds", "seconds", ".0f"),
)


@click.command("ray")
@click.option("--photographs", type=click.IntRange(min=4), default=200, show_default=True, help="How many.")
@click.option("--side", type=click.IntRange(min=65), default=80, show_default=True, help="Their sides in pixels.")
@click.option("--quality", type=click.Choice(QUALITIES), default="fast", show_default=True, help="Quality level.")
@click.option("--json", callback=output_file, help="Write the report as JSON.")
def ray_batch(photographs: int, side: int, quality: str, json: Path | None) -> None:
    """Restore photographs on a Ray cluster of two machines, of which one is killed, as is a worker.

    The machines are simulated on this one, with one core each. A worker is killed when a quarter of the results are
    there, a machine when half are. Each result is compared bit by bit with that of the library on one core.
    """
    settings = {"photographs": photographs, "side": side, "quality": quality, "model": _MODEL}
    report = Report("ray", settings)
    with tempfile.TemporaryDirectory(prefix="bench-ray-") as folder:
        row = measure(Path(folder), photographs, side, quality)
    report.tables["ray"] = Table("Batch over Ray with a killed worker and a killed machine", _COLUMNS, [row])
    click.echo(report.text())
    if json:
        report.write_json(json)


def measure(folder: Path, photographs: int, side: int, quality: str) -> dict[str, Any]:
    """Run the batch in a folder; return the row of the report."""
    source, target = folder / "in", folder / "out"
    make_photographs(source, photographs, side)
    jobs = plan_batch([str(source)], str(target))
    options = {"quality": quality, "strength": 1.0}
    killed: dict[str, int] = {"workers": 0, "machines": 0}
    start = time.perf_counter()
    with cluster_of(2, folder / "home") as remove_machine:
        threading.Thread(
            target=_kill, args=(target, photographs, remove_machine, killed), name="killer", daemon=True
        ).start()
        ledger = run_batch(jobs, {"model": _MODEL}, options, workers=Workers(device="cpu"))
    seconds = time.perf_counter() - start
    return _row(jobs, ledger, options) | {
        "workers_killed": killed["workers"],
        "machines_killed": killed["machines"],
        "seconds": seconds,
    }


def make_photographs(folder: Path, count: int, side: int) -> None:
    """Write blurred crops, ``(side, side, 3)``, of the sample photograph as PNG."""
    folder.mkdir(parents=True)
    sample, _ = decode(resources.files("runtime").joinpath("samples", "astronaut.jpg").read_bytes())
    rng = np.random.default_rng(_SEED)
    for number in range(count):
        row, col = (int(rng.integers(0, extent - side)) for extent in sample.shape[:2])
        crop = sample[row : row + side, col : col + side].astype(np.float32)
        length, axis = int(rng.choice(_BLURS)), int(rng.integers(2))
        shifted = [np.roll(crop, shift - length // 2, axis=axis) for shift in range(length)]
        write_file(folder / f"{number:04}.png", np.rint(np.mean(shifted, axis=0)).astype(np.uint8))


@contextmanager
def cluster_of(machines: int, home: Path) -> Iterator[Callable[[], None]]:
    """Run a cluster of machines with one core each, simulated on this one; give what kills one of them.

    The driver is on another one, without cores. What Ray keeps in the home of the user goes to `home`.
    """
    home.mkdir(exist_ok=True)
    ours = {
        "HOME": str(home),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")])),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    before = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        # First, since the driver joins any machine that is there, and it is not to be on one that is killed.
        ray.init(address=cluster.address, log_to_driver=False, logging_level=logging.CRITICAL)
        nodes = [cluster.add_node(num_cpus=1) for _ in range(machines)]
        cluster.wait_for_nodes()
        yield lambda: cluster.remove_node(nodes.pop(), allow_graceful=False)
    finally:
        ray.shutdown()
        cluster.shutdown()
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def kill_worker() -> bool:
    """Kill one worker among the processes that this one has started; return whether there was one."""
    parents, titles = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
                titles[int(entry.name)] = (entry / "cmdline").read_text(errors="replace")
            except OSError:  # it has ended meanwhile
                continue
    for process in sorted(process for process, title in titles.items() if title.startswith(_WORKER_TITLE)):
        ancestor = process
        while ancestor in parents and ancestor != os.getpid():
            ancestor = parents[ancestor]
        if ancestor == os.getpid():
            os.kill(process, signal.SIGKILL)
            return True
    return False


def wait_for_results(folder: Path, count: int, end: Callable[[], bool]) -> None:
    """Wait until a folder holds so many results, or until the end, and until the next photograph is in work."""
    while not end() and len([*folder.glob("*.png")]) < count:
        time.sleep(_WAIT)
    time.sleep(_INTO_WORK)


def _kill(folder: Path, photographs: int, remove_machine: Callable[[], None], killed: dict[str, int]) -> None:
    wait_for_results(folder, photographs // 4, lambda: False)
    killed["workers"] += kill_worker()
    wait_for_results(folder, photographs // 2, lambda: False)
    remove_machine()
    killed["machines"] += 1


def _row(jobs: list[Job], ledger: Ledger, options: dict[str, Any]) -> dict[str, Any]:
    """Return how many results are there, whole, and equal to the library's."""
    written = [job for job in jobs if Path(job.target).is_file()]
    whole, equal = 0, 0
    spawn = get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=spawn, initializer=confine_to_cores, initargs=(1,)) as library:
        expected = library.map(_restored, [job.source for job in written], [options] * len(written))
        for job, pixels in zip(written, expected, strict=True):
            result = read_file(job.target)[0]
            whole += result.shape == pixels.shape
            equal += np.array_equal(result, pixels)
    counts = ledger.counts()
    return {
        "photographs": len(jobs),
        "accounted": sum(counts[status] for status in STATUSES),
        "written": len(written),
        "whole": whole,
        "equal": equal,
        **counts,
    }


def _restored(path: str, options: dict[str, Any]) -> npt.NDArray[Any]:
    """Restore a photograph by the library, in a process that is confined to one core."""
    global _deblurrer
    if _deblurrer is None:
        from runtime.deblurrer import Deblurrer

        _deblurrer = Deblurrer(model=_MODEL, device="cpu")
    return np.asarray(_deblurrer.restore(read_file(path)[0], **options).image)


_deblurrer: Any = None
