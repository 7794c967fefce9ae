"""A Gaussian mixture on 8 x 8 patches, the prior of EPLL (Zoran and Weiss 2011, section 3), and how it is fitted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from export.data.photographs import read_luminance
from runtime.deconvolution.mixture import SIDE

_VARIANCE_FLOOR = 1e-6
"""Added to every variance, about that of rounding to 8 bits; patches without mean have a singular covariance."""
_ROWS = 4096
_NEGLIGIBLE = 1e-3


@dataclass
class Mixture:
    """Gaussians of mean zero.

    Attributes
    ----------
    weights (K,) float32
        Sum 1.
    covariances (K, D, D) float32
        Symmetric, positive definite.
    """

    weights: Tensor
    covariances: Tensor

    def log_densities(self, samples: Tensor) -> Tensor:
        """Return the weighted log density ``log w_k N(x; 0, S_k)``, (N, K), of samples (N, D)."""
        factors = torch.linalg.cholesky(self.covariances.double())
        identity = torch.eye(factors.shape[-1], dtype=factors.dtype, device=factors.device)
        whiteners = torch.linalg.solve_triangular(factors, identity, upper=False).float()
        normaliser = factors.diagonal(dim1=1, dim2=2).log().sum(1) + 0.5 * factors.shape[-1] * np.log(2 * np.pi)
        offsets = self.weights.log() - normaliser.float()
        densities = samples.new_empty(len(samples), len(self.weights))
        for start in range(0, len(samples), _ROWS):
            rows = samples[start : start + _ROWS]
            for k, whitener in enumerate(whiteners):
                densities[start : start + _ROWS, k] = (rows @ whitener.T).square_().sum(1).mul_(-0.5) + offsets[k]
        return densities

    def split(self, count: int, generator: torch.Generator) -> Mixture:
        """Grow to `count` components: the heaviest are split in two, with opposite changes of their variances."""
        order = self.weights.argsort(descending=True)
        parents = order[: count - len(order)]
        values, vectors = torch.linalg.eigh(self.covariances[parents].double())
        change = 0.7 + 0.5 * torch.randn(values.shape, generator=generator, dtype=values.dtype).to(values)
        children = [
            (vectors * (values * torch.exp(sign * change))[:, None, :]) @ vectors.transpose(1, 2) for sign in (1, -1)
        ]
        weights, covariances = self.weights.clone(), self.covariances.clone()
        weights[parents] /= 2
        covariances[parents] = children[0].float()
        return Mixture(torch.cat([weights, weights[parents]]), torch.cat([covariances, children[1].float()]))


class StepwiseEM:
    """Stepwise expectation-maximisation: running averages of the sufficient statistics over mini-batches.

    Parameters
    ----------
    samples : Tensor (N, D) float32
        Patches without their mean, on the device that trains.
    seed
        Of the order of the samples and of the splits.
    batch
        Samples per step.
    """

    def __init__(self, samples: Tensor, *, seed: int = 0, batch: int = 20_000) -> None:
        self._samples = samples
        self._batch = min(batch, len(samples))
        self._random = torch.Generator().manual_seed(seed)
        self._restart(Mixture(samples.new_ones(1), _regular(samples.T @ samples / len(samples))[None]))

    @property
    def mixture(self) -> Mixture:
        """The mixture as it is now."""
        weights = self._mass.clamp_min(1e-8)
        return Mixture(weights / weights.sum(), _regular(self._scatter / weights[:, None, None]))

    @property
    def state(self) -> dict[str, Any]:
        """The averages, the step and the random state, from which the fit can continue."""
        return {"mass": self._mass, "scatter": self._scatter, "step": self._step, "random": self._random.get_state()}

    @state.setter
    def state(self, state: Mapping[str, Any]) -> None:
        self._mass, self._scatter = (state[name].to(self._samples.device) for name in ("mass", "scatter"))
        self._step = state["step"]
        self._random.set_state(state["random"].cpu())

    def grow(self, count: int, steps: int, report: Callable[[str], None] = print) -> None:
        """Double the number of components until there are `count`, with `steps` steps at each number."""
        while len(self._mass) < count:
            self._restart(self.mixture.split(min(2 * len(self._mass), count), self._random))
            density = self.fit(steps)
            report(f"{len(self._mass)} components: {density:.3f} nats per patch")

    def fit(self, steps: int) -> float:
        """Run `steps` more mini-batches; return the mean log density per sample over them."""
        total = 0.0
        for _ in range(steps):
            rate = (self._step + 2) ** -0.6
            mass, scatter, density = self._expect()
            self._mass.lerp_(mass, rate)
            self._scatter.lerp_(scatter, rate)
            self._step += 1
            total += density
        return total / max(1, steps)

    def _restart(self, mixture: Mixture) -> None:
        """Start the averages anew from a mixture."""
        self._mass = mixture.weights
        self._scatter = mixture.weights[:, None, None] * mixture.covariances
        self._step = 0

    def _expect(self) -> tuple[Tensor, Tensor, float]:
        """Mean responsibilities (K,), mean weighted scatter (K, D, D) and mean log density of one batch."""
        chosen = torch.randint(len(self._samples), (self._batch,), generator=self._random)
        batch = self._samples[chosen.to(self._samples.device)]
        densities = self.mixture.log_densities(batch)
        evidence = densities.logsumexp(1, keepdim=True)
        responsibilities = densities.sub_(evidence).exp_()
        scatter = torch.empty_like(self._scatter)
        for k, share in enumerate(responsibilities.T):
            taken = (share > _NEGLIGIBLE).nonzero()[:, 0]
            members = batch[taken]
            scatter[k] = (members * share[taken, None]).T @ members
        return responsibilities.mean(0), scatter / self._batch, float(evidence.mean())


def sample_patches(files: Sequence[Path], count: int, seed: int = 0) -> Tensor:
    """Draw patches without their mean at random places of photographs, at full and at half size.

    Parameters
    ----------
    files
        Photographs, from which about equal numbers are drawn.
    count
        Number of patches.
    seed
        Of the places.

    Returns
    -------
    Tensor (count, 64) float32
        Values of mean zero per patch, white being 1.
    """
    random = np.random.default_rng(seed)
    parts = []
    for index, file in enumerate(files):
        share = count * (index + 1) // len(files) - count * index // len(files)
        plane = read_luminance(file).astype(np.float32) / 255
        half = share // 2 if min(plane.shape) >= 4 * SIDE else 0
        parts.append(_cut(plane, share - half, random))
        if half:
            parts.append(_cut(_halve(plane), half, random))
    patches = np.concatenate(parts)
    return torch.from_numpy(patches - patches.mean(1, keepdims=True))


def _regular(scatter: Tensor) -> Tensor:
    """Make scatter matrices exactly symmetric and positive definite."""
    symmetric = (scatter + scatter.transpose(-1, -2)) / 2
    return symmetric + _VARIANCE_FLOOR * torch.eye(scatter.shape[-1], device=scatter.device)


def _cut(plane: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """Cut `count` patches (count, 64) at random places, turned and mirrored at random."""
    windows = np.lib.stride_tricks.sliding_window_view(plane, (SIDE, SIDE))
    patches = windows[random.integers(windows.shape[0], size=count), random.integers(windows.shape[1], size=count)]
    turned = [np.rot90(part, way % 4, axes=(1, 2)) for way, part in enumerate(np.array_split(patches, 8))]
    mirrored = [part[:, :, ::-1] if way >= 4 else part for way, part in enumerate(turned)]
    return np.concatenate(mirrored).reshape(count, SIDE * SIDE)


def _halve(plane: np.ndarray) -> np.ndarray:
    """Average 2 x 2 pixels."""
    height, width = plane.shape[0] // 2, plane.shape[1] // 2
    blocks: np.ndarray = plane[: 2 * height, : 2 * width].reshape(height, 2, width, 2).mean((1, 3))
    return blocks
