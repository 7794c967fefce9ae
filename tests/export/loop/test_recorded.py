from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch
from torch import nn

from export.loop.recorded import Descent, DescentConfig


@dataclass(frozen=True)
class Config:
    train: DescentConfig = field(
        default_factory=lambda: DescentConfig(steps=200, batch=8, learning_rate=0.05, warmup=10, memory=0.9)
    )


class Line(Descent):
    """Learns y = 3 x - 1."""

    measure = "error"

    def _batch(self):
        x = torch.randn(self.config.train.batch, 1)
        return x, 3 * x - 1

    def _loss(self, batch):
        x, y = batch
        return (self.network(x) - y).square().mean()

    def _validate(self):
        weight, bias = self.average.weight.item(), self.average.bias.item()
        return {"error": abs(weight - 3) + abs(bias + 1)}

    def _content(self):
        return {"task": "a line"}


@pytest.fixture
def descent(tmp_path):
    torch.manual_seed(0)
    return Line(Config(), nn.Linear(1, 1), tmp_path / "run" / "checkpoint.pt")


def test_it_learns_and_writes_what_it_learnt(descent):
    before = descent._validate()["error"]
    found = descent.run(progress=False)
    assert found["error"] < 0.05 * before
    assert (descent.step, descent.samples, descent.progress) == (200, 1600, 1)
    assert [file.name for file in descent.checkpoint.parent.iterdir()] == ["checkpoint.pt"]
    content = torch.load(descent.checkpoint, weights_only=True)
    assert content["task"] == "a line"
    assert content["accuracy"] == found
    assert content["samples"] == 1600
    assert content["config"]["train"]["memory"] == 0.9
    assert content["network"]["weight"] == descent.average.weight


def test_the_rate_rises_and_falls(descent):
    rates = []
    for _ in range(200):
        descent.train_step(descent._batch())
        rates.append(descent._optimiser.param_groups[0]["lr"])
    assert rates[0] == pytest.approx(0.005)
    assert max(rates) == pytest.approx(0.05, rel=0.02)
    assert 5 < rates.index(max(rates)) < 15
    assert rates[-1] < 1e-4


def test_the_average_follows_the_weights_slowly(descent):
    first = descent.network.weight.item()
    descent.train_step(descent._batch())
    moved = descent.network.weight.item() - first
    # Of the first step a short memory: 1 / 21.
    assert descent.average.weight.item() - first == pytest.approx(moved * 20 / 21, rel=1e-3)


def test_a_time_budget_takes_the_place_of_steps(tmp_path):
    descent = Line(Config(), nn.Linear(1, 1), tmp_path / "checkpoint.pt", minutes=1e-5)
    descent.run(progress=False)
    assert 0 < descent.step < 200
    assert descent.progress >= 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "at least 1"),
        ({"validate_every": 0}, "at least 1"),
        ({"batch": 12}, "multiple of 8"),
        ({"learning_rate": 0}, "learning_rate must be positive"),
        ({"warmup": -1}, "warmup at least 0"),
        ({"memory": 1}, "memory must be a share"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(ValueError, match=message):
        DescentConfig(**settings)
