"""Small photographs and a tiny training run, made once."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from export.chakrabarti.network import Chakrabarti, ChakrabartiConfig
from export.chakrabarti.train import ChakrabartiRunConfig
from export.data.photographs import Photographs
from export.data.synthesis import SynthesisConfig, synthesise
from runtime.estimation.kernel.prior import load_prior

from .kinds import config_of


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Networks this small lose more than they gain by sharing their work out."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny() -> ChakrabartiRunConfig:
    return config_of("chakrabarti")


@pytest.fixture(scope="session")
def planes() -> list[np.ndarray]:
    from skimage import color, data

    colour = [color.rgb2gray(image) for image in (data.astronaut(), data.chelsea(), data.coffee())]
    return [np.rint(255 * plane).astype(np.uint8) for plane in colour] + [data.camera()]


@pytest.fixture(scope="session")
def prior():
    return load_prior()


@pytest.fixture(scope="session")
def sharp_plane(planes) -> np.ndarray:
    """(240, 240) float32, values in [0, 1]."""
    return planes[-1][60:300, 60:300].astype(np.float32) / 255


@pytest.fixture(scope="session")
def photographs(planes: list[np.ndarray]) -> Photographs:
    return Photographs(planes)


@pytest.fixture(scope="session")
def observed(photographs: Photographs) -> torch.Tensor:
    """1024 blurred patches."""
    return synthesise(photographs, SynthesisConfig(), 1024, torch.Generator().manual_seed(7)).observed


@pytest.fixture(scope="session")
def networks(observed: torch.Tensor) -> dict[str, Chakrabarti]:
    """A network of either style, fitted, with a head that predicts something."""
    styles = {
        "plain": ChakrabartiConfig(24, 32, 48, layers=2),
        "residual": ChakrabartiConfig(24, 32, 48, layers=3, style="residual", spectra=True, support=33),
    }
    made = {}
    for name, config in styles.items():
        torch.manual_seed(0)
        network = Chakrabarti(config)
        network.fit(observed)
        torch.nn.init.normal_(network.head.weight, std=0.05)
        torch.nn.init.normal_(network.head.bias, std=0.05)
        made[name] = network.eval().requires_grad_(False)
    return made
