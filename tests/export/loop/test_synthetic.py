"""Training on synthesised samples, by the trainer of the patch network."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from export.chakrabarti.train import ChakrabartiTrainer
from export.loop.checkpoints import CHECKPOINT, SLIM, read_checkpoint
from export.loop.synthetic import PLOT
from export.loop.trainer import LOG
from export.registry import load


@pytest.fixture(scope="module")
def trained(tiny, photographs, tmp_path_factory):
    trainer = ChakrabartiTrainer(tiny, tmp_path_factory.mktemp("run"), photographs, photographs)
    return trainer, trainer.run(progress=False)


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


def test_the_learning_rate_warms_up_and_falls_to_zero(tiny, photographs, tmp_path):
    warm = dataclasses.replace(tiny, train=dataclasses.replace(tiny.train, warmup=0.5, steps=10))
    trainer = ChakrabartiTrainer(warm, tmp_path, photographs, photographs)
    rates = []
    for trainer.step in range(11):
        rates.append(trainer._relative_rate())
    assert rates[0] == 0
    assert rates[10] == 0
    assert max(rates) == rates[5] == pytest.approx(0.5)
