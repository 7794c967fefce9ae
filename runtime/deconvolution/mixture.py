"""The prior of EPLL: a Gaussian mixture on patches of 8 x 8 pixels (Zoran and Weiss 2011)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.arrays import Array, array_module, is_cuda
from kernels.device_tables import constants_of
from kernels.mixture import ROW_UNIT, Tables
from runtime.errors import InvalidModel
from runtime.inference.bundle import ImageAssumptions, load_model

SIDE = 8
"""Side of a patch in pixels."""
MODEL = "epll-mixture"
_TAIL_VARIANCE = 2.0
"""Eigenvalues up to this, in units of the noise variance, are replaced by their mean.

This hardly changes which component is chosen.
"""


@dataclass(frozen=True, eq=False)
class PatchMixture:
    """A mixture of zero-mean Gaussians over patches whose mean has been subtracted.

    Attributes
    ----------
    weights : (K,) array of float64
        Sum 1.
    variances : (K, 64) array of float64
        Eigenvalues of each covariance, largest first.
    vectors : (K, 64, 64) array of float64
        Eigenvectors, one per row, in the order of `variances`.
    """

    weights: NDArray[np.float64]
    variances: NDArray[np.float64]
    vectors: NDArray[np.float64]

    @classmethod
    def from_covariances(cls, weights: NDArray[Any], covariances: NDArray[Any]) -> PatchMixture:
        """Return the mixture of `weights` (K,) and `covariances` (K, 64, 64)."""
        weights = weights.astype(np.float64)
        variances, vectors = np.linalg.eigh(covariances.astype(np.float64))
        return cls(
            weights / weights.sum(),
            np.maximum(variances[:, ::-1], 0),
            np.swapaxes(vectors, 1, 2)[:, ::-1],
        )

    def tables(self, noise_variance: float, like: Array | None = None) -> Tables:
        """Return the tables of `kernels.mixture` for patches with white noise of a variance.

        The leading eigenvectors of each covariance are kept; the others, whose variance is small compared with the
        noise, are given one common variance. This saves most of the work (flat-tail approximation, Parameswaran et al.
        2018, section III).

        Where `like` is an array on a GPU, the large tables are computed there. The eigenvectors are uploaded once, and
        a few numbers of each for every noise level.
        """
        noisy = self.variances + noise_variance
        size = noisy.shape[1]
        ranks = np.maximum((self.variances > _TAIL_VARIANCE * noise_variance).sum(1), 1)
        tail = np.arange(size) >= ranks[:, None]
        tail_noisy = np.where(tail, noisy, 0).sum(1) / np.maximum(tail.sum(1), 1)
        tail_noisy = np.where(tail.any(1), tail_noisy, noisy[:, -1])
        gain = np.sqrt(np.maximum(0.5 / tail_noisy[:, None] - 0.5 / noisy, 0))
        starts = np.concatenate([[0], np.cumsum(-(-ranks // ROW_UNIT) * ROW_UNIT)]).astype(np.int64)
        constants = (np.log(self.weights) - 0.5 * np.log(noisy).sum(1)).astype(np.float32)
        tails = (0.5 / tail_noisy).astype(np.float32)
        shrinkage = np.sqrt(self.variances / noisy).astype(np.float32)
        if like is not None and is_cuda(like):
            return self._tables_there(like, starts, constants, tails, np.where(tail, 0, gain), shrinkage)
        directions = np.zeros((starts[-1], size), np.float32)
        for k, rank in enumerate(ranks):
            directions[starts[k] : starts[k] + rank] = gain[k, :rank, None] * self.vectors[k, :rank]
        roots = shrinkage[:, :, None] * self.vectors.astype(np.float32)
        return Tables(directions, starts, constants, tails, np.swapaxes(roots, 1, 2) @ roots)

    def _tables_there(
        self,
        like: Array,
        starts: NDArray[np.int64],
        constants: NDArray[np.float32],
        tails: NDArray[np.float32],
        gain: NDArray[np.float64],
        shrinkage: NDArray[np.float32],
    ) -> Tables:
        """Scale the eigenvectors on the device of `like`, and choose those that are kept."""
        (vectors,) = constants_of(self, like, _vectors)
        count, size, _ = vectors.shape
        padded = np.diff(starts)
        # A gain of 0 makes the rows of zeros that pad a component.
        rows = np.arange(starts[-1]) + np.repeat(size * np.arange(count) - starts[:-1], padded)
        # One upload for all, since each has a price of its own; whole numbers up to 2^24 are exact as float32.
        numbers = array_module(like).asarray(
            np.concatenate([constants, tails, gain.reshape(-1)[rows], shrinkage.reshape(-1), rows]).astype(np.float32)
        )
        ends = np.cumsum([count, count, len(rows), count * size])
        constants, tails, gain, shrinkage, rows = (
            numbers[first:last] for first, last in pairwise([0, *ends.tolist(), len(numbers)])
        )
        directions = gain[:, None] * vectors.reshape(-1, size)[rows.astype(np.int32)]
        roots = shrinkage.reshape(count, size, 1) * vectors
        return Tables(directions, starts, constants, tails, roots.transpose(0, 2, 1) @ roots)


def _vectors(mixture: PatchMixture) -> tuple[Array, ...]:
    return (mixture.vectors.astype(np.float32),)


@lru_cache(maxsize=2)
def load_mixture(folder: str | Path = MODEL) -> PatchMixture:
    """Load the mixture of a bundle, by its name or path.

    Raises
    ------
    ModelNotFound
        If there is no such bundle.
    InvalidModel
        If it holds no mixture for patches of 8 x 8 pixels of luminance in [0, 1].
    """
    bundle = load_model(folder)
    bundle.require_assumptions(ImageAssumptions())
    constants = bundle.load_constants("mixture")
    size = SIDE * SIDE
    rows, cols = np.triu_indices(size)
    try:
        weights, packed = constants["weights"], constants["covariances"]
        if weights.ndim != 1 or not len(weights) or weights.min() <= 0 or packed.shape != (len(weights), len(rows)):
            raise ValueError(f"weights of shape {weights.shape}, covariances of shape {packed.shape}")
        covariances = np.empty((len(weights), size, size))
        covariances[:, rows, cols] = covariances[:, cols, rows] = packed
        return PatchMixture.from_covariances(weights, covariances)
    except (KeyError, ValueError, np.linalg.LinAlgError) as error:
        raise InvalidModel(f"{bundle.path}: not a mixture over 8x8 patches ({error}); export it again") from error
