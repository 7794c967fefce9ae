from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.signal import fftconvolve

from tests.runtime.models import write_patch_bundle

ROOT = Path(__file__).parents[2]

TINY_CONFIG = """
name = "tiny"
description = "for tests"

[network]
first = 4
second = 4
full = 8
layers = 1
"""


@pytest.fixture(scope="session")
def rng():
    return np.random.default_rng(2009)


@pytest.fixture(scope="session")
def bundle(tmp_path_factory):
    """A patch model that returns its input."""
    return write_patch_bundle(tmp_path_factory.mktemp("models") / "identity", "filters")


@pytest.fixture(scope="session")
def tiny_config(tmp_path_factory):
    """The configuration of a network that has hardly any weights."""
    file = tmp_path_factory.mktemp("configs") / "tiny.toml"
    file.write_text(TINY_CONFIG)
    return file


@pytest.fixture(scope="session")
def scene():
    """A sharp plane with texture on all scales, values in [0, 1]."""
    random = np.random.default_rng(7)
    layers = sum(gaussian_filter(random.standard_normal((150, 160)), sigma) * sigma for sigma in (0.7, 2, 6))
    return ((layers - layers.min()) / np.ptp(layers)).astype(np.float32)


@pytest.fixture(scope="session")
def data_set(tmp_path_factory, scene):
    """A data folder in the form of the real one, with two kernels and one photograph."""
    folder = tmp_path_factory.mktemp("data")
    levin, sharp = folder / "eval" / "levin2009", folder / "eval" / "sharp_cid22_val"
    levin.mkdir(parents=True)
    sharp.mkdir()
    for number, size in ((1, 5), (2, 7)):
        correlation = np.triu(np.ones((size, size)))
        correlation /= correlation.sum()
        blurred = fftconvolve(scene, correlation[::-1, ::-1], "same").astype(np.float32)
        np.savez(levin / f"im01_ker0{number}.npz", x=scene, y=blurred, f=correlation)
    np.savez(levin / "levin09_kernels.npz", k1=correlation)
    Image.fromarray(np.rint(255 * scene).astype(np.uint8)).save(sharp / "1234.png")
    return folder
