"""Features of a frame, and the homography on which those of two frames agree."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from kernels.cancellation import checkpoint
from runtime.decisions.thresholds import FRAME_INLIERS

Plane: TypeAlias = npt.NDArray[np.float32]
Mask: TypeAlias = npt.NDArray[np.bool_]
Homography: TypeAlias = npt.NDArray[np.float64]
Features: TypeAlias = tuple[Any, Any]
"""SIFT key points and their descriptors; the descriptors are ``None`` if there are no key points."""

_MAX_FEATURES = 3000
"""Largest number of SIFT features of a frame."""
_MATCH_RATIO = 0.8
"""Largest ratio of the descriptor distances of the best and the second best match of a feature (Lowe 2004)."""
_RANSAC_THRESHOLD = 3.0
"""Largest reprojection error of an inlier, in pixels; blur displaces features by about as much."""


def features(plane: Plane, known: Mask | None) -> Features:
    """Return the features of a plane, of the known pixels if there is a mask."""
    import cv2

    checkpoint()
    mask = None if known is None else 255 * known.astype(np.uint8)

    low, high = np.percentile(plane, [0.5, 99.5])
    stretched = np.clip((plane - low) * (255 / max(high - low, 1e-6)), 0, 255).astype(np.uint8)
    return cv2.SIFT_create(nfeatures=_MAX_FEATURES).detectAndCompute(stretched, mask)  # type: ignore[attr-defined, no-any-return]


def match(reference: Features, frame: Features) -> Homography | None:
    """Return the homography of matched features, or ``None`` if it has too few inliers."""
    import cv2

    (points, descriptors), (frame_points, frame_descriptors) = reference, frame
    if descriptors is None or frame_descriptors is None or len(frame_points) < 2:
        return None
    pairs = cv2.BFMatcher().knnMatch(descriptors, frame_descriptors, k=2)
    matches = [best for best, second in pairs if best.distance < _MATCH_RATIO * second.distance]
    if len(matches) < FRAME_INLIERS:
        return None
    source = np.array([points[match.queryIdx].pt for match in matches])
    target = np.array([frame_points[match.trainIdx].pt for match in matches])
    homography, inliers = cv2.findHomography(source, target, cv2.RANSAC, _RANSAC_THRESHOLD)
    return homography if homography is not None and inliers.sum() >= FRAME_INLIERS else None
