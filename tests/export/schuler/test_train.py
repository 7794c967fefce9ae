from __future__ import annotations

import dataclasses

import pytest
import torch

from export.loop.checkpoints import CHECKPOINT
from export.registry import load
from export.schuler.train import OUTLIER, Phase, SchulerTrainer, kernel_errors, phase_of
from tests.export.kinds import config_of

CONFIG = config_of("schuler")


@pytest.fixture(scope="module")
def trainer(photographs, tmp_path_factory):
    made = SchulerTrainer(CONFIG, tmp_path_factory.mktemp("run"), photographs, photographs)
    made.run(progress=False)
    return made


def test_it_learns(photographs, tmp_path):
    shares = (0.0,) * 8 + (1.0,) + (0.0,) * 9
    train = dataclasses.replace(CONFIG.train, steps=40, batch=16, validate_every=20)
    made = SchulerTrainer(dataclasses.replace(CONFIG, shares=shares, train=train), tmp_path, photographs, photographs)
    made.network.trained[2] = 3
    before = made.validate()["7 px, stage 3"]
    assert made.run(progress=False)["7 px, stage 3"] < 0.8 * before


def test_all_scales_are_trained_in_turn_and_measured(trainer):
    assert trainer.network.trained.tolist() == [3, 3, 3, 3, 3, 3]
    names = [f"{side} px, stage {stage}" for side in CONFIG.network.supports for stage in (1, 2, 3)]
    assert list(trainer.accuracy) == [*names, "all"]
    assert trainer.accuracy["all"] == trainer.accuracy[names[-1]]
    assert all(0 < error < 100 for error in trainer.accuracy.values())


def test_a_run_goes_on_from_its_checkpoint(trainer, photographs, tmp_path):
    (tmp_path / CHECKPOINT).write_bytes((trainer.folder / CHECKPOINT).read_bytes())
    again = SchulerTrainer(CONFIG, tmp_path, photographs, photographs, resume=True)
    assert again.step == CONFIG.train.steps
    assert again._typical == trainer._typical > 0
    assert again.run(progress=False) == trainer.accuracy


def test_a_checkpoint_gives_its_network_back(trainer):
    found = load(trainer.folder / CHECKPOINT)
    observed = torch.rand(2, 60, 58)
    with torch.no_grad():
        torch.testing.assert_close(found.network(observed)[-1], trainer.network(observed)[-1])


def test_phases_follow_the_shares():
    shares = (2.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    assert phase_of(0, shares) == Phase(0, 1, 0.0, False, False)
    assert phase_of(0.25, shares) == Phase(0, 1, 0.5, False, False)
    assert phase_of(0.625, shares) == Phase(0, 2, 0.5, True, False)
    assert phase_of(0.75, shares) == Phase(1, 3, 0.0, False, True)
    assert phase_of(1.5, shares) == Phase(1, 3, 1.0, False, True)


def test_the_rate_falls_in_each_phase_and_to_zero_at_the_end(trainer):
    rates = []
    for step in (0, 1, 9, 10, 179, 180):
        trainer.step = step
        rates.append(trainer._relative_rate())
    trainer.step = CONFIG.train.steps
    assert rates[-1] == pytest.approx(0)
    assert all(0 <= rate <= 1 for rate in rates)


def test_outliers_are_left_out(trainer):
    trainer._typical = 0.5
    errors = torch.tensor([0.4, 0.9 * OUTLIER * 0.5, 1.1 * OUTLIER * 0.5])
    assert trainer._keep(errors).tolist() == [1, 1, 0]
    assert 0.5 < trainer._typical < 0.6


def test_fewer_are_guided_as_a_phase_goes_on(trainer):
    early, late = ((trainer._guided(4000, done) < 1).float().mean() for done in (0.0, 0.9))
    assert early == pytest.approx(CONFIG.guided, abs=0.05)
    assert late == pytest.approx(0.1 * CONFIG.guided, abs=0.03)
    assert (trainer._guided(100, 1.0) == 1).all()


def test_errors_are_relative_to_the_energy_of_the_truth():
    truth = torch.zeros(2, 3, 3)
    truth[:, 1, 1] = torch.tensor([1.0, 2.0])
    assert kernel_errors(torch.zeros(2, 3, 3), truth).tolist() == [1, 1]
    assert kernel_errors(truth, truth).tolist() == [0, 0]


@pytest.mark.parametrize("values", [{"shares": (1.0,) * 9}, {"shares": (0.0,) * 18}, {"alone": 2.0}, {"guided": -0.1}])
def test_values_that_cannot_be_are_refused(values):
    with pytest.raises(ValueError, match="must be"):
        dataclasses.replace(CONFIG, **values)
    with pytest.raises(ValueError, match="one side for each of 6 scales"):
        dataclasses.replace(CONFIG, data=dataclasses.replace(CONFIG.data, crops=(32,)))
