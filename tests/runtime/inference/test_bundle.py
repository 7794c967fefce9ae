import json
import shutil

import numpy as np
import pytest

from runtime.errors import DeblurError, InvalidModel, ModelNotFound
from runtime.inference.bundle import MANIFEST, ImageAssumptions, list_models, load_model, write_bundle
from runtime.inference.devices import CPU
from runtime.inference.patch_engine import NetworkPatchModel
from tests.support.models import write_patch_bundle


@pytest.fixture
def bundle(tmp_path):
    return write_patch_bundle(tmp_path / "identity-filters", "filters")


def rewrite(bundle, change):
    manifest = bundle.path / MANIFEST
    content = json.loads(manifest.read_text())
    change(content)
    manifest.write_text(json.dumps(content))


def test_reads_back_what_was_written(bundle):
    again = load_model(bundle.path)
    assert again == bundle
    assert (again.patch.size, again.patch.core, again.patch.stride) == (17, 9, 4)
    assert again.part("network").inputs[0].shape == ("batch", 17, 17)
    assert again.bytes == (bundle.path / "network.fp32.onnx").stat().st_size


def test_is_found_by_name_and_by_method_in_the_users_folder_first(bundle, monkeypatch):
    monkeypatch.setenv("DEBLUR_MODELS", str(bundle.path.parent))
    assert load_model("identity-filters").path == bundle.path
    assert load_model("chakrabarti").path == bundle.path
    assert list_models()[0] == bundle


def test_constants_round_trip(bundle):
    np.savez(bundle.path / "mixture.npz", weights=np.arange(3.0))
    content = json.loads((bundle.path / MANIFEST).read_text())
    written = write_bundle(bundle.path, {**content, "constants": {"mixture": "mixture.npz"}})
    np.testing.assert_array_equal(load_model(written.path).load_constants("mixture")["weights"], [0, 1, 2])
    with pytest.raises(InvalidModel, match="no constants named 'other'"):
        written.load_constants("other")


def test_an_altered_file_is_refused(bundle):
    with (bundle.path / "network.fp32.onnx").open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(InvalidModel, match=r"network\.fp32\.onnx: altered or damaged"):
        load_model(bundle.path)


def test_a_missing_file_is_refused(bundle):
    (bundle.path / "network.fp32.onnx").unlink()
    with pytest.raises(InvalidModel, match="missing; copy"):
        load_model(bundle.path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(format=99), "format 99"),
        (lambda c: c.pop("method"), "incomplete"),
        (lambda c: c.update(parts={"network": {"graphs": {}}}), "graphs for"),
        (lambda c: c["parts"]["network"]["graphs"].update(fp32="other.onnx"), "does not list its checksum"),
        (lambda c: c.update(patch={"size": 17, "core": 8, "stride": 4}), "do not fit"),
        (lambda c: c["files"].update({"../outside": "0"}), "outside the bundle"),
    ],
)
def test_a_bad_manifest_is_refused(bundle, change, message):
    rewrite(bundle, change)
    with pytest.raises(InvalidModel, match=message):
        load_model(bundle.path)


def test_a_manifest_that_is_not_json_is_refused(bundle):
    (bundle.path / MANIFEST).write_text("not json")
    with pytest.raises(InvalidModel, match="cannot be read"):
        load_model(bundle.path)


def test_writing_an_incomplete_manifest_leaves_the_old_one(bundle):
    before = (bundle.path / MANIFEST).read_text()
    with pytest.raises(InvalidModel, match="incomplete"):
        write_bundle(bundle.path, {"name": "only a name"})
    assert (bundle.path / MANIFEST).read_text() == before


def test_an_unknown_model_is_named_with_the_remedy(tmp_path, bundle):
    with pytest.raises(ModelNotFound, match="no model named 'nothing'") as caught:
        load_model("nothing")
    assert isinstance(caught.value, FileNotFoundError)
    assert isinstance(caught.value, DeblurError)
    shutil.rmtree(bundle.path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelNotFound, match="python -m export onnx"):
        load_model(tmp_path / "empty")


@pytest.mark.parametrize("assumes", [{"range": [0, 255]}, {"colour": "channels"}, {"range": [0, 1], "gamma": 2.2}])
def test_networks_for_other_pixels_are_refused(bundle, assumes):
    bundle.require_assumptions(ImageAssumptions())
    rewrite(bundle, lambda content: content.update(assumes=assumes))
    with pytest.raises(InvalidModel, match="assumes"):
        NetworkPatchModel(load_model(bundle.path), device=CPU)


def test_an_unknown_part_is_named(bundle):
    with pytest.raises(InvalidModel, match="it has: network"):
        bundle.part("other")
