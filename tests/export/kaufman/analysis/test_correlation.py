import pytest
import torch

from export.kaufman.analysis import correlation
from export.kaufman.analysis.correlation import correlate_mixed, standardise
from kernels.correlation import correlate_mixed as of_the_runtime


def random_maps(count=2, features=3, height=6, width=7):
    torch.manual_seed(0)
    return torch.randn(count, features, height, width)


def test_it_agrees_with_the_kernels_of_the_runtime():
    maps, weights = random_maps(height=40, width=33), torch.randn(4, 3, 3)
    expected = torch.from_numpy(of_the_runtime(maps.numpy(), weights.numpy(), 21))
    torch.testing.assert_close(correlate_mixed(maps, weights, 21), expected, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("columns", [1, 7, 2**11])
def test_frequencies_are_mixed_in_blocks_of_any_size(columns, monkeypatch):
    maps, weights = random_maps(), torch.randn(4, 3, 3)
    whole = correlate_mixed(maps, weights, 9)
    monkeypatch.setattr(correlation, "_COLUMNS", {"cpu": columns})
    torch.testing.assert_close(correlate_mixed(maps, weights, 9), whole, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("columns", [3, 2**11])
def test_gradients_are_those_of_finite_differences(columns, monkeypatch):
    monkeypatch.setattr(correlation, "_COLUMNS", {"cpu": columns})
    torch.manual_seed(0)
    spectra = torch.randn(3, 5, dtype=torch.cdouble, requires_grad=True)
    even, odd = (torch.randn(2, 6, dtype=torch.double, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(correlation._Mixed.apply, (spectra, even, odd))


def test_standard_maps_have_no_mean_and_an_energy_of_one():
    maps = standardise(3 + 5 * random_maps(height=30, width=40))
    torch.testing.assert_close(maps.mean((2, 3)), torch.zeros(2, 3), atol=1e-6, rtol=0)
    torch.testing.assert_close(maps.square().sum((2, 3)), torch.ones(2, 3))
    assert not standardise(torch.ones(1, 1, 4, 4)).any()
