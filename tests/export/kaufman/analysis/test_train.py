import dataclasses
import math

import pytest
import torch

from export.kaufman.analysis.train import (
    AnalysisTrainer,
    analysis_of,
    kernel_difference,
    kernel_error,
    kernel_loss,
    measure_kernels,
)
from export.loop.checkpoints import CHECKPOINT
from export.registry import load
from tests.export.kinds import config_of, make

CONFIG = config_of("analysis")


@pytest.fixture(scope="module")
def trainer(photographs, tmp_path_factory):
    made = AnalysisTrainer(CONFIG, tmp_path_factory.mktemp("run"), photographs, photographs)
    made.before = made.validate()
    made.run(progress=False)
    return made


def test_kernels_get_better(trainer):
    assert list(trainer.accuracy) == ["kernel, L1", "kernel, energy"]
    assert trainer.accuracy["kernel, L1"] < trainer.before["kernel, L1"]


def test_a_checkpoint_gives_its_network_back(trainer):
    observed = torch.rand(1, 64, 64)
    with torch.no_grad():
        ours = load(trainer.folder / CHECKPOINT).network(observed)
        torch.testing.assert_close(ours, trainer.network(observed))


def test_it_starts_from_the_network_of_a_pair(photographs, tmp_path):
    pair = make("kaufman").checkpoint
    made = AnalysisTrainer(CONFIG, tmp_path, photographs, photographs, start=pair)
    assert made.samples == pair.samples
    for name, value in made.network.state_dict().items():
        assert torch.equal(value, pair.weights[f"analysis.{name}"])


def test_it_goes_on_from_a_network_of_its_own_kind(trainer, photographs, tmp_path):
    start = load(trainer.folder / CHECKPOINT).checkpoint
    made = AnalysisTrainer(CONFIG, tmp_path, photographs, photographs, start=start)
    assert made.validate() == trainer.accuracy


def test_weights_of_another_network_are_refused(photographs, tmp_path):
    wider = dataclasses.replace(CONFIG, network=dataclasses.replace(CONFIG.network, filters=12))
    with pytest.raises(ValueError, match="another 'network'"):
        AnalysisTrainer(wider, tmp_path, photographs, photographs, start=make("kaufman").checkpoint)


def test_of_a_pair_the_analysis_alone_is_left():
    pair = make("kaufman").checkpoint
    found = analysis_of(pair)
    assert (found.method, found.config["network"]) == ("analysis", pair.config["network"]["analysis"])
    assert set(found.weights) == set(make("analysis").checkpoint.weights)


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_kernels_of_a_range_are_trained_on(precision, photographs, tmp_path):
    data = dataclasses.replace(CONFIG.data, extent=(5, 9))
    train = dataclasses.replace(CONFIG.train, precision=precision, warmup=0.0)
    made = AnalysisTrainer(dataclasses.replace(CONFIG, data=data, train=train), tmp_path, photographs, photographs)
    before = [parameter.clone() for parameter in made.network.parameters()]
    assert math.isfinite(made.train_step(made._batch()))
    assert any(not torch.equal(old, new) for old, new in zip(before, made.network.parameters(), strict=True))


@pytest.mark.parametrize("wrong", [{"crop": 50}, {"blur": dataclasses.replace(CONFIG.data.blur, size=43)}])
def test_runs_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match="multiple"):
        dataclasses.replace(CONFIG, data=dataclasses.replace(CONFIG.data, **wrong))


def test_errors_of_kernels():
    truth = torch.zeros(1, 3, 3)
    truth[0, 1, 1] = 1
    moved = torch.roll(truth, 1, 2)
    assert kernel_difference(moved, truth).item() == kernel_error(moved, truth).item() == 2
    assert kernel_difference(truth, truth).item() == kernel_loss(truth, truth).item() == 0
    spread = torch.full((1, 3, 3), 1 / 9)
    assert kernel_loss(spread, truth).item() == pytest.approx(16 / 9 + 0.25 * math.log(9), rel=1e-5)
    assert {name: found.item() for name, found in measure_kernels(moved, truth).items()} == {
        "kernel, L1": 2,
        "kernel, energy": 2,
    }
