import io
import json

import numpy as np
import pytest
from PIL import Image

import runtime
from runtime import warming
from runtime.errors import InvalidArgument, InvalidModel
from runtime.images import decode, encode
from runtime.methods.registry import expects_blur
from runtime.packing import Packing, pack_network
from tests.support import cuda_stand_in
from tests.support.networks import write_network


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """Packs networks that do one thing, each once."""
    bundles = {}

    def pack(does="mean", channels=3, **packing):
        key = (does, channels, tuple(sorted(packing.items())))
        if key not in bundles:
            folder = tmp_path_factory.mktemp("packed")
            graph = write_network(folder / "network.onnx", does, channels=channels)
            bundles[key] = pack_network(graph, folder / does, Packing(patch=48, **packing)).bundle
        return bundles[key]

    return pack


def mean_of(pixels):
    around = np.pad(pixels, ((2, 2), (2, 2), (0, 0)), mode="symmetric")
    return np.lib.stride_tricks.sliding_window_view(around, (5, 5), axis=(0, 1)).mean(axis=(3, 4))


@pytest.mark.parametrize("size", [(1, 1), (1, 77), (90, 1), (5, 3), (48, 48), (101, 87)])
def test_photographs_of_any_size_are_restored(packed, rng, size):
    photograph = rng.random((*size, 3), dtype=np.float32)
    restored = runtime.Deblurrer(model=packed(), device="cpu").restore(photograph)
    np.testing.assert_allclose(restored.image, mean_of(photograph), atol=2e-6)
    assert (restored.kernel, restored.motion, restored.initial, restored.confidence, restored.code) == (None,) * 5
    assert {"extract", "convert", "network", "overlap-add"} <= set(restored.timings)


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_and_colour_go_through_networks_of_either(packed, rng, channels):
    deblurrer = runtime.Deblurrer(model=packed(channels=channels), device="cpu")
    for pixels in (rng.random((70, 60), dtype=np.float32), rng.random((70, 60, 3), dtype=np.float32)):
        expected = mean_of(pixels.reshape(70, 60, -1)).reshape(pixels.shape)
        np.testing.assert_allclose(deblurrer.restore(pixels).image, expected, atol=2e-6)


def test_of_a_network_for_luminance_the_colours_stay(packed, rng):
    pixels = 0.3 + 0.4 * rng.random((70, 60, 3), dtype=np.float32)
    restored = runtime.deblur(pixels, model=packed(channels=1, colour="y"), device="cpu")
    luma = pixels @ np.array([0.299, 0.587, 0.114], np.float32)
    change = mean_of(luma[..., None]) - luma[..., None]
    np.testing.assert_allclose(restored, pixels + change, atol=3e-6)
    grey = rng.random((50, 50), dtype=np.float32)
    restored = runtime.deblur(grey, model=packed(channels=1, colour="y"), device="cpu")
    np.testing.assert_allclose(restored, mean_of(grey[..., None])[..., 0], atol=2e-6)


def test_alpha_depth_and_metadata_are_kept(packed, rng):
    deblurrer = runtime.Deblurrer(model=packed("identity"), device="cpu")
    for dtype in (np.uint8, np.uint16):
        pixels = rng.integers(0, np.iinfo(dtype).max, (60, 50, 4), dtype, endpoint=True)
        pixels[..., 3] = np.maximum(pixels[..., 3], 1)
        np.testing.assert_array_equal(deblurrer.restore(pixels).image, pixels)
    stream = io.BytesIO()
    profile = Image.new("RGB", (60, 50), (200, 100, 50))
    profile.save(stream, "JPEG", icc_profile=_srgb(), dpi=(300, 300), quality=95)
    pixels, header = decode(stream.getvalue())
    saved = encode(deblurrer.restore(pixels).image, header)
    assert Image.open(io.BytesIO(saved)).info["icc_profile"] == _srgb()


def _srgb():
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def test_what_is_sharp_is_restored_too(packed, rng):
    """A frame around the photograph is part of what such a network is given."""
    pixels = np.zeros((120, 120, 3), np.float32)
    pixels[20:100, 20:100] = mean_of(mean_of(rng.random((80, 80, 3), dtype=np.float32)))
    deblurrer = runtime.Deblurrer(model=packed(), device="cpu")
    np.testing.assert_allclose(deblurrer.restore(pixels).image, mean_of(pixels), atol=2e-6)
    assert not expects_blur(deblurrer._method)


def test_stride_and_quality_set_how_far_apart_patches_lie(packed, rng):
    deblurrer = runtime.Deblurrer(model=packed("without-mean", residual="add"), device="cpu")
    pixels = rng.random((150, 150, 3), dtype=np.float32)
    core = deblurrer.bundle.patch.core
    model_stride = deblurrer.bundle.patch.stride
    by_stride = {stride: deblurrer.restore(pixels, stride=stride).image for stride in (model_stride, core)}
    assert np.abs(by_stride[model_stride] - by_stride[core]).max() > 1e-5
    np.testing.assert_array_equal(deblurrer.restore(pixels).image, by_stride[model_stride])
    fast = deblurrer.restore(pixels, quality="fast").image
    np.testing.assert_array_equal(fast, deblurrer.restore(pixels, stride=min(2 * model_stride, core)).image)
    with pytest.raises(InvalidArgument, match=f"this model takes 1 to {core} pixels"):
        deblurrer.restore(pixels, stride=core + 1)


@pytest.mark.parametrize(
    "options", [{"nonblind": "none"}, {"support": 9}, {"noise": 0.1}, {"refine": False}, {"response": "srgb"}]
)
def test_options_that_it_has_not_are_refused(packed, options):
    with pytest.raises(InvalidArgument, match=r"is no option of mean: .*its options: quality, stride"):
        runtime.deblur(np.zeros((20, 20), np.float32), model=packed(), device="cpu", **options)


def test_strength_blends(packed, rng):
    pixels = rng.random((60, 60, 3), dtype=np.float32)
    restored = runtime.deblur(pixels, model=packed(), device="cpu", strength=0.25)
    np.testing.assert_allclose(restored, 0.75 * pixels + 0.25 * mean_of(pixels), atol=2e-6)


def test_a_network_that_makes_infinity_of_a_photograph_is_refused_then(packed, tmp_path):
    graph = write_network(tmp_path / "network.onnx", "dark-is-infinite")
    bundle = pack_network(graph, tmp_path / "packed", Packing(patch=48, range=(1, 2))).bundle
    assert np.isfinite(runtime.deblur(np.zeros((60, 60, 3), np.float32), model=bundle, device="cpu")).all()
    manifest = tmp_path / "packed" / "bundle.json"
    content = json.loads(manifest.read_text())
    content["assumes"]["range"] = [0, 1]
    manifest.write_text(json.dumps(content))
    with pytest.raises(InvalidModel, match="holds NaN or infinity"):
        runtime.deblur(np.zeros((60, 60, 3), np.float32), model=tmp_path / "packed", device="cpu")


def test_a_gpu_restores_the_same(packed, rng, stand_in):
    pixels = rng.random((100, 70, 3), dtype=np.float32)
    expected = runtime.Deblurrer(model=packed(), device="cpu").restore(pixels).image
    deblurrer = runtime.Deblurrer(model=packed(), device="cuda")
    deblurrer.restore(pixels)
    stand_in.clear()
    np.testing.assert_allclose(deblurrer.restore(pixels).image, expected, atol=2e-6)
    # Beside the photograph only a few numbers about it come to the host.
    assert stand_in.uploads == [size for size in stand_in.downloads if size > 100] == [pixels.nbytes]
    np.testing.assert_allclose(deblurrer.restore(cuda_stand_in.ndarray(pixels)).image.array, expected, atol=2e-6)


def test_many_photographs_are_the_same_as_each(packed, rng):
    deblurrer = runtime.Deblurrer(model=packed(), device="cpu", batch=3)
    photographs = [rng.random((60, 40 + 10 * index, 3), dtype=np.float32) for index in range(4)]
    results = list(deblurrer.restore_many(photographs))
    for photograph, result in zip(photographs, results, strict=True):
        np.testing.assert_array_equal(result.image, deblurrer.restore(photograph).image)


def test_it_can_be_warmed_up(packed, monkeypatch):
    monkeypatch.setattr(warming, "_warm_deconvolution", lambda *arguments: None)
    assert set(warming.warm_up(models=[packed()], device="cpu")) == {"mean", "deconvolve"}
