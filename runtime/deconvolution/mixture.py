"""The prior of EPLL: a Gaussian mixture on patches of 8 x 8 pixels (Zoran and Weiss 2011)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

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


@dataclass(frozen=True)
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

    def tables(self, noise_variance: float) -> Tables:
        """Return the tables of `kernels.mixture` for patches with white noise of a variance.

        The leading eigenvectors of each covariance are kept; the others, whose variance is small compared with the
        noise, are given one common variance. This saves most of the work (flat-tail approximation, Parameswaran et al.
        2018, section III).
        """
        noisy = self.variances + noise_variance
        size = noisy.shape[1]
        ranks = np.maximum((self.variances > _TAIL_VARIANCE * noise_variance).sum(1), 1)
        tail = np.arange(size) >= ranks[:, None]
        tail_noisy = np.where(tail, noisy, 0).sum(1) / np.maximum(tail.sum(1), 1)
        tail_noisy = np.where(tail.any(1), tail_noisy, noisy[:, -1])
        gain = np.sqrt(np.maximum(0.5 / tail_noisy[:, None] - 0.5 / noisy, 0))
        starts = np.concatenate([[0], np.cumsum(-(-ranks // ROW_UNIT) * ROW_UNIT)])
        directions = np.zeros((starts[-1], size), np.float32)
        for k, rank in enumerate(ranks):
            directions[starts[k] : starts[k] + rank] = gain[k, :rank, None] * self.vectors[k, :rank]
        shrinkage = np.sqrt(self.variances / noisy).astype(np.float32)
        roots = shrinkage[:, :, None] * self.vectors.astype(np.float32)
        return Tables(
            directions,
            starts.astype(np.int64),
            (np.log(self.weights) - 0.5 * np.log(noisy).sum(1)).astype(np.float32),
            (0.5 / tail_noisy).astype(np.float32),
            np.swapaxes(roots, 1, 2) @ roots,
        )


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
