"""The motion of a camera, fitted to what is seen of it in places: a vector that changes linearly over the photograph.

A camera that moves, turns about its axis, or comes nearer moves the pixel at `x` by ``a + J x``, as long as the motion
is short. Six numbers are better known than the motion of any one patch. A blur does not tell which way a pixel went,
so motions are compared by the double angle, where opposite ones are the same.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

STEPS = 12
"""Iterations from each start."""


def double_angle(vectors: Floats) -> Floats:
    """Turn vectors ``(..., 2)`` of length `r` and angle `theta` into ones of length `r` and angle ``2 theta``."""
    length = np.maximum(np.hypot(vectors[..., 0], vectors[..., 1]), 1e-9)
    across, up = vectors[..., 0], vectors[..., 1]
    return np.stack([(across**2 - up**2) / length, 2 * across * up / length], axis=-1)


def half_angle(vectors: Floats) -> Floats:
    """Undo `double_angle`, up to sign."""
    length = np.hypot(vectors[..., 0], vectors[..., 1])
    angle = np.arctan2(vectors[..., 1], vectors[..., 0]) / 2
    return np.stack([length * np.cos(angle), length * np.sin(angle)], axis=-1)


def fit_affine(vectors: Floats, errors: Floats, places: Floats) -> Floats:
    """Fit an affine motion to motions given by the double angle.

    Least squares in turns with the choice of signs, each motion weighted by its expected error, and less the further it
    is off: a moving object does not sway the camera. Started from straight motions, turns, and approaches; the fit
    that leaves the least is taken.

    Parameters
    ----------
    vectors : (N, 2) array
        Motions by the double angle, in pixels.
    errors : (N,) array
        Their expected errors, positive.
    places : (N, 2) array
        Where they are, (column, row), any unit.

    Returns
    -------
    (3, 2) array
        ``[1, column, row] @ coefficients`` is the vector (right, up) at a place.
    """
    basis = np.concatenate([np.ones((len(places), 1)), places], axis=1)
    return min(
        (_descend(start, basis, vectors, errors) for start in _starts()),
        key=lambda found: float((_distances(found, basis, vectors) / errors).mean()),
    )


def _descend(coefficients: Floats, basis: Floats, vectors: Floats, errors: Floats) -> Floats:
    either = half_angle(vectors)
    weights = 1 / np.square(errors)
    for _ in range(STEPS):
        signs = np.where((basis @ coefficients * either).sum(axis=1) < 0, -1, 1)
        weighted = basis * weights[:, None]
        # Places on one line leave some coefficients open: the shortest solution has none of them.
        coefficients = np.linalg.pinv(weighted.T @ basis, rcond=1e-9) @ (weighted.T @ (signs[:, None] * either))
        weights = 1 / (errors * np.maximum(_distances(coefficients, basis, vectors), errors))
    return coefficients


def _distances(coefficients: Floats, basis: Floats, vectors: Floats) -> Floats:
    return np.asarray(np.linalg.norm(double_angle(basis @ coefficients) - vectors, axis=1))


def _starts() -> list[Floats]:
    """Return motions that choose signs: four straight ones, a turn, an approach, and two shears."""
    straight = [np.array([[np.cos(angle), np.sin(angle)], [0, 0], [0, 0]]) for angle in np.arange(4) * np.pi / 4]
    linear = [[[0, 1], [1, 0]], [[1, 0], [0, -1]], [[0, 1], [-1, 0]], [[1, 0], [0, 1]]]
    return [*straight, *(np.array([[0, 0], *rows], float) for rows in linear)]
