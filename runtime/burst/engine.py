"""Run a burst network over whole frames: extract patches, fuse, restore and overlap-add, batch by batch.

Wieschollek et al. 2016, Section 3.3: the patches at the same position of all frames are restored together to one sharp
core, and overlapping cores are averaged with a Hann window.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from kernels.arrays import Array, array_module
from kernels.burst import fuse_weighted
from kernels.patch_filters import filter_patches
from kernels.patches import PatchGrid, extract_patches
from runtime.arguments import check_whole
from runtime.colour import luminance
from runtime.errors import InvalidArgument, InvalidModel
from runtime.inference.bundle import Bundle
from runtime.inference.devices import Device
from runtime.inference.patch_engine import (
    CPU_BATCH,
    CUDA_BATCH,
    BatchRunner,
    NetworkPatchModel,
    PatchModel,
    plan_patches,
)
from runtime.inference.progress import Progress, Stopwatch
from runtime.inference.session import Session, open_session

STAGE = "burst network"
"""Name of the stage in progress reports."""

_MIN_MAGNITUDE = 1e-12
"""Least magnitude that a filter is divided by; the phase of a smaller filter is meaningless."""


class BurstModel(PatchModel, Protocol):
    """The interface of a network for bursts of square patches.

    `predict` returns the filters of fused patches, so `predicts` is ``"filters"``.
    """

    def fuse(self, patches: Array) -> Array:
        """Map bursts ``(N, frames, size, size)`` to filters ``(N, frames, 2, size, size // 2 + 1)``.

        The fused patch is the sum of the frames, each filtered with its own filter. The axis of length 2 holds the
        real and the imaginary part.
        """


class NetworkBurstModel(NetworkPatchModel):
    """The burst network of a bundle.

    Parameters
    ----------
    bundle
        A bundle with patch geometry, a part named ``fusion`` and a part named ``network``.
    device, precision
        As in `runtime.inference.session.open_session`.

    Raises
    ------
    InvalidModel
        If the inputs and outputs of a part are not those of a burst model.
    """

    def __init__(self, bundle: Bundle, *, device: Device, precision: str = "auto") -> None:
        super().__init__(bundle, device=device, precision=precision)
        part = bundle.part("fusion")
        part.require(
            bundle.path,
            {"patches": ("batch", "frames", self.size, self.size)},
            {"filters": ("batch", "frames", 2, self.size, self.size // 2 + 1)},
        )
        if self.predicts != "filters":
            raise InvalidModel(f"{bundle.path}: the part 'network' of a burst model gives filters; export it again")
        self._fusion: Session = open_session(bundle, "fusion", device=device, precision=precision)

    def fuse(self, patches: Array) -> Array:
        """Run the fusion network on float32 patches ``(N, frames, size, size)``."""
        return self._fusion.run(patches=patches)["filters"]


class BurstEngine:
    """Restores one image from a burst with a burst model.

    Parameters
    ----------
    model
        The network.
    batch
        Patches per batch, counted over all frames, as in `runtime.inference.patch_engine.PatchEngine`.
    """

    def __init__(self, model: BurstModel, *, batch: int | None = None) -> None:
        self.model, self._batch = model, check_whole("batch", batch, least=1, what="patches")

    def restore(
        self,
        frames: Sequence[Array],
        *,
        stride: int | None = None,
        smoothing: float = 0.0,
        stopwatch: Stopwatch | None = None,
        progress: Progress | None = None,
    ) -> Array:
        """Restore one image from aligned frames.

        Filters are predicted from the luminance and applied to every plane.

        Parameters
        ----------
        frames
            Float32 ``(C, H, W)`` each, C being 1 or 3, values in [0, 1].
        stride
            Distance between patches in pixels, from 1 to the core of the model; by default the model's.
        smoothing
            Standard deviation of the Gaussian that smooths the weights of the frames over the frequencies, as a
            fraction of the side of a patch; 0 for no smoothing.
        stopwatch
            Measures the stages ``extract``, ``fusion``, ``network``, ``filter`` and ``overlap-add``.
        progress
            Called after every batch, with the stage ``"burst network"``.

        Returns
        -------
        array
            Float32 ``(C, H, W)`` on the same device.

        Raises
        ------
        InvalidArgument
            If there is no frame, shapes differ, or `stride` does not fit the model.
        OutOfMemory
            If even the smallest batch allowed does not fit.
        """
        if not frames or len({frame.shape for frame in frames}) > 1:
            shapes = ", ".join(sorted({str(frame.shape) for frame in frames})) or "none"
            raise InvalidArgument(f"frames of shape {shapes}: give one or more, all of one shape (C, H, W)")
        grid = plan_patches(frames[0], self.model, stride)
        watch = stopwatch or Stopwatch(self.model.device)
        total = self._batch or (CUDA_BATCH if self.model.device.is_cuda else CPU_BATCH)
        batches = BatchRunner(self.model.device, max(1, total // len(frames)), fixed=self._batch is not None)

        def restore(start: int, stop: int) -> list[Array]:
            return self._restore_batch(frames, grid, start, stop, batches.padded(stop - start), smoothing, watch)

        return batches.run(restore, grid, array_module(frames[0]).zeros_like(frames[0]), watch, progress, STAGE)

    def _restore_batch(
        self,
        frames: Sequence[Array],
        grid: PatchGrid,
        start: int,
        stop: int,
        padded: int,
        smoothing: float,
        stopwatch: Stopwatch,
    ) -> list[Array]:
        """Return the restored cores of patches ``start`` to ``stop - 1`` of each plane."""
        with stopwatch("extract"):
            planes = [
                _extract([frame[channel] for frame in frames], grid, start, stop, padded)
                for channel in range(len(frames[0]))
            ]
            guide = _luminance(planes)
        with stopwatch("fusion"):
            filters = self.model.fuse(guide)
        with stopwatch("filter"):
            common, weights = separate_weights(filters) if smoothing else (filters, None)
            fused = [_fuse(plane, common, weights, smoothing) for plane in planes]
            guide = _luminance(fused)
        with stopwatch("network"):
            filters = self.model.predict(guide)
        with stopwatch("filter"):
            return [filter_patches(plane, filters, grid.core)[: stop - start] for plane in fused]


def _extract(planes: Sequence[Array], grid: PatchGrid, start: int, stop: int, padded: int) -> Array:
    """Return patches ``start`` to ``stop - 1`` of every plane, then zeros: ``(padded, planes, patch, patch)``."""
    xp = array_module(planes[0])
    patches = xp.zeros((padded, len(planes), grid.patch, grid.patch), planes[0].dtype)
    for number, plane in enumerate(planes):
        patches[: stop - start, number] = extract_patches(plane, grid, start, stop)
    return patches


def _fuse(patches: Array, filters: Array, weights: Array | None, smoothing: float) -> Array:
    """Filter bursts ``(N, frames, P, P)`` and fuse them ``(N, P, P)``: as a sum, or with weights to be smoothed."""
    filtered = _filter(patches, filters)
    return filtered.sum(axis=1) if weights is None else fuse_weighted(filtered, weights, smoothing * patches.shape[-1])


def _filter(patches: Array, filters: Array) -> Array:
    side = patches.shape[-1]
    filtered = filter_patches(patches.reshape(-1, side, side), filters.reshape(-1, *filters.shape[2:]), side)
    return filtered.reshape(patches.shape)


def separate_weights(filters: Array) -> tuple[Array, Array]:
    """Separate the filters of the frames into filters of equal magnitude and weights of the frames (Eq. 6).

    Parameters
    ----------
    filters
        Float32 ``(N, frames, 2, P, P // 2 + 1)``.

    Returns
    -------
    common
        Float32, of the shape of `filters`: filters whose magnitude is, for all frames, the sum of the frames'
        magnitudes.
    weights
        Float32 ``(N, frames, P, P // 2 + 1)``, non-negative: the magnitudes of `filters`, so that
        ``filters = common * weights / sum(weights)``, summed over the frames.
    """
    xp = array_module(filters)
    weights = xp.hypot(filters[:, :, 0], filters[:, :, 1])
    scale = weights.sum(axis=1, keepdims=True) / xp.maximum(weights, _MIN_MAGNITUDE)
    return filters * scale[:, :, None], weights


def _luminance(planes: Sequence[Array]) -> Array:
    """Return the luminance of one or three channels, arrays of the same shape with any number of axes."""
    if len(planes) == 1:
        return planes[0]
    flat = array_module(planes[0]).stack(planes).reshape(len(planes), len(planes[0]), -1)
    return luminance(flat).reshape(planes[0].shape)
