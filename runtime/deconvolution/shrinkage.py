"""What a sparse prior does to gradients: a table, so that it can be computed or learned."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.arrays import Array, array_module, is_cuda


@dataclass(frozen=True, eq=False)
class Shrinkage:
    """An odd function, linear between the values of a table.

    Attributes
    ----------
    table : (n,) array of float32
        Values at 0 (where it is 0) to `reach`, evenly spaced; beyond, the function rises as its argument does.
    reach : float
        In units of the threshold.
    """

    table: NDArray[np.float32]
    reach: float

    def __call__(self, values: Array, threshold: float) -> Array:
        """Return ``threshold * f(values / threshold)``, float32, value by value (any shape)."""
        if is_cuda(values):
            return self.plainly(values, threshold)
        from runtime.deconvolution.cpu import shrink

        return shrink(values, self.table, self.reach, threshold)

    def plainly(self, values: Array, threshold: float) -> Array:
        """Do the same by whole-array operations, on any device."""
        xp = array_module(values)
        size = xp.abs(values) / threshold
        near = xp.interp(size, xp.linspace(0, self.reach, len(self.table)), xp.asarray(self.table))
        shrunk = near + xp.maximum(size - self.reach, 0)
        return (xp.sign(values) * shrunk * threshold).astype(np.float32)


def soft_threshold() -> Shrinkage:
    """Return the minimiser of ``|z| + (z - v)^2 / 2`` over `z`, the prior ``l = 1`` of Eboli et al., Eq. 4."""
    return Shrinkage(np.array([0, 0, 1], np.float32), 2.0)
