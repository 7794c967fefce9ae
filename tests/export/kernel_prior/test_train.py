from __future__ import annotations

import dataclasses

import pytest
import torch

from export.kernel_prior.network import CHANNELS, KernelPrior
from export.kernel_prior.onnx import probe_evidence
from export.kernel_prior.train import (
    PriorRunConfig,
    PriorTrainer,
    error_ratio,
    loss,
    pad,
    read_prior,
    relative_errors,
    validate,
)
from export.loop.checkpoints import CHECKPOINT, SLIM, read_checkpoint, write_checkpoint
from export.registry import load
from tests.export.kinds import make


@pytest.fixture(scope="module")
def trained(small, states, tmp_path_factory):
    trainer = PriorTrainer(small, tmp_path_factory.mktemp("run"), states, states)
    return trainer, trainer.run(progress=False)


def test_steps_on_one_batch_lower_its_loss(small, states, tmp_path):
    trainer = PriorTrainer(small, tmp_path / "run", states, states)
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


def test_a_checkpoint_holds_the_average(trained, small, states):
    trainer, accuracy = trained
    found = load(trainer.folder / CHECKPOINT)
    assert found.config == small
    assert found.checkpoint.accuracy == accuracy
    assert found.checkpoint.samples == small.train.steps * 32
    assert found.checkpoint.counts == {"states": len(states)}
    evidence = torch.from_numpy(probe_evidence(2, 9))
    torch.testing.assert_close(found.network(evidence), trainer.average(evidence))


def test_training_starts_from_a_checkpoint(trained, small, states, tmp_path):
    trainer, accuracy = trained
    faint = dataclasses.replace(small, train=dataclasses.replace(small.train, steps=1, learning_rate=1e-12))
    start = read_checkpoint(trainer.folder / CHECKPOINT)
    begun = PriorTrainer(faint, tmp_path / "more", states, states, start=start)
    assert begun.run(progress=False) == pytest.approx(accuracy, abs=2e-4)
    assert begun.samples == (small.train.steps + 1) * 32
    other = dataclasses.replace(small, assumes=dataclasses.replace(small.assumes, level=2.0))
    with pytest.raises(ValueError, match="with another 'assumes'"):
        PriorTrainer(other, tmp_path / "other", states, states, start=start)


def test_a_resumed_run_equals_an_uninterrupted_one(small, states, tmp_path):
    short = dataclasses.replace(small, train=dataclasses.replace(small.train, steps=6, validate_every=2))
    whole = PriorTrainer(short, tmp_path / "whole", states, states)
    whole.run(progress=False)
    PriorTrainer(short, tmp_path / "parts", states, states).run(until=3, progress=False)
    resumed = PriorTrainer(short, tmp_path / "parts", states, states, resume=True)
    assert resumed.run(progress=False) == whole.accuracy


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
        ({"rounds": 0}, "rounds must be at least 1"),
        ({"minutes": 0}, "minutes positive"),
        ({"assumes": {"unit": 8}}, "unit must be 4"),
    ],
)
def test_settings_are_checked(small, settings, message):
    content = small.to_dict()
    with pytest.raises(ValueError, match=message):
        PriorRunConfig.from_dict(
            {**content, **settings} | {"assumes": content["assumes"] | settings.get("assumes", {})}
        )


def test_a_prior_is_read_from_its_checkpoint(trained, tmp_path):
    network = read_prior(trained[0].folder / SLIM)
    evidence = torch.from_numpy(probe_evidence(2, 9))
    torch.testing.assert_close(network(evidence), trained[0].average(evidence), atol=2e-3, rtol=0)
    with pytest.raises(ValueError, match="unknown key"):
        read_prior(_repair_checkpoint(tmp_path))


def _repair_checkpoint(folder):
    write_checkpoint(folder / "repair.pt", make("repair").checkpoint)
    return folder / "repair.pt"
