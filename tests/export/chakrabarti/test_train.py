from __future__ import annotations

import dataclasses
import json
import math

import pytest
import torch

from export.chakrabarti.train import ChakrabartiTrainer, gain, relative_error
from export.data.synthesis import Batch
from export.loop.checkpoints import CHECKPOINT, SLIM, read_checkpoint
from export.loop.synthetic import PLOT
from export.loop.trainer import LOG
from export.registry import load


@pytest.fixture(scope="module")
def trained(tiny, photographs, tmp_path_factory):
    trainer = ChakrabartiTrainer(tiny, tmp_path_factory.mktemp("run"), photographs, photographs)
    return trainer, trainer.run(progress=False)


def test_training_raises_the_gain(trained):
    trainer, gains = trained
    entries = [json.loads(line) for line in (trainer.folder / LOG).read_text().splitlines()]
    assert [entry["step"] for entry in entries] == [30, 60]
    assert entries[-1]["samples"] == 60 * 64
    assert entries[1]["loss"] < entries[0]["loss"] < 0
    assert gains["all"] > 0.1
    assert gains["all"] == pytest.approx(sum(gains[grid] for grid in ("8", "16", "24")) / 3)


def test_a_run_leaves_checkpoints_a_log_and_a_plot(trained):
    trainer, gains = trained
    assert {file.name for file in trainer.folder.iterdir()} == {CHECKPOINT, SLIM, LOG, PLOT}
    found = load(trainer.folder / CHECKPOINT)
    assert found.checkpoint.accuracy == gains
    patches = next(iter(trainer._validation.values())).observed[:4]
    assert torch.equal(found.network(patches), trainer.network(patches))


def test_resuming_reproduces_the_uninterrupted_run(tiny, trained, photographs, tmp_path):
    whole, _ = trained
    ChakrabartiTrainer(tiny, tmp_path, photographs, photographs).run(until=20, progress=False)
    resumed = ChakrabartiTrainer(tiny, tmp_path, photographs, photographs, resume=True)
    assert resumed.step == 20
    resumed.run(progress=False)
    for name, value in whole.network.state_dict().items():
        torch.testing.assert_close(resumed.network.state_dict()[name], value, atol=1e-6, rtol=1e-4)


def test_bfloat16_trains_too(tiny, photographs, tmp_path):
    mixed = dataclasses.replace(tiny, train=dataclasses.replace(tiny.train, precision="bf16", steps=40))
    assert ChakrabartiTrainer(mixed, tmp_path, photographs, photographs).run(progress=False)["all"] > 0.05


@pytest.mark.parametrize("name", [CHECKPOINT, SLIM])
def test_a_run_starts_from_the_weights_of_another(tiny, trained, photographs, tmp_path, name):
    first, gains = trained
    short = dataclasses.replace(tiny, train=dataclasses.replace(tiny.train, steps=2, learning_rate=1e-9))
    start = read_checkpoint(first.folder / name)
    begun = ChakrabartiTrainer(short, tmp_path, photographs, photographs, start=start)
    assert begun.step == 0
    assert begun.run(progress=False) == pytest.approx(gains, abs=2e-3)
    assert read_checkpoint(tmp_path / CHECKPOINT).samples == 62 * 64


def test_relative_error_is_the_mean_log_ratio():
    observed, latent = torch.zeros(2, 65, 65), torch.zeros(2, 33, 33)
    observed[0], observed[1] = 0.2, 0.4
    batch = Batch(observed, latent, torch.zeros(1), torch.zeros(1))
    restored = torch.stack([torch.full((33, 33), 0.1), torch.full((33, 33), 0.4)])
    assert float(relative_error(restored, batch)) == pytest.approx(math.log(0.1**2 / 0.2**2) / 2, abs=1e-3)


def test_gain_is_in_decibels():
    class Halves(torch.nn.Module):
        def restore(self, observed):
            return observed[:, 16:-16, 16:-16] / 2

    batch = Batch(torch.rand(700, 65, 65), torch.zeros(700, 33, 33), torch.zeros(1), torch.zeros(1))
    assert gain(Halves(), batch) == pytest.approx(20 * math.log10(2), abs=1e-4)
