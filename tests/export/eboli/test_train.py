from __future__ import annotations

import json

import pytest
import torch

from export.eboli.train import MotionTrainer, endpoint_error, load_motion_network, single_angle, surprise
from export.loop.config import MotionRunConfig, parse_config, read_config
from export.loop.trainer import CHECKPOINT, LOG, PLOT

MOTION = {
    "name": "motion",
    "description": "for tests",
    "method": "eboli",
    "network": {"width": 64, "pairs": 1},
    "data": {"shake": 0.0, "process": 0.0, "edge": 0.0, "turning": 0.0},
    "train": {
        "steps": 60,
        "batch": 32,
        "learning_rate": 3e-3,
        "validate_every": 30,
        "validation": 32,
        "precision": "fp32",
    },
}


@pytest.fixture(scope="module")
def trainer(photographs, tmp_path_factory):
    made = MotionTrainer(parse_config(MOTION), tmp_path_factory.mktemp("run"), photographs, photographs)
    made.run(progress=False)
    return made


def test_it_learns(trainer):
    assert trainer.gains["line"] < 0.9 * trainer.gains["line, mean motion"]
    entries = [json.loads(line) for line in (trainer.folder / LOG).read_text().splitlines()]
    assert entries[1]["loss"] < entries[0]["loss"]
    assert (trainer.folder / PLOT).stat().st_size > 1000


def test_a_run_goes_on_from_its_checkpoint(trainer, photographs, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / CHECKPOINT).write_bytes((trainer.folder / CHECKPOINT).read_bytes())
    again = MotionTrainer(parse_config(MOTION), folder, photographs, photographs, resume=True)
    assert again.step == 60
    assert again.gains == trainer.gains
    assert again.run(progress=False) == trainer.gains


def test_a_checkpoint_gives_its_network_back(trainer):
    network, content = load_motion_network(trainer.folder / CHECKPOINT)
    patches = torch.rand(3, 97, 97)
    with torch.no_grad():
        torch.testing.assert_close(network(patches), trainer.network(patches))
    assert content["samples"] == 60 * 32


def test_the_error_is_that_of_ends_up_to_sign():
    motion = torch.tensor([[4.0, 0.0], [0.0, 6.0]])
    assert endpoint_error(motion, motion) == pytest.approx(0, abs=1e-6)
    assert endpoint_error(torch.zeros(2, 2), motion) == pytest.approx(5, abs=1e-6)
    # Right by 4 px against up by 4 px: the ends are 4 sqrt(2) apart, whichever way either went.
    assert endpoint_error(torch.tensor([[-4.0, 0.0]]), motion[:1]) == pytest.approx(32**0.5, abs=1e-5)


def test_half_the_double_angle():
    found = single_angle(torch.tensor([[-5.0, 0.0]]))[0]
    torch.testing.assert_close(found.abs(), torch.tensor([0.0, 5.0]), atol=1e-5, rtol=0)


def test_the_least_surprise_is_the_expected_error():
    motion = torch.tensor([[3.0, 4.0]])
    spreads = torch.linspace(-1, 3, 401)
    losses = [float(surprise(torch.tensor([[0.0, 0.0, float(spread)]]), motion)) for spread in spreads]
    best = float(spreads[min(range(401), key=losses.__getitem__)])
    assert best == pytest.approx(torch.tensor(2.5).log().item(), abs=0.02)


def test_the_shipped_configuration_is_of_this_kind():
    config = read_config("motion")
    assert isinstance(config, MotionRunConfig)
    assert (config.name, config.method) == ("eboli-motion", "eboli")
