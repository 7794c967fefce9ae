"""One sample of the accuracy benchmark: restored by several methods and scored."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bench.accuracy.scoring import MAX_PSNR, score
from bench.data.datasets import Sample
from bench.speed.restoration import NEURAL_AVERAGE
from runtime.options import SCALE_OPTIMISED

if TYPE_CHECKING:
    from runtime import Deblurrer

Plane = npt.NDArray[np.float32]

BLURRED, NEURAL, ONCE, UNAIDED, WHOLE, TRUE_KERNEL = METHODS = (
    "blurred input", "neural average", "kernel estimated once", "refined without network", "whole method",
    "true kernel",
)  # fmt: skip
SCALED_ONCE, SCALED = "estimated once, scale-optimised", "whole method, scale-optimised"
"""Methods of models that have networks for ranges of kernels by size."""
ALL_METHODS = (BLURRED, NEURAL, ONCE, SCALED_ONCE, UNAIDED, WHOLE, SCALED, TRUE_KERNEL)
"""All methods in the order in which they are shown."""
_RESTORE: dict[str, dict[str, Any]] = {
    ONCE: {"refine": False},
    SCALED_ONCE: {"refine": False, "variant": SCALE_OPTIMISED},
    UNAIDED: {"neural": False},
    WHOLE: {},
    SCALED: {"variant": SCALE_OPTIMISED},
}
"""Options of `Deblurrer.restore` by blind method."""


class Result(NamedTuple):
    """The restoration of a sample by one method.

    Attributes
    ----------
    image
        float32, of the sample's shape, or luminance ``(H, W)``.
    kernel
        The blur kernel that was used, if any.
    seconds, stages
        Total time, and time by stage.
    confidence
        In [0, 1], that the photograph is blurred.
    unchanged
        Whether the method declined to restore and returned its input.
    """

    image: npt.NDArray[np.float32]
    kernel: Plane | None
    seconds: float
    stages: Mapping[str, float] | None = None
    confidence: float | None = None
    unchanged: bool | None = None


def headline_method(methods: Collection[str]) -> str:
    """Return the method to show where there is room for one; `methods` must hold `BLURRED`."""
    return next(
        method for method in (WHOLE, SCALED, UNAIDED, ONCE, SCALED_ONCE, TRUE_KERNEL, BLURRED) if method in methods
    )


def restore_sample(
    deblurrer: Deblurrer, sample: Sample, methods: Collection[str] = METHODS, **options: Any
) -> dict[str, Result]:
    """Restore a sample by several methods.

    Parameters
    ----------
    deblurrer
        With a model that estimates one blur kernel.
    sample
        What to restore. Its true kernel, if known, is used by `TRUE_KERNEL` alone.
    methods
        Some of `ALL_METHODS`. `NEURAL` is an intermediate result of the blind methods and needs one of them.
    **options
        ``quality``, ``stride`` and ``nonblind``, as in `Deblurrer.restore`. `TRUE_KERNEL` uses the same non-blind
        method and quality.

    Returns
    -------
    dict
        Results by method, in the order of `ALL_METHODS`.
    """
    from runtime import deconvolve

    results = {BLURRED: Result(sample.view(sample.observed), None, 0.0)}
    for method, how in _RESTORE.items():
        if method in methods:
            restored = deblurrer.restore(sample.observed, **how, **options)
            if restored.initial is not None and NEURAL in methods and NEURAL not in results and sample.plain:
                results[NEURAL] = Result(restored.initial, None, sum(restored.timings[s] for s in NEURAL_AVERAGE))
            results[method] = Result(
                sample.view(restored.image),
                restored.kernel,
                sum(restored.timings.values()),
                restored.timings,
                restored.confidence,
                restored.reason is not None,
            )
    if sample.kernel is not None and TRUE_KERNEL in methods:
        began = time.perf_counter()
        ideal = deconvolve(
            sample.observed,
            sample.kernel,
            method=options.get("nonblind"),
            quality=options.get("quality", "balanced"),
            device=str(deblurrer.device),
        )
        results[TRUE_KERNEL] = Result(sample.view(ideal), sample.kernel, time.perf_counter() - began)
    return {method: results[method] for method in ALL_METHODS if method in results}


def score_results(results: Mapping[str, Result], sample: Sample) -> dict[str, dict[str, Any]]:
    """Score every result against the sharp image.

    Returns
    -------
    dict
        By method: ``seconds``; for blind methods ``stages``, ``confidence`` and ``unchanged``; if the sharp image is
        known ``psnr`` in dB and ``ssim``; unless the input is itself the sharp image ``gain``, the PSNR over that of
        the input in dB; if there is a result of `TRUE_KERNEL` the error ``ratio``, the SSD over that of this result.
    """
    rows: dict[str, dict[str, Any]] = {}
    for method, result in results.items():
        facts = {"stages": result.stages, "confidence": result.confidence, "unchanged": result.unchanged}
        rows[method] = {"seconds": result.seconds, **{key: fact for key, fact in facts.items() if fact is not None}}
    if sample.sharp is None:
        return rows
    scores = {method: score(result.image, sample) for method, result in results.items()}
    blurred, ideal = scores[BLURRED], scores.get(TRUE_KERNEL)
    for method, scored in scores.items():
        rows[method] |= {"psnr": scored.psnr, "ssim": scored.ssim}
        if blurred.psnr < MAX_PSNR:
            rows[method]["gain"] = scored.psnr - blurred.psnr
        if ideal is not None:
            rows[method]["ratio"] = scored.ssd / ideal.ssd
    return rows
