"""Registration of the frames of a burst to a reference frame by a homography.

Matched SIFT features give an initial homography by RANSAC. Maximising the enhanced correlation coefficient (ECC,
Evangelidis and Psarakis 2008) over all pixels refines it; both frames are smoothed first, to reduce the difference
between their blurs. A homography is accepted only if the detail of the aligned frames correlates. If frames that are
aligned contradict each other, something moved and may have drawn them along: the homography is then found by the detail
without the shading, which draws less, and refined where the frames agree. Light that differs over the frames draws them
along, too: they are then aligned as if all were equally bright, and again by what is lit alike.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np

from kernels.arrays import Array
from kernels.cancellation import checkpoint
from runtime.burst.content import scaled
from runtime.burst.exposure import clipped_like
from runtime.burst.features import Features, Homography, Mask, Plane, features, match
from runtime.burst.shading import levelled
from runtime.colour import luminance
from runtime.decisions.thresholds import (
    FRAME_ALIGNED,
    FRAME_CORRELATION,
    FRAME_OVERLAP,
    FRAME_SCALE,
)
from runtime.errors import InvalidArgument
from runtime.preparation.white import find_white

_WORKING_PIXELS = 1_000_000
"""The homography is estimated on frames reduced to about this many pixels."""
_FINE_SIGMA = 2.0
"""Standard deviation, in pixels, of the Gaussian that smooths the frames before the homography is refined."""
_COARSE_SIGMA = 16.0
"""Standard deviation, in pixels, of the Gaussian that is subtracted, as shading, before detail is correlated."""
_TURNS = 3
"""How often, at most, a homography is refined again without what contradicts the reference."""
_ECC_ITERATIONS = 50
"""Largest number of iterations of the refinement."""
_ECC_TOLERANCE = 1e-5
"""Increase of the correlation coefficient below which the refinement stops."""
_SEAM = 8.0
"""Width, in pixels, of the transition from a frame to the fill outside of it."""


class Registration:
    """Aligns frames to a reference frame.

    Parameters
    ----------
    reference
        Float32 NumPy array ``(1, H, W)`` or ``(3, H, W)``, values of any range.
    trust
        Float32 ``(H, W)``, 0 where the reference is unknown; ``None`` where it is 1 throughout.
    """

    def __init__(self, reference: Array, trust: Plane | None = None) -> None:
        self._reference, self._trusted = reference, None if trust is None else trust > 0
        plane, self._to_working = _reduced(luminance(reference))
        self._plane, self._trust, self._known = plane, trust, _known(trust, plane)
        self._smooth = _smooth(plane, _FINE_SIGMA)

    def align(
        self,
        frame: Array,
        trust: Plane | None = None,
        agreed: Callable[[Array, Plane | None], Plane | None] | None = None,
        lighting: Callable[[Array, Plane | None], Array | None] | None = None,
    ) -> tuple[Array, Plane | None] | None:
        """Resample a frame on the pixel grid of the reference.

        Parameters
        ----------
        frame
            Float32 NumPy array of the reference's shape.
        trust
            Float32 ``(H, W)``, 0 where the frame is unknown; ``None`` where it is 1 throughout.
        agreed
            Called with what is returned: float32 ``(H, W)``, 0 where the aligned frame contradicts the reference, or
            ``None`` if it does so nowhere. The frame is then aligned by the rest.
        lighting
            Called with the same: by what the aligned frame is multiplied to be lit like the reference, float32
            ``(C, H, W)``, or ``None`` if the two are lit alike.

        Returns
        -------
        frame : array
            Float32 of the same shape; the frame itself if it is aligned already.
        trust : array or None
            That of the aligned frame, 0 outside of the frame.

        ``None`` if the frame cannot be aligned.

        Raises
        ------
        InvalidArgument
            If the frame has another shape.
        """
        registration, seen, homography = self, frame, self.homography(frame, trust)
        if lighting and not self._is_settled(frame, homography, trust, agreed, lighting):
            level = levelled(frame, trust)
            found = self._level.homography(level, trust)
            if found is not None and lighting(*_aligned(frame, found, trust)) is not None:
                registration, seen, homography = self._level, level, found
        if homography is None:
            return None
        aligned = _aligned(frame, homography, trust)
        for turn in range(1 + _TURNS if agreed else 0):
            compared = agreed(*aligned) if agreed else None
            if compared is None:
                break
            if turn == 0:  # what seems to agree may have been drawn along, too
                found = registration.homography(seen, trust, shading=False)
            else:
                found = registration.homography(seen, trust, compared, homography)
            if found is None:
                break
            homography, aligned = found, _aligned(frame, found, trust)
        return aligned

    def _is_settled(
        self,
        frame: Array,
        homography: Homography | None,
        trust: Plane | None,
        agreed: Callable[[Array, Plane | None], Plane | None] | None,
        lighting: Callable[[Array, Plane | None], Array | None],
    ) -> bool:
        """Tell whether a frame lies on the reference and is lit like it, or at least agrees with it."""
        if homography is None:
            return False
        aligned = _aligned(frame, homography, trust)
        return lighting(*aligned) is None and (agreed is None or agreed(*aligned) is None)

    @cached_property
    def _level(self) -> Registration:
        """The registration to the reference as if it were equally bright everywhere."""
        return Registration(levelled(self._reference, self._trust), self._trust)

    @cached_property
    def _features(self) -> Features:
        return features(self._plane, self._known)

    def homography(
        self,
        frame: Array,
        trust: Plane | None = None,
        compared: Plane | None = None,
        initial: Homography | None = None,
        shading: bool = True,
    ) -> Homography | None:
        """Return the homography that maps pixel coordinates of the reference to those of a frame.

        Parameters
        ----------
        frame
            Float32 NumPy array of the reference's shape.
        trust
            As in `align`.
        compared
            Float32 ``(H, W)``, 0 at pixels of the reference that are not to be compared; ``None`` for all.
        initial
            An estimate to be refined; by default that of matched features, or the identity.
        shading
            Whether to refine it by all that is seen, or by the detail alone: less exactly, but what moves draws less.

        Returns
        -------
        array
            Float64 ``(3, 3)``: it maps ``(x, y, 1)`` in the reference to a multiple of ``(x', y', 1)`` in the frame.
            ``None`` if the two do not show the same scene.

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
        known = _known(trust, plane)
        reference, smooth = self._comparable(frame, plane, None if trust is None else trust > 0)
        seen = (reference, smooth) if shading else (_detail(reference), _detail(smooth))
        masks = _both(self._known, _known(compared, plane)), known
        to_working, from_working = self._to_working, np.linalg.inv(self._to_working)
        initials: tuple[Homography | None, ...]
        if initial is None:
            # Frames of a burst move little: the identity is the second initial estimate if matching fails or misleads.
            initials = (match(self._features, features(plane, known)), np.eye(3))
        else:
            initials = (to_working @ initial @ from_working,)
        for start in initials:
            found = None if start is None else _refine(*seen, start, *masks)
            if found is None or not _is_plausible(found, *plane.shape):
                continue
            if _correlates(reference, smooth, found, *masks):
                return from_working @ found @ to_working
        return None

    def _comparable(self, frame: Array, plane: Plane, trusted: Mask | None) -> tuple[Plane, Plane]:
        """Return smooth planes of the reference and of a frame, both clipped where one of them is.

        What is clipped in one of them only does not look alike, and would draw the frame away.
        """
        reference = clipped_like(self._reference, frame, self._trusted, trusted)
        clipped = clipped_like(frame, self._reference, trusted, self._trusted)
        return (
            self._smooth if reference is self._reference else _smooth(_reduced(luminance(reference))[0], _FINE_SIGMA),
            _smooth(plane if clipped is frame else _reduced(luminance(clipped))[0], _FINE_SIGMA),
        )


def warp(frame: Array, homography: Homography, *, outside: Array) -> Array:
    """Resample a frame through a homography.

    Parameters
    ----------
    frame
        Float32 NumPy array ``(C, H, W)``.
    homography
        Float64 ``(3, 3)``, from pixel coordinates of the result to those of the frame.
    outside
        Float32 ``(C, H, W)``: fills the pixels outside of the frame, with a soft transition.

    Returns
    -------
    array
        Float32 ``(C, H, W)``.
    """
    resampled, weight = resample(frame, homography)
    return outside + weight * (resampled - outside)


def resample(frame: Array, homography: Homography, trust: Plane | None = None) -> tuple[Array, Plane]:
    """Resample a frame and the trust in it through a homography.

    Parameters
    ----------
    frame, homography
        As in `warp`.
    trust
        Float32 ``(H, W)`` in [0, 1]; ``None`` where it is 1 throughout.

    Returns
    -------
    frame : array
        Float32 ``(C, H, W)``, mirrored outside of the frame.
    trust : array
        Float32 ``(H, W)``, falling to 0 at the border of the frame with a soft transition.
    """
    import cv2

    inside = _inside_frame(homography, *frame.shape[1:])
    weight = np.minimum(cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, 3) / _SEAM, 1)
    if trust is not None:
        weight = weight * _resampled(trust, homography, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT)
    planes = []
    for plane in frame:
        checkpoint()
        moved = _resampled(plane, homography, cv2.INTER_LANCZOS4, cv2.BORDER_REFLECT)
        planes.append(np.clip(moved, plane.min(), plane.max()))
    return np.stack(planes), np.asarray(weight, np.float32)


def largest_shift(homography: Homography, height: int, width: int) -> float:
    """Return the largest displacement, in pixels, of a corner of a frame of ``(height, width)`` under a homography."""
    corners = np.array([[0, 0, 1], [width - 1, 0, 1], [0, height - 1, 1], [width - 1, height - 1, 1]], np.float64)
    mapped = corners @ homography.T
    return float(np.linalg.norm(mapped[:, :2] / mapped[:, 2:] - corners[:, :2], axis=1).max())


def _aligned(frame: Array, homography: Homography, trust: Plane | None) -> tuple[Array, Plane | None]:
    """Return a frame and the trust in it on the grid of the reference: themselves if they lie on it already."""
    if largest_shift(homography, *frame.shape[1:]) <= FRAME_ALIGNED:
        return frame, trust
    return resample(frame, homography, trust)


def _both(first: Mask | None, second: Mask | None) -> Mask | None:
    """Return the pixels that are in both masks; ``None`` for all."""
    return first if second is None else second if first is None else first & second


def _resampled(plane: Plane, homography: Homography, interpolation: int, border: int) -> Plane:
    import cv2

    size, flags = plane.shape[::-1], interpolation | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpPerspective(plane, homography.astype(np.float64), size, flags=flags, borderMode=border))


def _inside_frame(homography: Homography, height: int, width: int) -> Mask:
    """Return the mask (height, width) of the pixels of the reference that lie inside a frame."""
    import cv2

    return _resampled(np.ones((height, width), np.float32), homography, cv2.INTER_NEAREST, cv2.BORDER_CONSTANT) > 0


def _reduced(plane: Plane) -> tuple[Plane, Homography]:
    """Reduce a plane to about `_WORKING_PIXELS` at most, and its values to about 1, whose squares can be added.

    Return it and the map from original to reduced coordinates.
    """
    import cv2

    plane = scaled(plane, -find_white(plane[None], bent=True).exponent)
    height, width = plane.shape
    scale = min(1.0, (_WORKING_PIXELS / plane.size) ** 0.5)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    if scale < 1:
        plane = cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
    x, y = size[0] / width, size[1] / height
    # Pixel centres have integer coordinates, so the corner pixels of both planes have different centres.
    return plane, np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])


def _known(trust: Plane | None, reduced: Plane) -> Mask | None:
    """Return the mask of the pixels of a reduced plane that no unknown one reaches when it is smoothed, or ``None``."""
    import cv2

    if trust is None or bool((trust > 0).all()):
        return None
    known = (cv2.resize(trust, reduced.shape[::-1], interpolation=cv2.INTER_LINEAR) >= 1).astype(np.uint8)
    side = 2 * round(3 * _FINE_SIGMA) + 1
    return np.asarray(cv2.erode(known, np.ones((side, side), np.uint8)) > 0)


def _smooth(plane: Plane, sigma: float) -> Plane:
    import cv2

    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma))


def _detail(smooth: Plane) -> Plane:
    """Return a smooth plane without its shading."""
    return smooth - _smooth(smooth, _COARSE_SIGMA)


def _refine(
    reference: Plane, frame: Plane, initial: Homography, reference_known: Mask | None, known: Mask | None
) -> Homography | None:
    """Return the homography that maximises the correlation of two smooth planes, or ``None`` without convergence."""
    import cv2

    checkpoint()
    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, _ECC_ITERATIONS, _ECC_TOLERANCE)
    initial = (initial / initial[2, 2]).astype(np.float32)
    mask = None if known is None else known.astype(np.uint8)
    if reference_known is not None:  # the refinement takes a mask of the frame only, and moves little
        size, nearest = frame.shape[::-1], cv2.INTER_NEAREST
        there = cv2.warpPerspective(reference_known.astype(np.uint8), initial, size, flags=nearest, borderValue=1)
        mask = np.asarray(there if mask is None else mask & there)
    try:
        _, found = cv2.findTransformECC(reference, frame, initial, cv2.MOTION_HOMOGRAPHY, criteria, mask, 1)
    except cv2.error:  # raised if it does not converge
        return None
    return np.asarray(found, np.float64)


def _correlates(
    reference: Plane, frame: Plane, homography: Homography, reference_known: Mask | None, known: Mask | None
) -> bool:
    """Return whether two smooth planes overlap enough and their detail correlates in the overlap."""
    import cv2

    overlap = _inside_frame(homography, *reference.shape)
    if reference_known is not None:
        overlap &= reference_known
    if known is not None:
        overlap &= _resampled(known.astype(np.float32), homography, cv2.INTER_NEAREST, cv2.BORDER_CONSTANT) > 0
    if overlap.mean() < FRAME_OVERLAP:
        return False
    aligned = _resampled(frame, homography, cv2.INTER_LINEAR, cv2.BORDER_REFLECT)
    first, second = (_detail(plane)[overlap] for plane in (reference, aligned))
    first, second = first - first.mean(), second - second.mean()
    return bool(first @ second > FRAME_CORRELATION * np.sqrt((first @ first) * (second @ second)))


def _is_plausible(homography: Homography, height: int, width: int) -> bool:
    """Return whether a homography maps a frame to a convex quadrilateral of similar area."""
    corners = np.array([[0, 0, 1], [width, 0, 1], [width, height, 1], [0, height, 1]], np.float64)
    mapped = corners @ homography.T
    if not (mapped[:, 2] > 0).all():
        return False
    points = mapped[:, :2] / mapped[:, 2:]
    sides = np.roll(points, -1, axis=0) - points
    next_sides = np.roll(sides, -1, axis=0)
    # Cross products of adjacent sides: all positive for a convex quadrilateral that is not mirrored.
    corner_areas = sides[:, 0] * next_sides[:, 1] - sides[:, 1] * next_sides[:, 0]
    area = corner_areas.sum() / (4 * height * width)
    return bool((corner_areas > 0).all() and FRAME_SCALE**-2 <= area <= FRAME_SCALE**2)
