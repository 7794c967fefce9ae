from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from export.onnx.graph import Graph, Weights
from export.onnx.parity import (
    in_batches,
    largest_difference,
    measure,
    probe_patches,
    relative_difference,
    round_weights,
)


class Doubled(nn.Module):
    """y = 2 x + b, and y again less x."""

    def __init__(self):
        super().__init__()
        self.bias = nn.Parameter(torch.ones(1), requires_grad=False)

    def forward(self, x):
        y = 2 * x + self.bias
        return y, y - x


@pytest.fixture
def graph(tmp_path):
    weights = Weights(tmp_path / "w")
    made = Graph(weights, half=False)
    y = made.node("Add", made.node("Mul", "x", made.constant(2.0)), made.constant([1.0]))
    made.name_output(y, "y")
    made.name_output(made.node("Sub", y, "x"), "less")
    shape = {"x": ["batch", 3]}
    model = made.model("doubled", shape, {"y": ["batch", 3], "less": ["batch", 3]})
    (tmp_path / "doubled.onnx").write_bytes(model.SerializeToString())
    return tmp_path / "doubled.onnx"


def test_differences_are_measured_over_all_inputs_and_outputs(graph):
    inputs = [(np.ones((count, 3), np.float32),) for count in (1, 4)]
    assert measure(Doubled(), graph, ["x"], ["y", "less"], inputs) == 0
    other = Doubled()
    other.bias += 0.12345
    assert measure(other, graph, ["x"], ["y", "less"], inputs) == 0.123
    squared = measure(
        other, graph, ["x"], ["y", "less"], inputs, lambda ours, theirs: largest_difference(ours, theirs) ** 2
    )
    assert squared == pytest.approx(0.0152, abs=1e-4)


def test_other_shapes_and_values_that_are_not_finite_are_refused(graph):
    with pytest.raises(ValueError, match="not finite"):
        measure(Doubled(), graph, ["x"], ["y", "less"], [(np.full((1, 3), np.inf, np.float32),)])
    with pytest.raises(ValueError, match="returns shape"):
        measure(nn.Linear(3, 2), graph, ["x"], ["y"], [(np.ones((1, 3), np.float32),)])


@pytest.mark.parametrize("side", [65, 97])
def test_probes_hold_flat_and_extreme_patches(side):
    patches = probe_patches(72, side)
    assert patches.shape == (72, side, side)
    assert patches.dtype == np.float32
    assert patches.min() == 0
    assert patches.max() == 1
    assert {0.0, 1.0} <= {float(patch.mean()) for patch in patches if np.ptp(patch) == 0}
    np.testing.assert_array_equal(patches, probe_patches(72, side))


def test_batches_have_the_sizes_in_turn():
    parts = in_batches(np.arange(20), (1, 7))
    assert [len(part) for (part,) in parts] == [1, 7, 1, 7, 1, 3]
    np.testing.assert_array_equal(np.concatenate([part for (part,) in parts]), np.arange(20))


def test_rounded_weights_fit_float16(networks):
    network = copy.deepcopy(networks["plain"])
    round_weights(network)
    assert all(torch.equal(p.half().float(), p) for p in network.parameters())


@pytest.mark.parametrize(("scale", "difference"), [(0.5, 0.05), (1.0, 0.1), (40.0, 0.1)])
def test_relative_differences_are_those_of_values_about_one(scale, difference):
    expected = [scale * np.array([1.0, -0.5]), scale * np.zeros(3)]
    found = [expected[0], expected[1] + 0.1 * scale]
    assert relative_difference(found, expected) == pytest.approx(difference)
