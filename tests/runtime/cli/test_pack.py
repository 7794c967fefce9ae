import json

import numpy as np
import pytest
from onnx import helper

from runtime.images import read_file
from tests.support.networks import write_graph, write_network


@pytest.fixture
def network(tmp_path):
    return write_network(tmp_path / "network.onnx", "identity")


def test_a_network_is_packed_and_used(deblur, network, photograph, tmp_path):
    packed = deblur("pack", network, "-o", tmp_path / "model", "--patch", 64, "--description", "gives it back")
    assert (packed.code, packed.err) == (0, "")
    lines = packed.out.decode().splitlines()
    assert lines[0] == "input:            x, float32, rgb, 0 to 1"
    assert {line.split(":")[0] for line in lines} >= {
        "output", "sizes tried", "sizes taken", "batch", "receptive field", "patch", "largest seam", "seconds a patch",
    }  # fmt: skip
    assert "64 px, core 64 (margin 0), stride 56" in packed.out.decode()
    restored = deblur("image", photograph, "-o", tmp_path / "out.png", "--model", tmp_path / "model")
    assert (restored.code, restored.err) == (0, "")
    np.testing.assert_array_equal(read_file(tmp_path / "out.png")[0], read_file(photograph)[0])


def test_it_is_listed_and_found_by_name(deblur, network, photograph, tmp_path, monkeypatch):
    (tmp_path / "models").mkdir()
    folder = tmp_path / "models" / "own"
    assert deblur("pack", network, "-o", folder, "--patch", 64, "--licence", "MIT", "--name", "mine").code == 0
    monkeypatch.setenv("DEBLUR_MODELS", str(tmp_path / "models"))
    listed = json.loads(deblur("models", "--json").out)[0]
    assert (listed["name"], listed["method"]) == ("mine", "patches")
    assert listed["accuracy"]["packing"]["margin"] == 0
    assert deblur("image", photograph, "-o", tmp_path / "out.png", "--model", "mine").code == 0


def test_options_are_passed_on_and_json_printed(deblur, network, tmp_path):
    options = (
        "--patch",
        64,
        "--core",
        48,
        "--stride",
        24,
        "--colour",
        "bgr",
        "--range",
        "-1,1",
        "--mean",
        "0.1,0.2,0.3",
    )
    packed = deblur("pack", network, "-o", tmp_path / "model", *options, "--std", "0.5", "--json")
    report = json.loads(packed.out)
    assert (report["patch"], report["core"], report["stride"], report["margin"]) == (64, 48, 24, 8)
    assert (report["colour"], report["range"], report["name"]) == ("bgr", [-1, 1], "model")
    manifest = json.loads((tmp_path / "model" / "bundle.json").read_text())
    assert manifest["assumes"] == {
        "range": [-1, 1], "colour": "bgr", "mean": [0.1, 0.2, 0.3], "std": [0.5], "residual": "none",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("does", "arguments", "code", "message"),
    [
        ("enlarged", (), 1, "a network that enlarges cannot be packed"),
        ("infinite", (), 1, "holds NaN or infinity"),
        ("identity", ("--colour", "grey"), 1, "takes 3 channels, and grey has 1; give the colour rgb or bgr"),
        ("identity", ("--residual", "times"), 1, "give one of none, add, subtract"),
        ("identity", ("--range", "0"), 2, "--range takes two numbers"),
        ("identity", ("--mean", "a,b"), 2, "give numbers separated by commas"),
    ],
)
def test_what_cannot_be_packed_is_one_line(deblur, tmp_path, does, arguments, code, message):
    network = write_network(tmp_path / "network.onnx", does)
    refused = deblur("pack", network, "-o", tmp_path / "model", "--patch", 64, *arguments)
    assert refused.code == code
    assert message in refused.err
    assert code == 2 or len(refused.err.splitlines()) == 1
    assert not (tmp_path / "model").exists()


def test_a_graph_that_does_not_load_is_one_line(deblur, tmp_path):
    shape = [1, 3, "h", "w"]
    resize = helper.make_node("Resize", ["x", "", "scales"], ["y"], mode="nearer")
    scales = {"scales": np.ones(4, np.float32)}
    network = write_graph(tmp_path / "network.onnx", [resize], scales, {"x": shape}, {"y": shape})
    refused = deblur("pack", network, "-o", tmp_path / "model")
    assert refused.code == 1
    assert len(refused.err.splitlines()) == 1
    assert "cannot load it" in refused.err


def test_a_bundle_is_not_replaced_unasked(deblur, network, tmp_path):
    arguments = ("pack", network, "-o", tmp_path / "model", "--patch", 64)
    assert deblur(*arguments).code == 0
    assert "is there" in deblur(*arguments).err
    assert deblur(*arguments, "--overwrite").code == 0
