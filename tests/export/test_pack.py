import numpy as np
import pytest
import torch
from torch import nn

import export.pack as module
import runtime
from export.pack import pack
from runtime.errors import InvalidArgument, InvalidModel
from tests.support.networks import write_network


class Gated(nn.Module):
    """A block as of restoration networks: a gate between halves of the channels, and attention to their means."""

    def __init__(self, width):
        super().__init__()
        self.spread = nn.Sequential(
            nn.Conv2d(width, 2 * width, 1), nn.Conv2d(2 * width, 2 * width, 3, padding=1, groups=2 * width)
        )
        self.attention = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(width, width, 1))
        self.gather = nn.Conv2d(width, width, 1)

    def forward(self, x):
        first, second = self.spread(x).chunk(2, dim=1)
        gated = first * second
        return x + self.gather(gated * self.attention(gated))


class Restorer(nn.Module):
    """Gated blocks at two scales around a shortcut; sides must be multiples of 2."""

    def __init__(self, width=6):
        super().__init__()
        self.into = nn.Conv2d(3, width, 3, padding=1)
        self.fine, self.coarse = Gated(width), Gated(2 * width)
        self.down = nn.Conv2d(width, 2 * width, 2, 2)
        self.up = nn.Sequential(nn.Conv2d(2 * width, 4 * width, 1), nn.PixelShuffle(2))
        self.out = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, x):
        fine = self.fine(self.into(x))
        return x + 0.3 * self.out(fine + self.up(self.coarse(self.down(fine))))


class Windows(nn.Module):
    """Subtracts the means of windows of 16 pixels, whose number is written into the graph."""

    def forward(self, x):
        side = int(x.shape[-1]) // 16
        windows = x.reshape(x.shape[0], 3, side, 16, side, 16)
        return x - 0.1 * windows.mean(dim=(3, 5), keepdim=True).expand_as(windows).reshape(x.shape)


def seeded(network):
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for each in network.parameters():
            each.copy_(torch.randn(each.shape, generator=generator) * 0.2)
    return network


@pytest.fixture(scope="module")
def restorer(tmp_path_factory):
    network = seeded(Restorer())
    return network, pack(network, tmp_path_factory.mktemp("packed") / "restorer", patch=64)


def test_a_network_of_pytorch_is_packed_with_its_sizes_left_free(restorer):
    _, packed = restorer
    assert packed.found["multiple"] == 2
    assert packed.found["batch"] is None
    assert packed.found["field"] is None
    parity = packed.bundle.part("network").parity["fp32"]
    assert parity["sizes"] == [64, 192]
    assert parity["batches"] == [1, 2]
    assert parity["max_abs"] < 1e-4


def test_the_runtime_restores_what_pytorch_does(restorer):
    """A photograph of one patch: what lies around it is mirrored, as the network sees it here."""
    network, packed = restorer
    geometry = packed.bundle.patch
    pixels = np.random.default_rng(3).random((geometry.core, geometry.core, 3), dtype=np.float32)
    margin = (geometry.size - geometry.core) // 2
    around = np.pad(pixels, ((margin, margin), (margin, margin), (0, 0)), mode="symmetric")
    with torch.no_grad():
        whole = network(torch.from_numpy(around.transpose(2, 0, 1)[None].copy()))[0].numpy().transpose(1, 2, 0)
    expected = whole[margin : margin + geometry.core, margin : margin + geometry.core].clip(0, 1)
    restored = runtime.deblur(pixels, model=packed.bundle, device="cpu").clip(0, 1)
    np.testing.assert_allclose(restored, expected, atol=1e-4)


def test_a_network_that_is_written_for_one_size_is_packed_for_it(tmp_path):
    packed = pack(Windows(), tmp_path / "windows", patch=64)
    assert packed.found["patch"] == 64
    assert packed.bundle.part("network").parity["fp32"]["max_abs"] < 1e-5
    pixels = np.random.default_rng(3).random((100, 90, 3), dtype=np.float32)
    assert runtime.deblur(pixels, model=packed.bundle, device="cpu").shape == pixels.shape


def test_half_precision_stays(tmp_path):
    network = seeded(nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 3, padding=1))).half()
    packed = pack(network, tmp_path / "half", colour="grey", patch=64, name="halved")
    assert (packed.found["type"], packed.bundle.name) == ("float16", "halved")
    assert 0 < packed.bundle.part("network").parity["fp16"]["max_abs"] < 1e-2


def test_a_file_is_packed_as_it_is(tmp_path):
    packed = pack(write_network(tmp_path / "n.onnx", "mean"), tmp_path / "packed", patch=64, licence="MIT")
    assert packed.bundle.licence == "MIT"
    assert packed.bundle.part("network").parity == {}


def test_a_network_that_fails_is_named(tmp_path):
    with pytest.raises(InvalidModel, match=r"the network fails on .* give the colour and the patch size"):
        pack(nn.Conv2d(4, 4, 3), tmp_path / "packed")
    with pytest.raises(InvalidArgument, match="residual 'times'"):
        pack(nn.Identity(), tmp_path / "packed", residual="times")
    assert not (tmp_path / "packed").exists()


def test_a_graph_that_computes_something_else_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "measure", lambda *arguments: 0.5)
    with pytest.raises(InvalidModel, match=r"cannot be exported \(its graph differs by 5\.0e-01\); export it to ONNX"):
        pack(seeded(nn.Sequential(nn.Conv2d(3, 3, 3, padding=1))), tmp_path / "packed", patch=32)
    assert not (tmp_path / "packed").exists()
