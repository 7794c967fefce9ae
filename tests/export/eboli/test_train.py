from __future__ import annotations

import json

import pytest
import torch

from export.eboli.train import MotionTrainer, endpoint_error, negative_log_likelihood, single_angle
from export.loop.checkpoints import CHECKPOINT
from export.loop.synthetic import PLOT
from export.loop.trainer import LOG
from export.registry import load
from tests.export.kinds import config_of


@pytest.fixture(scope="module")
def trainer(photographs, tmp_path_factory):
    made = MotionTrainer(config_of("eboli"), tmp_path_factory.mktemp("run"), photographs, photographs)
    made.run(progress=False)
    return made


def test_it_learns(trainer):
    assert trainer.accuracy["line"] < 0.9 * trainer.accuracy["line, mean motion"]
    entries = [json.loads(line) for line in (trainer.folder / LOG).read_text().splitlines()]
    assert entries[1]["loss"] < entries[0]["loss"]
    assert (trainer.folder / PLOT).stat().st_size > 1000


def test_a_run_goes_on_from_its_checkpoint(trainer, photographs, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / CHECKPOINT).write_bytes((trainer.folder / CHECKPOINT).read_bytes())
    again = MotionTrainer(config_of("eboli"), folder, photographs, photographs, resume=True)
    assert again.step == 60
    assert again.accuracy == trainer.accuracy
    assert again.run(progress=False) == trainer.accuracy


def test_a_checkpoint_gives_its_network_back(trainer):
    found = load(trainer.folder / CHECKPOINT)
    patches = torch.rand(3, 97, 97)
    with torch.no_grad():
        torch.testing.assert_close(found.network(patches), trainer.network(patches))
    assert found.checkpoint.samples == 60 * 32


def test_the_error_is_that_of_ends_up_to_sign():
    motion = torch.tensor([[4.0, 0.0], [0.0, 6.0]])
    assert endpoint_error(motion, motion) == pytest.approx(0, abs=1e-6)
    assert endpoint_error(torch.zeros(2, 2), motion) == pytest.approx(5, abs=1e-6)
    # Right by 4 px against up by 4 px: the ends are 4 sqrt(2) apart, whichever way either went.
    assert endpoint_error(torch.tensor([[-4.0, 0.0]]), motion[:1]) == pytest.approx(32**0.5, abs=1e-5)


def test_half_the_double_angle():
    found = single_angle(torch.tensor([[-5.0, 0.0]]))[0]
    torch.testing.assert_close(found.abs(), torch.tensor([0.0, 5.0]), atol=1e-5, rtol=0)


def test_the_most_likely_scale_is_the_expected_error():
    motion = torch.tensor([[3.0, 4.0]])
    spreads = torch.linspace(-1, 3, 401)
    losses = [float(negative_log_likelihood(torch.tensor([[0.0, 0.0, float(spread)]]), motion)) for spread in spreads]
    best = float(spreads[min(range(401), key=losses.__getitem__)])
    assert best == pytest.approx(torch.tensor(2.5).log().item(), abs=0.02)
