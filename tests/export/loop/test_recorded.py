from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch
from torch import nn

from export.loop.config import RunConfig
from export.loop.recorded import RecordedTrainConfig, RecordedTrainer, rotate_and_mirror


@dataclass(frozen=True)
class Config(RunConfig):
    name: str = "line"
    description: str = "for tests"
    method: str = "line"
    network: int = 1
    train: RecordedTrainConfig = field(
        default_factory=lambda: RecordedTrainConfig(
            steps=200, batch=8, learning_rate=0.05, warmup=10, memory=0.9, validate_every=100
        )
    )


class Line(RecordedTrainer):
    """Learns y = 3 x - 1."""

    measure = "error"

    def validate(self):
        weight, bias = self.average.weight.item(), self.average.bias.item()
        return {"error": abs(weight - 3) + abs(bias + 1)}

    def _create_network(self):
        return nn.Linear(1, 1)

    def _batch(self):
        x = torch.from_numpy(self._random.standard_normal((self.config.train.batch, 1))).float()
        return x, 3 * x - 1

    def _loss(self, batch):
        x, y = batch
        return (self.network(x) - y).square().mean()

    def _counts(self):
        return {"points": 8}


@pytest.fixture
def line(tmp_path):
    return Line(Config(), tmp_path / "run")


def test_it_learns_and_writes_the_average(line):
    before = line.validate()["error"]
    found = line.run(progress=False)
    assert found["error"] < 0.05 * before
    content = torch.load(line.folder / "checkpoint.pt", weights_only=True)
    assert content["counts"] == {"points": 8}
    assert content["accuracy"] == found
    assert content["samples"] == 1600
    assert content["config"]["train"]["memory"] == 0.9
    assert content["weights"]["weight"] == line.average.weight
    assert content["resume"]["network"]["weight"] == line.network.weight


def test_the_rate_rises_and_falls(line):
    rates = []
    for _ in range(200):
        line.train_step(line._batch())
        rates.append(line._optimiser.param_groups[0]["lr"])
    assert rates[0] == pytest.approx(0.005)
    assert max(rates) == pytest.approx(0.05, rel=0.02)
    assert 5 < rates.index(max(rates)) < 15
    assert rates[-1] < 1e-4


def test_the_average_follows_the_weights_slowly(line):
    first = line.network.weight.item()
    line.train_step(line._batch())
    moved = line.network.weight.item() - first
    # At the first step the memory is short: 1 / 21.
    assert line.average.weight.item() - first == pytest.approx(moved * 20 / 21, rel=1e-3)


def test_stacks_and_planes_turn_together_eight_ways():
    stacks = torch.rand(1, 3, 5, 5).repeat(16, 1, 1, 1)
    turned, along = rotate_and_mirror(stacks, stacks[:, 0].clone())
    assert torch.equal(turned[:, 0], along)
    assert len({tuple(plane.flatten().tolist()) for plane in along}) == 8
    torch.testing.assert_close(along.sum((1, 2)), stacks[:, 0].sum((1, 2)))
    # Fewer than eight are turned too, each its own way.
    assert rotate_and_mirror(stacks[:3], stacks[:3, 0])[1].shape == (3, 5, 5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "at least 1"),
        ({"validate_every": 0}, "at least 1"),
        ({"batch": 12}, "multiple of 8"),
        ({"learning_rate": 0}, "learning_rate must be positive"),
        ({"warmup": -1}, "warmup at least 0"),
        ({"memory": 1}, "memory must be a share"),
        ({"precision": "fp16"}, "precision must be 'bf16' or 'fp32'"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(ValueError, match=message):
        RecordedTrainConfig(**settings)
