"""The motion of the camera, as an affine motion field fitted to the motions of patches.

A camera that shifts, rolls about its axis, or approaches moves the pixel at `x` by ``a + J x`` if the motion is short.
These six parameters are estimated more accurately than the motion of any one patch. A blur does not show the
sign of a motion, so motions are compared by the double angle, where opposite ones are the same.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_ITERATIONS = 12
"""Reweighted least-squares iterations from each initial motion."""


def double_angle(vectors: Floats) -> Floats:
    """Return, for vectors ``(..., 2)`` of length `r` and angle `theta`, those of length `r` and angle ``2 theta``."""
    length = np.maximum(np.hypot(vectors[..., 0], vectors[..., 1]), 1e-9)
    right, up = vectors[..., 0], vectors[..., 1]
    return np.stack([(right**2 - up**2) / length, 2 * right * up / length], axis=-1)


def half_angle(vectors: Floats) -> Floats:
    """Return vectors ``(..., 2)`` with half the angle: the inverse of `double_angle`, up to sign."""
    length = np.hypot(vectors[..., 0], vectors[..., 1])
    angle = np.arctan2(vectors[..., 1], vectors[..., 0]) / 2
    return np.stack([length * np.cos(angle), length * np.sin(angle)], axis=-1)


def fit_affine(vectors: Floats, errors: Floats, positions: Floats) -> Floats:
    """Fit an affine motion field to motions given by the double angle.

    Alternates between the signs of the motions and a weighted least-squares fit. The weight of a motion falls with its
    predicted error and with its distance from the last fit, so that moving objects have little influence. Of the fits
    from several initial motions (translations, rotation, approach, shears) the one with the smallest mean error is
    returned.

    Parameters
    ----------
    vectors : (N, 2) array
        Motions by the double angle, in pixels.
    errors : (N,) array
        Their predicted errors in pixels, positive.
    positions : (N, 2) array
        Their positions, (column, row), in any unit.

    Returns
    -------
    (3, 2) array
        ``[1, column, row] @ coefficients`` is the vector (right, up) in pixels at a position.
    """
    basis = np.concatenate([np.ones((len(positions), 1)), positions], axis=1)
    return min(
        (_fit_from(initial, basis, vectors, errors) for initial in _initial_motions()),
        key=lambda fit: float((_distances(fit, basis, vectors) / errors).mean()),
    )


def _fit_from(coefficients: Floats, basis: Floats, vectors: Floats, errors: Floats) -> Floats:
    """Return the coefficients (3, 2) of the fit that starts from given ones."""
    unsigned = half_angle(vectors)
    weights = 1 / np.square(errors)
    for _ in range(_ITERATIONS):
        signs = np.where((basis @ coefficients * unsigned).sum(axis=1) < 0, -1, 1)
        weighted = basis * weights[:, None]
        # Positions on one line leave some coefficients undetermined; take those of least norm.
        coefficients = np.linalg.pinv(weighted.T @ basis, rcond=1e-9) @ (weighted.T @ (signs[:, None] * unsigned))
        weights = 1 / (errors * np.maximum(_distances(coefficients, basis, vectors), errors))
    return coefficients


def _distances(coefficients: Floats, basis: Floats, vectors: Floats) -> Floats:
    """Return the distances (N,) in pixels, by the double angle, of motions from a fit."""
    return np.asarray(np.linalg.norm(double_angle(basis @ coefficients) - vectors, axis=1))


def _initial_motions() -> list[Floats]:
    """Return initial coefficients (3, 2): four translations, a rotation, an approach, and two shears."""
    angles = np.arange(4) * np.pi / 4
    translations = [np.array([[np.cos(angle), np.sin(angle)], [0, 0], [0, 0]]) for angle in angles]
    linear = [[[0, 1], [1, 0]], [[1, 0], [0, -1]], [[0, 1], [-1, 0]], [[1, 0], [0, 1]]]
    return [*translations, *(np.array([[0, 0], *rows], float) for rows in linear)]
