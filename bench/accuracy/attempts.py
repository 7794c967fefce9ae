"""One scene of the decisions benchmark: everything that the decisions look at, and the gain of every attempt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bench.accuracy.scoring import score
from bench.data.datasets import Sample
from bench.data.files import usable_photographs
from runtime.blur.blurs import KernelBlur, MotionBlur
from runtime.contract import Candidate
from runtime.decisions.thresholds import (
    MOTION_LOG_ERROR,
    MOTION_NOISE_FACTOR,
    MOTION_NOISE_FACTOR_PARTLY,
    MOTION_NOISE_FACTOR_POORLY,
)
from runtime.errors import InvalidArgument, MissingDependency
from runtime.estimation.kernel.blind import find_kernel
from runtime.estimation.motion.field import find_doubt, relative_error, typical_motion
from runtime.inference.bundle import load_model
from runtime.inference.devices import CPU
from runtime.methods.chakrabarti import Chakrabarti
from runtime.methods.eboli import Eboli, choose_noise_factor, misfit_ratio
from runtime.methods.uniform import choose_support
from runtime.options import Options
from runtime.restoration.finish import Attempt, attempt, undo
from runtime.restoration.misfit import find_misfit
from runtime.restoration.uniformity import load_uniformity_check
from runtime.run import Run

if TYPE_CHECKING:
    from export.data.scenes import SceneConfig

KINDS = ("uniform", "turning", "moving", "depth", "faint")
"""Kinds of scenes, of those of `export.data.scenes`, in the order of the report."""
SEED = 2028
BORDER = 24
"""Pixels at the border that do not count in the scores."""
_LARGEST_KERNEL = 61
"""Largest span of a kernel in pixels, unless the scene is too small for it."""

Row = dict[str, Any]


@dataclass(frozen=True)
class SceneSetup:
    """Which scenes are made, and how they are restored.

    Attributes
    ----------
    data
        Folder of sharp photographs.
    size
        Side of the scenes in pixels.
    quality
        As in `runtime.options.Options`.
    """

    data: Path
    size: int = 384
    quality: str = "fast"

    @property
    def config(self) -> SceneConfig:
        """How the scenes are made.

        Raises
        ------
        InvalidArgument
            If there are no scenes of that size.
        MissingDependency
            If PyTorch is not installed.
        """
        try:
            from export.data.scenes import SceneConfig
        except ImportError as error:
            raise MissingDependency("scenes need PyTorch: pip install 'deblur-runtime[export]'") from error
        try:
            return SceneConfig(side=self.size, sizes=(5, min(_LARGEST_KERNEL, self.size // 4)))
        except ValueError as error:
            raise InvalidArgument(f"size {self.size}: {error}") from error


@lru_cache(maxsize=1)
def read_photographs(data: Path) -> Sequence[npt.NDArray[np.uint8]]:
    """Read the luminance of all photographs in a folder.

    Raises
    ------
    InvalidArgument
        If there is none.
    MissingDependency
        If PyTorch is not installed.
    """
    try:
        from export.data.photographs import find_photographs, read_luminance
    except ImportError as error:
        raise MissingDependency("scenes need PyTorch: pip install 'deblur-runtime[export]'") from error
    with usable_photographs():
        return [read_luminance(file) for file in find_photographs(data)]


def make_sample(kind: str, number: int, setup: SceneSetup) -> Sample:
    """Make a scene of a kind; the same photographs, number and size always give the same scene.

    Raises
    ------
    InvalidArgument
        If no photograph is large enough.
    """
    config = setup.config
    from export.data.scenes import make_scene

    rng = np.random.default_rng([SEED, KINDS.index(kind), number])
    with usable_photographs():
        scene = make_scene(read_photographs(setup.data), config, rng, kind)
    return Sample(scene.observed.clip(0, 1), scene.sharp, border=BORDER)


def measure_scene(task: tuple[str, int], setup: SceneSetup) -> Row:
    """Restore a scene with one kernel and with a motion field, whatever the decisions say, and score each attempt.

    Parameters
    ----------
    task
        Kind and number of the scene.
    setup
        Which scenes are made, and how they are restored.

    Returns
    -------
    dict
        ``kind``, ``number``, ``psnr`` of the blurred scene in dB, and ``kernel`` and ``motion``, see `measure_kernel`
        and `measure_motion`.
    """
    kind, number = task
    sample = make_sample(kind, number, setup)
    run = Run(Options(quality=setup.quality), CPU)
    blurred = score(sample.observed, sample).psnr
    return {
        "kind": kind, "number": number, "psnr": blurred,
        "kernel": measure_kernel(sample, blurred, run), "motion": measure_motion(sample, blurred, run),
    }  # fmt: skip


def measure_kernel(sample: Sample, blurred: float, run: Run[Options]) -> Row:
    """Estimate one kernel and restore with it; `blurred` is the PSNR of the scene in dB.

    Returns
    -------
    dict
        What the doubts about the kernel measure: ``width``, ``agreement``, ``log_error``, ``unevenness``,
        ``sparsity_ratio``; their ``probabilities`` by the code of the reason, and the ``confidence``. The
        ``uniformity``: ``variation``, ``width_ratio`` and whether the kernel is ``contradicted``, or ``None`` for a
        small scene. The threshold ``needed`` of the predicted gain in dB, and the attempt, see `score_attempt`.

    Raises
    ------
    InvalidArgument
        If the scene shows a single value.
    """
    guide = sample.observed
    initial = _single().first_estimate(guide, run)
    support = choose_support(guide.shape, run.options)
    found = find_kernel(guide, run, initial=initial.__getitem__, support=support)
    if found is None:
        raise InvalidArgument("a scene shows nothing but one value: give other photographs")
    blur = KernelBlur(found.kernel)
    made = attempt(guide[None], Candidate(blur, found.log_error, found.confidence), run)
    seen = load_uniformity_check(CPU).measure(guide, blur.width)
    return {
        "width": found.width,
        "agreement": found.agreement,
        "log_error": found.log_error,
        "unevenness": found.score.unevenness,
        "sparsity_ratio": found.score.sparsity_gain,
        "probabilities": {reason.code: probability for reason, probability in found.doubts.items()},
        "confidence": found.confidence,
        "uniformity": seen and {
            "variation": seen.variation, "width_ratio": seen.width, "contradicted": seen.contradicted,
        },
        "needed": made.needed.threshold,
        **score_attempt(made, sample, blurred),
    }  # fmt: skip


def measure_motion(sample: Sample, blurred: float, run: Run[Options]) -> Row:
    """Estimate a motion field and undo it with each noise factor; `blurred` is the PSNR of the scene in dB.

    Returns
    -------
    dict
        ``reach`` in pixels, ``relative_error``, the code of the ``doubt`` that speaks against undoing it or ``None``,
        ``misfit_ratio``; the attempts by their ``factors``, see `score_attempt`; the ``factor`` that the misfit ratio
        calls for, and ``predicted``, ``gain`` and ``kept`` of that attempt, which is not kept if there is a doubt.
    """
    guide = sample.observed
    observed = guide[None]
    field, motions = _moving().estimate_motion(guide, run)
    error, doubt = relative_error(field, motions), find_doubt(field, motions)
    candidate = Candidate(MotionBlur(field), MOTION_LOG_ERROR, noise_factor=MOTION_NOISE_FACTOR)
    latent = undo(observed, candidate, run)
    ratio = misfit_ratio(find_misfit(candidate.blur.apply(latent)[0], guide), run.noise_of(guide), error)
    attempts = {MOTION_NOISE_FACTOR: attempt(observed, candidate, run, latent=latent)}
    for factor in (MOTION_NOISE_FACTOR_PARTLY, MOTION_NOISE_FACTOR_POORLY):
        attempts[factor] = attempt(observed, replace(candidate, noise_factor=factor), run)
    scores = {factor: score_attempt(made, sample, blurred) for factor, made in attempts.items()}
    factor = choose_noise_factor(ratio)
    return {
        "reach": typical_motion(field),
        "relative_error": error,
        "doubt": doubt and doubt.code,
        "misfit_ratio": ratio,
        "factors": {f"{each:g}": found for each, found in scores.items()},
        "factor": factor,
        **scores[factor],
        "kept": doubt is None and scores[factor]["kept"],
    }


def score_attempt(made: Attempt, sample: Sample, blurred: float) -> Row:
    """Return the ``predicted`` and the true ``gain`` over the `blurred` PSNR, in dB, and whether it is ``kept``."""
    return {"predicted": made.gain, "gain": score(made.planes[0], sample).psnr - blurred, "kept": made.accepted}


@lru_cache(maxsize=1)
def _single() -> Chakrabarti:
    return Chakrabarti(load_model("chakrabarti"), device=CPU, precision="fp32", batch=None)


@lru_cache(maxsize=1)
def _moving() -> Eboli:
    return Eboli(load_model("eboli"), device=CPU, precision="fp32", batch=None)
