import numpy as np
import pytest
import torch

from export.data.kernels import random_kernel
from export.kaufman.pairs import KernelPairs, make_pair, moved_to
from export.loop.recording import write_shard
from runtime.blur.kernel import fit

SIDE = 85


@pytest.fixture(scope="module")
def pair(planes, prior):
    return make_pair(planes, prior, np.random.default_rng(3), side=SIDE)


def test_a_pair_is_a_kernel_and_an_estimate_of_it(pair):
    assert pair["kernel"].shape == pair["estimate"].shape == (SIDE, SIDE)
    assert pair["kernel"].sum() == pytest.approx(1, abs=1e-4)
    assert pair["estimate"].sum() == pytest.approx(1, abs=1e-4)
    assert pair["estimate"].min() >= 0
    noise, error, _ = pair["facts"]
    difference = np.square(pair["kernel"] - pair["estimate"]).sum() / np.square(pair["kernel"]).sum()
    assert error == pytest.approx(difference, rel=1e-3)
    assert 0 < noise < 0.1


@pytest.mark.parametrize("shift", [(0.0, 0.0), (2.0, -3.0), (0.5, 0.25), (-1.375, 4.625)])
def test_a_kernel_is_moved_to_where_it_agrees(shift):
    kernel = fit(random_kernel(15, np.random.default_rng(0)), 41)
    frequencies = np.fft.fftfreq(41)
    phase = np.exp(-2j * np.pi * (frequencies[:, None] * shift[0] + frequencies * shift[1]))
    target = np.fft.ifft2(np.fft.fft2(kernel) * phase).real
    np.testing.assert_allclose(moved_to(kernel, target), target, atol=1e-6)


def shard(file, pair, facts):
    write_shard(file, [{**pair, "facts": np.array(each, np.float32)} for each in facts], 1.0)


def test_the_worst_estimates_are_left_out(pair, tmp_path):
    shard(tmp_path / "a.npz", pair, [(0.01, 0.1, -2.0), (0.01, 0.6, -2.0), (0.02, 0.2, -0.2), (0.03, 0.2, -1.0)])
    pairs = KernelPairs.read([tmp_path / "a.npz"])
    np.testing.assert_allclose(pairs.noise, [0.01, 0.03])
    shard(tmp_path / "b.npz", pair, [(0.01, 0.6, -2.0)])
    with pytest.raises(ValueError, match="record for longer"):
        KernelPairs.read([tmp_path / "b.npz"])


def test_kernels_are_turned_with_their_estimates():
    drawn = torch.rand(2, 1, 9, 9)
    pairs = KernelPairs(*drawn, torch.tensor([0.01]))
    kernels, estimates, noise = pairs.draw(64, torch.Generator().manual_seed(0))
    assert noise.shape == (64,)
    errors = (kernels - estimates).square().sum((1, 2))
    torch.testing.assert_close(errors, errors[:1].expand(64))
    ways = {tuple(each.flatten().tolist()) for each in kernels}
    assert len(ways) == 8
