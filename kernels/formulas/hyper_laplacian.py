"""The shrinkage of a hyper-Laplacian prior of exponent 2/3: its constants and its scale."""

from __future__ import annotations

EXPONENT = 2.0 / 3.0

THRESHOLD = 2 * (2 / 3) ** 0.75
"""At a coupling of 1, values up to here are shrunk to 0, and larger ones to no less than half."""

START = 0.545
"""Newton's method starts at the cube root of ``value - START * THRESHOLD^2 / value``.

That is close to the solution both at the threshold and for large values.
"""

STEPS = 3
"""Newton steps that reach single precision from there."""


def unit_scale(coupling: float) -> float:
    """Return the factor `s` for which the shrinkage at `coupling` is ``s shrink(values / s)`` at a coupling of 1."""
    return float(coupling ** (-1 / (2 - EXPONENT)))
