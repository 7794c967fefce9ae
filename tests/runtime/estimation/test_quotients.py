import json

import numpy as np
import pytest
from scipy.signal import fftconvolve

from runtime.errors import InvalidArgument, InvalidModel, ModelNotFound
from runtime.estimation import quotients
from runtime.estimation.quotients import KernelNetwork, KernelNetworks
from runtime.inference.bundle import MANIFEST, load_model, write_bundle
from runtime.inference.devices import CPU
from tests.support.models import write_kernel_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_kernel_bundle(tmp_path_factory.mktemp("models") / "gradients")


@pytest.fixture(scope="module")
def network(bundle):
    return KernelNetwork(bundle, device=CPU)


@pytest.fixture(scope="module")
def sharp():
    random = np.random.default_rng(0)
    blocks = np.kron(random.uniform(0.1, 0.9, (14, 16)), np.ones((9, 9)))
    return (blocks + random.normal(0, 0.02, blocks.shape)).astype(np.float32)


def motion(side):
    kernel = np.zeros((side, side), np.float32)
    kernel[side // 2, side // 2 - 2 : side // 2 + 3] = 0.2
    return kernel


@pytest.mark.parametrize("shape", [(24, 24), (60, 41), (33, 90)])
def test_where_the_features_are_the_gradients_of_the_photograph_there_is_no_blur(network, sharp, shape):
    kernel = network.estimate(np.ascontiguousarray(sharp[: shape[0], : shape[1]]), support=7)
    assert kernel.shape == (7, 7)
    assert kernel.dtype == np.float32
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    assert kernel[3, 3] > 0.98


def test_gradients_of_the_sharp_image_give_the_kernel(network, sharp):
    observed = fftconvolve(sharp, motion(11), "same").astype(np.float32)
    kernel = network._estimate(observed, sharp, None, scale=1, stage=1)
    assert np.square(kernel - motion(11)).sum() < 0.02 * np.square(motion(11)).sum()


def test_the_blur_of_a_known_kernel_is_undone(network, sharp):
    observed = fftconvolve(sharp, motion(11), "same").astype(np.float32)
    latent = network._undo(observed, motion(11), scale=1, stage=0)
    inner = np.s_[15:-15, 15:-15]
    assert latent.shape == sharp.shape
    assert np.square(latent - sharp)[inner].mean() < 0.3 * np.square(observed - sharp)[inner].mean()


def test_scales_are_those_that_are_asked_for_and_fit(network, sharp):
    assert network.supports == (7, 11)
    assert network.estimate(sharp, support=5).shape == (7, 7)
    assert network.estimate(sharp, support=9).shape == (11, 11)
    assert network.estimate(sharp, support=99).shape == (11, 11)
    small = np.ascontiguousarray(sharp[: network.smallest(), :40])
    assert network.estimate(small).shape == (7, 7)


def test_a_wide_kernel_is_that_of_the_photograph_at_half_its_size(network, sharp):
    plane = np.ascontiguousarray(sharp[: sharp.shape[0] // 2 * 2, : sharp.shape[1] // 2 * 2])
    half = plane.reshape(plane.shape[0] // 2, 2, -1, 2).mean((1, 3))
    wide, kernel = network.estimate_wide(plane), network.estimate(half)
    assert wide.shape == (2 * len(kernel) + 1,) * 2
    assert wide.sum() == pytest.approx(1, abs=1e-5)
    assert network.estimate_wide(plane[: 2 * network.smallest() - 1]) is None


def test_of_a_large_photograph_a_kernel_to_be_used_alone_needs_the_strongest_edges_only(network, sharp, monkeypatch):
    wide = np.pad(sharp, ((0, 0), (0, 150)), mode="edge")
    monkeypatch.setattr(quotients, "PIXELS", sharp.size)
    seen = []
    monkeypatch.setattr(network, "estimate", lambda plane, **options: seen.append((plane.size, options["support"])))
    network.estimate_alone(wide, 7)
    assert seen[0][0] <= sharp.size < wide.size
    assert seen[0][1] == 7


def test_progress_is_that_of_the_scales(network, sharp):
    seen = []
    network.estimate(sharp, progress=lambda *report: seen.append(report))
    assert seen == [("kernel network", 0.5), ("kernel network", 1.0)]


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_what_shows_nothing_gives_no_blur(network, value):
    kernel = network.estimate(np.full((40, 50), value, np.float32))
    np.testing.assert_array_equal(kernel, np.pad([[1.0]], 5))


def test_scales_that_are_not_trained_are_not_used(tmp_path, sharp):
    network = KernelNetwork(write_kernel_bundle(tmp_path / "half", trained=(2, 0)), device=CPU)
    assert network.estimate(sharp).shape == (7, 7)


def spoiled(bundle, tmp_path, **arrays):
    folder = tmp_path / "spoiled"
    write_kernel_bundle(folder)
    with np.load(folder / "quotients.npz") as stored:
        np.savez(folder / "quotients.npz", **{**stored, **arrays})
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest.pop("files")
    write_bundle(folder, manifest)
    return load_model(folder)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"beta": np.ones((1, 2), np.float32)}, "quotients are not beta"),
        ({"beta": np.zeros((2, 2), np.float32)}, "out of their ranges"),
        ({"threshold": np.full((2, 2), 1.0, np.float32)}, "out of their ranges"),
        ({"trained": np.array([3, 2], np.int32)}, "out of their ranges"),
        ({"trained": np.array([0, 2], np.int32)}, "none of its stages is trained"),
    ],
)
def test_numbers_that_cannot_be_are_refused(bundle, tmp_path, arrays, message):
    with pytest.raises(InvalidModel, match=message):
        KernelNetwork(spoiled(bundle, tmp_path, **arrays), device=CPU)


@pytest.mark.parametrize("changes", [{"range": [0, 255]}, {"colour": "rgb"}])
def test_a_network_for_other_pixels_is_refused(bundle, tmp_path, changes):
    other = write_kernel_bundle(tmp_path / "other", assumes={**bundle.assumes, **changes})
    with pytest.raises(InvalidModel, match="but the runtime provides"):
        KernelNetwork(other, device=CPU)


def test_a_bundle_of_another_kind_is_refused():
    with pytest.raises(InvalidModel):
        KernelNetwork(load_model("eboli"), device=CPU)


@pytest.fixture
def several(tmp_path, monkeypatch):
    """A bundle that names networks for any content, at two levels of noise, and for text."""
    monkeypatch.setenv("DEBLUR_MODELS", str(tmp_path))
    for name, content, noise in (("a", "any", [0.0, 0.02]), ("b", "any", [0.03, 0.07]), ("c", "text", [0.0, 0.02])):
        described = json.loads((write_kernel_bundle(tmp_path / name).path / MANIFEST).read_text())
        described["assumes"] |= {"content": content, "noise": noise}
        write_bundle(tmp_path / name, described | {"name": name})
    return write_choice(tmp_path / "several", ["a", "b", "c"])


def write_choice(folder, networks):
    folder.mkdir()
    described = {
        "name": folder.name, "version": "1", "method": "schuler", "description": "", "licence": "Apache-2.0",
        "parts": {}, "assumes": {"networks": networks},
    }  # fmt: skip
    return write_bundle(folder, described)


@pytest.mark.parametrize(
    ("content", "noise", "network"),
    [("any", 0.0, 0), ("any", 0.01, 0), ("any", 0.029, 1), ("any", 0.2, 1), ("text", 0.01, 2), ("text", 0.05, 2)],
)
def test_the_network_for_the_content_and_the_nearest_noise_is_taken(several, content, noise, network):
    networks = KernelNetworks(several, device=CPU)
    assert networks.choose(content, noise) is networks._networks[network]


def test_a_content_that_no_network_is_for_is_refused(several, bundle):
    with pytest.raises(InvalidArgument, match="content='landscape': several is for 'any', 'text'; leave it out"):
        KernelNetworks(several, device=CPU).choose("landscape", 0.01)
    with pytest.raises(InvalidArgument, match="content='text': gradients is for 'any'; leave it out"):
        KernelNetworks(bundle, device=CPU).choose("text", 0.01)


def test_a_single_network_is_taken_whatever_it_is_for(several):
    networks = KernelNetworks(load_model("c"), device=CPU)
    assert networks.choose("any", 0.01) is networks.choose("text", 0.3)


def test_a_bundle_without_networks_is_refused(several, tmp_path):
    with pytest.raises(InvalidModel, match="has no network and names none"):
        KernelNetworks(write_choice(tmp_path / "none", []), device=CPU)
    with pytest.raises(ModelNotFound, match="no model named 'gone'"):
        KernelNetworks(write_choice(tmp_path / "missing", ["gone"]), device=CPU)
