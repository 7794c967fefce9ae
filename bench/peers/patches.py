"""The patch method in PyTorch and in MONAI, with the same weights, patches and window as the runtime."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from kernels.arrays import Array, array_module

if TYPE_CHECKING:
    import torch

    from kernels.patches import PatchGrid

Restore = Callable[["torch.Tensor"], "torch.Tensor"]
"""Maps patches ``(N, P, P)`` to their restored cores ``(N, core, core)``."""


class TorchPatches:
    """Restores a plane by ``unfold``, `restore` and ``fold``.

    The window and its normalisation are computed in advance, and patches are views until they are batched.

    Parameters
    ----------
    restore
        Restores a batch.
    grid
        Positions of the patches, including the mirrored border, as in the runtime.
    batch
        Patches per batch, rounded down to whole rows of the grid.
    device
        PyTorch device of all tensors.
    padded
        Whether to pad the last batch, for a network compiled for one shape.
    """

    def __init__(self, restore: Restore, grid: PatchGrid, batch: int, device: str, *, padded: bool = False) -> None:
        import torch

        self._restore, self._grid, self._padded = restore, grid, padded
        self._rows = rows_per_batch(grid, batch)
        self._sources = [
            torch.from_numpy(source.astype(np.int64)).to(device) for source in (grid.source_rows(), grid.source_cols())
        ]
        self._window = torch.from_numpy(hann(grid.core)).to(device)
        self._sums = self._fold(self._window.expand(len(grid), -1, -1))

    def canvas(self, plane: torch.Tensor) -> torch.Tensor:
        """Extend a plane ``(H, W)`` by mirroring to the area covered by the patches."""
        rows, cols = self._sources
        return plane[rows][:, cols]

    def __call__(self, plane: torch.Tensor) -> torch.Tensor:
        """Restore a plane, float32 ``(H, W)``."""
        import torch

        grid = self._grid
        views = self.canvas(plane).unfold(0, grid.patch, grid.stride).unfold(1, grid.patch, grid.stride)
        cores = []
        for first in range(0, grid.rows, self._rows):
            patches = views[first : first + self._rows].reshape(-1, grid.patch, grid.patch)
            count = len(patches)
            if self._padded:
                missing = self._rows * grid.cols - count
                patches = torch.nn.functional.pad(patches, (0, 0, 0, 0, 0, missing))
            cores.append(self._restore(patches)[:count] * self._window)
        restored = self._fold(torch.cat(cores)) / self._sums
        return restored[-grid.top :, -grid.left :][: grid.height, : grid.width]

    def _fold(self, cores: torch.Tensor) -> torch.Tensor:
        import torch

        grid = self._grid
        size = grid.core + (grid.rows - 1) * grid.stride, grid.core + (grid.cols - 1) * grid.stride
        columns = cores.reshape(1, len(grid), grid.core**2).transpose(1, 2)
        folded: torch.Tensor = torch.nn.functional.fold(columns, size, grid.core, stride=grid.stride)
        return folded[0, 0]


class MonaiPatches:
    """Restores a plane by MONAI's ``sliding_window_inference``, on the device of the plane.

    MONAI blends whole windows, so the cores are padded with zeros. With the runtime's window, zero around the core, as
    ``roi_weight_map``, and with the plane extended as in the runtime, it computes the same sums.

    Parameters
    ----------
    restore
        Restores a batch.
    grid
        Positions of the patches.
    batch
        Windows per batch, MONAI's ``sw_batch_size``.
    device
        PyTorch device of all tensors.
    """

    def __init__(self, restore: Restore, grid: PatchGrid, batch: int, device: str) -> None:
        import torch

        self._restore, self._grid, self._batch = restore, grid, batch
        self._patches = TorchPatches(restore, grid, batch, device)
        after = grid.patch - grid.core - grid.margin
        self._around = (grid.margin, after, grid.margin, after)
        self._weights = torch.nn.functional.pad(torch.from_numpy(hann(grid.core)).to(device), self._around)

    def __call__(self, plane: torch.Tensor) -> torch.Tensor:
        """Restore a plane, float32 ``(H, W)``."""
        import torch
        from monai.inferers import sliding_window_inference

        grid = self._grid
        restored: Any = sliding_window_inference(
            self._patches.canvas(plane)[None, None],
            (grid.patch, grid.patch),
            self._batch,
            lambda windows: torch.nn.functional.pad(self._restore(windows[:, 0]), self._around)[:, None],
            # MONAI rounds the distance of windows down, so it is given half a pixel more than the stride.
            overlap=1 - (grid.stride + 0.5) / grid.patch,
            roi_weight_map=self._weights,
        )
        inside: torch.Tensor = restored[0, 0, grid.margin - grid.top :, grid.margin - grid.left :]
        return inside[: grid.height, : grid.width]


def on_array(restore: Restore, plane: Array) -> Array:
    """Restore a NumPy or CuPy array by a function on PyTorch tensors, without copying input or output."""
    import torch

    with torch.inference_mode():
        restored = restore(torch.from_dlpack(plane))
    return array_module(plane).from_dlpack(restored)


def restore_by(network: torch.nn.Module, half: torch.dtype | None) -> Restore:
    """Return a function that predicts the filters of patches by a network and applies them.

    Parameters
    ----------
    network
        As of `bench.speed.network.load_torch_network`, compiled or not, on the device of the patches.
    half
        Autocast dtype of the matrix products; ``None`` for float32.
    """
    import torch

    from export.chakrabarti.network import apply_filters

    def restore(patches: torch.Tensor) -> torch.Tensor:
        with torch.autocast(patches.device.type, half, enabled=half is not None):
            filters = network(patches)
        return apply_filters(patches, filters.float())

    return restore


def with_half_weights(network: torch.nn.Module, half: torch.dtype | None) -> torch.nn.Module:
    """Return a copy with the weights of dense layers in `half`, so that autocast need not convert them."""
    import torch

    if half is None:
        return network
    network = copy.deepcopy(network)
    for module in network.modules():
        if isinstance(module, torch.nn.Linear):
            module.to(half)
    return network


def hann(core: int) -> npt.NDArray[np.float32]:
    """Return the Hann window of a core, ``(core, core)``, not normalised; see `kernels.patches.PatchGrid`."""
    axis = np.sin(np.pi * (np.arange(core) + 0.5) / core) ** 2
    return np.outer(axis, axis).astype(np.float32)


def rows_per_batch(grid: PatchGrid, batch: int) -> int:
    """Return the number of grid rows that hold at most `batch` patches, but at least one."""
    return max(1, batch // grid.cols)
