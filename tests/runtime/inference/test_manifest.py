import copy
import json
import os

import pytest

from runtime.errors import InvalidModel
from runtime.inference.bundle import load_model
from runtime.inference.manifest import MANIFEST, Fields, read_json
from tests.support.models import write_patch_bundle

VALUES = (
    None, True, 0, -1, 1.5, 10**30, "x" * 5000, "a\nb", "\x00", "\x1b[31m", "../x", [], [1], [[]], {"a": 1}, {"": None},
)  # fmt: skip
FREE = ("training", "accuracy")
"""Fields that may hold anything."""


@pytest.fixture
def bundle(tmp_path):
    return write_patch_bundle(tmp_path / "bundle", "filters", description="none", constants={}, training={"a": [1]})


def places(content, place=()):
    """The places of all values in a manifest: names of fields, and numbers in lists."""
    yield place
    if isinstance(content, dict):
        for name in content:
            yield from places(content[name], (*place, name))
    elif isinstance(content, list):
        for number in range(len(content)):
            yield from places(content[number], (*place, number))


def changed(content, place, value):
    content = copy.deepcopy(content)
    *way, last = place
    inner = content
    for step in way:
        inner = inner[step]
    inner[last] = value
    return content


def test_no_value_of_any_field_ends_in_a_raw_error(bundle):
    """What is not refused has the value as it stands, where any would do."""
    content = json.loads((bundle.path / MANIFEST).read_text())
    accepted, messages = set(), set()
    for place in places(content):
        for value in VALUES:
            written = changed(content, place, value) if place else value
            (bundle.path / MANIFEST).write_text(json.dumps(written))
            try:
                load_model(bundle.path)
            except InvalidModel as error:
                messages.add(str(error))
            else:
                accepted.add(place)
    assert all("\n" not in message and len(message) < 500 for message in messages)
    assert {place for place in accepted if place[0] not in FREE and "parity" not in place} <= {
        ("name",), ("version",), ("method",), ("description",), ("licence",), ("constants",), ("patch",),
        ("assumes",), ("assumes", "range"), ("assumes", "range", 0), ("assumes", "range", 1), ("assumes", "colour"),
        ("parts", "network", "outputs", 0, "name"), ("parts", "network", "inputs", 0, "name"),
        ("parts", "network", "outputs", 0, "shape"), ("parts", "network", "outputs", 0, "shape", 1),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("size", "fits"),
    [
        ("batch", True),
        ("batch/2", True),
        ("batch-6", True),
        ("batch-0", False),
        ("batch-6/2", False),
        ("other-6", False),
    ],
)
def test_an_output_may_be_a_fraction_of_an_input_or_less_by_a_number(bundle, size, fits):
    content = json.loads((bundle.path / MANIFEST).read_text())
    content["parts"]["network"]["outputs"][0]["shape"][0] = size
    (bundle.path / MANIFEST).write_text(json.dumps(content))
    if fits:
        assert load_model(bundle.path).part("network").outputs[0].shape[0] == size
    else:
        with pytest.raises(InvalidModel):
            load_model(bundle.path)


def test_an_input_is_no_difference(bundle):
    content = json.loads((bundle.path / MANIFEST).read_text())
    content["parts"]["network"]["inputs"][0]["shape"][0] = "batch-1"
    (bundle.path / MANIFEST).write_text(json.dumps(content))
    with pytest.raises(InvalidModel, match="do not follow from those of its inputs"):
        load_model(bundle.path)


@pytest.mark.parametrize("missing", ["name", "version", "method", "description", "licence", "format"])
def test_a_missing_field_is_named(bundle, missing):
    content = json.loads((bundle.path / MANIFEST).read_text())
    del content[missing]
    (bundle.path / MANIFEST).write_text(json.dumps(content))
    with pytest.raises(InvalidModel, match=missing):
        load_model(bundle.path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 50_000 + "1" + "}" * 50_000, "nested too deeply"),
        ('{"a": ' + "[" * 60 + "]" * 60 + "}", "nested too deeply"),
        ('{"a": 1, "a": 2}', "a field occurs twice"),
        ('{"a": {"b": 1, "b": 1}}', "a field occurs twice"),
        ('{"a": NaN}', "not finite"),
        ('{"a": -Infinity}', "not finite"),
        ('{"a": 1e999}', "not finite"),
        ('{"a": ' + "9" * 5000 + "}", "cannot be read"),
        ("", "cannot be read"),
        ('\ufeff{"a": 1}', "cannot be read"),
        (" " * 2**21, "larger than"),
    ],
)
def test_json_beyond_the_limits_is_refused(tmp_path, text, message):
    (tmp_path / MANIFEST).write_text(text, encoding="utf-8")
    with pytest.raises(InvalidModel, match=message) as caught:
        read_json(tmp_path / MANIFEST)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_what_is_no_text_or_no_file_is_refused(tmp_path):
    (tmp_path / MANIFEST).write_bytes(b"\xff\xfe{")
    with pytest.raises(InvalidModel, match="cannot be read"):
        read_json(tmp_path / MANIFEST)
    with pytest.raises(InvalidModel, match="is no file"):
        read_json(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / MANIFEST)
    with pytest.raises(InvalidModel, match="is no file"):
        read_json(tmp_path / MANIFEST)


@pytest.mark.parametrize(
    "name",
    ["../x", "/x", "a/b", "a\\b", "c:x", "", ".", "..", "x.", "x ", "a\nb", "x" * 200, MANIFEST, "BUNDLE.json", "a*b"],
)
def test_a_file_whose_name_is_none_everywhere_is_refused(bundle, name):
    content = json.loads((bundle.path / MANIFEST).read_text())
    content["files"][name] = "0" * 64
    (bundle.path / MANIFEST).write_text(json.dumps(content))
    with pytest.raises(InvalidModel, match="lies outside the bundle or is no name of a file"):
        load_model(bundle.path)


def test_files_that_differ_in_case_alone_are_refused(bundle):
    content = json.loads((bundle.path / MANIFEST).read_text())
    content["files"]["Network.FP32.onnx"] = "0" * 64
    (bundle.path / MANIFEST).write_text(json.dumps(content))
    with pytest.raises(InvalidModel, match="twice but for its case"):
        load_model(bundle.path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda part: part["outputs"][0].update(shape=["images", 2, 17, 9]), "do not follow from"),
        (lambda part: part["outputs"][0].update(shape=["batch/0", 2, 17, 9]), "malformed"),
        (lambda part: part["inputs"][0].update(shape=["batch/2", 17, 17]), "do not follow from"),
        (lambda part: part["inputs"].append(part["inputs"][0]), "two of one name"),
        (lambda part: part.update(outputs=[]), "no outputs"),
        (lambda part: part.update(parity={"fp16": {}}), "parity of a graph that it has not"),
        (lambda part: part["inputs"][0].update(type="complex64"), "not one of"),
        (lambda part: part.update(opset=True), "whole number"),
    ],
)
def test_a_part_that_contradicts_itself_is_refused(bundle, change, message):
    content = json.loads((bundle.path / MANIFEST).read_text())
    change(content["parts"]["network"])
    (bundle.path / MANIFEST).write_text(json.dumps(content))
    with pytest.raises(InvalidModel, match=message):
        load_model(bundle.path)


def test_fields_say_where_they_are(tmp_path):
    fields = Fields({"parts": {"network": {"opset": "9"}}}, tmp_path / MANIFEST)
    with pytest.raises(InvalidModel, match="parts/network/opset is '9', not a whole number from 1 to 3"):
        fields.fields("parts").fields("network").whole("opset", 1, 3)


def test_a_part_requires_names_and_shapes(bundle):
    part = bundle.part("network")
    taken, given = {"patches": ("batch", 17, 17)}, {"filters": ("batch", 2, 17, 9)}
    part.require(bundle.path, taken, given)
    for wrong in ({}, {"patches": ("batch", 17, 19)}, {"images": ("batch", 17, 17)}, taken | given):
        with pytest.raises(InvalidModel, match="its part 'network' takes"):
            part.require(bundle.path, wrong, given)
