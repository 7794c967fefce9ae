"""CPU time of the stages of residual compensation."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence

from bench.data.datasets import Case
from bench.report import Column, Table
from kernels.arrays import Array
from runtime.blur.operators import BlurOperator
from runtime.deconvolution.along_motion import motion_problem
from runtime.deconvolution.irc import admm, residual_compensation, smooth_start

NOISE = 0.006
"""Assumed standard deviation of the noise; the time does not depend on it."""
OPERATIONS = "blur", "adjoint", "inverse filters"


class TimedBlur:
    """A blur that adds up the CPU seconds of its operations, over all cores.

    Attributes
    ----------
    seconds
        CPU seconds by operation; see `OPERATIONS`.
    """

    def __init__(self, blur: BlurOperator) -> None:
        self.seconds: Counter[str] = Counter()
        self._blur = blur

    def apply(self, latent: Array) -> Array:
        """Blur."""
        return self._timed("blur", self._blur.apply, latent)

    def adjoint(self, residual: Array) -> Array:
        """Apply the adjoint of `apply`."""
        return self._timed("adjoint", self._blur.adjoint, residual)

    def invert(self, residual: Array) -> Array:
        """Apply the inverse filters."""
        return self._timed("inverse filters", self._blur.invert, residual)

    def _timed(self, name: str, operation: Callable[[Array], Array], planes: Array) -> Array:
        started = time.process_time()
        result = operation(planes)
        self.seconds[name] += time.process_time() - started  # type: ignore[assignment]
        return result


def stage_table(cases: Sequence[tuple[Case, Array, Array]]) -> Table:
    """Measure the CPU time of each stage.

    Parameters
    ----------
    cases
        Each a case, its planes ``(C, H, W)`` and its motion field ``(H, W, 2)``.
    """
    rows = [{"case": case.name, "longest": float(field[..., 0].max()), **_stages(planes, field)}
            for case, planes, field in cases]  # fmt: skip
    columns = (
        Column("case", "case"), Column("longest px", "longest", ".0f"), Column("set-up", "set-up", ".2f"),
        *(Column(name, name, ".2f") for name in OPERATIONS),
        Column("gradients, lengths", "rest", ".2f"), Column("all", "all", ".2f"), Column("wall", "wall", ".2f"),
    )  # fmt: skip
    return Table(
        "Stages of IRC on motion fields, CPU seconds", columns, rows,
        notes=("CPU seconds are summed over all cores; wall: elapsed seconds.",),
    )  # fmt: skip


def _stages(planes: Array, field: Array) -> dict[str, float]:
    started, wall = time.process_time(), time.perf_counter()
    problem, _ = motion_problem(planes, field, NOISE)
    ready = time.process_time()
    blur = TimedBlur(problem.blur)
    problem = problem._replace(blur=blur)
    admm(problem, residual_compensation(), smooth_start(problem))
    whole = time.process_time() - started
    known = {"set-up": ready - started, **{name: blur.seconds[name] for name in OPERATIONS}}
    return {**known, "rest": whole - sum(known.values()), "all": whole, "wall": time.perf_counter() - wall}
