"""Training of the Gaussian mixture on 8 x 8 patches, the prior of EPLL (Zoran and Weiss 2011, section 3).

``python -m export.epll.mixture --data FOLDER --out runtime/models/epll-mixture``
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from export.data.photographs import find_photographs, read_luminance, split
from runtime.inference.bundle import Bundle, write_bundle

SIDE = 8
VARIANCE_FLOOR = 1e-6
"""Added to every variance: about that of rounding to 8 bits, and what the missing mean needs to be regular."""
SAVE_EVERY = 100
"""Steps between two writings of the bundle, so that a stopped training leaves its latest mixture."""
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
        """Grow to `count` components: the heaviest become two, opposite in contrast and in shape."""
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


class Trainer:
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

    def grow(self, count: int, steps: int) -> None:
        """Double the components until there are `count`, with `steps` steps at each size."""
        while len(self._mass) < count:
            self._restart(self.mixture.split(min(2 * len(self._mass), count), self._random))
            density = self.fit(steps)
            print(f"{len(self._mass)} components: {density:.3f} nats per patch", flush=True)

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
        """Take a mixture for the state of the averages."""
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
    """Draw patches, each less its mean, at random places of photographs at full and at half size.

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


def export_mixture(
    mixture: Mixture, folder: str | Path, *, training: dict[str, object], accuracy: dict[str, object]
) -> Bundle:
    """Write a mixture as a bundle whose constants are ``weights`` (K,) and ``covariances`` (K, D (D + 1) / 2).

    The covariances are float32, the upper triangle row by row. `training` and `accuracy` are
    recorded as they are.
    """
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    size = mixture.covariances.shape[-1]
    rows, cols = np.triu_indices(size)
    np.savez_compressed(
        path / "mixture.npz",
        weights=mixture.weights.cpu().numpy(),
        covariances=mixture.covariances.cpu().numpy()[:, rows, cols],
    )
    return write_bundle(
        path,
        {
            "name": "epll-mixture",
            "version": "1",
            "method": "epll",
            "description": f"Gaussian mixture of {len(mixture.weights)} components on {SIDE}x{SIDE} patches for EPLL",
            "licence": "Apache-2.0",
            "constants": {"mixture": "mixture.npz"},
            "values": {"range": [0, 1], "colour": "luminance"},
            "training": training,
            "accuracy": accuracy,
        },
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Train a mixture on a folder of photographs and write its bundle."""
    parser = argparse.ArgumentParser(prog="python -m export.epll.mixture", description=main.__doc__)
    parser.add_argument("--data", required=True, type=Path, help="folder of sharp photographs")
    parser.add_argument("--out", required=True, type=Path, help="folder of the bundle")
    parser.add_argument(
        "--trained-on", action="append", default=[], help="name and licence of a set of photographs, for bundle.json"
    )
    parser.add_argument("--components", type=int, default=200)
    parser.add_argument("--patches", type=int, default=1_000_000)
    parser.add_argument("--steps", type=int, default=600, help="mini-batches at the final number of components")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args(arguments)
    if min(options.components, options.patches, options.steps) < 1:
        parser.error("--components, --patches and --steps must be at least 1")

    started = time.monotonic()
    try:
        training, validation = split(find_photographs(options.data))
    except (FileNotFoundError, ValueError) as error:
        parser.error(str(error))
    samples = sample_patches(training, options.patches, options.seed).to(options.device)
    held_out = sample_patches(validation, max(1, options.patches // 20), options.seed + 1).to(options.device)
    trainer = Trainer(samples, seed=options.seed)
    trainer.grow(options.components, steps=min(60, options.steps))
    for step in range(0, options.steps, SAVE_EVERY):
        density = trainer.fit(min(SAVE_EVERY, options.steps - step))
        done = min(step + SAVE_EVERY, options.steps)
        unseen = float(trainer.mixture.log_densities(held_out).logsumexp(1).mean())
        bundle = export_mixture(
            trainer.mixture,
            options.out,
            training={
                "data": options.trained_on,
                "samples": options.patches,
                "config": {"photographs": len(training), "steps": done, "seed": options.seed},
            },
            accuracy={"validation_nats_per_patch": round(unseen, 3)},
        )
        print(
            f"step {done}/{options.steps}: {density:.3f} nats per patch, {unseen:.3f} per unseen patch, "
            f"{time.monotonic() - started:.0f} s; wrote {bundle.path}",
            flush=True,
        )


def _regular(scatter: Tensor) -> Tensor:
    """Make scatter matrices exactly symmetric, and regular."""
    symmetric = (scatter + scatter.transpose(-1, -2)) / 2
    return symmetric + VARIANCE_FLOOR * torch.eye(scatter.shape[-1], device=scatter.device)


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


if __name__ == "__main__":
    main()
