"""A few states of small simulated observations, made once."""

from __future__ import annotations

import numpy as np
import pytest

from export.kernel_prior.network import KernelPriorConfig
from export.kernel_prior.simulation import SimulationConfig
from export.kernel_prior.states import States, record_random
from export.kernel_prior.train import PriorConfig, PriorTrainConfig

SMALL = SimulationConfig(sizes=(4, 9), sides=(80, 100), turning=0, longest=13)


@pytest.fixture(scope="session")
def small() -> PriorConfig:
    return PriorConfig(
        KernelPriorConfig((8, 12, 16), hidden=8), SMALL, PriorTrainConfig(steps=240, warmup=5, validate_every=120)
    )


@pytest.fixture(scope="session")
def states(planes) -> States:
    """Of eight observations."""
    rng = np.random.default_rng(0)
    return States.of(state for _ in range(8) for state in record_random(planes, SMALL, rng))


@pytest.fixture(scope="session")
def sharp_plane(planes) -> np.ndarray:
    """(240, 240) float32, values in [0, 1]."""
    return planes[-1][60:300, 60:300].astype(np.float32) / 255
