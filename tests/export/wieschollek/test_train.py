from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch

from export.chakrabarti.train import ChakrabartiTrainer
from export.loop.checkpoints import CHECKPOINT, SLIM, read_checkpoint
from export.loop.synthetic import PLOT
from export.loop.trainer import LOG
from export.registry import load
from export.wieschollek.data import Bursts
from export.wieschollek.train import BurstTrainer, burst_gain, cross_entropy
from tests.export.kinds import config_of


@pytest.fixture(scope="module")
def config():
    return config_of("wieschollek")


@pytest.fixture(scope="module")
def trained(config, photographs, tmp_path_factory):
    trainer = BurstTrainer(config, tmp_path_factory.mktemp("run"), photographs, photographs)
    begun = trainer.validate()
    return trainer, begun, trainer.run(progress=False)


def test_training_rises_above_fourier_burst_accumulation(trained):
    trainer, begun, gains = trained
    assert set(gains) == {"7", "14", "17", "mixed", "all"}
    assert gains["all"] > begun["all"] + 0.1
    assert gains["7"] > 0
    entries = [json.loads(line) for line in (trainer.folder / LOG).read_text().splitlines()]
    assert [entry["step"] for entry in entries] == [20, 40]
    assert entries[1]["loss"] < entries[0]["loss"]
    assert {file.name for file in trainer.folder.iterdir()} == {CHECKPOINT, SLIM, LOG, PLOT}


def test_a_checkpoint_holds_the_network(trained):
    trainer, _, gains = trained
    found = load(trainer.folder / CHECKPOINT)
    assert found.checkpoint.accuracy == gains
    patches = torch.rand(2, 3, 65, 65)
    assert torch.equal(found.network.restore(patches), trainer.network.restore(patches))


@pytest.mark.slow
def test_resuming_reproduces_the_uninterrupted_run(config, trained, photographs, tmp_path):
    BurstTrainer(config, tmp_path, photographs, photographs).run(until=20, progress=False)
    resumed = BurstTrainer(config, tmp_path, photographs, photographs, resume=True)
    resumed.run(progress=False)
    for name, value in trained[0].network.state_dict().items():
        torch.testing.assert_close(resumed.network.state_dict()[name], value, atol=1e-5, rtol=1e-3)


def test_a_run_starts_from_a_network_for_single_photographs(config, tiny, photographs, tmp_path):
    single = ChakrabartiTrainer(tiny, tmp_path / "single", photographs, photographs)
    single.run(until=10, progress=False)
    checkpoint = read_checkpoint(single.folder / CHECKPOINT)
    burst = BurstTrainer(config, tmp_path / "burst", photographs, photographs, start=checkpoint)
    given, taken = single.network.state_dict(), burst.network.restoration.state_dict()
    assert len(taken) == len(given) - 6
    for name, value in taken.items():
        # One residual pair is left out: what followed it comes one place earlier.
        assert torch.equal(value, given[name.replace("trunk.1.", "trunk.2.")])
    assert burst.samples == 0
    wider = dataclasses.replace(config.network.restoration, full=64)
    other = dataclasses.replace(config, network=dataclasses.replace(config.network, restoration=wider))
    with pytest.raises(ValueError, match="of the same widths"):
        BurstTrainer(other, tmp_path / "other", photographs, photographs, start=checkpoint)


def test_a_run_starts_from_another_burst_network(config, trained, photographs, tmp_path):
    begun = BurstTrainer(
        config, tmp_path, photographs, photographs, start=read_checkpoint(trained[0].folder / CHECKPOINT)
    )
    assert begun.samples == 40 * 16
    assert begun.validate() == pytest.approx(trained[2], abs=1e-4)


def test_gain_is_in_decibels_over_the_baseline():
    class Halves(torch.nn.Module):
        def restore(self, patches):
            return patches[:, 0, 16:-16, 16:-16] / 2

    observed = torch.rand(70, 3, 65, 65)
    bursts = Bursts(observed, torch.zeros(70, 33, 33), torch.zeros(1))
    assert burst_gain(Halves(), bursts, observed[:, 0, 16:-16, 16:-16]) == pytest.approx(6.0206, abs=1e-3)


def test_cross_entropy_is_zero_for_the_true_kernels_alone():
    true = torch.zeros(2, 3, 31, 31)
    true[..., 10:20, 15] = 0.1
    predicted = true[..., 3:28, 3:28].repeat_interleave(2, 0)
    assert float(cross_entropy(torch.log(predicted.clamp(min=1e-30)), true)) == pytest.approx(0, abs=1e-5)
    other = torch.full_like(predicted, 1 / 25**2)
    assert float(cross_entropy(other.log(), true)) == pytest.approx(np.log(625 / 10), rel=1e-4)
