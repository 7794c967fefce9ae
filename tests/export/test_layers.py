from __future__ import annotations

import pytest
import torch

from export.layers import Layer, Residual, set_to_zero


def test_an_untrained_residual_is_the_identity():
    x = torch.randn(3, 8)
    assert torch.equal(Residual(8)(x), x)


@pytest.mark.parametrize("layer", [torch.nn.Linear(3, 4), torch.nn.Conv2d(3, 4, 3), torch.nn.Linear(3, 4, bias=False)])
def test_layers_are_set_to_zero(layer):
    set_to_zero(layer)
    assert all(not parameter.any() for parameter in layer.parameters())


@pytest.mark.parametrize("normalised", [False, True])
def test_a_layer_maps_and_bends(normalised):
    torch.manual_seed(0)
    layer, x = Layer(6, 5, normalised), torch.randn(4, 6)
    assert layer(x).shape == (4, 5)
    # A rectifier cuts at zero, SiLU a little below.
    assert layer(x).min() >= (-0.28 if normalised else 0)
    assert not torch.allclose(layer(-x), -layer(x))
