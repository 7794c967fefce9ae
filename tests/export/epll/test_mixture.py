import numpy as np
import pytest
import torch

from export.epll.mixture import SIDE, Mixture, StepwiseEM, sample_patches


def _draw(count, seed=0):
    """Samples of two Gaussians of mean zero, along different axes of 4 dimensions, two thirds and one third."""
    random = torch.Generator().manual_seed(seed)
    scales = torch.tensor([[1.0, 1.0, 0.05, 0.05], [0.05, 0.05, 1.0, 1.0]])
    which = (torch.rand(count, generator=random) > 2 / 3).long()
    return torch.randn(count, 4, generator=random) * scales[which], scales


def test_log_densities_are_those_of_the_formula():
    random = np.random.default_rng(0)
    factors = random.normal(size=(3, 5, 5))
    covariances = factors @ factors.swapaxes(1, 2) + 0.1 * np.eye(5)
    samples = random.normal(size=(7, 5))
    mixture = Mixture(torch.tensor([0.2, 0.3, 0.5]), torch.tensor(covariances, dtype=torch.float32))
    expected = [
        [
            np.log(w) - 0.5 * (x @ np.linalg.solve(s, x) + np.linalg.slogdet(2 * np.pi * s)[1])
            for w, s in zip((0.2, 0.3, 0.5), covariances, strict=True)
        ]
        for x in samples
    ]
    found = mixture.log_densities(torch.tensor(samples, dtype=torch.float32))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-4)


def test_splitting_keeps_the_weights_and_positive_covariances():
    mixture = Mixture(torch.tensor([0.25, 0.75]), torch.eye(4).repeat(2, 1, 1))
    grown = mixture.split(3, torch.Generator().manual_seed(0))
    assert float(grown.weights.sum()) == pytest.approx(1)
    torch.testing.assert_close(grown.weights, torch.tensor([0.25, 0.375, 0.375]))
    assert float(torch.linalg.eigvalsh(grown.covariances).min()) > 0
    assert not torch.allclose(grown.covariances[1], grown.covariances[2])


def test_training_finds_the_mixture():
    samples, scales = _draw(20_000)
    trainer = StepwiseEM(samples, batch=2000)
    trainer.grow(2, steps=60)
    mixture = trainer.mixture
    order = mixture.weights.argsort(descending=True)
    torch.testing.assert_close(mixture.weights[order], torch.tensor([2 / 3, 1 / 3]), atol=0.03, rtol=0)
    torch.testing.assert_close(mixture.covariances[order], torch.diag_embed(scales.square()), atol=0.06, rtol=0)


def test_training_raises_the_density():
    samples, _ = _draw(5000)
    trainer = StepwiseEM(samples, batch=1000)
    alone = float(trainer.mixture.log_densities(samples).logsumexp(1).mean())
    trainer.grow(4, steps=20)
    assert float(trainer.mixture.log_densities(samples).logsumexp(1).mean()) > alone + 1


def test_the_same_seed_gives_the_same_mixture():
    samples, _ = _draw(3000)
    mixtures = []
    for _ in range(2):
        trainer = StepwiseEM(samples, seed=3, batch=500)
        trainer.grow(3, steps=5)
        mixtures.append(trainer.mixture)
    torch.testing.assert_close(mixtures[0].covariances, mixtures[1].covariances, rtol=0, atol=0)


def test_patches_have_no_mean_and_come_from_the_photographs(folder):
    patches = sample_patches(sorted(folder.iterdir()), 1000)
    assert patches.shape == (1000, SIDE * SIDE)
    assert patches.dtype == torch.float32
    assert float(patches.mean(1).abs().max()) < 1e-6
    assert 0.01 < float(patches.std()) < 0.5
    torch.testing.assert_close(patches, sample_patches(sorted(folder.iterdir()), 1000), rtol=0, atol=0)


def test_a_fit_continues_from_its_state():
    samples, _ = _draw(3000)
    whole, first, second = (StepwiseEM(samples, seed=3, batch=500) for _ in range(3))
    whole.grow(3, steps=5)
    first.grow(3, steps=5)
    second.state = first.state
    whole.fit(4)
    second.fit(4)
    torch.testing.assert_close(second.mixture.covariances, whole.mixture.covariances, rtol=0, atol=0)
