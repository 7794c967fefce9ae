import dataclasses

import pytest
import torch

from export.kaufman.classifier.train import ClassifierTrainer
from export.loop.checkpoints import CHECKPOINT
from export.registry import load
from tests.export.kinds import config_of, make

CONFIG = config_of("kernel-classifier")


@pytest.fixture(scope="module")
def trainer(photographs, tmp_path_factory):
    train = dataclasses.replace(CONFIG.train, steps=60, validate_every=60, validation=24)
    config = dataclasses.replace(CONFIG, train=train)
    made = ClassifierTrainer(config, tmp_path_factory.mktemp("run"), photographs, photographs)
    made.before = made.validate()
    made.run(progress=False)
    return made


def test_classes_are_told_better(trainer):
    names = ["cross-entropy", "up to 13 px", "up to 25 px", "up to 41 px", "all"]
    assert list(trainer.accuracy) == names
    assert trainer.accuracy["cross-entropy"] < trainer.before["cross-entropy"]
    assert trainer.accuracy["all"] > 1 / 3


def test_a_checkpoint_gives_its_network_back(trainer):
    observed = torch.rand(1, 64, 64)
    with torch.no_grad():
        ours = load(trainer.folder / CHECKPOINT).network(observed)
        torch.testing.assert_close(ours, trainer.network(observed))


@pytest.mark.parametrize("kind", ["kaufman", "analysis"])
def test_it_starts_from_what_is_alike_in_an_analysis_network(kind, photographs, tmp_path):
    start = make(kind).checkpoint
    made = ClassifierTrainer(CONFIG, tmp_path, photographs, photographs, start=start)
    prefix = "analysis." if kind == "kaufman" else ""
    own = made.network.state_dict()
    assert torch.equal(own["mix"], start.weights[f"{prefix}mix"][:1])
    assert torch.equal(own["features.layers.0.0.weight"], start.weights[f"{prefix}features.layers.0.0.weight"])
    assert made.samples == 0


def test_it_goes_on_from_a_classifier(trainer, photographs, tmp_path):
    start = load(trainer.folder / CHECKPOINT).checkpoint
    made = ClassifierTrainer(trainer.config, tmp_path, photographs, photographs, start=start)
    assert made.validate() == trainer.accuracy


def test_names_are_as_many_as_classes():
    with pytest.raises(ValueError, match="one for each of 3"):
        dataclasses.replace(CONFIG, networks=("a", "b"))
    with pytest.raises(ValueError, match="one for each of 3"):
        dataclasses.replace(CONFIG, classes=("a", "b", "c", "d"))
