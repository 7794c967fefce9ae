from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from export.loop.checkpoints import CHECKPOINT
from export.registry import load
from export.repair.examples import EDGE, Examples
from export.repair.network import Repair, RepairConfig
from export.repair.onnx import probe
from export.repair.train import (
    MARGIN,
    RepairTrainConfig,
    RepairTrainer,
    loss,
    squared_errors,
    validate,
    vary,
)

from .conftest import SMALL, TRAIN


@pytest.fixture(scope="module")
def trained(small, examples, tmp_path_factory):
    trainer = RepairTrainer(small, tmp_path_factory.mktemp("run"), examples, examples)
    return trainer, trainer.run(progress=False)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_steps_on_one_batch_lower_its_loss(small, examples, tmp_path, precision):
    config = dataclasses.replace(small, train=dataclasses.replace(TRAIN, precision=precision))
    trainer = RepairTrainer(config, tmp_path, examples, examples)
    trainer.network.train()
    batch = trainer._batch()
    losses = [trainer.train_step(batch) for _ in range(30)]
    assert losses[-1] < losses[0] - 0.3


def test_training_repairs_better(trained, small, examples):
    _, accuracy = trained
    untrained = validate(Repair(small.network).eval(), examples)
    assert accuracy["restored_gain_db"] == untrained["restored_gain_db"]
    assert accuracy["repaired_gain_db"] > untrained["repaired_gain_db"] + 1
    assert accuracy["worst_gain_db"] <= accuracy["repaired_gain_db"]
    assert 0 <= accuracy["harmed"] <= 1
    assert -1 <= accuracy["gain_correlation"] <= 1


def test_validation_measures_what_it_says(small, examples):
    found = validate(Repair(small.network).eval(), examples)
    margin = EDGE + MARGIN
    planes = examples.planes[:, :, margin:-margin, margin:-margin].double()
    observed, restored = ((planes[:, index] - planes[:, 3]).square().mean((1, 2)) + 1e-6 for index in (0, 1))
    assert found["restored_gain_db"] == pytest.approx(float((10 * (observed / restored).log10()).mean()), abs=1e-3)
    alone = validate(Repair(small.network).eval(), Examples(examples.planes[:1], examples.facts[:1]))
    assert alone["gain_correlation"] == 0
    assert alone["worst_gain_db"] == alone["repaired_gain_db"]


def test_a_checkpoint_holds_the_average(trained, small, examples):
    trainer, accuracy = trained
    found = load(trainer.folder / CHECKPOINT)
    assert found.config == small
    assert found.checkpoint.accuracy == accuracy
    assert found.checkpoint.samples == TRAIN.steps * TRAIN.batch
    assert found.checkpoint.counts == {"examples": len(examples)}
    seen = [torch.from_numpy(array) for array in probe(2, (16, 24))]
    torch.testing.assert_close(found.network(*seen), trainer.average(*seen))
    assert not torch.equal(trainer.average.tail.weight, trainer.network.tail.weight)


def test_a_resumed_run_equals_an_uninterrupted_one(small, examples, tmp_path):
    def trainer(folder, resume=False):
        config = dataclasses.replace(small, train=dataclasses.replace(TRAIN, steps=6, validate_every=2))
        return RepairTrainer(config, tmp_path / folder, examples, examples, resume=resume)

    whole = trainer("whole")
    whole.run(progress=False)
    first = trainer("parts")
    first.run(until=4, progress=False)
    second = trainer("parts", resume=True)
    assert (second.step, second.samples, second.seconds) == (4, first.samples, first.seconds)
    assert second.accuracy == first.accuracy
    second.run(progress=False)
    assert (second.step, second.samples) == (6, 6 * TRAIN.batch)
    for name, value in whole.average.state_dict().items():
        assert torch.equal(second.average.state_dict()[name], value)


def test_only_the_same_network_is_resumed(trained, small, examples):
    other = dataclasses.replace(small, network=RepairConfig((8, 12, 20), (1, 1, 1)))
    with pytest.raises(ValueError, match="with another 'network'"):
        RepairTrainer(other, trained[0].folder, examples, examples, resume=True)


def test_batches_show_the_examples(small, examples, tmp_path):
    plain = dataclasses.replace(small, train=dataclasses.replace(TRAIN, varied=0, inverted=0))
    seen, truth, facts = RepairTrainer(plain, tmp_path, examples, examples)._batch()
    assert seen.shape == (8, 3, 48, 48)
    assert truth.shape == (8, 48, 48)
    assert facts.shape == (8, 3)
    # What was turned was turned alike: but for noise, either plane is a linear function of the truth.
    for one, true in zip(seen.numpy(), truth.numpy(), strict=True):
        for plane, contrast in ((one[0], 0.5), (one[1], 1.5)):
            assert (plane - contrast * true).std() < 0.015
    assert all(any(torch.equal(fact, known) for known in examples.facts) for fact in facts)


def test_contrast_and_negatives_change_everything_alike():
    truth = torch.rand(64, 5, 5)
    seen = torch.stack([truth, truth + 0.1, torch.full_like(truth, 0.01)], 1)
    train = dataclasses.replace(TRAIN, contrast=(0.5, 0.5), varied=0.5, inverted=0.3)
    varied, true, facts = vary(seen, truth, torch.zeros(64, 3), train, np.random.default_rng(0))
    torch.testing.assert_close(varied[:, 0], true)
    factor = (varied[:, 1] - true).mean((1, 2)) / 0.1
    torch.testing.assert_close(varied[:, 2].mean((1, 2)), 0.01 * factor)
    assert set(factor.mul(10).round().int().tolist()) == {-10, -5, 5, 10}
    torch.testing.assert_close(facts[:, 0], factor.abs().log10(), atol=1e-4, rtol=0)
    assert not facts[:, 1:].any()
    negative = factor < 0
    torch.testing.assert_close(true[negative], 1 + factor[negative, None, None] * truth[negative], atol=1e-4, rtol=0)
    torch.testing.assert_close(true[~negative], factor[~negative, None, None] * truth[~negative], atol=1e-4, rtol=0)


def test_the_loss_is_as_defined():
    truth = torch.rand(2, 32, 32)
    observed, repaired = truth + 0.2, truth + torch.tensor([0.1, 0.3])[:, None, None]
    expected = torch.stack([torch.full((2, 4, 4), 0.04), torch.tensor([0.01, 0.09])[:, None, None].expand(2, 4, 4)], 1)
    right = loss(repaired, expected.log(), observed, truth, 0.15)
    assert right == pytest.approx(np.log([0.01, 0.09]).mean(), abs=1e-3)
    assert loss(repaired, expected.log() + 2, observed, truth, 0.15) == pytest.approx(float(right) + 0.3, abs=1e-3)
    spoilt = repaired.clone()
    spoilt[:, :MARGIN] = 9
    torch.testing.assert_close(squared_errors(spoilt, truth), torch.tensor([0.01, 0.09]))


def test_what_is_expected_does_not_move_the_repair():
    repaired = torch.rand(1, 32, 32, requires_grad=True)
    log_errors = torch.zeros(1, 2, 4, 4, requires_grad=True)
    plain, heavy = (
        torch.autograd.grad(loss(repaired, log_errors, torch.zeros(1, 32, 32), torch.ones(1, 32, 32), weight), repaired)
        for weight in (0.0, 9.0)
    )
    torch.testing.assert_close(plain, heavy)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch": 12}, "multiple of 8"),
        ({"crop": 16}, "crop must be a multiple of 8 above 16 px"),
        ({"crop": 50}, "crop must be a multiple"),
        ({"varied": 2}, "varied must be a share"),
        ({"inverted": -1}, "inverted must be a share"),
        ({"contrast": (0, 1)}, "contrast must be a range"),
        ({"precision": "fp16"}, "precision must be 'bf16' or 'fp32'"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(ValueError, match=message):
        RepairTrainConfig(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"train": dataclasses.replace(TRAIN, crop=72)}, "crop must leave 8 px of a scene at each side"),
        ({"minutes": 0}, "minutes must be positive"),
        ({"examples": 0}, "examples must be 1 or more"),
        ({"assumes": dataclasses.replace(SMALL.assumes, unit=4)}, "unit must be 8"),
    ],
)
def test_runs_are_checked(settings, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(SMALL, **settings)
