"""Registration: the frames of a burst aligned with one of them.

Matched features give a first homography, which RANSAC keeps from following wrong matches; the enhanced correlation
coefficient (Evangelidis and Psarakis 2008) refines it on the whole picture, smoothed so that frames of different blur
look alike. What is found must make the detail of both frames agree.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from kernels.arrays import Array
from runtime.colour import luminance
from runtime.errors import InvalidArgument

Plane: TypeAlias = npt.NDArray[np.float32]
Homography: TypeAlias = npt.NDArray[np.float64]

WORKING_PIXELS = 1_000_000
"""Larger frames are reduced to about as many pixels to find the homography."""

FEATURES = 3000
MATCH_RATIO = 0.8
"""A match counts where the second best is farther by this factor (Lowe 2004)."""
RANSAC_PIXELS = 3.0
"""Farthest that a match may lie from where the homography puts it; a blur displaces features about as far."""
MIN_INLIERS = 12

FINE, COARSE = 2.0, 16.0
"""Standard deviations in pixels: finer detail than the first is smoothed away; what is coarser than the second is no
detail, but light and shade."""
ITERATIONS, PRECISION = 50, 1e-5
MIN_CORRELATION = 0.5
"""Least correlation of the detail of two frames of one scene."""
MIN_OVERLAP = 0.25
"""Least share of the reference that a frame shows."""
MAX_SCALE = 2.0
"""Frames whose scale differs by more are not of one burst."""
ALIGNED = 0.25
"""A frame nowhere farther off than this many pixels is not resampled."""
SEAM = 8.0
"""Pixels over which a frame passes into what is shown outside of it."""


class Registration:
    """Aligns frames with a reference.

    Parameters
    ----------
    reference
        Float32 NumPy array ``(1, H, W)`` or ``(3, H, W)``.
    """

    def __init__(self, reference: Array) -> None:
        self._reference = reference
        plane, self._to_working = _reduced(luminance(reference))
        self._features, self._smooth = _features(plane), _smooth(plane, FINE)

    def align(self, frame: Array) -> Array | None:
        """Resample a frame on the pixels of the reference.

        Parameters
        ----------
        frame
            Float32 NumPy array of the reference's shape.

        Returns
        -------
        array
            Float32 of the same shape, filled from the reference where the frame shows nothing; the frame itself where
            it is aligned already; ``None`` where it cannot be aligned.

        Raises
        ------
        InvalidArgument
            If the frame has another shape.
        """
        homography = self.homography(frame)
        if homography is None:
            return None
        if largest_shift(homography, *frame.shape[1:]) <= ALIGNED:
            return frame
        return warp(frame, homography, outside=self._reference)

    def homography(self, frame: Array) -> Homography | None:
        """Return the homography that maps pixels of the reference to those of a frame.

        Parameters
        ----------
        frame
            Float32 NumPy array of the reference's shape.

        Returns
        -------
        array
            Float64 ``(3, 3)``: ``(x, y, 1)`` in the reference goes to a multiple of ``(x', y', 1)`` in the frame; or
            ``None`` where the two do not show one scene.

        Raises
        ------
        InvalidArgument
            If the frame has another shape.
        """
        if frame.shape != self._reference.shape:
            raise InvalidArgument(f"a frame of shape {frame.shape}: give {self._reference.shape}, as the reference has")
        if np.array_equal(frame, self._reference):
            return np.eye(3)
        plane, _ = _reduced(luminance(frame))
        smooth, matched = _smooth(plane, FINE), _match(self._features, _features(plane))
        for start in (matched, np.eye(3)):  # hands hold still: without a match, or with a wrong one, begin there
            found = None if start is None else _refine(self._smooth, smooth, start)
            if found is not None and _plausible(found, *plane.shape) and _agree(self._smooth, smooth, found):
                return np.linalg.inv(self._to_working) @ found @ self._to_working
        return None


def sharpness(frame: Array) -> float:
    """Return how sharp a frame is among frames of one scene: the mean squared gradient of its luminance.

    The luminance is smoothed a little first, so that noise does not pass for detail.

    Parameters
    ----------
    frame
        Float32 NumPy array ``(1, H, W)`` or ``(3, H, W)``.
    """
    import cv2

    plane = cv2.GaussianBlur(luminance(frame), (0, 0), 1.0)
    gradients = (cv2.Sobel(plane, cv2.CV_32F, dx, 1 - dx, ksize=1) for dx in (0, 1))
    return float(sum(np.mean(gradient**2) for gradient in gradients))


def warp(frame: Array, homography: Homography, *, outside: Array) -> Array:
    """Resample a frame through a homography.

    Parameters
    ----------
    frame
        Float32 NumPy array ``(C, H, W)``.
    homography
        Float64 ``(3, 3)``, from pixels of the result to pixels of the frame.
    outside
        Float32 ``(C, H, W)``: what is shown where the frame shows nothing, with a soft seam.

    Returns
    -------
    array
        Float32 ``(C, H, W)``.
    """
    import cv2

    shown = _shown(homography, *frame.shape[1:])
    share = np.minimum(cv2.distanceTransform(shown.astype(np.uint8), cv2.DIST_L2, 3) / SEAM, 1)
    planes = np.empty_like(frame)
    for plane, beyond, target in zip(frame, outside, planes, strict=True):
        resampled = _resampled(plane, homography, cv2.INTER_LANCZOS4, cv2.BORDER_REFLECT)
        target[...] = beyond + share * (resampled - beyond)
    return planes


def largest_shift(homography: Homography, height: int, width: int) -> float:
    """Return how far a homography moves the corner that it moves farthest, in pixels."""
    corners = np.array([[0, 0, 1], [width - 1, 0, 1], [0, height - 1, 1], [width - 1, height - 1, 1]], np.float64)
    mapped = corners @ homography.T
    return float(np.linalg.norm(mapped[:, :2] / mapped[:, 2:] - corners[:, :2], axis=1).max())


def _resampled(plane: Plane, homography: Homography, interpolation: int, border: int) -> Plane:
    import cv2

    size, flags = plane.shape[::-1], interpolation | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpPerspective(plane, homography.astype(np.float64), size, flags=flags, borderMode=border))


def _shown(homography: Homography, height: int, width: int) -> npt.NDArray[np.bool_]:
    """Mark the pixels of the reference that a frame shows."""
    import cv2

    return _resampled(np.ones((height, width), np.float32), homography, cv2.INTER_NEAREST, cv2.BORDER_CONSTANT) > 0


def _reduced(plane: Plane) -> tuple[Plane, Homography]:
    """Return a plane of at most about `WORKING_PIXELS` and the map from the pixels of `plane` to its own."""
    import cv2

    height, width = plane.shape
    scale = min(1.0, (WORKING_PIXELS / plane.size) ** 0.5)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    if scale < 1:
        plane = cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
    x, y = size[0] / width, size[1] / height
    # Pixel centres lie at whole numbers, and those of both planes' corners do not coincide.
    return plane, np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])


def _smooth(plane: Plane, sigma: float) -> Plane:
    import cv2

    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma))


def _features(plane: Plane) -> tuple[Any, Any]:
    """Return SIFT key points and their descriptors, or ``None`` for these where there are none."""
    import cv2

    low, high = np.percentile(plane, [0.5, 99.5])
    stretched = np.clip((plane - low) * (255 / max(high - low, 1e-6)), 0, 255).astype(np.uint8)
    return cv2.SIFT_create(nfeatures=FEATURES).detectAndCompute(stretched, None)  # type: ignore[attr-defined, no-any-return]


def _match(reference: tuple[Any, Any], frame: tuple[Any, Any]) -> Homography | None:
    """Return the homography on which enough matched features agree."""
    import cv2

    (points, descriptors), (frame_points, frame_descriptors) = reference, frame
    if descriptors is None or frame_descriptors is None or len(frame_points) < 2:
        return None
    pairs = cv2.BFMatcher().knnMatch(descriptors, frame_descriptors, k=2)
    matches = [best for best, second in pairs if best.distance < MATCH_RATIO * second.distance]
    if len(matches) < MIN_INLIERS:
        return None
    source = np.array([points[match.queryIdx].pt for match in matches])
    target = np.array([frame_points[match.trainIdx].pt for match in matches])
    homography, agree = cv2.findHomography(source, target, cv2.RANSAC, RANSAC_PIXELS)
    return homography if homography is not None and agree.sum() >= MIN_INLIERS else None


def _refine(reference: Plane, frame: Plane, start: Homography) -> Homography | None:
    """Return the homography that correlates two smooth planes best, or ``None`` where it is not found."""
    import cv2

    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, ITERATIONS, PRECISION)
    start = (start / start[2, 2]).astype(np.float32)
    try:
        _, found = cv2.findTransformECC(reference, frame, start, cv2.MOTION_HOMOGRAPHY, criteria, None, 1)
    except cv2.error:  # raised where it does not converge
        return None
    return np.asarray(found, np.float64)


def _agree(reference: Plane, frame: Plane, homography: Homography) -> bool:
    """Tell whether the detail of two smooth planes correlates where both are seen."""
    import cv2

    shown = _shown(homography, *reference.shape)
    if shown.mean() < MIN_OVERLAP:
        return False
    aligned = _resampled(frame, homography, cv2.INTER_LINEAR, cv2.BORDER_REFLECT)
    mine, other = ((plane - _smooth(plane, COARSE))[shown] for plane in (reference, aligned))
    mine, other = mine - mine.mean(), other - other.mean()
    return bool(mine @ other > MIN_CORRELATION * np.sqrt((mine @ mine) * (other @ other)))


def _plausible(homography: Homography, height: int, width: int) -> bool:
    """Tell whether a homography maps a frame to a convex quadrangle of about its size."""
    corners = np.array([[0, 0, 1], [width, 0, 1], [width, height, 1], [0, height, 1]], np.float64)
    mapped = corners @ homography.T
    if not (mapped[:, 2] > 0).all():
        return False
    points = mapped[:, :2] / mapped[:, 2:]
    sides = np.roll(points, -1, axis=0) - points
    turned = np.roll(sides, -1, axis=0)
    doubled_areas = sides[:, 0] * turned[:, 1] - sides[:, 1] * turned[:, 0]
    area = doubled_areas.sum() / (4 * height * width)
    return bool((doubled_areas > 0).all() and MAX_SCALE**-2 <= area <= MAX_SCALE**2)
