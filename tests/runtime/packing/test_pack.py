import json
import os

import numpy as np
import onnx
import pytest

import runtime
from runtime.errors import ImageFileError, InvalidArgument, InvalidModel, UnsupportedType
from runtime.inference.bundle import PatchGeometry, load_model
from runtime.packing import Packing, pack_network
from runtime.packing.network import Network
from runtime.packing.pack import choose_geometry
from runtime.packing.trials import Sizes
from tests.support.networks import write_network

SMALL = Packing(patch=64)


@pytest.fixture
def pack(tmp_path):
    def make(does="mean", packing=SMALL, *, keywords=None, **options):
        graph = write_network(tmp_path / "network.onnx", does, **options)
        return pack_network(graph, tmp_path / "packed", packing, **(keywords or {}))

    return make


def test_a_packed_network_is_a_model_like_others(pack, tmp_path):
    packed = pack()
    bundle = load_model(tmp_path / "packed")
    assert bundle == packed.bundle
    assert (bundle.name, bundle.method) == ("packed", "patches")
    assert bundle.patch == PatchGeometry(64, 60, 56)
    assert sorted(path.name for path in (tmp_path / "packed").iterdir()) == ["bundle.json", "network.fp32.onnx"]
    assert packed.found | {"seconds": 0, "change": 0, "seam": 0, "mean_seam": 0} == {
        "input": "x", "output": "y", "type": "float32", "colour": "rgb", "range": [0, 1], "sizes": [64, 67, 68],
        "multiple": 1, "batch": None, "field": 5, "margin": 2, "patch": 64, "core": 60, "stride": 56,
        "against": "the whole image", "seconds": 0, "change": 0, "seam": 0, "mean_seam": 0,
    }  # fmt: skip
    assert packed.found["seam"] < 1e-5
    assert json.dumps(packed.found)


def test_a_photograph_is_restored_as_the_network_restores_it_whole(pack, tmp_path, rng):
    pack()
    photograph = rng.random((130, 147, 3), dtype=np.float32)
    restored = runtime.deblur(photograph, model=tmp_path / "packed", device="cpu")
    around = np.pad(photograph, ((2, 2), (2, 2), (0, 0)), mode="symmetric")
    expected = np.lib.stride_tricks.sliding_window_view(around, (5, 5), axis=(0, 1)).mean(axis=(3, 4))
    np.testing.assert_allclose(restored, expected, atol=2e-6)


@pytest.mark.parametrize(
    ("options", "packing", "shape"),
    [
        ({"sizes": (2, 48, 48)}, Packing(), [2, 3, 48, 48]),
        ({"sizes": (1, "h", "w"), "channels": 1}, SMALL, [1, 1, 64, 64]),
        ({"dtype": "float16"}, SMALL, ["batch", 3, 64, 64]),
        ({"channels": "c"}, Packing(patch=64, colour="grey"), ["batch", 1, 64, 64]),
    ],
)
def test_networks_of_all_kinds_give_a_photograph_back(pack, tmp_path, rng, options, packing, shape):
    packed = pack("identity", packing, **options)
    assert list(packed.bundle.part("network").inputs[0].shape) == shape
    for photograph in (rng.random((70, 51, 3), dtype=np.float32), rng.random((3, 90), dtype=np.float32)):
        restored = runtime.deblur(photograph, model=tmp_path / "packed", device="cpu")
        np.testing.assert_allclose(restored, photograph, atol=2**-11 if "dtype" in options else 2e-6)


def test_units_are_those_that_were_said(pack, tmp_path, rng):
    pack("identity", Packing(patch=64, colour="bgr", range=(0, 255), mean=(104, 117, 124), std=(58,), name="other"))
    bundle = load_model(tmp_path / "packed")
    assert bundle.name == "other"
    assert dict(bundle.assumes) == {
        "range": [0, 255], "colour": "bgr", "mean": [104, 117, 124], "std": [58], "residual": "none",
    }  # fmt: skip
    photograph = rng.integers(0, 256, (80, 66, 3), np.uint8)
    np.testing.assert_array_equal(runtime.deblur(photograph, model=tmp_path / "packed", device="cpu"), photograph)


def test_numbers_of_any_kind_are_taken(pack):
    packed = pack("identity", Packing(patch=np.int64(64), range=[0, 255], mean=np.float32([1, 2, 3]), std=2))
    assert dict(packed.bundle.assumes)["mean"] == [1, 2, 3]
    assert dict(packed.bundle.assumes)["std"] == [2]


def test_tensors_beside_the_graph_are_packed_too(tmp_path, rng):
    model = onnx.load(write_network(tmp_path / "network.onnx", "mean"))
    onnx.save(model, tmp_path / "network.onnx", save_as_external_data=True, location="network.data", size_threshold=0)
    pack_network(tmp_path / "network.onnx", tmp_path / "packed", SMALL)
    (tmp_path / "network.data").unlink()
    assert "network.data" in load_model(tmp_path / "packed").files
    photograph = rng.random((70, 70, 3), dtype=np.float32)
    restored = runtime.deblur(photograph, model=tmp_path / "packed", device="cpu")
    assert np.abs(restored - photograph).max() > 0.1


def test_parity_is_recorded(pack):
    packed = pack(keywords={"parity": {"max_abs": 1e-6, "batches": [1, 2]}})
    assert packed.bundle.part("network").parity == {"fp32": {"max_abs": 1e-6, "batches": [1, 2]}}


def test_a_folder_is_replaced_only_if_it_is_a_bundle_and_that_is_wanted(pack, tmp_path):
    pack()
    before = (tmp_path / "packed" / "bundle.json").read_bytes()
    with pytest.raises(ImageFileError, match="is there; name another folder"):
        pack("identity")
    assert (tmp_path / "packed" / "bundle.json").read_bytes() == before
    pack("identity", keywords={"overwrite": True})
    assert (tmp_path / "packed" / "bundle.json").read_bytes() != before
    (tmp_path / "packed" / "bundle.json").unlink()
    with pytest.raises(ImageFileError, match="is no bundle"):
        pack(keywords={"overwrite": True})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_named(pack, tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(ImageFileError, match="check the folder"):
        pack()


def test_nothing_is_left_of_a_network_that_is_refused(pack, tmp_path):
    with pytest.raises(InvalidModel, match="holds NaN or infinity"):
        pack("infinite")
    assert [path.name for path in tmp_path.iterdir()] == ["network.onnx"]


def test_progress_is_told(pack):
    calls = []
    pack(keywords={"progress": lambda *call: calls.append(call)})
    assert [stage for stage, _ in calls][:3] == ["load", "sizes", "batches"]
    fractions = [fraction for _, fraction in calls]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1


@pytest.mark.parametrize(
    ("packing", "error", "message"),
    [
        ({"patch": 64, "core": 63}, InvalidArgument, "core 63: give 64 pixels or fewer, and an even number"),
        ({"patch": 64, "core": 66}, InvalidArgument, "core 66: give 64 pixels or fewer"),
        ({"patch": 64, "core": 32, "stride": 33}, InvalidArgument, "stride 33: give 32 pixels or fewer"),
        ({"patch": 2000}, InvalidArgument, "patch 2000: give 1024 pixels or fewer"),
        ({"patch": 0}, InvalidArgument, "patch 0"),
        ({"colour": "cmyk"}, InvalidArgument, "colour 'cmyk': give one of rgb, bgr, grey, y"),
        ({"residual": "times"}, InvalidArgument, "residual 'times': give one of none, add, subtract"),
        ({"patch": 64, "std": (0,)}, InvalidArgument, "std must be positive; give the values"),
        ({"range": (0, 1, 2)}, InvalidArgument, "range must be the values of black and white"),
        ({"mean": [[0.5]]}, InvalidArgument, r"mean of shape \(1, 1\): give one number"),
        ({"mean": "light"}, UnsupportedType, "mean of dtype"),
        ({"colour": "grey"}, InvalidModel, "takes 3 channels, and grey has 1"),
    ],
)
def test_what_does_not_fit_is_named(pack, packing, error, message):
    with pytest.raises(error, match=message):
        pack("mean", Packing(**packing))


@pytest.mark.parametrize(
    ("size", "step", "field", "margin", "geometry"),
    [
        (256, 8, 17, 6, (256, 238, 208)),
        (256, 8, 4, 4, (256, 248, 216)),
        (256, 8, None, 20, (256, 196, 176)),
        (256, 8, None, None, (256, 192, 96)),
        (256, 64, None, 56, (256, 144, 128)),
        (256, 128, 60, 40, (256, 136, 128)),
        (65, 8, 0, 0, (65, 65, 56)),
        (17, 1, 2, 2, (17, 13, 12)),
        (1, 1, None, None, (1, 1, 1)),
    ],
)
def test_the_geometry_follows_from_what_was_measured(size, step, field, margin, geometry):
    chosen = choose_geometry(Packing(), Sizes(1, 0, ()), size, step, field, margin)
    assert (chosen.size, chosen.core, chosen.stride) == geometry


def test_cores_overlap_by_half_where_the_margin_that_was_asked_for_is_too_small():
    assert choose_geometry(Packing(core=250), Sizes(1, 0, ()), 256, 8, 17, 6).stride == 128
    assert choose_geometry(Packing(core=244), Sizes(1, 0, ()), 256, 8, 17, 6).stride == 216


def test_a_network_that_takes_one_size_without_saying_so_is_packed_for_it(pack, monkeypatch):
    attempt = Network.attempt

    def picky(self, batch, channels, side):
        return attempt(self, batch, channels, side) if side == 100 else "the shape is another"

    monkeypatch.setattr(Network, "attempt", picky)
    found = pack("mean", Packing(patch=100)).found
    assert (found["multiple"], found["against"]) == (None, "neighbours")
    assert (found["patch"], found["core"], found["stride"]) == (100, 96, 88)


def test_a_patch_is_a_multiple_of_what_the_network_takes(pack):
    packed = pack("halves", Packing())
    assert packed.found["multiple"] == 2
    assert packed.found["patch"] == 256
    assert packed.found["stride"] % 8 == 0
