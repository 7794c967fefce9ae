"""One case of the accuracy benchmark: restored in every way, each scored."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bench.accuracy.scoring import EQUAL, score
from bench.data.datasets import Sample
from bench.speed.restoration import NEURAL_AVERAGE

if TYPE_CHECKING:
    from runtime import Deblurrer

Plane = npt.NDArray[np.float32]

BLURRED, NEURAL, ONCE, UNAIDED, WHOLE, TRUE_KERNEL = (
    "blurred input", "neural average", "kernel estimated once", "refined without network", "whole method",
    "true kernel",
)  # fmt: skip
METHODS = (BLURRED, NEURAL, ONCE, UNAIDED, WHOLE, TRUE_KERNEL)
_RESTORE: dict[str, dict[str, Any]] = {ONCE: {"refine": False}, UNAIDED: {"neural": False}, WHOLE: {}}
"""What sets the ways of restoring blindly apart, as options of `Deblurrer.restore`."""


class Result(NamedTuple):
    """What one method made of a sample.

    Attributes
    ----------
    image
        Of the sample's shape, or its luminance ``(H, W)``.
    kernel
        The blur kernel it used.
    seconds, stages
        The time it took, and what of it each stage took.
    confidence
        In [0, 1], that the photograph is blurred.
    unchanged
        Whether it decided to give the photograph back as it was.
    """

    image: npt.NDArray[np.float32]
    kernel: Plane | None
    seconds: float
    stages: Mapping[str, float] | None = None
    confidence: float | None = None
    unchanged: bool | None = None


def foremost(methods: Collection[str]) -> str:
    """Return which of some methods, among them `BLURRED`, stands for a case where only one can be shown."""
    return next(method for method in (WHOLE, UNAIDED, ONCE, TRUE_KERNEL, BLURRED) if method in methods)


def restore_sample(
    deblurrer: Deblurrer, sample: Sample, methods: Collection[str] = METHODS, **options: Any
) -> dict[str, Result]:
    """Restore a sample in several ways; the input itself comes first.

    Parameters
    ----------
    deblurrer
        With a model that estimates one blur kernel.
    sample
        What to restore; the true kernel, where there is one, is used for `TRUE_KERNEL` alone.
    methods
        Some of `METHODS`. `NEURAL` takes another one, on the way of which it lies.
    **options
        ``quality``, ``stride`` and ``nonblind``, as in `Deblurrer.restore`; the true kernel meets the same non-blind
        method.

    Returns
    -------
    dict
        Results by method, in the order of `METHODS`.
    """
    from runtime import deconvolve

    results = {BLURRED: Result(sample.observed, None, 0.0)}
    for method, how in _RESTORE.items():
        if method in methods:
            restored = deblurrer.restore(sample.observed, **how, **options)
            if restored.initial is not None and NEURAL in methods and NEURAL not in results:
                results[NEURAL] = Result(restored.initial, None, sum(restored.timings[s] for s in NEURAL_AVERAGE))
            results[method] = Result(
                restored.image,
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
        results[TRUE_KERNEL] = Result(ideal, sample.kernel, time.perf_counter() - began)
    return {method: results[method] for method in METHODS if method in results}


def score_results(results: Mapping[str, Result], sample: Sample) -> dict[str, dict[str, Any]]:
    """Score every result against the truth.

    Returns
    -------
    dict
        By method: ``seconds`` and, of a blind restoration, ``stages``, ``confidence`` and ``unchanged``. Where the
        truth is known ``psnr`` in dB and ``ssim``; where the input is not the truth itself the ``gain`` in dB over the
        blurred input; where there is a restoration with the true kernel the error ``ratio`` to it.
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
        if blurred.psnr < EQUAL:
            rows[method]["gain"] = scored.psnr - blurred.psnr
        if ideal is not None:
            rows[method]["ratio"] = scored.ssd / ideal.ssd
    return rows
