"""Run a patch network over a whole image: extract patches, predict, filter and overlap-add, batch by batch.

This is the "neural average" of Chakrabarti 2016, section 3: every overlapping patch is restored separately, and the
restored cores are averaged with a Hann window. The memory needed is that of the image, the result and one batch.

Patches are copied before they are input to the network. Reading them directly from the image, as a convolution does,
would save writing 17 kB per patch of 65 pixels, out of the 1.1 MB that the layers of `chakrabarti-compact` read and
write. Moreover, its first layer as a dense convolution would take 65 * 65 multiplications per value, where two matrix
products take fewer than 400.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from kernels.arrays import Array, array_module
from kernels.patch_filters import filter_patches
from kernels.patches import PatchGrid, extract_patches, overlap_add
from runtime.arguments import check_whole
from runtime.errors import InvalidArgument, InvalidModel, OutOfMemory
from runtime.inference.bundle import Bundle, ImageAssumptions, PatchGeometry
from runtime.inference.devices import Device, free_unused_memory
from runtime.inference.manifest import Shapes
from runtime.inference.progress import Progress, Stopwatch
from runtime.inference.session import Session, is_out_of_memory, open_session

log = logging.getLogger("runtime")

CPU_BATCH = 256
"""Default number of patches per batch on the CPU."""
CUDA_BATCH = 4096
"""Default number of patches per batch on a GPU."""
STAGE = "neural average"
"""Name of the stage in progress reports."""


class PatchModel(Protocol):
    """The interface of a network for square patches.

    Attributes
    ----------
    size, core, stride
        Patch size, restored core, and default distance between patches, in pixels.
    predicts
        ``"filters"``: one half spectrum per patch, to be applied by `kernels.patch_filters.filter_patches`;
        ``"cores"``: the restored pixels.
    device
        The device on which `predict` runs.
    """

    size: int
    core: int
    stride: int
    predicts: str
    device: Device

    def predict(self, patches: Array) -> Array:
        """Map ``(N, size, size)`` to filters ``(N, 2, size, size // 2 + 1)`` or cores ``(N, core, core)``."""


class NetworkPatchModel:
    """The patch network of a bundle.

    Parameters
    ----------
    bundle
        A bundle with patch geometry and a part named ``network``.
    device, precision
        As in `runtime.inference.session.open_session`.

    Raises
    ------
    InvalidModel
        If the network's inputs and outputs are not those of a patch model.
    """

    def __init__(self, bundle: Bundle, *, device: Device, precision: str = "auto") -> None:
        if bundle.patch is None:
            raise InvalidModel(f"{bundle.path}: no patch geometry, so this is no patch model; choose another model")
        self.size, self.core, self.stride = bundle.patch.size, bundle.patch.core, bundle.patch.stride
        self.device = device
        bundle.require_assumptions(ImageAssumptions())
        part = bundle.part("network")
        shapes: Shapes = {
            "filters": ("batch", 2, self.size, self.size // 2 + 1),
            "cores": ("batch", self.core, self.core),
        }
        self.predicts = part.outputs[0].name
        if self.predicts not in shapes:
            raise InvalidModel(f"{bundle.path}: a patch network gives one of {shapes}; export it with such an output")
        self._input = part.inputs[0].name
        taken: Shapes = {self._input: ("batch", self.size, self.size)}
        part.require(bundle.path, taken, {self.predicts: shapes[self.predicts]})
        self._session: Session = open_session(bundle, "network", device=device, precision=precision)

    def predict(self, patches: Array) -> Array:
        """Run the network on float32 patches ``(N, size, size)``."""
        return self._session.run(**{self._input: patches})[self.predicts]


class BatchRunner:
    """Restores all patches of an image batch by batch, and overlap-adds the restored cores.

    Parameters
    ----------
    device
        The device of the patches.
    size
        Patches per batch. If the device runs out of memory, it is halved and a warning is logged, unless `fixed`.
    fixed
        Whether the size was chosen by the caller, and must not change.
    """

    def __init__(self, device: Device, size: int, *, fixed: bool = False) -> None:
        self.device, self.size, self._fixed = device, size, fixed

    def run(
        self,
        restore: Callable[[int, int], list[Array]],
        grid: PatchGrid,
        out: Array,
        stopwatch: Stopwatch,
        progress: Progress | None,
        stage: str = STAGE,
    ) -> Array:
        """Restore all patches of an image and overlap-add them to `out`.

        Parameters
        ----------
        restore
            Called as ``restore(start, stop)``; returns, for each plane, the restored cores of patches `start` to
            ``stop - 1``.
        grid
            Positions of the patches.
        out
            Float32 ``(C, H, W)``, to which the weighted cores are added.
        stopwatch
            Measures the stage ``overlap-add``.
        progress
            Called after every batch with `stage` and the fraction done.

        Returns
        -------
        array
            `out`.

        Raises
        ------
        OutOfMemory
            If even the smallest batch allowed does not fit.
        """
        start = 0
        while start < len(grid):
            size = self.size
            stop = min(start + size, len(grid))
            cores = self._attempt(restore, start, stop, size)
            if cores is None:
                # Outside of the except clause, the arrays that the traceback referred to are free.
                free_unused_memory(self.device)
                continue
            with stopwatch("overlap-add"):
                for plane, restored in zip(out, cores, strict=True):
                    overlap_add(restored, grid, start, plane)
            start = stop
            if progress is not None:
                progress(stage, start / len(grid))
        return out

    def padded(self, count: int) -> int:
        """Return the number of patches to input to the network for `count` patches, the rest being zeros.

        On a GPU it is always a full batch, since ONNX Runtime selects algorithms anew for each new shape.
        """
        # Another thread may have halved the size since `count` was chosen.
        return max(self.size, count) if self.device.is_cuda else count

    def _attempt(
        self, restore: Callable[[int, int], list[Array]], start: int, stop: int, size: int
    ) -> list[Array] | None:
        """Restore a batch; if there is not enough memory, halve the batch size and return ``None``."""
        try:
            return restore(start, stop)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            if self._fixed or size == 1:
                raise OutOfMemory(
                    f"{self.device} has too little memory for a batch of {size} patches: "
                    f"give a smaller batch or free memory on the device ({reason})"
                ) from error
            self.size = min(self.size, size // 2)
            log.warning(
                "%s ran out of memory with batches of %d patches (%s); going on with batches of %d patches",
                self.device, size, reason, self.size,
            )  # fmt: skip
            return None


class PatchEngine:
    """Restores images with a patch model.

    Parameters
    ----------
    model
        The network.
    batch
        Patches per batch. By default it is chosen for the device, and halved if the device runs out of memory, with a
        warning in the log; a batch size given here is never changed.
    """

    def __init__(self, model: PatchModel, *, batch: int | None = None) -> None:
        self.model = model
        batch = check_whole("batch", batch, least=1, what="patches")
        default = CUDA_BATCH if model.device.is_cuda else CPU_BATCH
        self._batches = BatchRunner(model.device, default if batch is None else batch, fixed=batch is not None)

    def restore(
        self,
        planes: Array,
        *,
        guide: Array | None = None,
        stride: int | None = None,
        stopwatch: Stopwatch | None = None,
        progress: Progress | None = None,
    ) -> Array:
        """Restore every plane of an image.

        Parameters
        ----------
        planes
            Float32 ``(C, H, W)``, any size from 1 px, values in [0, 1].
        guide
            Float32 ``(H, W)`` from which filters are predicted; by default the plane, if there is only one. It is not
            used by a model that predicts cores, which restores each plane separately.
        stride
            Distance between patches in pixels, from 1 to the core of the model; by default the model's.
        stopwatch
            Measures the stages ``extract``, ``network``, ``filter`` and ``overlap-add``.
        progress
            Called after every batch, with the stage ``"neural average"``.

        Returns
        -------
        array
            Float32 ``(C, H, W)`` on the same device: at each pixel the Hann-weighted mean of all restored cores.

        Raises
        ------
        InvalidArgument
            If `stride` is not valid for the model, or a guide is needed and missing.
        OutOfMemory
            If even the smallest batch allowed does not fit.
        """
        grid = plan_patches(planes, self.model, stride)
        if guide is None and self.model.predicts == "filters" and len(planes) != 1:
            raise InvalidArgument(f"filters for {len(planes)} planes are predicted from a guide: give guide=")
        stopwatch = stopwatch or Stopwatch(self.model.device)
        return self._batches.run(
            lambda start, stop: self._restore_batch(planes, guide, grid, start, stop, stopwatch),
            grid, array_module(planes).zeros_like(planes), stopwatch, progress,
        )  # fmt: skip

    def _restore_batch(
        self, planes: Array, guide: Array | None, grid: PatchGrid, start: int, stop: int, stopwatch: Stopwatch
    ) -> list[Array]:
        """Return the restored cores of patches ``start`` to ``stop - 1`` of each plane."""
        if self.model.predicts == "cores":
            return [self._predict(plane, grid, start, stop, stopwatch)[1] for plane in planes]
        patches, filters = self._predict(planes[0] if guide is None else guide, grid, start, stop, stopwatch)
        cores = []
        for plane in planes:
            if guide is not None:
                with stopwatch("extract"):
                    patches = extract_patches(plane, grid, start, stop)
            with stopwatch("filter"):
                cores.append(filter_patches(patches, filters, grid.core))
        return cores

    def _predict(
        self, plane: Array, grid: PatchGrid, start: int, stop: int, stopwatch: Stopwatch
    ) -> tuple[Array, Array]:
        """Extract patches ``start`` to ``stop - 1`` of a plane and run the network on them; return both."""
        with stopwatch("extract"):
            patches = self._extract(plane, grid, start, stop)
        with stopwatch("network"):
            predicted = self.model.predict(patches)
        return patches[: stop - start], predicted[: stop - start]

    def _extract(self, plane: Array, grid: PatchGrid, start: int, stop: int) -> Array:
        padded = array_module(plane).zeros((self._batches.padded(stop - start), grid.patch, grid.patch), plane.dtype)
        extract_patches(plane, grid, start, stop, out=padded[: stop - start])
        return padded


def plan_patches(planes: Array, geometry: PatchGeometry | PatchModel, stride: int | None) -> PatchGrid:
    """Return the patch positions for planes ``(C, H, W)``, at distance `stride` or by default that of the geometry.

    Raises
    ------
    InvalidArgument
        If `stride` is not from 1 to the core.
    """
    stride = check_whole("stride", stride, least=1) or geometry.stride
    if not 1 <= stride <= geometry.core:
        raise InvalidArgument(f"stride {stride}: this model takes 1 to {geometry.core} pixels")
    height, width = planes.shape[-2:]
    return PatchGrid(height, width, patch=geometry.size, core=geometry.core, stride=stride)
