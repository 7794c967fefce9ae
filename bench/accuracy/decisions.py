"""``python -m bench decisions``: the true gain on either side of every threshold of a decision."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import numpy as np

from bench.accuracy.attempts import KINDS, Row, SceneSetup, measure_scene, read_photographs
from bench.accuracy.runner import measure_in_order
from bench.accuracy.summary import HARMFUL_GAIN
from bench.options import QUALITIES, publish, report_options
from bench.report import Column, Report, Table
from runtime.decisions import thresholds
from runtime.decisions.thresholds import (
    CONFIDENT,
    LEAST_MOTION,
    MOTION_EXPLAINS,
    MOTION_EXPLAINS_PARTLY,
    MOTION_GAIN,
    MOTION_NOISE_FACTOR,
    MOTION_NOISE_FACTOR_PARTLY,
    PREDICTED_GAIN,
    SHORT_MOTION_GAIN,
    VARYING_MOTION_GAIN,
    Logistic,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CASES = 6
_LEAST_SIZE = 128
"""Smallest side of a scene in pixels: blind estimation needs 65, and the border does not count."""
_MISSED = 1.0
"""Gain in dB above which a refused restoration was missed."""
BANDS = (-np.inf, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.5, 6.0, np.inf)
"""Bounds of the bands of predicted gain in dB."""


class Threshold(NamedTuple):
    """A threshold, the quantity that it is compared with, and the restorations that depend on it.

    Attributes
    ----------
    name
        In `runtime.decisions.thresholds`.
    quantity
        Key of the quantity in a case.
    above
        Whether it speaks for the restoration above the threshold, or below it.
    gain
        Key of the true gain in a case.
    group
        One of `_GROUPS`: the cases in which the threshold decides.
    """

    name: str
    quantity: str
    above: bool
    gain: str
    group: str

    @property
    def value(self) -> float:
        """The threshold itself; of a logistic one, where the probability is one half."""
        found: Logistic | float = getattr(thresholds, self.name)
        return found.threshold if isinstance(found, Logistic) else found

    def passes(self, case: Row) -> bool:
        """Whether a case lies on the side that speaks for the restoration."""
        quantity = pick(case, self.quantity)
        return bool(quantity >= self.value if self.above else quantity <= self.value)


def _believed(case: Row) -> bool:
    return bool(case["kernel"]["confidence"] >= CONFIDENT)


def _contradicted(case: Row) -> bool:
    return bool(pick(case, "kernel.uniformity.contradicted"))


def _varies(case: Row) -> bool:
    return bool(pick(case, "kernel.uniformity.variation") > thresholds.MOTION_VARIATION)


def _certain(case: Row) -> bool:
    return case["motion"]["doubt"] is None


_GROUPS: dict[str, Callable[[Row], bool]] = {
    "all scenes": lambda case: True,
    "kernel believed": _believed,
    "believed, not contradicted": lambda case: _believed(case) and not _contradicted(case),
    "believed, motion varies": lambda case: _believed(case) and _contradicted(case) and _varies(case),
    "believed, motion too short": lambda case: _believed(case) and _contradicted(case) and not _varies(case),
    "enough motion": lambda case: bool(case["motion"]["reach"] >= LEAST_MOTION),
    "motion certain": _certain,
    "certain, not explained fully": lambda case: _certain(case) and case["motion"]["misfit_ratio"] > MOTION_EXPLAINS,
}
"""The cases in which a threshold decides, because the earlier decisions let them pass."""

_EXPLAINED, _PARTLY = (
    f"motion.factors.{factor:g}.gain" for factor in (MOTION_NOISE_FACTOR, MOTION_NOISE_FACTOR_PARTLY)
)
THRESHOLDS = (
    Threshold("KERNEL_WIDTH", "kernel.width", True, "kernel.gain", "all scenes"),
    Threshold("AGREEMENT", "kernel.agreement", True, "kernel.gain", "all scenes"),
    Threshold("PREDICTED_LOG_ERROR", "kernel.log_error", False, "kernel.gain", "all scenes"),
    Threshold("UNEVENNESS", "kernel.unevenness", False, "kernel.gain", "all scenes"),
    Threshold("SPARSITY_RATIO", "kernel.sparsity_ratio", False, "kernel.gain", "all scenes"),
    Threshold("CONFIDENT", "kernel.confidence", True, "kernel.gain", "all scenes"),
    Threshold("MOTION_VARIATION", "kernel.uniformity.variation", False, "kernel.gain", "kernel believed"),
    Threshold("KERNEL_TO_MOTION_WIDTH", "kernel.uniformity.width_ratio", False, "kernel.gain", "kernel believed"),
    Threshold("PREDICTED_GAIN", "kernel.predicted", True, "kernel.gain", "believed, not contradicted"),
    Threshold("VARYING_MOTION_GAIN", "kernel.predicted", True, "kernel.gain", "believed, motion varies"),
    Threshold("SHORT_MOTION_GAIN", "kernel.predicted", True, "kernel.gain", "believed, motion too short"),
    Threshold("LEAST_MOTION", "motion.reach", True, "motion.gain", "all scenes"),
    Threshold("MOTION_ERROR", "motion.relative_error", False, "motion.gain", "enough motion"),
    Threshold("MOTION_EXPLAINS", "motion.misfit_ratio", False, _EXPLAINED, "motion certain"),
    Threshold("MOTION_EXPLAINS_PARTLY", "motion.misfit_ratio", False, _PARTLY, "certain, not explained fully"),
    Threshold("MOTION_GAIN", "motion.predicted", True, "motion.gain", "motion certain"),
)


@click.command("decisions")
@click.option(
    "--data", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of sharp photographs, which no network must have been trained on.",
)  # fmt: skip
@click.option("--cases", type=click.IntRange(min=1), default=CASES, show_default=True, help="Scenes of each kind.")
@click.option("--size", type=click.IntRange(min=_LEAST_SIZE), default=384, show_default=True,
              help="Side of a scene in pixels, a multiple of 8.")  # fmt: skip
@click.option("--quality", type=click.Choice(QUALITIES), default="fast", show_default=True,
              help="How much work to put into every part.")  # fmt: skip
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True,
              help="Scenes at a time, each in a process of its own.")  # fmt: skip
@report_options()
def decisions(data: Path, cases: int, size: int, quality: str, jobs: int, json: Path | None, plot: Path | None) -> None:
    """Measure the thresholds that decide whether a photograph is changed.

    Scenes are made of sharp photographs: one kernel everywhere, a camera that turns, an object that moves, blur that
    depends on depth, and faint blur or none. Each is restored with one kernel and with a motion field, whatever the
    decisions say, so that the true gain is known on both sides of every threshold. The scenes are the same in every
    run on the same photographs. The JSON grows case by case.
    """
    setup = SceneSetup(data, size, quality)
    settings = {
        "photographs": len(read_photographs(data)), "cases": cases, "size": setup.config.side, "quality": quality,
        "device": "cpu", "jobs": jobs,
    }  # fmt: skip
    report = Report("decisions", settings)
    tasks = [(kind, number) for kind in KINDS for number in range(cases)]
    rows: list[Row] = []
    for row in measure_in_order(partial(measure_scene, setup=setup), tasks, jobs):
        rows.append(row)
        gains = ", ".join(f"{way} {row[way]['gain']:+.2f} dB" for way in ("kernel", "motion"))
        click.echo(f"{len(rows)} of {len(tasks)}: {row['kind']} {row['number']}: {gains}", err=True)
        report.tables = make_tables(rows)
        if json:
            report.write_json(json)
    publish(report, json, plot, _draw, (11, 5))


def make_tables(cases: list[Row]) -> dict[str, Table]:
    """Return all tables of a report.

    Parameters
    ----------
    cases
        As `bench.accuracy.attempts.measure_scene` gives them.

    Returns
    -------
    dict
        ``cases``, and a second view of them, ``motion``; ``thresholds``, the true gain on either side of each;
        ``predicted gain``, how it goes with the true one; ``noise factors`` of motion fields; and ``no harm``.
    """
    gains = (Column("cases", "cases"), Column("mean gain dB", "mean", "+.2f"), Column("worst", "worst", "+.2f"))
    return {
        **_case_tables(cases),
        "thresholds": Table(
            "Thresholds: true gain of the restorations on either side",
            (Column("threshold", "threshold"), Column("value", "value", "g"), Column("decides among", "group"),
             Column("side", "side"), *gains, Column("best", "best", "+.2f")),
            threshold_rows(cases),
            ("AGREEMENT decides only where the learned prior takes no part, which is not measured here.",),
        ),
        "predicted gain": Table(
            "Predicted and true gain",
            (Column("restorations", "restorations"), Column("predicted dB", "band"), *gains,
             Column("above 0", "positive", ".0%")),
            predicted_gain_rows(cases),
            ("Motion fields with each noise factor count three times a scene.",),
        ),
        "noise factors": Table(
            "Noise factors of motion fields that are certain enough to be undone",
            (Column("the field explains the scene", "explains"), Column("factor", "factor", "g"), *gains),
            noise_factor_rows(cases),
        ),
        "no harm": Table(
            "No harm",
            (Column("restorations", "restorations"), Column("kept", "kept"), Column("harmed", "harmed"),
             Column("worst kept dB", "worst", "+.2f"), Column("refused", "refused"), Column("missed", "missed"),
             Column("best refused dB", "best", "+.2f")),
            [harm_row(cases, "kernel"), harm_row(cases, "motion")],
            (f"Harmed: kept, with a loss over {-HARMFUL_GAIN} dB. Missed: refused, with a gain over {_MISSED} dB.",),
        ),
    }  # fmt: skip


def threshold_rows(cases: list[Row]) -> list[Row]:
    """Return for every threshold the true gains on the side that passes and on the side that is refused."""
    rows = []
    for threshold in THRESHOLDS:
        mine = [case for case in cases if _GROUPS[threshold.group](case) and pick(case, threshold.quantity) is not None]
        for side, passing in (("passes", True), ("refused", False)):
            gains = [pick(case, threshold.gain) for case in mine if threshold.passes(case) == passing]
            rows.append({
                "threshold": threshold.name, "value": threshold.value, "quantity": threshold.quantity,
                "group": threshold.group, "side": side, **summarise_gains(gains),
            })  # fmt: skip
    return rows


def predicted_gain_rows(cases: list[Row]) -> list[Row]:
    """Return the true gains by bands of the predicted gain."""
    restorations = {
        "kernel, believed": [case["kernel"] for case in cases if _believed(case)],
        "kernel, all": [case["kernel"] for case in cases],
        "motion, certain": [case["motion"] for case in cases if _certain(case)],
        "motion, all, each factor": [made for case in cases for made in case["motion"]["factors"].values()],
    }
    rows = []
    for name, made in restorations.items():
        for low, high in pairwise(BANDS):
            gains = [each["gain"] for each in made if low <= each["predicted"] < high]
            if gains:
                band = f"{low:g} to {high:g}".removeprefix("-inf to ").removesuffix(" to inf")
                band = f"under {band}" if low == -np.inf else f"over {band}" if high == np.inf else band
                positive = float(np.mean([gain > 0 for gain in gains]))
                rows.append({"restorations": name, "band": band, **summarise_gains(gains), "positive": positive})
    return rows


def noise_factor_rows(cases: list[Row]) -> list[Row]:
    """Return the true gains of motion fields by how well they explain the scene, and by noise factor."""
    bounds = {
        "fully": (-np.inf, MOTION_EXPLAINS),
        "partly": (MOTION_EXPLAINS, MOTION_EXPLAINS_PARTLY),
        "poorly": (MOTION_EXPLAINS_PARTLY, np.inf),
    }
    rows = []
    for explains, (low, high) in bounds.items():
        mine = [case["motion"] for case in cases if _certain(case) and low < case["motion"]["misfit_ratio"] <= high]
        for factor in mine[0]["factors"] if mine else ():
            gains = summarise_gains(motion["factors"][factor]["gain"] for motion in mine)
            rows.append({"explains": explains, "factor": float(factor), **gains})
    return rows


def harm_row(cases: list[Row], way: str) -> Row:
    """Count the harm that the decisions would let pass, and the gains that they would miss.

    Parameters
    ----------
    cases
        All of them.
    way
        ``"kernel"`` or ``"motion"``.
    """
    kept, refused = ([case[way]["gain"] for case in cases if case[way]["kept"] == wanted] for wanted in (True, False))
    return {
        "restorations": way,
        "kept": len(kept), "harmed": sum(gain < HARMFUL_GAIN for gain in kept), "worst": min(kept, default=None),
        "refused": len(refused), "missed": sum(gain > _MISSED for gain in refused), "best": max(refused, default=None),
    }  # fmt: skip


def summarise_gains(gains: Iterable[float]) -> Row:
    """Return the number of ``cases`` and their ``mean``, ``worst`` and ``best`` gain; ``None`` without cases."""
    values = list(gains)
    mean = float(np.mean(values)) if values else None
    return {"cases": len(values), "mean": mean, "worst": min(values, default=None), "best": max(values, default=None)}


def pick(case: Row, key: str) -> Any:
    """Return the value of a dotted key, as `bench.report.Column` does."""
    return Column("", key).value(case)


def _case_tables(cases: list[Row]) -> dict[str, Table]:
    which = Column("kind", "kind"), Column("number", "number"), Column("blurred dB", "psnr", ".2f")
    kernel = (
        Column("width px", "kernel.width", ".2f"), Column("agreement", "kernel.agreement", ".2f"),
        Column("log error", "kernel.log_error", ".2f"), Column("unevenness", "kernel.unevenness", ".2f"),
        Column("sparsity", "kernel.sparsity_ratio", ".2f"), Column("confidence", "kernel.confidence", ".2f"),
        Column("variation", "kernel.uniformity.variation", ".2f"),
        Column("width ratio", "kernel.uniformity.width_ratio", ".2f"),
        Column("predicted dB", "kernel.predicted", "+.2f"), Column("needed", "kernel.needed", "g"),
        Column("gain dB", "kernel.gain", "+.2f"), Column("kept", "kernel.kept"),
    )  # fmt: skip
    motion = (
        Column("reach px", "motion.reach", ".2f"), Column("error", "motion.relative_error", ".2f"),
        Column("doubt", "motion.doubt"), Column("misfit", "motion.misfit_ratio", ".2f"),
        Column("factor", "motion.factor", "g"), Column("predicted dB", "motion.predicted", "+.2f"),
        Column("gain dB", "motion.gain", "+.2f"), Column("kept", "motion.kept"),
    )  # fmt: skip
    return {
        "cases": Table("One kernel, restored whatever the decisions say", (*which, *kernel), cases),
        "motion": Table(
            "Motion field, undone whatever the decisions say", (*which, *motion), cases,
            ("Where the misfit is poor, the runtime first looks for one kernel and for poses that explain more.",),
            in_json=False,
        ),
    }  # fmt: skip


def _draw(report: Report, figure: Figure) -> None:
    """Draw the true over the predicted gain of every case: a panel for one kernel and one for motion fields."""
    cases = report.tables["cases"].rows
    panels: Sequence[tuple[str, str, tuple[Logistic, ...]]] = (
        ("kernel", "One kernel", (PREDICTED_GAIN, SHORT_MOTION_GAIN, VARYING_MOTION_GAIN)),
        ("motion", "Motion field", (MOTION_GAIN,)),
    )
    for axes, (way, title, needed) in zip(figure.subplots(1, 2), panels, strict=True):
        for kept, mark in ((True, "o"), (False, "x")):
            mine = [case[way] for case in cases if case[way]["kept"] == kept]
            axes.plot([each["predicted"] for each in mine], [each["gain"] for each in mine], mark,
                      label="kept" if kept else "refused")  # fmt: skip
        axes.axline((0, 0), slope=1, color="grey", linewidth=0.5)
        axes.axhline(0, color="grey", linewidth=0.5)
        for threshold in needed:
            axes.axvline(threshold.threshold, color="grey", linestyle="--", linewidth=0.8)
        axes.set(title=title, xlabel="predicted gain in dB", ylabel="true gain in dB")
        axes.legend()
