"""A batch on the machines of a Ray cluster, by Ray Data.

Ray Data spreads the jobs over workers, each a process that holds a model, and starts a worker anew that was killed or
whose machine was lost. What it does not do is done here. An error of a photograph is caught in the worker, since one
that comes out would end the whole batch. A block of jobs whose worker was lost is not tried again by Ray, which would
go on without end where the photograph itself kills its worker. It is left out of the results; the account of the batch
shows what is missing, and that is given out again, in blocks of one. How often depends on what a worker had begun: a
machine that has gone without a word seems to be there for half a minute, in which Ray gives it block after block.

Jobs are a list that the driver holds, and workers read the photographs: no readers compete with them for cores.
"""

from __future__ import annotations

import json
import math
import os
import queue
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from runtime.errors import DeblurError, DeviceUnavailable
from runtime.messages import describe, printable
from runtime.options import Options
from runtime.serve.batch.cluster import Workers, capacity, connected, needs, room
from runtime.serve.batch.jobs import FAILED, Job, Ledger, Outcome, restore_jobs
from runtime.serve.cores import confine_to_cores

if TYPE_CHECKING:
    from ray.data import Dataset

    from runtime.deblurrer import Deblurrer

_MOST_JOBS_IN_BLOCK = 16
"""What is lost with a worker is at most one block."""
_BLOCKS_PER_WORKER = 8
"""At least so many blocks for each worker in the first pass, so that none waits long for the last ones."""
_PATIENCE = 60.0
"""Seconds for which a cluster may have no place for any worker, or begin nothing, after which the batch ends."""
_GLANCE = 1.0
"""Seconds between two looks at the cluster while nothing is reported."""
_COLUMNS = ("number", "source", "target", "existed")
"""Of a block of jobs: the places are bytes, since Arrow takes no text that is not UTF-8, as names of files may be."""
_END = 10.0
"""Seconds that the thread which receives reports has to end; one that hears nothing any more is left behind."""
_UNUSABLE = "unusable"
"""Status that a worker reports that cannot load the model."""


def run_batch(
    jobs: list[Job],
    load_options: dict[str, Any],
    restore_options: dict[str, Any],
    *,
    overwrite: bool = False,
    workers: Workers | None = None,
    address: str | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Ledger:
    """Restore the photographs of a batch on a Ray cluster; return the account, in which each of them has its outcome.

    Parameters
    ----------
    jobs
        From `runtime.serve.batch.jobs.plan_batch`.
    load_options, restore_options
        Options of `runtime.Deblurrer`, but for the device, and of `runtime.Deblurrer.restore`. A model that is given by
        its path must lie there on every machine.
    overwrite
        Whether results that are there are made anew; by default they are left if they can be read.
    workers
        What the workers have; by default one core, or a GPU and one core, each.
    address
        Address of the cluster, as ``ray.init`` takes it; by default that of ``RAY_ADDRESS``, a cluster that runs on
        this machine, or a new one on this machine, which ends with the batch.
    progress
        Called as ``progress(finished, all)``.

    Raises
    ------
    MissingDependency
        If Ray is not installed.
    InvalidArgument
        If an option cannot be used.
    DeviceUnavailable
        If no machine of the cluster has room for a worker, or a worker cannot use its GPU.
    DeblurError
        If a worker cannot load the model.
    """
    Options(**{name: value for name, value in restore_options.items() if name != "strength"})
    workers = workers or Workers()
    with connected(address):
        device, count = room(workers)
        work = _Work({**load_options, "device": device}, restore_options, overwrite, workers.cores)
        ledger = Ledger(jobs)
        block = min(_MOST_JOBS_IN_BLOCK, max(1, len(jobs) // (count * _BLOCKS_PER_WORKER)))
        fruitful = time.monotonic()
        while ledger.open:
            before = len(ledger.outcomes)
            reason, begun = _run_pass(ledger, work, workers, count, block, progress)
            block = 1
            lost = begun.intersection(ledger.open)
            ledger.lost.update(lost)
            for number in lost:
                if ledger.lost[number] >= workers.attempts:
                    ledger.enter(number, Outcome(FAILED, _lost(jobs[number], ledger.lost[number])))
            if begun or len(ledger.outcomes) > before:
                fruitful = time.monotonic()
            elif time.monotonic() - fruitful > _PATIENCE:
                for number in ledger.open:
                    ledger.enter(number, Outcome(FAILED, _unreached(jobs[number], reason)))
            else:
                time.sleep(_GLANCE)
    return ledger


@dataclass(frozen=True)
class _Work:
    """What a worker has to know."""

    load_options: dict[str, Any]
    restore_options: dict[str, Any]
    overwrite: bool
    cores: int


class Begun:
    """The photographs that workers have begun in one pass; an actor, which workers tell before they begin."""

    def __init__(self) -> None:
        self._numbers: set[int] = set()

    def add(self, number: int) -> None:
        """Add the number of a photograph."""
        self._numbers.add(number)

    def numbers(self) -> set[int]:
        """Return the numbers of all."""
        return self._numbers


class Worker:
    """A process of the cluster that holds a model and restores one block of jobs after another.

    Parameters
    ----------
    work
        What it has to know.
    begin
        Called with the number of each photograph before it is begun: some are read while others are restored, so that
        several are in hand.
    """

    def __init__(self, work: _Work, begin: Callable[[int], object]) -> None:
        confine_to_cores(work.cores)
        self._work = work
        self._begin = begin
        self._deblurrer: Deblurrer | None = None
        self._fault: str | None = None
        try:
            from runtime.deblurrer import Deblurrer

            self._deblurrer = Deblurrer(**work.load_options)
            self._deblurrer.restore_many((), **work.restore_options)  # what holds for all is refused at once
        except Exception as error:  # one that came out would be answered with a new worker, without end
            self._deblurrer, self._fault = None, describe(error)

    def __call__(self, block: dict[str, Any]) -> dict[str, list[Any]]:
        """Restore the photographs of a block; return their numbers and outcomes, the latter as JSON."""
        reports = list(self._outcomes(_jobs(block)))
        return {
            "number": [number for number, _ in reports],
            "outcome": [json.dumps(asdict(outcome)) for _, outcome in reports],
        }

    def _outcomes(self, jobs: Iterable[tuple[int, Job]]) -> Iterator[tuple[int, Outcome]]:
        if self._deblurrer is not None:
            work = self._work
            yield from restore_jobs(jobs, self._deblurrer, work.restore_options, work.overwrite, self._begin)
            return
        for number, _ in jobs:
            self._begin(number)
            yield number, Outcome(_UNUSABLE, self._fault, fatal=True)


def _jobs(block: dict[str, Any]) -> Iterator[tuple[int, Job]]:
    """Yield the jobs of a block, with their numbers."""
    for number, source, target, existed in zip(*(block[name] for name in _COLUMNS), strict=True):
        yield int(number), Job(os.fsdecode(source), os.fsdecode(target), bool(existed))


def _run_pass(
    ledger: Ledger,
    work: _Work,
    workers: Workers,
    count: int,
    block: int,
    progress: Callable[[int, int], object] | None,
) -> tuple[str, set[int]]:
    """Give out all photographs that are open, once, and enter what is reported.

    Returns
    -------
    reason, begun
        Why the pass ended early, or ``""``, and the numbers of the photographs that were begun.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    # On the machine of the driver, without which there is no batch.
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    begun: Any = ray.remote(Begun).options(num_cpus=0, scheduling_strategy=here).remote()
    dataset = _dataset(ledger, work, workers, count, block, _Telling(begun))
    reports: queue.Queue[tuple[int, Outcome] | BaseException | None] = queue.Queue()
    is_over = threading.Event()

    def receive() -> None:
        try:
            for row in dataset.iter_rows():
                reports.put((int(row["number"]), Outcome(**json.loads(row["outcome"]))))
                if is_over.is_set():
                    return
            reports.put(None)
        except BaseException as error:  # handed to the thread that waits
            reports.put(error)

    others = set(threading.enumerate())
    receiver = threading.Thread(target=receive, name="batch", daemon=True)
    receiver.start()
    had_room, device = time.monotonic(), work.load_options["device"]
    try:
        while True:
            try:
                report = reports.get(timeout=_GLANCE)
            except queue.Empty:
                # Without a machine that could hold a worker, Ray would wait for ever.
                if capacity(workers, device):
                    had_room = time.monotonic()
                elif time.monotonic() - had_room > _PATIENCE:
                    raise DeviceUnavailable(
                        f"the cluster has lost every machine with room for a worker ({needs(workers, device)}): "
                        "start the batch again when there is one; what is finished will be skipped"
                    ) from None
                continue
            if report is None or isinstance(report, BaseException):
                return "" if report is None else describe(report), _numbers(begun)
            number, outcome = report
            if outcome.fatal:
                raise DeblurError(f"a worker cannot do the work: {outcome.error}")
            ledger.enter(number, outcome)
            if progress is not None:
                progress(len(ledger.outcomes), len(ledger.jobs))
    finally:
        is_over.set()
        receiver.join(_END)
        _stop_executors(others)


def _stop_executors(others: set[threading.Thread]) -> None:
    """Stop what still runs the data set, unless it is one of `others`.

    Ray Data asks the cluster in a thread of its own, for ever where no worker answers, and Ray ends the whole process
    when a thread asks it after it was shut down.
    """
    for thread in set(threading.enumerate()) - others:
        stop = getattr(thread, "shutdown", None)
        if type(thread).__name__ == "StreamingExecutor" and stop is not None:
            with suppress(Exception):  # what is lost with the cluster cannot be tidied
                stop(force=True)


def _numbers(begun: Any) -> set[int]:
    """Return what `Begun` knows; nothing if it is lost, which is held against no photograph."""
    import ray

    try:
        return set(ray.get(begun.numbers.remote()))
    except ray.exceptions.RayError:
        return set()


class _Telling:
    """Tells `Begun`, from a worker, that a photograph is begun, and waits until it knows.

    Parameters
    ----------
    begun
        The actor.
    """

    def __init__(self, begun: Any) -> None:
        self._begun = begun

    def __call__(self, number: int) -> None:
        import ray

        with suppress(ray.exceptions.RayError):  # it is lost, but the photograph can be restored all the same
            ray.get(self._begun.add.remote(number))


def _dataset(
    ledger: Ledger, work: _Work, workers: Workers, count: int, block: int, begin: Callable[[int], object]
) -> Dataset:
    """Return the data set of the outcomes of all photographs that are open."""
    import ray.data

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    # Blocks of lost workers are left out of the results, and found missing there.
    context.max_errored_blocks = -1
    numbers = ledger.open
    rows = [
        {
            "number": number,
            "source": os.fsencode(ledger.jobs[number].source),
            "target": os.fsencode(ledger.jobs[number].target),
            "existed": ledger.jobs[number].existed,
        }
        for number in numbers
    ]
    blocks = math.ceil(len(rows) / block)
    with warnings.catch_warnings():
        # Ray will have other names for what it does with a lost worker; the versions allowed have these.
        warnings.simplefilter("ignore", DeprecationWarning)
        return ray.data.from_items(rows, override_num_blocks=blocks).map_batches(
            Worker,
            batch_size=None,
            fn_constructor_args=(work, begin),
            num_cpus=workers.cores,
            num_gpus=1 if work.load_options["device"] == "cuda" else 0,
            # Ray sets OMP_NUM_THREADS to 1 unless the worker asks for another value.
            runtime_env={"env_vars": {"OMP_NUM_THREADS": str(workers.cores)}},
            compute=ray.data.ActorPoolStrategy(size=min(count, blocks), max_tasks_in_flight_per_actor=1),
            # A worker that is lost is started again, and what becomes of its block is left to us.
            max_restarts=-1,
            max_task_retries=0,
        )


def _lost(job: Job, times: int) -> str:
    """Return what is said of a photograph whose worker was lost each time."""
    often = "once" if times == 1 else f"{times} times"
    return (
        f"{printable(job.source)}: its worker was lost {often}: it may need more memory than there is; "
        "try it alone with 'deblur image'"
    )


def _unreached(job: Job, reason: str) -> str:
    """Return what is said of a photograph that no worker began any more."""
    why = f" ({reason})" if reason else ""
    return f"{printable(job.source)}: no worker of the cluster begins it{why}: look at 'ray status', and start again"
