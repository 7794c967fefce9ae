import numpy as np
import onnx
import pytest
from onnx import helper

from runtime.errors import InvalidModel
from runtime.packing import network as module
from runtime.packing.network import open_network, sample
from tests.support.networks import write_graph, write_network


def refusal(path):
    """The message with which a network is refused, which is one line."""
    with pytest.raises(InvalidModel) as caught:
        open_network(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(path))
    return message


def copy(source, target):
    return helper.make_node("Identity", [source], [target])


def test_a_network_says_what_it_takes(tmp_path):
    network = open_network(write_network(tmp_path / "any.onnx"))
    assert (network.taken, network.given, network.type, network.precision) == ("x", "y", "float32", "fp32")
    assert (network.batch, network.channels, network.side, network.opset) == (None, 3, None, 21)
    fixed = open_network(write_network(tmp_path / "one.onnx", channels=1, sizes=(2, 48, 48), dtype="float16"))
    assert (fixed.batch, fixed.channels, fixed.side, fixed.precision) == (2, 1, 48, "fp16")


def test_a_trial_gives_a_shape_or_one_line(tmp_path):
    network = open_network(write_network(tmp_path / "n.onnx", "mean-inside"))
    assert network.attempt(2, 3, 20) == (2, 3, 16, 16)
    failure = network.attempt(1, 3, 3)
    assert isinstance(failure, str)
    assert "\n" not in failure


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"channels": 4}, "takes 4 channels: needed are 1"),
        ({"channels": 64, "sizes": ("n", 64, 3)}, "its channels last"),
        ({"channels": "h", "sizes": ("n", "w", 1)}, "its channels last"),
        ({"sizes": ("n", 64, 48)}, "height and width must be equal or free"),
        ({"sizes": ("n", 64, "w")}, "height and width must be equal or free"),
        ({"dtype": "uint8"}, "takes uint8 and gives uint8: needed is float32 or float16"),
    ],
)
def test_what_is_no_network_from_patches_to_patches_is_refused(tmp_path, options, reason):
    assert reason in refusal(write_network(tmp_path / "n.onnx", **options))


def test_other_numbers_of_axes_inputs_and_outputs_are_refused(tmp_path):
    flat = write_graph(tmp_path / "flat.onnx", [copy("x", "y")], {}, {"x": ["n", 65, 65]}, {"y": ["n", 65, 65]})
    assert "needed are four axes, (batch, channels, height, width)" in refusal(flat)
    shape = ["n", 3, "h", "w"]
    add = helper.make_node("Add", ["image", "sigma"], ["y"])
    two = write_graph(tmp_path / "two.onnx", [add], {}, {"image": shape, "sigma": shape}, {"y": shape})
    assert "has 2 inputs ('image', 'sigma')" in refusal(two)
    pair = [copy("x", "y"), copy("x", "z")]
    several = write_graph(tmp_path / "several.onnx", pair, {}, {"x": shape}, {"y": shape, "z": shape})
    assert "has 2 outputs ('y', 'z')" in refusal(several)


def test_what_is_no_graph_is_refused(tmp_path):
    assert "is no file" in refusal(tmp_path / "missing.onnx")
    text = tmp_path / "text.onnx"
    text.write_text("no graph")
    assert "is no ONNX graph" in refusal(text)
    empty = tmp_path / "empty.onnx"
    empty.write_bytes(b"")
    assert "cannot load it" in refusal(empty)


def stored_beside(path, location):
    """A network whose weights lie in another file."""
    model = onnx.load(write_network(path, "mean"))
    onnx.save(model, path, save_as_external_data=True, location=location, size_threshold=0)
    return path


def test_tensors_in_files_beside_the_graph_are_found(tmp_path):
    graph = stored_beside(tmp_path / "n.onnx", "n.data")
    assert open_network(graph).outside == ("n.data",)
    (tmp_path / "n.data").unlink()
    assert "'n.data', which is missing" in refusal(graph)


def test_tensors_elsewhere_are_refused(tmp_path):
    (tmp_path / "deep").mkdir()
    graph = stored_beside(tmp_path / "n.onnx", "deep/n.data")
    assert "'deep/n.data', which is not beside it" in refusal(graph)


def test_files_beyond_what_a_bundle_holds_are_refused_before_they_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LARGEST_FILE", 400)
    graph = stored_beside(tmp_path / "n.onnx", "n.data")
    with (tmp_path / "n.data").open("ab") as stream:
        stream.truncate(500)
    with pytest.raises(InvalidModel, match=r"n\.data: is larger than 400 bytes"):
        open_network(graph)
    monkeypatch.setattr(module, "LARGEST_FILE", 10)
    assert "is larger than 10 bytes" in refusal(graph)


@pytest.mark.parametrize("side", [40, 512, 1500])
@pytest.mark.parametrize("planes", [1, 3])
def test_the_sample_is_a_photograph_of_any_size(planes, side):
    photograph = sample(planes, side)
    assert photograph.shape == (planes, side, side)
    assert photograph.dtype == np.float32
    assert 0 <= photograph.min() < photograph.max() <= 1
    np.testing.assert_array_equal(photograph[:, :40, :40], sample(planes, 40))
