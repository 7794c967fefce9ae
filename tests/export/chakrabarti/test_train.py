from __future__ import annotations

import json
import math

import pytest
import torch

from export.chakrabarti.train import ChakrabartiTrainer, gain, relative_error
from export.data.synthesis import Batch
from export.loop.trainer import LOG


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
