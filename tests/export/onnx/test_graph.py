from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

from export.onnx.graph import Graph, Weights


def _save(folder, half: bool, weights: Weights) -> str:
    graph = Graph(weights, half)
    x = graph.linear("layer", graph.enter("x"), np.array([[1.0, 2.0], [0.5, -1.0]]), np.array([0.25, 0.0]))
    table = graph.table("table", np.array([[1 / 3]]))
    graph.name_output(graph.node("Mul", graph.leave(x), table), "y")
    model = graph.model("test", {"x": ["batch", 2]}, {"y": ["batch", 2]})
    file = folder / f"{'half' if half else 'single'}.onnx"
    file.write_bytes(model.SerializeToString(deterministic=True))
    return str(file)


def test_two_precisions_share_one_file_of_weights(tmp_path):
    weights = Weights(tmp_path / "weights")
    files = [_save(tmp_path, half, weights) for half in (False, True)]
    weights.write()
    assert (tmp_path / "weights").stat().st_size < 3 * 64
    for file in files:
        onnx.checker.check_model(file, full_check=True)
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        (y,) = session.run(None, {"x": np.array([[1, 2]], np.float32)})
        assert y.dtype == np.float32
        np.testing.assert_allclose(y, np.array([[5.25, -1.5]]) / 3, rtol=1e-6)


def test_weights_that_float16_cannot_hold_are_refused(tmp_path):
    graph = Graph(Weights(tmp_path / "weights"), half=False)
    with pytest.raises(ValueError, match="does not fit float16"):
        graph.weight("third", np.array([1 / 3], np.float32))


def test_a_name_stands_for_one_value(tmp_path):
    weights = Weights(tmp_path / "weights")
    Graph(weights, half=False).table("one", np.ones(3))
    with pytest.raises(ValueError, match="stored already"):
        Graph(weights, half=True).table("one", np.zeros(3))
