"""Settings of small scenes, and examples that take no time to make."""

from __future__ import annotations

import numpy as np
import pytest

from export.repair.examples import Example, Examples
from export.repair.network import ASSUMES
from export.repair.train import RepairRunConfig
from tests.export.kinds import config_of

SMALL = config_of("repair")
SCENES, TRAIN = SMALL.scenes, SMALL.train


@pytest.fixture(scope="session")
def small() -> RepairRunConfig:
    return SMALL


@pytest.fixture(scope="session")
def some(planes) -> list[Example]:
    """Photographs that lost contrast, and restorations that exaggerate it and are noisy."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(16):
        top, left = rng.integers(200, size=2)
        truth = planes[0][top : top + 80, left : left + 80].astype(np.float32) / 255
        mean = truth.mean()
        observed = mean + 0.5 * (truth - mean) + 0.01 * rng.standard_normal(truth.shape)
        restored = mean + 1.5 * (truth - mean) + 0.01 * rng.standard_normal(truth.shape)
        misfit = 0.01 * rng.standard_normal(truth.shape)
        shown = np.stack([observed, restored, misfit, truth]).astype(np.float16)
        made.append(Example(shown, np.array([0.01, rng.uniform(-3, 0), rng.uniform(1, 5)], np.float32)))
    return made


@pytest.fixture(scope="session")
def examples(some) -> Examples:
    return Examples.of(np.stack([one.planes for one in some]), np.stack([one.measures for one in some]), ASSUMES)
