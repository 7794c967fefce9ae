"""Shrinkage functions of sparse priors (their proximal operators), as tables that are computed or learned."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.arrays import Array
from kernels.shrinkage import shrink_by_table


@dataclass(frozen=True, eq=False)
class Shrinkage:
    """An odd function that is linear between the entries of a table.

    Attributes
    ----------
    table : (n,) array of float32
        Values at n evenly spaced arguments from 0, where the value is 0, to `reach`; beyond, the slope is 1.
    reach : float
        Last argument of the table, in units of the threshold.
    """

    table: NDArray[np.float32]
    reach: float

    def __call__(self, values: Array, threshold: float) -> Array:
        """Return ``threshold * f(values / threshold)``, float32, for float32 `values` of any shape."""
        return shrink_by_table(values, self.table, self.reach, threshold)


def soft_threshold() -> Shrinkage:
    """Return the minimiser of ``|z| + (z - v)^2 / 2`` over `z`, the prior ``l = 1`` of Eboli et al., Eq. 4."""
    return Shrinkage(np.array([0, 0, 1], np.float32), 2.0)
