import json

import pytest

from runtime.errors import InvalidModel
from runtime.inference.bundle import MANIFEST, load_model
from runtime.inference.devices import CPU
from runtime.inference.graphs import create_session, first_line
from tests.support.models import write_patch_bundle


@pytest.fixture
def bundle(tmp_path):
    return write_patch_bundle(tmp_path / "bundle", "filters")


def test_a_graph_that_is_what_its_bundle_says_is_loaded(bundle):
    session = create_session(bundle.part("network"), "fp32", CPU)
    assert [node.name for node in session.get_outputs()] == ["filters"]


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("inputs", {"name": "images"}),
        ("inputs", {"shape": ["batch", 17, 19]}),
        ("inputs", {"shape": ["batch", 17]}),
        ("inputs", {"type": "float16"}),
        ("outputs", {"name": "cores"}),
        ("outputs", {"shape": ["batch", 2, 17, 10]}),
        ("outputs", {"shape": ["batch"]}),
        ("outputs", {"type": "float64"}),
    ],
)
def test_a_graph_that_differs_from_its_bundle_is_refused(bundle, kind, change):
    content = json.loads((bundle.path / MANIFEST).read_text())
    content["parts"]["network"][kind][0].update(change)
    (bundle.path / MANIFEST).write_text(json.dumps(content))
    with pytest.raises(InvalidModel, match=f"has the {kind} .*, but its bundle says") as caught:
        create_session(load_model(bundle.path).part("network"), "fp32", CPU)
    assert "\n" not in str(caught.value)


def test_a_graph_for_one_size_alone_is_refused_where_any_is_promised(bundle):
    content = json.loads((bundle.path / MANIFEST).read_text())
    content["parts"]["network"]["inputs"][0]["shape"] = ["batch", "side", "side"]
    content["parts"]["network"]["outputs"][0]["shape"] = ["batch", 2, "side", 9]
    (bundle.path / MANIFEST).write_text(json.dumps(content))
    with pytest.raises(InvalidModel, match="has the inputs"):
        create_session(load_model(bundle.path).part("network"), "fp32", CPU)


def test_the_first_line_of_an_error():
    assert first_line(ValueError("what\nwhere")) == "what"
    assert first_line(ValueError()) == "ValueError"
