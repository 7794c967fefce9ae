from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from export.data.recorded_shake import Shake
from export.data.trajectories import BlurConfig, gaussian_process_paths, rasterise, sample_kernels, spline_paths


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _centre_of_mass(kernels: torch.Tensor) -> torch.Tensor:
    place = torch.arange(kernels.shape[1], dtype=torch.float32) - (kernels.shape[1] - 1) / 2
    return torch.stack([(kernels.sum(2) * place).sum(1), (kernels.sum(1) * place).sum(1)], 1)


@settings(max_examples=20, deadline=None)
@given(
    half=st.integers(1, 16),
    grid=st.integers(1, 60),
    process=st.sampled_from([0.0, 0.5, 1.0]),
    small=st.sampled_from([0.0, 0.5, 1.0]),
    seed=st.integers(0, 2**31),
)
@example(half=6, grid=26, process=0.0, small=0.0, seed=9380)  # Rounding put a point outside the window.
def test_kernels_are_non_negative_of_sum_one_and_centred(half, grid, process, small, seed):
    config = BlurConfig(2 * half + 1, (grid,), process, small)
    kernels = sample_kernels(6, config, _generator(seed))
    assert kernels.shape == (6, 2 * half + 1, 2 * half + 1)
    assert kernels.dtype == torch.float32
    assert kernels.min() >= 0
    torch.testing.assert_close(kernels.sum((1, 2)), torch.ones(6))
    assert _centre_of_mass(kernels).abs().max() < 1e-3


def test_larger_grids_give_larger_kernels():
    def spread(grid: int) -> float:
        kernels = sample_kernels(200, BlurConfig(31, (grid,), small=0), _generator())
        place = torch.arange(31.0) - 15
        return float((kernels.sum(2) * place**2).sum(1).mean().sqrt())

    assert spread(8) < 0.7 * spread(16)
    assert spread(16) < 0.9 * spread(24)


def test_grids_are_used_in_equal_shares():
    kernels = sample_kernels(3000, BlurConfig(31, (1, 24), 0.0, 0.0), _generator())
    points = (kernels.amax((1, 2)) > 0.99).float().mean()
    assert abs(float(points) - 0.5) < 0.05


def test_a_share_of_kernels_is_no_blur():
    kernels = sample_kernels(2000, BlurConfig(31, (24,), small=0, none=0.25), _generator())
    points = (kernels[:, 15, 15] > 0.999).float().mean()
    assert abs(float(points) - 0.25) < 0.05


def test_a_share_of_paths_is_recorded():
    straight = Shake([np.arange(60)[:, None] * np.ones((1, 2))])
    kernels = sample_kernels(400, BlurConfig(31, (24,), 0.0, 0.0, recorded=0.5), _generator(), straight)
    place = torch.arange(31.0) - 15
    row, col = (kernels.sum(2) * place**2).sum(1), (kernels.sum(1) * place**2).sum(1)
    mixed = (kernels * place[:, None] * place).sum((1, 2))
    lines = (row * col - mixed**2) / (row + col) ** 2 < 0.01
    assert abs(float(lines.float().mean()) - 0.5) < 0.08


def test_recorded_paths_need_a_recording():
    with pytest.raises(ValueError, match="give --motion"):
        sample_kernels(4, BlurConfig(recorded=0.5), _generator())


def test_the_same_seed_gives_the_same_kernels():
    first, again = (sample_kernels(5, BlurConfig(), _generator(3)) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, sample_kernels(5, BlurConfig(), _generator(4)))


def test_splines_pass_through_the_unit_square_smoothly():
    paths = spline_paths(50, _generator())
    assert (paths.mean((0, 1)) - 0.5).abs().max() < 0.1
    assert paths.diff(dim=1).abs().max() < 0.1


def test_process_has_its_covariance():
    paths = gaussian_process_paths(4000, _generator())
    assert paths.std(0).sub(0.25).abs().max() < 0.03
    lag = round(0.3 * (paths.shape[1] - 1))
    correlation = (paths[:, 0] * paths[:, lag]).mean() / 0.25**2
    scaled = np.sqrt(3) * lag / (paths.shape[1] - 1) / 0.3
    assert abs(float(correlation) - (1 + scaled) * np.exp(-scaled)) < 0.06


def test_a_point_between_pixels_is_shared_among_four():
    paths = torch.tensor([[[0.0, 0.0], [1.0, 1.0]]])
    kernel = rasterise(paths, torch.tensor([[1.0, 1.0]]), 3)[0]
    expected = torch.tensor([[1, 1, 0], [1, 2, 1], [0, 1, 1]]) / 8
    torch.testing.assert_close(kernel, expected)


def test_a_path_too_long_for_the_window_shrinks_to_fit():
    paths = torch.tensor([[[0.0, -50.0], [0.0, 50.0]]])
    kernel = rasterise(paths, torch.ones(1, 2), 5)[0]
    torch.testing.assert_close(kernel[2], torch.tensor([0.5, 0, 0, 0, 0.5]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 30}, "size must be odd"),
        ({"grids": ()}, "grids must be"),
        ({"grids": (0,)}, "grids must be"),
        ({"small": 1.5}, "small must be a share"),
        ({"gaussian_process": -0.1}, "gaussian_process must be a share"),
        ({"none": 1.1}, "none must be a share"),
        ({"recorded": -1.0}, "recorded must be a share"),
    ],
)
def test_bad_configuration_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        BlurConfig(**options)
