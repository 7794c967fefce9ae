import dataclasses

import pytest
import torch

from export.kaufman.train import KaufmanRunConfig, KaufmanTrainer, phase_of
from export.loop.checkpoints import CHECKPOINT
from export.registry import load
from tests.export.kinds import config_of, make

CONFIG = config_of("kaufman")


@pytest.fixture(scope="module")
def trainer(photographs, tmp_path_factory):
    made = KaufmanTrainer(CONFIG, tmp_path_factory.mktemp("run"), photographs, photographs)
    made.before = made.validate()
    made.run(progress=False)
    return made


def test_kernels_and_pictures_get_better(trainer):
    assert list(trainer.accuracy) == ["kernel, L1", "kernel, energy", "blurred", "true kernel", "all"]
    assert trainer.accuracy["kernel, L1"] < trainer.before["kernel, L1"]
    assert trainer.accuracy["all"] > trainer.before["all"]
    assert trainer.accuracy["blurred"] == trainer.before["blurred"]


@pytest.mark.parametrize(
    ("phase", "changed"),
    [((1, 0, 0), {"analysis"}), ((0, 1, 0), {"synthesis"}), ((0, 0, 1), {"analysis", "synthesis"})],
)
def test_each_phase_trains_its_networks(phase, changed, photographs, tmp_path):
    train = dataclasses.replace(CONFIG.train, warmup=0.0)
    config = dataclasses.replace(CONFIG, shares=phase, train=train)
    made = KaufmanTrainer(config, tmp_path, photographs, photographs)
    before = {name: value.clone() for name, value in made.network.state_dict().items()}
    for _ in range(2):
        made.train_step(made._batch())
    after = made.network.state_dict()
    assert {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])} == changed


@pytest.mark.parametrize("phase", [(1, 0, 0), (0, 1, 0), (0, 0, 1)])
def test_layers_may_compute_in_half_precision(phase, photographs, tmp_path):
    train = dataclasses.replace(CONFIG.train, precision="bf16", batch=2)
    config = dataclasses.replace(CONFIG, shares=phase, train=train)
    half = KaufmanTrainer(config, tmp_path, photographs, photographs)
    full = KaufmanTrainer(dataclasses.replace(config, train=CONFIG.train), tmp_path, photographs, photographs)
    batch = half._batch()
    with torch.no_grad():
        losses = [float(made._loss(batch)) for made in (half, full)]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)
    half.train_step(batch)
    assert all(torch.isfinite(parameter).all() for parameter in half.network.parameters())


def test_phases_follow_the_shares():
    assert phase_of(0.0, (2.0, 1.0, 1.0)) == ("analysis", 0.0)
    assert phase_of(0.25, (2.0, 1.0, 1.0)) == ("analysis", 0.5)
    assert phase_of(0.5, (2.0, 1.0, 1.0)) == ("synthesis", 0.0)
    assert phase_of(1.0, (2.0, 1.0, 1.0)) == ("pair", 1.0)
    assert phase_of(0.5, (0.0, 1.0, 0.0)) == ("synthesis", 0.5)


def test_it_starts_from_a_trained_synthesis_network(photographs, tmp_path):
    start = make("synthesis").checkpoint
    made = KaufmanTrainer(CONFIG, tmp_path, photographs, photographs, start=start)
    for name, value in made.network.synthesis.state_dict().items():
        assert torch.equal(value, start.weights[name])


def test_a_run_goes_on_from_its_checkpoint(trainer, photographs, tmp_path):
    (tmp_path / CHECKPOINT).write_bytes((trainer.folder / CHECKPOINT).read_bytes())
    again = KaufmanTrainer(CONFIG, tmp_path, photographs, photographs, resume=True)
    assert again.step == CONFIG.train.steps
    assert again.validate() == trainer.accuracy


def test_a_checkpoint_gives_its_network_back(trainer):
    observed = torch.rand(1, 64, 64)
    with torch.no_grad():
        ours = load(trainer.folder / CHECKPOINT).network.analysis(observed)
        torch.testing.assert_close(ours, trainer.network.analysis(observed))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"shares": (0.0, 0.0, 0.0)}, "not all 0"),
        ({"shares": (1.0, 1.0)}, "numbers"),
        ({"data": dataclasses.replace(CONFIG.data, crop=50)}, "multiple"),
        ({"data": dataclasses.replace(CONFIG.data, periodic=False)}, "periodic"),
    ],
)
def test_runs_that_cannot_be_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(CONFIG, **wrong)


def test_a_run_of_the_analysis_alone_takes_crops_as_a_camera_makes_them():
    data = dataclasses.replace(CONFIG.data, periodic=False)
    assert KaufmanRunConfig("n", "d", network=CONFIG.network, data=data, shares=(1.0, 0.0, 0.0)).data == data


def test_of_crops_that_are_not_periodic_the_kernel_alone_is_measured(trainer, photographs, tmp_path):
    config = dataclasses.replace(CONFIG, data=dataclasses.replace(CONFIG.data, periodic=False), shares=(1.0, 0.0, 0.0))
    made = KaufmanTrainer(config, tmp_path, photographs, photographs)
    assert (trainer.measure, trainer.unit) == ("all", "dB")
    assert (made.measure, made.unit) == ("kernel, L1", "")
    assert list(made.validate()) == ["kernel, L1", "kernel, energy"]
