"""Scores of a restored image: the protocol for all sets.

Luminance is compared, clipped to [0, 1]. The restored image is first shifted by the translation, in quarter pixels up
to the sample's `max_shift`, that fits the sharp image best; every translation is judged on the same pixels of the
sharp image. Samples with `fit_brightness` (Köhler et al. 2012) are also multiplied by the best factor. A border is
left out, and so are covered pixels, those that they may be shifted to, and those whose similarity depends on these.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from bench.data.datasets import Sample, luma
from runtime.errors import InvalidArgument, MissingDependency
from runtime.metrics import align, psnr
from runtime.preparation.fill import fill_unknown

T = TypeVar("T", bound=np.generic)
THRESHOLDS = (2, 3, 5)
"""Error ratios up to which shares of cases are reported."""
_SSIM_REACH = 5
"""Pixels on each side that the structural similarity of a pixel depends on."""
MAX_PSNR = 100.0
"""PSNR in dB at which larger values are cut off, so that equal images have a finite one."""


@dataclass(frozen=True)
class Score:
    """Peak signal-to-noise ratio in dB, structural similarity, and sum of squared differences."""

    psnr: float
    ssim: float
    ssd: float


def score(image: npt.NDArray[np.floating], sample: Sample) -> Score:
    """Compare a restored image, luminance ``(H, W)`` or colours ``(H, W, 3)``, with the truth.

    Raises
    ------
    InvalidArgument
        If the sharp image is not known, the restored one is not finite or of another size, or the border or what
        covers the sample leave nothing of it.
    MissingDependency
        If scikit-image is not installed.
    """
    try:
        from skimage.metrics import structural_similarity
    except ImportError as error:
        raise MissingDependency("SSIM needs scikit-image: pip install 'deblur-runtime[bench]'") from error
    if sample.sharp is None:
        raise InvalidArgument("this sample has no sharp image to compare with: score one that has")
    # Clipping would turn infinity into white.
    if not np.isfinite(image).all():
        raise InvalidArgument("the restored image holds NaN or infinity: fix the restoration")
    truth, image = luma(sample.sharp), np.clip(luma(image), 0, 1)
    if sample.covered is not None:
        truth, image = (_filled(plane, sample.covered) for plane in (truth, image))
    fitted = _aligned(image, truth, sample)
    decibels = psnr(fitted, truth, border=sample.border)
    restored, expected = (_inside(plane, sample.border).astype(np.float64) for plane in (fitted, truth))
    # Wang et al. 2004: Gaussian windows with a standard deviation of 1.5 px.
    similarity, similarities = structural_similarity(
        restored, expected, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
    )
    if sample.covered is not None:
        seen = _inside(~_surroundings(sample.covered, sample.max_shift + _SSIM_REACH), sample.border)
        inner = _inside(seen, _SSIM_REACH)  # The mean of all leaves out as much at each side.
        if not inner.any():
            raise InvalidArgument("what covers this sample leaves nothing of it: leave the sample out")
        similarity = _inside(similarities, _SSIM_REACH)[inner].mean()
        restored, expected = restored[seen], expected[seen]
        decibels = psnr(restored[None], expected[None])
    return Score(min(decibels, MAX_PSNR), float(similarity), float(np.square(restored - expected).sum()))


def error_ratio_summary(ratios: Iterable[float]) -> dict[str, float]:
    """Summarise error ratios: the SSD over that of the restoration with the true kernel (Levin et al. 2009).

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


def _aligned(
    image: npt.NDArray[np.floating], truth: npt.NDArray[np.floating], sample: Sample
) -> npt.NDArray[np.floating]:
    """Apply the best translation and the best factor, as far as the sample allows them."""
    if sample.fit_brightness:
        # With equal means, the best translation does not depend on the factor.
        image = image * (_inside(truth, sample.border).mean() / max(_inside(image, sample.border).mean(), 1e-6))
    if sample.max_shift:
        image = align(image, truth, border=sample.border, max_shift=sample.max_shift)
    if sample.fit_brightness:
        inside = _inside(image, sample.border)
        image = image * (np.vdot(inside, _inside(truth, sample.border)) / max(np.vdot(inside, inside), 1e-6))
    return image


def _filled(plane: npt.NDArray[np.floating], covered: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """Fill covered pixels from their surroundings, so that they hardly count where an image is aligned."""
    filled = plane.astype(np.float32)
    fill_unknown(filled[None], ~covered)
    return filled


def _surroundings(covered: npt.NDArray[np.bool_], reach: int) -> npt.NDArray[np.bool_]:
    from scipy.ndimage import maximum_filter

    around: npt.NDArray[np.bool_] = maximum_filter(covered.view(np.uint8), 2 * reach + 1).view(bool)
    return around


def _inside(plane: npt.NDArray[T], border: int) -> npt.NDArray[T]:
    return plane[border : plane.shape[0] - border, border : plane.shape[1] - border]
