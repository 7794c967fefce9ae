import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from runtime.errors import InvalidModel
from runtime.inference.bundle import SHIPPED
from runtime.inference.onnx_files import opset_of, stored_outside


def outside(name, location):
    """A tensor that is stored in the file `location`."""
    tensor = numpy_helper.from_array(np.zeros(4, np.float32), name)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("offset", "0"), ("location", location), ("length", "16")):
        tensor.external_data.add(key=key, value=value)
    return tensor


def graph_of(nodes=(), tensors=(), sparse=()):
    return helper.make_graph(list(nodes), "graph", [], [], list(tensors), sparse_initializer=list(sparse))


def saved(path, graph, functions=()):
    path.write_bytes(helper.make_model(graph, functions=list(functions)).SerializeToString())
    return path


def constant(tensor):
    return helper.make_node("Constant", [], ["c"], value=tensor)


PLACES = {
    "initializer": lambda tensor: graph_of(tensors=[numpy_helper.from_array(np.ones(2), "inside"), tensor]),
    "attribute": lambda tensor: graph_of([constant(tensor)]),
    "subgraph": lambda tensor: graph_of(
        [helper.make_node("If", ["x"], ["y"], then_branch=graph_of([constant(tensor)]), else_branch=graph_of())]
    ),
    "sparse": lambda tensor: graph_of(sparse=[helper.make_sparse_tensor(tensor, outside("i", "indices"), [9])]),
}


@pytest.mark.parametrize("location", ["network.weights", "/etc/passwd", "../other.weights", "deep/er", ""])
@pytest.mark.parametrize("place", PLACES)
def test_a_tensor_outside_is_found_wherever_it_is(tmp_path, place, location):
    found = stored_outside(saved(tmp_path / "graph.onnx", PLACES[place](outside("w", location))))
    assert found - {"indices"} == {location}


def test_a_tensor_of_a_function_is_found(tmp_path):
    function = helper.make_function("ours", "F", [], ["c"], [constant(outside("w", "hidden"))], [])
    assert stored_outside(saved(tmp_path / "graph.onnx", graph_of(), [function])) == {"hidden"}


def test_the_shipped_graphs_are_stored_in_one_file_each():
    for graph in SHIPPED.glob("*/*.onnx"):
        expected = {
            entry.value
            for tensor in onnx.load(graph, load_external_data=False).graph.initializer
            for entry in tensor.external_data
            if entry.key == "location"
        }
        assert stored_outside(graph) == expected


@pytest.mark.parametrize(
    "content",
    [b"not a graph", b"\xff" * 30, b"\x3a\xff\xff\xff\xff\x0f", b"\x3a\x05\x2a", b"\x0b", b"\x09\x00", b"\x08"],
)
def test_what_is_no_graph_is_refused(tmp_path, content):
    (tmp_path / "graph.onnx").write_bytes(content)
    with pytest.raises(InvalidModel, match=r"graph\.onnx: is no ONNX graph") as caught:
        stored_outside(tmp_path / "graph.onnx")
    assert "\n" not in str(caught.value)


def test_the_operators_of_a_graph_are_those_of_the_standard(tmp_path):
    path = tmp_path / "graph.onnx"
    for others in ([], [("com.microsoft", 1)]):
        sets = [helper.make_opsetid(*each) for each in (*others, ("", 17))]
        path.write_bytes(helper.make_model(graph_of(), opset_imports=sets).SerializeToString())
        assert opset_of(path) == 17
    path.write_bytes(
        helper.make_model(graph_of(), opset_imports=[helper.make_opsetid("ai.onnx.ml", 3)]).SerializeToString()
    )
    with pytest.raises(InvalidModel, match="does not say for which operators"):
        opset_of(path)
    path.write_bytes(b"\x42\xff")
    with pytest.raises(InvalidModel, match="is no ONNX graph"):
        opset_of(path)
