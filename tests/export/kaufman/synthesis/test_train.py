import dataclasses

import pytest
import torch
from PIL import Image
from skimage import data as data_samples

from export.kaufman.data import KaufmanData
from export.kaufman.synthesis.train import SynthesisRunConfig, SynthesisTrainer, latent_loss, psnr, train_synthesis
from export.loop.checkpoints import CHECKPOINT, read_checkpoint
from export.loop.job import Job
from export.registry import load
from tests.export.kinds import config_of

CONFIG = config_of("synthesis")


@pytest.fixture(scope="module")
def trainer(photographs, tmp_path_factory):
    made = SynthesisTrainer(CONFIG, tmp_path_factory.mktemp("run"), photographs, photographs)
    made.before = made.validate()
    made.run(progress=False)
    return made


def test_it_learns(trainer):
    assert list(trainer.accuracy) == ["stage 1", "stage 2", "all"]
    assert trainer.accuracy["all"] == trainer.accuracy["stage 2"] > trainer.before["all"] + 0.2


def test_a_run_goes_on_from_its_checkpoint(trainer, photographs, tmp_path):
    (tmp_path / CHECKPOINT).write_bytes((trainer.folder / CHECKPOINT).read_bytes())
    again = SynthesisTrainer(CONFIG, tmp_path, photographs, photographs, resume=True)
    assert again.step == CONFIG.train.steps
    assert again.validate() == trainer.accuracy


def test_a_checkpoint_gives_its_network_back(trainer):
    found = load(trainer.folder / CHECKPOINT).network
    batch = trainer._batch()
    with torch.no_grad():
        ours, theirs = (each(batch.observed, batch.kernels, batch.noise)[-1] for each in (found, trainer.network))
    torch.testing.assert_close(ours, theirs)


def test_the_rate_is_constant_and_then_falls_to_zero(trainer):
    rates = []
    for step in (0, 5, 30, 45, 60):
        trainer.step = step
        rates.append(trainer._relative_rate())
    assert rates == pytest.approx([0.0, 1.0, 1.0, 0.5, 0.0])


def test_psnr_is_that_of_its_definition():
    latent = torch.rand(3, 8, 8)
    torch.testing.assert_close(psnr(latent + 0.1, latent), torch.full((3,), 20.0), atol=1e-2, rtol=0)


def test_the_last_stage_counts_most():
    latent, near, far = torch.zeros(1, 4, 4), torch.full((1, 4, 4), 0.1), torch.full((1, 4, 4), 0.3)
    assert latent_loss([far, near], latent) < latent_loss([near, far], latent)


@pytest.mark.parametrize(
    "wrong", [{"crop": 50}, {"blur": dataclasses.replace(CONFIG.data.blur, size=31)}, {"periodic": False}]
)
def test_data_that_does_not_fit_the_network_is_refused(wrong):
    with pytest.raises(ValueError, match=r"data\."):
        SynthesisRunConfig("n", "d", network=CONFIG.network, data=dataclasses.replace(CONFIG.data, **wrong))


def test_the_default_data_fits():
    assert SynthesisRunConfig("n", "d").data == KaufmanData(crop=128, periodic=True, noise=(0.002, 0.04))


def test_estimates_are_recorded_and_learned_from(photograph_files, tmp_path):
    data = dataclasses.replace(CONFIG.data, estimated=0.5)
    config = dataclasses.replace(CONFIG, data=data)
    lines = []
    job = Job(tmp_path / "run", photograph_files, minutes=0.2, report=lines.append)
    content = read_checkpoint(train_synthesis(config, job))
    assert "estimated kernels to train on" in lines[0]
    assert content.accuracy["estimated kernels"] > 0
    assert content.accuracy["true kernels"] > 0
    assert {file.name for file in job.folder.glob("*-00000.npz")} == {"training-00000.npz", "validation-00000.npz"}
    with pytest.raises(ValueError, match="recorded pairs"):
        SynthesisTrainer(config, tmp_path / "other", None, None)


@pytest.fixture
def photograph_files(tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    for index in range(2):
        Image.fromarray(data_samples.astronaut()[..., index]).save(folder / f"{index}.png")
    return folder
