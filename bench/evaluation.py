"""One case of the accuracy benchmark: restored in every way, each scored."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from bench.datasets import Sample
from bench.restoration import NEURAL_AVERAGE
from bench.scoring import score

if TYPE_CHECKING:
    from runtime import Deblurrer

Plane = npt.NDArray[np.float32]

BLURRED, NEURAL, ONCE, WHOLE, TRUE_KERNEL = (
    "blurred input", "neural average", "kernel estimated once", "whole method", "true kernel",
)  # fmt: skip
METHODS = (BLURRED, NEURAL, ONCE, WHOLE, TRUE_KERNEL)


class Result(NamedTuple):
    """What one method made of a sample: luminance, the kernel it used, and the seconds it took."""

    image: Plane
    kernel: Plane | None
    seconds: float


def restore_sample(deblurrer: Deblurrer, sample: Sample, *, stride: int | None, nonblind: str) -> dict[str, Result]:
    """Restore a sample in every way of `METHODS` that the model has; the input itself comes first.

    Parameters
    ----------
    deblurrer
        With a model that estimates one blur kernel.
    sample
        What to restore; the true kernel is used for `TRUE_KERNEL` alone.
    stride, nonblind
        As in `Deblurrer.restore`; the true kernel meets the same non-blind method.
    """
    from runtime import deconvolve

    once = deblurrer.restore(sample.observed, stride=stride, nonblind=nonblind, refine=False)
    restored = deblurrer.restore(sample.observed, stride=stride, nonblind=nonblind)
    began = time.perf_counter()
    ideal = deconvolve(sample.observed, sample.kernel, method=nonblind, device=str(deblurrer.device))
    ideal_seconds = time.perf_counter() - began
    results = {BLURRED: Result(sample.observed, None, 0.0)}
    if restored.initial is not None:
        neural_seconds = sum(restored.timings[stage] for stage in NEURAL_AVERAGE)
        results[NEURAL] = Result(restored.initial, None, neural_seconds)
    results[ONCE] = Result(once.image, once.kernel, sum(once.timings.values()))
    results[WHOLE] = Result(restored.image, restored.kernel, sum(restored.timings.values()))
    results[TRUE_KERNEL] = Result(ideal, sample.kernel, ideal_seconds)
    return results


def score_results(results: Mapping[str, Result], sample: Sample) -> dict[str, dict[str, float]]:
    """Score every result against the truth.

    Returns
    -------
    dict
        By method: ``psnr`` in dB, its ``gain`` over the blurred input's, ``ssim``, error ``ratio`` to the restoration
        with the true kernel, and ``seconds``.
    """
    scores = {method: score(result.image, sample) for method, result in results.items()}
    return {
        method: {
            "psnr": scored.psnr,
            "gain": scored.psnr - scores[BLURRED].psnr,
            "ssim": scored.ssim,
            "ratio": scored.ssd / scores[TRUE_KERNEL].ssd,
            "seconds": results[method].seconds,
        }
        for method, scored in scores.items()
    }
