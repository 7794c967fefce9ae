import numpy as np
import pytest

from bench.data.models import open_model
from bench.peers.patches import MonaiPatches, TorchPatches, hann, restore_by, rows_per_batch, with_half_weights
from bench.speed.network import load_torch_network
from kernels.patches import PatchGrid
from runtime.inference.devices import CPU
from runtime.inference.patch_engine import NetworkPatchModel, PatchEngine

torch = pytest.importorskip("torch")

GRIDS = [PatchGrid(70, 61, 65, 33, 8), PatchGrid(40, 97, 65, 33, 11), PatchGrid(20, 20, 65, 33, 33)]


def cores_of(patches):
    return patches[:, 16:49, 16:49]


@pytest.fixture(scope="module")
def untrained(tiny_config):
    torch.manual_seed(0)  # how much an untrained network changes hangs on its weights
    with open_model(str(tiny_config)) as made:
        yield made


@pytest.mark.parametrize("grid", GRIDS, ids=str)
@pytest.mark.parametrize("padded", [False, True])
def test_patches_that_are_left_alone_give_the_photograph_back(grid, padded, rng):
    plane = rng.random((grid.height, grid.width), np.float32)
    sizes = []

    def restore(patches):
        sizes.append(len(patches))
        return cores_of(patches)

    restored = TorchPatches(restore, grid, 12, "cpu", padded=padded)(torch.from_numpy(plane))
    np.testing.assert_allclose(restored.numpy(), plane, atol=1e-5)
    assert sum(sizes) >= len(grid)
    if padded:
        assert len(set(sizes)) == 1
    else:
        assert sum(sizes) == len(grid)


@pytest.mark.parametrize("grid", GRIDS, ids=str)
@pytest.mark.parametrize("peer", [TorchPatches, MonaiPatches])
def test_peers_compute_what_the_runtime_does(untrained, grid, peer, rng):
    if peer is MonaiPatches:
        pytest.importorskip("monai")
    plane = rng.random((grid.height, grid.width), np.float32)
    engine = PatchEngine(NetworkPatchModel(untrained, device=CPU, precision="fp32"))
    expected = engine.restore(plane[None], stride=grid.stride)[0]
    restore = restore_by(load_torch_network(untrained), None)
    with torch.inference_mode():
        restored = peer(restore, grid, 7, "cpu")(torch.from_numpy(plane)).numpy()
    assert np.abs(expected - plane).max() > 0.01
    np.testing.assert_allclose(restored, expected, atol=1e-4)


def test_half_precision_is_that_of_the_weights_and_changes_little(untrained, rng):
    network = load_torch_network(untrained)
    halved = with_half_weights(network, torch.bfloat16)
    kinds = {module.weight.dtype for module in halved.modules() if isinstance(module, torch.nn.Linear)}
    assert kinds == {torch.bfloat16}
    assert with_half_weights(network, None) is network
    assert network.head.weight.dtype == torch.float32
    patches = torch.from_numpy(rng.random((3, 65, 65), np.float32))
    with torch.inference_mode():
        exact, rough = restore_by(network, None)(patches), restore_by(halved, torch.bfloat16)(patches)
    assert rough.dtype == torch.float32
    assert 0 < (exact - rough).abs().max() < 0.1


def test_the_window_is_that_of_the_grid():
    grid = GRIDS[0]
    row = grid.row_weights()[1] / grid.row_weights()[1].max()
    np.testing.assert_allclose(row[16], 1)
    axis = np.diag(hann(33)) ** 0.5
    covered = np.zeros(33 + (grid.rows - 1) * 8)
    for number in range(grid.rows):
        covered[8 * number : 8 * number + 33] += axis
    np.testing.assert_allclose(grid.row_weights()[1], axis / covered[8:41], rtol=1e-5)


@pytest.mark.parametrize(("batch", "rows"), [(1, 1), (5, 1), (9, 1), (10, 2), (64, 12)])
def test_batches_are_whole_rows(batch, rows):
    assert rows_per_batch(GRIDS[0], batch) == (rows if GRIDS[0].cols == 5 else pytest.fail("other grid"))
