"""The Gaussian mixture on 8 x 8 patches that EPLL takes for its prior (Zoran and Weiss 2011)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kernels.arrays import Array, array_module, is_cuda
from runtime.errors import InvalidModel
from runtime.inference.bundle import load_model

SIDE = 8
"""Side of a patch in pixels."""
MODEL = "epll-mixture"
FLAT = 2.0
"""Variances below this many times the noise's count as one: telling them apart hardly changes a choice."""
ROW_UNIT = 4
"""The directions of each component are padded with zeros to a multiple of this."""


class Tables(NamedTuple):
    """A mixture made ready for one noise level.

    The log density of a noisy patch `x` of mean zero under component `k` is, but for what is the same for all,
    ``constants[k] - tails[k] |x|^2 + |directions_k x|^2``; the patch that is expected behind it is
    ``filters[k] x``.
    """

    directions: NDArray[np.float32]
    """(R, 64): those of component `k` are the rows ``starts[k]`` to ``starts[k + 1] - 1``."""
    starts: NDArray[np.int64]
    constants: NDArray[np.float32]
    tails: NDArray[np.float32]
    filters: NDArray[np.float32]
    """(K, 64, 64), symmetric."""


@dataclass(frozen=True)
class PatchMixture:
    """Gaussians of mean zero over patches less their mean.

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
        """Take a mixture of ``weights`` (K,) and ``covariances`` (K, 64, 64) apart into its eigenvectors."""
        weights = weights.astype(np.float64)
        variances, vectors = np.linalg.eigh(covariances.astype(np.float64))
        return cls(
            weights / weights.sum(),
            np.maximum(variances[:, ::-1], 0),
            np.swapaxes(vectors, 1, 2)[:, ::-1],
        )

    def tables(self, noise_variance: float) -> Tables:
        """Prepare for patches with white noise of that variance.

        Of each covariance the leading directions are kept, and the others, whose variance the noise exceeds by
        far, get one variance for all: that saves most of the work (flat-tail approximation, Parameswaran et al.
        2018, section III).
        """
        noisy = self.variances + noise_variance
        size = noisy.shape[1]
        ranks = np.maximum((self.variances > FLAT * noise_variance).sum(1), 1)
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
        If it holds no mixture for patches of 8 x 8.
    """
    bundle = load_model(folder)
    constants = bundle.load_constants("mixture")
    size = SIDE * SIDE
    rows, cols = np.triu_indices(size)
    try:
        weights, packed = constants["weights"], constants["covariances"]
        covariances = np.empty((len(weights), size, size))
        covariances[:, rows, cols] = covariances[:, cols, rows] = packed
    except (KeyError, ValueError) as error:
        raise InvalidModel(f"{bundle.path}: not a mixture over 8x8 patches ({error}); export it again") from error
    return PatchMixture.from_covariances(weights, covariances)


def restore_patches(patches: Array, tables: Tables) -> Array:
    """Restore noisy patches (n, 64): each by the Wiener filter of the component that explains it best.

    The mean of a patch is kept (Zoran and Weiss 2011, section 3.2). The noise level is that of the tables.
    """
    if is_cuda(patches):
        return restore_patches_plainly(patches, tables)
    from runtime.deconvolution.cpu import restore_patches as restore_on_cpu

    return restore_on_cpu(patches, tables)


def restore_patches_plainly(patches: Array, tables: Tables) -> Array:
    """Do the work of `restore_patches` by whole-array operations, on any device."""
    xp = array_module(patches)
    starts = tables.starts.tolist()
    tables = Tables(*(xp.asarray(table) for table in tables))
    means = patches.mean(axis=1, keepdims=True)
    centred = patches - means
    energy = xp.square(centred).sum(axis=1)
    best = xp.full(len(patches), -xp.inf, dtype=xp.float32)
    choice = xp.zeros(len(patches), dtype=xp.int64)
    for k in range(len(starts) - 1):
        score = xp.square(centred @ tables.directions[starts[k] : starts[k + 1]].T).sum(axis=1)
        score += tables.constants[k] - tables.tails[k] * energy
        choice = xp.where(score > best, k, choice)
        best = xp.maximum(score, best)
    restored = xp.empty_like(patches)
    for k in range(len(starts) - 1):
        chosen = xp.flatnonzero(choice == k)
        restored[chosen] = centred[chosen] @ tables.filters[k] + means[chosen]
    return restored
