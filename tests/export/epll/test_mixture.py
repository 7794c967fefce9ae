import numpy as np
import pytest
import torch
from PIL import Image

from export.epll.mixture import SIDE, Mixture, Trainer, export_mixture, main, sample_patches
from runtime.deconvolution.mixture import load_mixture
from runtime.errors import ModelNotFound
from runtime.inference.bundle import load_model


def _draw(count, seed=0):
    """Samples of two Gaussians of mean zero, along different axes of 4 dimensions, two thirds and one third."""
    random = torch.Generator().manual_seed(seed)
    scales = torch.tensor([[1.0, 1.0, 0.05, 0.05], [0.05, 0.05, 1.0, 1.0]])
    which = (torch.rand(count, generator=random) > 2 / 3).long()
    return torch.randn(count, 4, generator=random) * scales[which], scales


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    random = np.random.default_rng(0)
    for index in range(3):
        steps = np.cumsum(random.normal(size=(140, 150)), axis=index % 2)
        grey = np.uint8(255 * (steps - steps.min()) / np.ptp(steps))
        Image.fromarray(grey).save(folder / f"{index}.png")
    return folder


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
    trainer = Trainer(samples, batch=2000)
    trainer.grow(2, steps=60)
    mixture = trainer.mixture
    order = mixture.weights.argsort(descending=True)
    torch.testing.assert_close(mixture.weights[order], torch.tensor([2 / 3, 1 / 3]), atol=0.03, rtol=0)
    torch.testing.assert_close(mixture.covariances[order], torch.diag_embed(scales.square()), atol=0.06, rtol=0)


def test_training_raises_the_density():
    samples, _ = _draw(5000)
    trainer = Trainer(samples, batch=1000)
    alone = float(trainer.mixture.log_densities(samples).logsumexp(1).mean())
    trainer.grow(4, steps=20)
    assert float(trainer.mixture.log_densities(samples).logsumexp(1).mean()) > alone + 1


def test_the_same_seed_gives_the_same_mixture():
    samples, _ = _draw(3000)
    mixtures = []
    for _ in range(2):
        trainer = Trainer(samples, seed=3, batch=500)
        trainer.grow(3, steps=5)
        mixtures.append(trainer.mixture)
    torch.testing.assert_close(mixtures[0].covariances, mixtures[1].covariances, rtol=0, atol=0)


def test_patches_have_no_mean_and_come_from_the_photographs(photographs):
    patches = sample_patches(sorted(photographs.iterdir()), 1000)
    assert patches.shape == (1000, SIDE * SIDE)
    assert patches.dtype == torch.float32
    assert float(patches.mean(1).abs().max()) < 1e-6
    assert 0.01 < float(patches.std()) < 0.5
    torch.testing.assert_close(patches, sample_patches(sorted(photographs.iterdir()), 1000), rtol=0, atol=0)


def test_the_runtime_reads_what_is_written(tmp_path):
    factors = torch.randn(3, 64, 64, generator=torch.Generator().manual_seed(0)) * 0.1
    mixture = Mixture(torch.tensor([0.5, 0.3, 0.2]), factors @ factors.transpose(1, 2) + 1e-4 * torch.eye(64))
    export_mixture(mixture, tmp_path / "m", training={"samples": 7}, accuracy={"score": 1.5})
    assert load_model(tmp_path / "m").training == {"samples": 7}
    assert load_model(tmp_path / "m").accuracy == {"score": 1.5}
    read = load_mixture(tmp_path / "m")
    rebuilt = np.einsum("kjd,kj,kje->kde", read.vectors, read.variances, read.vectors)
    np.testing.assert_allclose(rebuilt, mixture.covariances.numpy(), atol=1e-5)
    np.testing.assert_allclose(read.weights, [0.5, 0.3, 0.2], atol=1e-6)


def test_from_photographs_to_a_bundle(photographs, tmp_path, capsys):
    folder = tmp_path / "mixture"
    options = {"data": photographs, "out": folder, "components": 3, "patches": 3000, "steps": 4, "device": "cpu"}
    main([f"--{name}={value}" for name, value in options.items()])
    assert "per unseen patch" in capsys.readouterr().out
    bundle = load_model(folder)
    assert bundle.method == "epll"
    assert bundle.training["config"]["photographs"] == 2
    assert load_mixture(folder).weights.shape == (3,)


def test_bad_arguments_are_refused(photographs, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["--data", str(photographs), "--out", str(tmp_path / "m"), "--components", "0"])
    assert "at least 1" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--data", str(tmp_path), "--out", str(tmp_path / "m")])
    assert "no photographs" in capsys.readouterr().err
    with pytest.raises(ModelNotFound):
        load_model(tmp_path / "m")
