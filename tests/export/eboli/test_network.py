from __future__ import annotations

import pytest
import torch

from export.data.synthesis import convolve_valid
from export.eboli.network import PATCH, REACH, UNIT, MotionNet, MotionNetConfig, half_disc, taper


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return MotionNet(MotionNetConfig(width=16, pairs=1)).eval()


@pytest.fixture(scope="module")
def patches():
    return torch.rand(12, PATCH, PATCH, generator=torch.Generator().manual_seed(1))


def autocorrelation(network, patches):
    """Return the autocorrelations ``(N, REACH + 1, 2 REACH + 1)``, NaN beyond the half disc."""
    row, col = (torch.from_numpy(part) for part in half_disc(REACH))
    planes = torch.full((len(patches), REACH + 1, 2 * REACH + 1), torch.nan)
    planes[:, row, col + REACH] = network.correlations.measure(patches)[:, : len(row)]
    return planes


def test_an_untrained_network_sees_no_motion(network, patches):
    found = network(patches)
    assert found.shape == (12, 3)
    assert torch.equal(found[:, :2], torch.zeros(12, 2))
    torch.testing.assert_close(found[:, 2].exp(), torch.full((12,), UNIT))


def test_neither_brightness_nor_contrast_matters(network, patches):
    features = network.correlations.measure(patches)
    torch.testing.assert_close(network.correlations.measure(0.3 + 0.5 * patches), features, atol=0.02, rtol=0)


def test_the_autocorrelation_is_that_of_its_definition(network, patches):
    patch = patches[0]
    inner = patch[:-1, :-1]
    total = 0.0
    energy = 1e-5
    for slope in (patch[:-1, 1:] - inner, patch[1:, :-1] - inner):
        energy += float(slope.square().mean()) / 2
        faded = slope * torch.from_numpy(taper()).float()
        total += float((faded * faded.roll((5, -3), (0, 1))).mean())
    found = autocorrelation(network, patches[:1])[0, 5, REACH - 3]
    assert float(found) == pytest.approx(total / energy, abs=1e-4)


@pytest.mark.parametrize("length", [9, 21])
def test_a_motion_leaves_a_dark_spot_at_its_end(network, length):
    kernel = torch.zeros(1, 41, 41)
    kernel[0, 20, 20 - length // 2 : 21 + length // 2] = 1 / length
    sharp = torch.rand(8, PATCH + 40, PATCH + 40, generator=torch.Generator().manual_seed(2))
    along = autocorrelation(network, convolve_valid(sharp, kernel)).mean(0)[0, REACH + 2 :]
    assert 2 + int(along.argmin()) == length


def test_fit_gives_features_unit_variance(patches):
    network = MotionNet(MotionNetConfig(width=16, pairs=0))
    network.fit(patches)
    features = network.correlations(patches)
    assert features.mean(0).abs().max() < 0.01
    assert 0.5 < float(features.std(0).median()) < 1.01


def test_a_flat_patch_gives_finite_features(network):
    assert torch.isfinite(network(torch.full((1, PATCH, PATCH), 0.5))).all()


def test_half_a_disc_has_one_of_each_pair():
    row, col = half_disc(3)
    lags = set(zip(row.tolist(), col.tolist(), strict=True))
    assert (0, 0) in lags
    assert not any((-r, -c) in lags for r, c in lags - {(0, 0)})
    assert 2 * len(lags) - 1 == sum(r * r + c * c <= 9 for r in range(-3, 4) for c in range(-3, 4))


@pytest.mark.parametrize("sizes", [{"width": 0}, {"pairs": -1}])
def test_sizes_that_cannot_be_are_refused(sizes):
    with pytest.raises(ValueError, match="at least"):
        MotionNetConfig(**sizes)
