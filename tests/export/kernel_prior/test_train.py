from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from export.kernel_prior.network import CHANNELS, KernelPrior, KernelPriorConfig
from export.kernel_prior.onnx import probe_evidence
from export.kernel_prior.train import (
    PriorTrainConfig,
    PriorTrainer,
    error_ratio,
    load_prior,
    loss,
    pad,
    relative_errors,
    turn,
    validate,
)


@pytest.fixture(scope="module")
def trained(small, states, tmp_path_factory):
    checkpoint = tmp_path_factory.mktemp("run") / "checkpoint.pt"
    trainer = PriorTrainer(small, checkpoint, states, states)
    return trainer, trainer.run(progress=False)


def test_steps_on_one_batch_lower_its_loss(small, states, tmp_path):
    trainer = PriorTrainer(small, tmp_path / "checkpoint.pt", states, states)
    trainer.network.train()
    batch = trainer._batch()
    losses = [trainer.train_step(batch) for _ in range(40)]
    assert losses[-1] < 0.7 * losses[0]


def test_training_mends_kernels_better(trained, states, small):
    _, accuracy = trained
    untrained = validate(KernelPrior(small.network).eval(), states)
    assert untrained["relative_error"] == untrained["relative_error_before"] == accuracy["relative_error_before"]
    assert accuracy["relative_error"] < 0.9 * untrained["relative_error"]
    assert accuracy["median_relative_error"] > 0
    assert -1 <= accuracy["log_error_correlation"] <= 1


def test_a_checkpoint_holds_the_average(trained, small):
    trainer, accuracy = trained
    network, content = load_prior(trainer.checkpoint)
    assert [file.name for file in trainer.checkpoint.parent.iterdir()] == ["checkpoint.pt"]
    assert network.config == small.network
    assert content["accuracy"] == accuracy
    assert content["samples"] == small.train.steps * 32
    evidence = torch.from_numpy(probe_evidence(2, 9))
    torch.testing.assert_close(network(evidence), trainer.average(evidence))


def test_training_goes_on_from_a_checkpoint(trained, small, states, tmp_path):
    trainer, accuracy = trained
    faint = dataclasses.replace(small, train=dataclasses.replace(small.train, steps=1, learning_rate=1e-12))
    begun = PriorTrainer(faint, tmp_path / "more.pt", states, states, start=trainer.checkpoint)
    assert begun.run(progress=False) == pytest.approx(accuracy, abs=2e-4)
    assert load_prior(tmp_path / "more.pt")[1]["samples"] == (small.train.steps + 1) * 32
    wider = dataclasses.replace(small, network=KernelPriorConfig((8, 12, 20), hidden=8))
    with pytest.raises(ValueError, match="of another network"):
        PriorTrainer(wider, tmp_path / "wider.pt", states, states, start=trainer.checkpoint)


def test_a_time_budget_takes_the_place_of_steps(small, states, tmp_path):
    trainer = PriorTrainer(small, tmp_path / "checkpoint.pt", states, states, minutes=1e-4)
    trainer.run(progress=False)
    assert trainer.step < small.train.steps
    assert trainer.checkpoint.is_file()


def test_evidence_and_kernel_turn_together_eight_ways():
    random = np.random.default_rng(0)
    evidence = torch.from_numpy(random.random((1, CHANNELS, 5, 5))).repeat(16, 1, 1, 1)
    kernels = evidence[:, 0].clone()
    turned, along = turn(evidence, kernels)
    assert torch.equal(turned[:, 0], along)
    assert len({tuple(kernel.flatten().tolist()) for kernel in along}) == 8
    torch.testing.assert_close(along.sum((1, 2)), kernels.sum((1, 2)))
    # Fewer than eight are turned too, each its own way.
    assert turn(evidence[:3], kernels[:3])[1].shape == (3, 5, 5)


@pytest.mark.parametrize(("side", "padded"), [(7, 8), (8, 8), (9, 12)])
def test_padding_goes_below_and_to_the_right(side, padded):
    evidence, kernels = pad(torch.ones(2, CHANNELS, side, side), torch.ones(2, side, side))
    assert evidence.shape == (2, CHANNELS, padded, padded)
    assert kernels.shape == (2, padded, padded)
    assert kernels[:, :side, :side].sum() == kernels.sum() == 2 * side**2


def test_relative_errors_and_loss_are_as_defined():
    truth = torch.zeros(2, 4, 4)
    truth[:, 0, 0], truth[:, 0, 1] = 0.6, 0.8
    kernels = truth.clone()
    kernels[1] = 0
    errors = relative_errors(kernels, truth)
    torch.testing.assert_close(errors, torch.tensor([0.0, 1.0]))
    expected = torch.tensor([1e-3, 1.0]).log()
    noise = torch.full((2,), -1.0)
    assert loss(kernels, expected, truth, noise, 0.02, 0) == pytest.approx(0.25)
    assert loss(kernels, expected + 2, truth, noise, 0.02, 0) == pytest.approx(0.25 + 0.02 * 4)
    ratio = error_ratio(kernels, truth, noise)
    assert loss(kernels, expected, truth, noise, 0.02, 0.5) == pytest.approx(0.25 + 0.5 * float(ratio.log().mean()))


def test_a_right_kernel_has_an_error_ratio_of_one_and_others_more_the_less_noise_there_is():
    truth = torch.zeros(3, 32, 32)
    truth[:, 16, 10:20] = 0.1
    kernels = truth.clone()
    kernels[1] = 0.9 * truth[1] + 0.1 / 32**2
    kernels[2] = kernels[2].roll(1, 0)
    ratio = error_ratio(kernels, truth, torch.full((3,), -1.5))
    assert ratio[0] == 1
    assert 1.1 < ratio[1] < ratio[2]
    assert (error_ratio(kernels, truth, torch.full((3,), -0.5))[1:] < ratio[1:]).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "at least 1"),
        ({"batch": 12}, "multiple of 8"),
        ({"learning_rate": 0}, "learning_rate must be positive"),
        ({"memory": 1}, "memory must be a share"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(ValueError, match=message):
        PriorTrainConfig(**settings)


def test_other_files_are_no_checkpoint(tmp_path):
    with pytest.raises(FileNotFoundError, match="no checkpoint there"):
        load_prior(tmp_path / "missing.pt")
    torch.save({"config": {"network": {"first": 8}}, "network": {}}, tmp_path / "other.pt")
    with pytest.raises(ValueError, match="no checkpoint of a kernel prior"):
        load_prior(tmp_path / "other.pt")
