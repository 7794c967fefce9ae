import contextlib
import copy
import json
import pickle
import shutil

import numpy as np
import onnx
import pytest

from runtime.errors import DeblurError, InvalidModel, ModelNotFound, UnsupportedType
from runtime.inference.bundle import (
    MANIFEST,
    ImageAssumptions,
    check_files,
    find_models,
    list_models,
    load_model,
    replacing,
    write_bundle,
)
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


def test_a_part_of_what_is_assumed_can_be_read(bundle):
    rewrite(bundle, lambda content: content.update(assumes={"range": [0, 1], "colour": "luminance", "side": 9}))
    found = load_model(bundle.path)
    assert found.read_assumptions(ImageAssumptions, partly=True) == ImageAssumptions()
    with pytest.raises(InvalidModel, match="side, unknown"):
        found.read_assumptions(ImageAssumptions)


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


@pytest.mark.parametrize("target", ["file", "folder", "loop", "device"])
def test_a_link_that_leads_outside_is_refused(bundle, tmp_path, target):
    graph = bundle.path / "network.fp32.onnx"
    graph.rename(tmp_path / "outside.onnx")
    if target == "folder":
        (tmp_path / "elsewhere").mkdir()
        shutil.copy(tmp_path / "outside.onnx", tmp_path / "elsewhere" / graph.name)
    try:
        graph.symlink_to(
            {
                "file": tmp_path / "outside.onnx",
                "folder": tmp_path / "elsewhere" / graph.name,
                "loop": graph,
                "device": "/dev/zero",
            }[target]
        )
    except OSError as error:
        pytest.skip(f"no links on this system: {error}")
    with pytest.raises(InvalidModel, match=r"network\.fp32\.onnx: (leads outside|missing)"):
        load_model(bundle.path)


def test_a_manifest_that_lies_elsewhere_is_refused(bundle, tmp_path):
    """What it says is not read either."""
    manifest = bundle.path / MANIFEST
    manifest.rename(tmp_path / "outside.json")
    try:
        manifest.symlink_to(tmp_path / "outside.json")
    except OSError as error:
        pytest.skip(f"no links on this system: {error}")
    with pytest.raises(InvalidModel, match=r"bundle\.json: leads outside the bundle; copy the file itself"):
        load_model(bundle.path)
    (tmp_path / "outside.json").write_text("{")
    with pytest.raises(InvalidModel, match="leads outside the bundle"):
        load_model(bundle.path)


def test_a_link_to_a_bundle_is_a_bundle(bundle, tmp_path):
    try:
        (tmp_path / "link").symlink_to(bundle.path, target_is_directory=True)
    except OSError as error:
        pytest.skip(f"no links on this system: {error}")
    assert load_model(tmp_path / "link").name == bundle.name


@pytest.mark.parametrize("location", ["hidden.weights", "../hidden.weights", "absolute"])
def test_data_that_is_not_listed_is_refused(bundle, tmp_path, location):
    location = str(tmp_path / "hidden.weights") if location == "absolute" else location
    graph = onnx.load(bundle.path / "network.fp32.onnx")
    tensor = next(tensor for tensor in graph.graph.initializer if tensor.name == "one")
    (bundle.path / location).write_bytes(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    (bundle.path / "network.fp32.onnx").write_bytes(graph.SerializeToString())
    content = json.loads((bundle.path / MANIFEST).read_text())
    written = write_bundle(bundle.path, content)
    if location == "hidden.weights":
        assert load_model(bundle.path) == written
        rewrite(bundle, lambda content: content["files"].pop(location))
    with pytest.raises(InvalidModel, match=r"stores tensors in .*, which is not listed"):
        load_model(bundle.path)


def test_a_file_that_is_too_large_is_not_read(bundle, monkeypatch):
    monkeypatch.setattr("runtime.inference.bundle.LARGEST_FILE", 100)
    monkeypatch.setattr("runtime.inference.bundle._sha256", lambda file: pytest.fail("read"))
    with pytest.raises(InvalidModel, match="is larger than 100 bytes"):
        load_model(bundle.path)


def test_one_bad_bundle_takes_none_of_the_others_down(bundle, tmp_path, monkeypatch):
    monkeypatch.setenv("DEBLUR_MODELS", str(tmp_path))
    for name, text in (("aaa", "{"), ("chakrabarti", "[" * 100_000), ("zzz", '{"format": 1}')):
        (tmp_path / name).mkdir()
        (tmp_path / name / MANIFEST).write_text(text)
    (tmp_path / "folder" / MANIFEST).mkdir(parents=True)
    assert list_models()[0] == bundle
    assert load_model("chakrabarti").path == bundle.path
    assert load_model("eboli-motion").method == "eboli"
    models, faults = find_models()
    assert models == list_models()
    for name, fault in zip(("aaa", "chakrabarti", "folder", "zzz"), faults, strict=True):
        assert str(tmp_path / name) in str(fault)
    with pytest.raises(InvalidModel, match="aaa"):
        load_model("aaa")
    with pytest.raises(ModelNotFound, match=r"no model named 'nothing' .*unusable: .*zzz"):
        load_model("nothing")


@pytest.mark.parametrize("name", ["x" * 5000, "a/" * 3000, "x\ny", "\x1b[31m"])
def test_a_name_that_none_can_have_is_not_found(name):
    with pytest.raises(ModelNotFound) as caught:
        load_model(name)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("name", [3, None, b"chakrabarti", ["chakrabarti"], 1.5])
def test_what_is_no_name_is_refused(name):
    with pytest.raises(UnsupportedType, match="give a name or a path"):
        load_model(name)


@pytest.mark.parametrize("again", [lambda it: pickle.loads(pickle.dumps(it)), copy.copy, copy.deepcopy])
def test_a_bundle_travels_as_its_folder(bundle, again, monkeypatch):
    assert again(bundle) == bundle
    shipped = load_model("repair")
    assert again(shipped) == shipped
    assert len(pickle.dumps(bundle)) < 500
    monkeypatch.chdir(bundle.path.parent)
    assert again(load_model(bundle.path.name)).path == bundle.path
    assert hash(again(bundle)) == hash(bundle)


def test_a_bundle_whose_folder_is_gone_says_so(bundle):
    travelling = pickle.dumps(bundle)
    shutil.rmtree(bundle.path)
    with pytest.raises(ModelNotFound, match="there is no such folder; copy the model there"):
        pickle.loads(travelling)
    with pytest.raises(InvalidModel, match="missing"):
        check_files(bundle)
    with pytest.raises(InvalidModel, match="No such file"):
        _ = bundle.bytes


def test_what_json_cannot_hold_is_not_written(bundle):
    content = json.loads((bundle.path / MANIFEST).read_text())
    for value in (float("nan"), {1, 2}, object()):
        with pytest.raises(InvalidModel, match="cannot be written"):
            write_bundle(bundle.path, content | {"training": {"loss": value}})
    assert json.loads((bundle.path / MANIFEST).read_text()) == content


def test_after_an_error_the_folder_stays_as_it_was(tmp_path):
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "old").touch()
    with contextlib.suppress(RuntimeError), replacing(tmp_path / "bundle") as draft:
        (draft / "new").touch()
        raise RuntimeError
    assert [file.name for file in (tmp_path / "bundle").iterdir()] == ["old"]
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
