import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter, maximum_filter
from scipy.signal import fftconvolve
from skimage import data

from bench.data.photographs import shake_kernel
from runtime.noise import estimate_noise
from runtime.preparation.layers import find_layer
from runtime.preparation.overlays import find_overlays
from runtime.preparation.photograph import prepare

NOISE = 0.004


@pytest.fixture(scope="module")
def blurred():
    """8 bits."""
    sharp = data.astronaut()[40:340, 60:440].astype(np.float32) / 255
    planes = gaussian_filter(sharp, (4, 4, 0)) + np.random.default_rng(0).normal(0, NOISE, sharp.shape)
    return np.rint(planes.clip(0, 1) * 255).astype(np.uint8)


def under_text(photograph, opacity, colour, size=44):
    """Put text on a photograph; return planes, and where it is, at least in part."""
    picture = Image.fromarray(photograph).convert("RGBA")
    layer = Image.new("RGBA", picture.size, (*colour, 0))
    font = ImageFont.load_default(size)
    ImageDraw.Draw(layer).text((30, 170), "Sample text", (*colour, round(255 * opacity)), font)
    image = np.asarray(Image.alpha_composite(picture, layer).convert("RGB"))
    return as_planes(image), np.asarray(layer)[..., 3] > 0


def as_planes(image):
    return np.ascontiguousarray(image.astype(np.float32).transpose(2, 0, 1) / 255)


def look(planes):
    noise = estimate_noise(planes.mean(axis=0))
    found = find_overlays(planes, noise)
    return None if found is None else find_layer(planes, found.mask, noise)


@pytest.mark.parametrize(
    ("opacity", "colour"), [(0.35, (255, 255, 255)), (0.6, (255, 255, 255)), (0.5, (0, 0, 0)), (0.5, (40, 200, 90))]
)
def test_what_lies_under_a_watermark_is_had_back(blurred, opacity, colour):
    planes, ink = under_text(blurred, opacity, colour)
    layer, hidden = look(planes)
    assert layer.opacity == pytest.approx(opacity, abs=0.04)
    assert layer.colour == pytest.approx(np.array(colour) / 255, abs=0.08)
    assert not (hidden & layer.covered).any()
    assert layer.covered[ink].mean() > 0.1
    visible = np.abs(planes - as_planes(blurred)).max(axis=0) > 0.15
    assert (hidden | layer.covered)[visible].mean() > 0.85
    seen = planes.copy()
    layer.remove(planes)
    error = np.abs(planes - as_planes(blurred))[:, layer.covered]
    assert np.quantile(error, 0.99) < 0.04
    layer.add(planes)
    np.testing.assert_allclose(planes, seen, atol=1e-5)


@pytest.mark.parametrize("colour", [(255, 255, 255), (0, 0, 0), (255, 140, 0)])
def test_opaque_text_is_no_layer(blurred, colour):
    planes, _ = under_text(blurred, 1.0, colour, size=30)
    assert look(planes) is None


def test_dead_pixels_and_nothing_are_no_layer(blurred):
    planes = as_planes(blurred)
    assert find_layer(planes, np.zeros(planes.shape[1:], bool), NOISE) is None
    planes[:, 5:300:7, 9:380:11] = 1
    assert look(planes) is None


def test_a_grey_photograph_has_layers_too(blurred):
    planes, _ = under_text(blurred, 0.4, (255, 255, 255))
    layer, _ = look(np.ascontiguousarray(planes.mean(axis=0, keepdims=True)))
    assert layer.opacity == pytest.approx(0.4, abs=0.06)


def test_beside_opaque_text_the_photograph_is_known(blurred):
    planes, ink = under_text(blurred, 1.0, (255, 255, 255), size=30)
    overlays = find_overlays(planes, estimate_noise(planes.mean(axis=0))).mask
    photograph = prepare(planes)
    assert photograph.layer is None
    assert not (photograph.overlays & ~overlays).any()
    assert (photograph.overlays & ~ink).sum() < 0.8 * (overlays & ~ink).sum()


def test_a_photograph_is_restored_under_a_layer_and_has_it_again(blurred):
    planes, ink = under_text(blurred, 0.35, (255, 255, 255))
    photograph = prepare(planes.copy())
    assert photograph.layer is not None
    known = photograph.known & ink
    assert np.abs(photograph.planes - as_planes(blurred))[:, known].mean() < 0.02
    again = photograph.with_layer(photograph.planes.copy())
    assert np.abs(again - planes)[:, ~photograph.overlays].max() < 1e-5


def test_strokes_on_edges_of_a_photograph_take_no_part():
    sharp = data.astronaut()[:346, 60:406].astype(np.float32) / 255
    moved = np.stack([fftconvolve(sharp[..., channel], shake_kernel(17), "valid") for channel in range(3)], axis=-1)
    moved += np.random.default_rng(0).normal(0, 0.01, moved.shape)
    planes, ink = under_text(np.rint(moved.clip(0, 1) * 255).astype(np.uint8), 0.45, (255, 255, 255))
    photograph = prepare(planes)
    without = photograph.layer.covered | ~photograph.known
    assert without[ink].mean() > 0.97
    assert (without & ~maximum_filter(ink, 5)).mean() < 0.005


def test_a_watermark_all_over_a_photograph_is_removed():
    sharp = data.coffee()[:346, 120:466].astype(np.float32) / 255
    moved = np.stack([fftconvolve(sharp[..., channel], shake_kernel(17), "valid") for channel in range(3)], axis=-1)
    moved += np.random.default_rng(0).normal(0, 0.01, moved.shape)
    picture = Image.fromarray(np.rint(moved.clip(0, 1) * 255).astype(np.uint8)).convert("RGBA")
    layer = Image.new("RGBA", picture.size, (255, 255, 255, 0))
    for row in range(10, 300, 60):
        ImageDraw.Draw(layer).text((10, row), "Sample text", (255, 255, 255, 90), ImageFont.load_default(40))
    photograph = prepare(as_planes(np.asarray(Image.alpha_composite(picture, layer).convert("RGB"))))
    without = photograph.layer.covered | ~photograph.known
    assert photograph.layer.opacity == pytest.approx(90 / 255, abs=0.05)
    assert without[np.asarray(layer)[..., 3] > 0].mean() > 0.9


@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea", "rocket"])
def test_a_sharp_photograph_has_no_layer(name):
    assert prepare(as_planes(getattr(data, name)()[:300, :400])).layer is None
