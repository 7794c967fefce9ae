"""How well an image was restored, by the protocol that all sets share.

Values are clipped to [0, 1]; the image is moved by the translation, of whole and quarter pixels within the sample's
reach, that fits the truth best; a border does not count. All translations are judged on the same pixels of the truth.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.datasets import Sample
from runtime.errors import InvalidArgument, MissingDependency
from runtime.quality import align, psnr

THRESHOLDS = (2, 3, 5)
"""Error ratios up to which a case counts as solved, more or less strictly."""


@dataclass(frozen=True)
class Score:
    """Peak signal-to-noise ratio in dB, structural similarity, and sum of squared differences."""

    psnr: float
    ssim: float
    ssd: float


def score(image: npt.NDArray[np.floating], sample: Sample) -> Score:
    """Compare a restored luminance ``(H, W)`` with the truth.

    Raises
    ------
    InvalidArgument
        If the image is not finite, of another shape, or the border leaves nothing of it.
    MissingDependency
        If scikit-image is not installed.
    """
    try:
        from skimage.metrics import structural_similarity
    except ImportError as error:
        raise MissingDependency("SSIM needs scikit-image: pip install 'deblur-runtime[bench]'") from error
    # Clipping would take infinity for white.
    if not np.isfinite(image).all():
        raise InvalidArgument("the restored image holds NaN or infinity: mend what made it")
    border, truth = sample.border, sample.sharp
    aligned = align(np.clip(image, 0, 1), truth, border=border, max_shift=sample.max_shift)
    inside = slice(border, -border), slice(border, -border)
    restored, expected = aligned[inside], truth[inside].astype(np.float64)
    # Wang et al. 2004: Gaussian windows of 1.5 px.
    similarity = structural_similarity(
        restored, expected, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    return Score(psnr(aligned, truth, border=border), float(similarity), float(np.square(restored - expected).sum()))


def error_ratio_summary(ratios: Iterable[float]) -> dict[str, float]:
    """Summarise error ratios, SSD over that of the restoration with the true kernel (Levin et al. 2009).

    Returns
    -------
    dict
        ``ratio_mean``, ``ratio_95`` (95th percentile), ``ratio_max``, and for each of `THRESHOLDS` the share of cases
        up to it, ``ratio_within_2`` and so on.
    """
    values = np.fromiter(ratios, float)
    return {
        "ratio_mean": float(values.mean()),
        "ratio_95": float(np.percentile(values, 95)),
        "ratio_max": float(values.max()),
        **{f"ratio_within_{limit}": float((values <= limit).mean()) for limit in THRESHOLDS},
    }
