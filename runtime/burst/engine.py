"""Run a burst network over whole frames: extract, fuse, restore, overlap-add, batch by batch.

Wieschollek et al. 2016, Section 3.3: patches from the same place of all frames are restored together to one sharp core,
and overlapping cores averaged under a Hann window.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from kernels.arrays import Array, array_module
from kernels.burst import fuse_weighted
from kernels.patch_filters import filter_patches
from kernels.patches import PatchGrid, extract_patches
from runtime.colour import luminance
from runtime.errors import InvalidArgument, InvalidModel
from runtime.inference.bundle import Bundle
from runtime.inference.devices import Device
from runtime.inference.patch_engine import CPU_BATCH, CUDA_BATCH, Batches, NetworkPatchModel, PatchModel, plan
from runtime.inference.progress import Progress, Stopwatch
from runtime.inference.session import Session, open_session

STAGE = "burst network"

FAINT = 1e-12
"""Magnitude of a filter below which its phase means nothing."""


class BurstModel(PatchModel, Protocol):
    """What the engine needs of a network that works on bursts of square patches.

    `predict` gives the filters of fused patches, so `predicts` is ``"filters"``.
    """

    def fuse(self, patches: Array) -> Array:
        """Map bursts ``(N, frames, size, size)`` to filters ``(N, frames, 2, size, size // 2 + 1)``.

        Each frame is filtered with its own, and the results add up to the fused patch.
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
        inputs = {spec.name: spec.shape for spec in part.inputs}
        outputs = {spec.name: spec.shape for spec in part.outputs}
        taken = {"patches": ("batch", "frames", self.size, self.size)}
        given = {"filters": ("batch", "frames", 2, self.size, self.size // 2 + 1)}
        if inputs != taken or outputs != given or self.predicts != "filters":
            raise InvalidModel(
                f"{bundle.path}: the part 'fusion' of a burst model takes {taken} and gives {given}, "
                "and its part 'network' gives filters; export it again"
            )
        self._fusion: Session = open_session(bundle, "fusion", device=device, precision=precision)

    def fuse(self, patches: Array) -> Array:
        """Run the fusion on ``(N, frames, size, size)`` float32 patches."""
        return self._fusion.run(patches=patches)["filters"]


class BurstEngine:
    """Restores one image from a burst with a burst model.

    Parameters
    ----------
    model
        The network.
    batch
        Patches of all frames together per batch, as in `runtime.inference.patch_engine.PatchEngine`.
    """

    def __init__(self, model: BurstModel, *, batch: int | None = None) -> None:
        if batch is not None and (not isinstance(batch, int) or batch < 1):
            raise InvalidArgument(f"batch {batch!r}: give a whole number of patches, 1 or more")
        self.model, self._batch = model, batch

    def restore(
        self,
        frames: Sequence[Array],
        *,
        stride: int | None = None,
        smoothing: float = 0.0,
        stopwatch: Stopwatch | None = None,
        progress: Progress | None = None,
    ) -> Array:
        """Restore the image that aligned frames show.

        Filters are predicted from the luminance and applied to every plane.

        Parameters
        ----------
        frames
            Float32 ``(C, H, W)`` each, C being 1 or 3, values in [0, 1].
        stride
            Distance between patches in pixels, 1 to the model's core; by default the model's.
        smoothing
            Standard deviation of the Gaussian that smooths the weights of the frames over the frequencies, as a share
            of the patch; 0 does not smooth.
        stopwatch
            Charged for ``extract``, ``fusion``, ``network``, ``filter`` and ``overlap-add``.
        progress
            Called after every batch with the stage ``"burst network"``.

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
        grid = plan(frames[0], self.model, stride)
        watch = stopwatch or Stopwatch(self.model.device)
        usual = self._batch or (CUDA_BATCH if self.model.device.is_cuda else CPU_BATCH)
        batches = Batches(self.model.device, max(1, usual // len(frames)), fixed=self._batch is not None)

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
        """Return the restored cores of patches ``start .. stop`` of each plane."""
        with stopwatch("extract"):
            planes = [
                _extract([frame[channel] for frame in frames], grid, start, stop, padded)
                for channel in range(len(frames[0]))
            ]
            guide = _luminance(planes)
        with stopwatch("fusion"):
            filters = self.model.fuse(guide)
        with stopwatch("filter"):
            fused = [_fuse(plane, filters, smoothing) for plane in planes]
            guide = _luminance(fused)
        with stopwatch("network"):
            filters = self.model.predict(guide)
        with stopwatch("filter"):
            return [filter_patches(plane, filters, grid.core)[: stop - start] for plane in fused]


def _extract(planes: Sequence[Array], grid: PatchGrid, start: int, stop: int, padded: int) -> Array:
    """Return patches ``start .. stop`` of every plane: ``(padded, planes, patch, patch)``."""
    xp = array_module(planes[0])
    patches = xp.zeros((padded, len(planes), grid.patch, grid.patch), planes[0].dtype)
    for number, plane in enumerate(planes):
        patches[: stop - start, number] = extract_patches(plane, grid, start, stop)
    return patches


def _fuse(patches: Array, filters: Array, smoothing: float) -> Array:
    """Filter bursts ``(N, frames, P, P)`` and add up the frames, their weights smoothed: ``(N, P, P)``."""
    if smoothing == 0:
        return _filter(patches, filters).sum(axis=1)
    whole, weights = divide(filters)
    return fuse_weighted(_filter(patches, whole), weights, smoothing * patches.shape[-1])


def _filter(patches: Array, filters: Array) -> Array:
    side = patches.shape[-1]
    filtered = filter_patches(patches.reshape(-1, side, side), filters.reshape(-1, *filters.shape[2:]), side)
    return filtered.reshape(patches.shape)


def divide(filters: Array) -> tuple[Array, Array]:
    """Divide filters of the frames into what they filter and how much each frame counts (Eq. 6).

    Parameters
    ----------
    filters
        Float32 ``(N, frames, 2, P, P // 2 + 1)``.

    Returns
    -------
    whole
        Filters of that shape whose magnitude is the same in all frames: the sum of theirs.
    weights
        Float32 ``(N, frames, P, P // 2 + 1)``, non-negative: their magnitudes. Over their sum, times `whole`, they are
        the filters.
    """
    xp = array_module(filters)
    weights = xp.hypot(filters[:, :, 0], filters[:, :, 1])
    scale = weights.sum(axis=1, keepdims=True) / xp.maximum(weights, FAINT)
    return filters * scale[:, :, None], weights


def _luminance(planes: Sequence[Array]) -> Array:
    """Return the luminance of channels that have any one shape."""
    if len(planes) == 1:
        return planes[0]
    flat = array_module(planes[0]).stack(planes).reshape(len(planes), len(planes[0]), -1)
    return luminance(flat).reshape(planes[0].shape)
