"""A few states of small simulated observations, made once."""

from __future__ import annotations

import numpy as np
import pytest

from export.kernel_prior.network import ASSUMES
from export.kernel_prior.simulation import SimulationConfig
from export.kernel_prior.states import States, record_random
from export.kernel_prior.train import PriorRunConfig
from tests.export.kinds import config_of

SMALL = SimulationConfig(sizes=(4, 9), sides=(80, 100), turning=0, light=0, longest=13)


@pytest.fixture(scope="session")
def small() -> PriorRunConfig:
    return config_of("kernel-prior")


@pytest.fixture(scope="session")
def states(planes) -> States:
    """Of eight observations."""
    rng = np.random.default_rng(0)
    return States.of(state for _ in range(8) for state in record_random(planes, SMALL, rng, ASSUMES))
