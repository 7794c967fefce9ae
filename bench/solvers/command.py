"""``python -m bench nonblind``: iterative residual compensation (IRC) and other solvers (Eboli et al.)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click
import numpy as np

from bench.accuracy.scoring import score
from bench.data.datasets import Case, Sample, choose, data_folder, sun_style
from bench.data.motions import MotionSample, published, synthetic
from bench.options import publish, report_options
from bench.report import Column, Report, Table
from bench.solvers.formulations import formulation_table
from bench.solvers.solvers import MAX_STEPS, TOLERANCE, PeriodicBlur, conjugate_gradients, fourier
from bench.solvers.stages import stage_table
from kernels.arrays import Array
from runtime.deconvolution.along_motion import motion_problem
from runtime.deconvolution.irc import THRESHOLD, Problem, admm, irc, residual_compensation, smooth_start
from runtime.deconvolution.observation import Observation
from runtime.noise import LEAST_NOISE, estimate_noise

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CASES = 6
_FEW_STEPS = 10
"""Steps of the conjugate gradients that stop early."""

Restore = Callable[[Any], Array]


@click.command("nonblind")
@click.option("--data", help="Folder of the evaluation data.  [default: $DEBLUR_DATA]")
@click.option(
    "--cases", type=click.IntRange(min=1), default=CASES, show_default=True, help="Number of cases of each set."
)
@report_options(repeats=3)
def nonblind(data: str | None, cases: int, repeats: int, json: Path | None, plot: Path | None) -> None:
    """Compare solvers of non-blind deconvolution.

    Non-uniform: motion fields (Table 3 of Eboli et al.). Uniform: camera shake with one kernel (Table 1). Every solver
    is the quadratic step of the same ADMM with the same weights. Each is timed alone, on all cores, after an
    unmeasured run. Then several implementations of convolution with one filter per pixel are timed.
    """
    folder = data_folder(data)
    tasks: list[tuple[str, Case, Mapping[str, Restore]]] = [
        *(("published", case, NONUNIFORM) for case in published(folder)),
        *(("synthetic", case, NONUNIFORM) for case in choose(synthetic(folder), cases)),
        *(("uniform", _whole(case), _UNIFORM) for case in choose(sun_style(folder), cases)),
    ]
    report = Report("nonblind", {"cases": cases, "penalty and threshold": "as in the runtime"})
    rows: list[dict[str, Any]] = []
    warm: set[str] = set()
    for name, case, methods in tasks:
        sample = case.load()
        if name not in warm:
            warm.add(name)
            for method, restore in methods.items():
                if not method.startswith("CG"):
                    restore(sample)
        for method, restore in {"blurred": _unchanged, **methods}.items():
            rows.append({"set": name, "case": case.name, "method": method, **_measure(sample, restore)})
            click.echo(f"{name} {case.name} {method}: {rows[-1]['psnr']:.2f} dB", err=True)
        report.tables = _tables(rows)
        if json:
            report.write_json(json)
    report.tables["stages"] = stage_table([_moved(case) for name, case, _ in tasks if name == "synthetic"])
    report.tables["formulations"] = formulation_table(repeats)
    publish(report, json, plot, _draw, (7, 5))


def _whole(case: Case) -> Case:
    """Score the whole image without alignment: with a known blur there is no unknown translation."""
    return replace(case, load=lambda: replace(case.load(), border=0, max_shift=0))


def _moved(case: Case) -> tuple[Case, Array, Array]:
    sample = cast(MotionSample, case.load())
    return case, _planes(sample), sample.field


def _measure(sample: Sample, restore: Restore) -> dict[str, Any]:
    started, busy = time.perf_counter(), time.process_time()
    restored = restore(sample)
    seconds, cpu = time.perf_counter() - started, time.process_time() - busy
    result = score(_image(restored), sample)
    height, width = sample.observed.shape[:2]
    return {
        "psnr": result.psnr, "ssim": result.ssim, "seconds": seconds, "cpu": cpu, "megapixels": height * width / 1e6,
    }  # fmt: skip


def _unchanged(sample: Sample) -> Array:
    return _planes(sample)


def _moving(solve: Callable[[Problem], Array]) -> Restore:
    """Return the whole restoration of a `MotionSample` by a solver, noise estimate and inverse filters included."""

    def restore(sample: MotionSample) -> Array:
        planes = _planes(sample)
        noise = float(np.median([estimate_noise(plane) for plane in planes]))
        problem, inside = motion_problem(planes, sample.field, noise)
        return solve(problem)[:, *inside]

    return restore


def _by_conjugate_gradients(problem: Problem, max_steps: int = MAX_STEPS) -> Array:
    return admm(problem, conjugate_gradients(max_steps), problem.observed)


def _by_residual_compensation(problem: Problem) -> Array:
    return admm(problem, residual_compensation(), smooth_start(problem))


def _uniform_irc(sample: Sample) -> Array:
    return _by_plane(sample, irc)


def _uniform_gradients(observation: Observation) -> Array:
    height, width = observation.model.shape
    blur = PeriodicBlur(observation.kernel, (height, width))
    problem = Problem(observation.extended[None], observation.known, blur, THRESHOLD * observation.noise)
    return _by_conjugate_gradients(problem)[0]


def _padded_fourier(observation: Observation) -> Array:
    """Solve by FFT on the padded plane, as if the padding were observed."""
    return _periodic(observation.extended[None], observation.kernel, observation.noise)[0]


def _periodic(planes: Array, kernel: Array, noise: float) -> Array:
    shape = planes.shape[1:]
    problem = Problem(planes, np.ones(shape, np.float32), PeriodicBlur(kernel, shape), THRESHOLD * noise)
    return admm(problem, fourier(kernel), planes)


def _bare_fourier(sample: Sample) -> Array:
    planes = _planes(sample)
    return np.stack([_periodic(plane[None], sample.kernel, _noise(plane, sample))[0] for plane in planes])


def _by_plane(sample: Sample, restore: Callable[[Observation], Array]) -> Array:
    """Restore each plane as one observation."""
    found = []
    for plane in _planes(sample):
        observation = Observation(plane, sample.kernel, _noise(plane, sample))
        found.append(observation.model.crop(restore(observation)))
    return np.stack(found)


def _noise(plane: Array, sample: Sample) -> float:
    return max(LEAST_NOISE, estimate_noise(plane, sample.kernel))


def _planes(sample: Sample) -> Array:
    """Return the observed image as planes ``(C, H, W)``."""
    image = sample.observed
    return np.ascontiguousarray(np.moveaxis(image if image.ndim == 3 else image[..., None], -1, 0))


def _image(planes: Array) -> Array:
    return planes[0] if len(planes) == 1 else np.moveaxis(planes, 0, -1)


NONUNIFORM: dict[str, Restore] = {
    f"CG, {_FEW_STEPS} steps": _moving(partial(_by_conjugate_gradients, max_steps=_FEW_STEPS)),
    "CG": _moving(_by_conjugate_gradients),
    "IRC": _moving(_by_residual_compensation),
}
_UNIFORM: dict[str, Restore] = {
    "FFT": lambda sample: _by_plane(sample, _padded_fourier),
    "FFT, no padding": _bare_fourier,
    "CG": lambda sample: _by_plane(sample, _uniform_gradients),
    "IRC": _uniform_irc,
}


def _tables(rows: list[dict[str, Any]]) -> dict[str, Table]:
    columns = (
        Column("PSNR dB", "psnr", ".2f"), Column("SSIM", "ssim", ".4f"), Column("seconds", "seconds", ".2f"),
        Column("CPU seconds", "cpu", ".2f"), Column("megapixels", "megapixels", ".2f"),
    )  # fmt: skip
    means = []
    for name in dict.fromkeys(row["set"] for row in rows):
        for method in dict.fromkeys(row["method"] for row in rows if row["set"] == name):
            mine = [row for row in rows if (row["set"], row["method"]) == (name, method)]
            figures = {column.key: float(np.mean([row[column.key] for row in mine])) for column in columns}
            means.append({"set": name, "method": method, "cases": len(mine), **figures})
    which = Column("set", "set"), Column("method", "method")
    return {
        "means": Table(
            "Means", (*which, Column("cases", "cases"), *columns), means,
            notes=(f"CG: conjugate gradients, relative residual {TOLERANCE:g}, at most {MAX_STEPS} steps a stage.",
                   "Seconds: the whole restoration, including the noise estimate and the inverse filters."),
        ),
        "cases": Table("Cases", (Column("case", "case"), *which, *columns), rows),
    }  # fmt: skip


def _draw(report: Report, figure: Figure) -> None:
    """Plot the mean PSNR over the mean seconds, a panel per set."""
    rows = [row for row in report.tables["means"].rows if row["method"] != "blurred"]
    names = list(dict.fromkeys(row["set"] for row in rows))
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        for row in (row for row in rows if row["set"] == name):
            axes.plot(row["seconds"], row["psnr"], "o", label=row["method"])
        axes.set(title=name, xscale="log", xlabel="seconds", ylabel="PSNR in dB")
        axes.legend()
