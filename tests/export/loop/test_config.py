from __future__ import annotations

import json

import pytest

from export.chakrabarti.train import ChakrabartiRunConfig
from export.loop.config import SyntheticTrainConfig, TrainConfig

NAMED = {"name": "x", "description": "y"}


def test_a_configuration_survives_json():
    config = ChakrabartiRunConfig.from_dict({**NAMED, "data": {"noise": [0.01, 0.02]}})
    assert config.data.noise == (0.01, 0.02)
    assert config.to_dict()["data"]["noise"] == [0.01, 0.02]
    assert ChakrabartiRunConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_another_batch_changes_nothing_else():
    config = ChakrabartiRunConfig.from_dict(NAMED)
    other = config.with_batch(64)
    assert other.train.batch == 64
    assert other.with_batch(config.train.batch) == config
    with pytest.raises(ValueError, match=r"multiples of data\.share"):
        config.with_batch(63)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"name": "x"}, "description"),
        ({**NAMED, "width": 3}, "unknown key width"),
        ({**NAMED, "train": {"rate": 3}}, r"unknown key train\.rate"),
        ({**NAMED, "train": {"batch": 6}}, r"multiples of data\.share"),
        ({**NAMED, "train": 6}, "train must be a table"),
        ({**NAMED, "train": {"steps": "many"}}, "train"),
    ],
)
def test_mistakes_are_named(content, message):
    with pytest.raises(ValueError, match=message):
        ChakrabartiRunConfig.from_dict(content)


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (TrainConfig, {"steps": 0}, "at least 1"),
        (TrainConfig, {"learning_rate": 0}, "learning_rate must be positive"),
        (TrainConfig, {"precision": "fp8"}, "precision must be"),
        (SyntheticTrainConfig, {"optimiser": "sgd"}, "optimiser must be"),
        (SyntheticTrainConfig, {"validation": 0}, "validation must be at least 1"),
        (SyntheticTrainConfig, {"warmup": 1.5}, "warmup must be a share"),
    ],
)
def test_settings_are_checked(kind, settings, message):
    with pytest.raises(ValueError, match=message):
        kind(**settings)
