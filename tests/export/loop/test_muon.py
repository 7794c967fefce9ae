import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from export.loop.muon import Muon, orthogonalise


def drawn(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape)).float()


@given(st.integers(1, 40), st.integers(1, 40), st.floats(1e-4, 1e4), st.integers(0, 99))
def test_singular_values_end_about_one_in_the_same_directions(rows, columns, scale, seed):
    matrix = scale * drawn(rows, columns, seed=seed)
    result = orthogonalise(matrix)
    u, values, v = torch.linalg.svd(matrix, full_matrices=False)
    found = u.T @ result @ v.T
    steep = values > 0.05 * values.norm()  # Smaller ones take more iterations.
    assert torch.all((found.diagonal()[steep] > 0.6) & (found.diagonal()[steep] < 1.3))
    torch.testing.assert_close(found - torch.diag(found.diagonal()), torch.zeros_like(found), atol=1e-3, rtol=0)


def test_a_matrix_of_zeros_stays_so():
    assert torch.equal(orthogonalise(torch.zeros(3, 5)), torch.zeros(3, 5))


def stepped(parameter, gradient, steps=1, lr=0.1, other=0.5):
    parameter = torch.nn.Parameter(parameter.clone())
    optimiser = Muon([parameter], lr, other)
    for _ in range(steps):
        parameter.grad = gradient.clone()
        optimiser.step()
    return parameter.detach(), optimiser


@pytest.mark.parametrize("shape", [(16, 24), (32, 2, 7, 7), (8, 32, 1, 1)])
def test_a_step_of_filters_is_against_the_gradient_and_as_long_as_one_of_adamw(shape):
    start, gradient = drawn(*shape), drawn(*shape, seed=1)
    step = stepped(start, gradient)[0] - start
    assert step.shape == start.shape
    assert (step * gradient).sum() < 0
    # Orthonormal rows of n columns have a root mean square of n^-1/2.
    rows = gradient.flatten(1).shape
    expected = 0.1 * 0.2 * max(rows) ** 0.5 * (min(rows) / (rows[0] * rows[1])) ** 0.5
    assert step.square().mean().sqrt() == pytest.approx(expected, rel=0.2)


def test_what_is_no_matrix_moves_by_its_share_of_the_rate():
    start, gradient = drawn(5), drawn(5, seed=1)
    torch.testing.assert_close(stepped(start, gradient)[0], start - 0.05 * gradient.sign())


@pytest.mark.parametrize("shape", [(4, 6), (3,)])
def test_parameters_without_a_gradient_stay(shape):
    parameter = torch.nn.Parameter(drawn(*shape))
    before = parameter.detach().clone()
    Muon([parameter], 0.1, 0.1).step()
    assert torch.equal(parameter.detach(), before)


@pytest.mark.parametrize("shape", [(4, 6), (3,)])
def test_its_state_goes_through_a_checkpoint(shape):
    start, gradient = drawn(*shape), drawn(*shape, seed=1)
    whole, _ = stepped(start, gradient, steps=3)
    part, before = stepped(start, gradient, steps=2)
    resumed = torch.nn.Parameter(part)
    optimiser = Muon([resumed], 0.1, 0.5)
    optimiser.load_state_dict(before.state_dict())
    resumed.grad = gradient
    optimiser.step()
    torch.testing.assert_close(resumed.detach(), whole)


def test_it_minimises_where_gradients_are_of_very_different_sizes():
    """Gradients that are ten thousand times smaller in one direction than in another are followed alike."""
    slopes = torch.logspace(0, -2, 6)
    goal, parameter = drawn(6, 6), torch.nn.Parameter(torch.zeros(6, 6))
    optimiser = Muon([parameter], 0.0, 0.1)
    for step in range(400):
        optimiser.param_groups[0]["lr"] = 0.5 * (1 - step / 400)
        optimiser.zero_grad()
        (slopes[:, None] * (parameter - goal)).square().sum().backward()
        optimiser.step()
    assert (parameter.detach() - goal).abs().max() < 0.2
