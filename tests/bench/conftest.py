from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.signal import fftconvolve

from tests.support.models import write_patch_bundle

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


@pytest.fixture
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
def colour_scene(scene):
    """The scene in colours that differ from each other everywhere: ``(H, W, 3)``."""
    return np.stack([scene, 0.8 * scene + 0.1, 0.5 * scene], axis=-1)


@pytest.fixture(scope="session")
def data_set(tmp_path_factory, scene, colour_scene):
    """A data folder in the form of the real one, each set with one or two cases."""
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
    write_picture(sharp / "1234.png", scene)
    write_colour_sets(folder / "eval", colour_scene)
    return folder


def write_picture(file, image):
    file.parent.mkdir(parents=True, exist_ok=True)
    options = {"quality": 95, "subsampling": 0} if file.suffix == ".jpg" else {}
    Image.fromarray(np.rint(255 * image.clip(0, 1)).astype(np.uint8)).save(file, **options)


def write_colour_sets(folder, sharp):
    """Write Köhler's, Lai's, GoPro's and the shake set, blurred by a correlation with an uneven kernel."""
    correlation = np.zeros((9, 9))
    correlation[4, 2:8] = (1, 0.8, 0.6, 0.4, 0.2, 0.1)
    true = correlation[::-1, ::-1] / correlation.sum()
    blurred = np.stack([fftconvolve(sharp[..., channel], true, "same") for channel in range(3)], axis=-1)

    for shot in (1, 9, 10):
        # A robot's camera is not where it was, nor is the light.
        write_picture(folder / "kohler2012" / f"Blurry1_{shot}.png", np.roll(0.9 * blurred, (6, -5), (0, 1)))
    write_picture(folder / "kohler2012" / "GroundTruth1_jpegQ50.jpg", sharp)

    for scene in ("natural_01", "text_01"):
        write_picture(folder / "lai2016" / "uniform" / f"{scene}_kernel_03.png", blurred)
        write_picture(folder / "lai2016" / "sharp" / f"{scene}.png", sharp)
    write_picture(folder / "lai2016" / "kernels" / "kernel_03.png", np.stack([correlation] * 3, axis=-1))
    write_picture(folder / "lai2016" / "real" / "leaf.jpg", blurred)

    write_picture(folder / "gopro" / "GOPR_avg-8.png", blurred)
    write_picture(folder / "gopro" / "GOPR_avg-8_gt.png", sharp)
    write_picture(folder / "blur2seq_shake" / "blurry" / "0009_0.jpg", blurred)
    write_picture(folder / "blur2seq_shake" / "sharp" / "0009_0.jpg", sharp)
