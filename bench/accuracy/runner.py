"""Run the cases of the accuracy benchmark one after another, or in several processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar

from bench.accuracy.evaluation import METHODS, restore_sample, score_results
from bench.accuracy.sheet import draw_case
from bench.data.datasets import Case
from bench.data.photographs import blurred_photograph
from bench.speed.restoration import WARM_UP_MEGAPIXELS

if TYPE_CHECKING:
    from PIL.Image import Image

    from runtime import Deblurrer

Item = TypeVar("Item")
Measured = TypeVar("Measured")


@dataclass(frozen=True)
class Setup:
    """How cases are restored.

    Attributes
    ----------
    model, device, precision
        As in `runtime.Deblurrer`; the model by its path.
    methods
        Some of `bench.accuracy.evaluation.ALL_METHODS`.
    quality, stride, nonblind
        As in `Deblurrer.restore`.
    """

    model: str
    device: str = "auto"
    precision: str = "auto"
    methods: tuple[str, ...] = METHODS
    quality: str = "balanced"
    stride: int | None = None
    nonblind: str | None = None

    @property
    def options(self) -> dict[str, Any]:
        """Keyword arguments of `Deblurrer.restore`."""
        return {"quality": self.quality, "stride": self.stride, "nonblind": self.nonblind}


@dataclass(frozen=True)
class Task:
    """A case, the set it belongs to, and whether to draw it for the contact sheet."""

    set: str
    case: Case
    drawn: bool = False


def measure_cases(
    tasks: Sequence[Task], setup: Setup, processes: int = 1
) -> Iterator[tuple[dict[str, Any], Image | None]]:
    """Restore and score cases, in order, and yield each as soon as it is done.

    Parameters
    ----------
    tasks, setup
        What to restore, and how.
    processes
        Number of cases at a time, each in its own process. They share the cores, so each takes longer.

    Yields
    ------
    row
        ``set``, ``case``, ``kind``, ``megapixels`` and ``methods``, the scores by method; see `score_results`.
    picture
        The case as drawn by `draw_case`, or ``None`` if the task is not to be drawn.
    """
    yield from measure_in_order(partial(measure_case, setup=setup), tasks, processes)


def measure_in_order(
    measure: Callable[[Item], Measured], items: Iterable[Item], processes: int = 1
) -> Iterator[Measured]:
    """Measure items one after another, or several at a time; give each result, in order, as soon as it is there.

    Parameters
    ----------
    measure
        Can be pickled if there are several processes.
    items
        What to measure.
    processes
        How many items to measure at a time, each in a process of its own.
    """
    if processes == 1:
        yield from map(measure, items)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=end_with_parent) as pool:
        try:
            yield from pool.map(measure, items)
        finally:
            pool.shutdown(cancel_futures=True)


def end_with_parent() -> None:
    """Exit this worker as soon as its parent process has ended, even if that was killed."""

    def watch() -> None:
        parent = parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    Thread(target=watch, name="parent", daemon=True).start()


def measure_case(task: Task, setup: Setup) -> tuple[dict[str, Any], Image | None]:
    """Restore and score one case; see `measure_cases`."""
    sample = task.case.load()
    results = restore_sample(_deblurrer(setup), sample, setup.methods, **setup.options)
    scores = score_results(results, sample)
    height, width = sample.observed.shape[:2]
    row = {
        "set": task.set, "case": task.case.name, "kind": task.case.kind, "megapixels": height * width / 1e6,
        "methods": scores,
    }  # fmt: skip
    return row, draw_case(task.case.name, sample, results, scores) if task.drawn else None


@lru_cache(maxsize=1)
def _deblurrer(setup: Setup) -> Deblurrer:
    """Load the model once per process and warm up, so that the first case is not timed with compilation."""
    from runtime import Deblurrer

    deblurrer = Deblurrer(model=setup.model, device=setup.device, precision=setup.precision)
    deblurrer.restore(blurred_photograph(WARM_UP_MEGAPIXELS), **setup.options)
    return deblurrer
