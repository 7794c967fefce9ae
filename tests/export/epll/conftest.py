from __future__ import annotations

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("photographs")
    random = np.random.default_rng(0)
    for index in range(3):
        steps = np.cumsum(random.normal(size=(140, 150)), axis=index % 2)
        grey = np.uint8(255 * (steps - steps.min()) / np.ptp(steps))
        Image.fromarray(grey).save(made / f"{index}.png")
    return made
