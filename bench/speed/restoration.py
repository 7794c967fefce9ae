"""Time of the restoration of one photograph; meant to run in its own process."""

from __future__ import annotations

import sys
import time
from importlib.util import find_spec
from typing import Any

from bench.data.models import dense_flops, patch_geometry
from bench.data.photographs import blurred_photograph
from bench.speed.timing import spread
from runtime.inference.bundle import load_model
from runtime.inference.devices import resolve_device
from runtime.inference.patch_engine import CPU_BATCH, CUDA_BATCH

NEURAL_AVERAGE = ("extract", "network", "filter", "overlap-add")
STAGES = ("prepare", *NEURAL_AVERAGE, "kernel estimate", "non-blind", "repair")
WARM_UP_MEGAPIXELS = 0.05


def measure_restoration(
    model: str,
    megapixels: float,
    *,
    repeats: int,
    stride: int | None = None,
    batch: int | None = None,
    device: str = "auto",
    precision: str = "auto",
    quality: str = "balanced",
    nonblind: str | None = None,
    grey: bool = False,
) -> dict[str, Any]:
    """Restore a photograph `repeats` times, after a small one as warm-up.

    Parameters
    ----------
    model
        Name or path of a bundle.
    megapixels, grey
        Size and channels of the photograph; see `blurred_photograph`.
    repeats
        Number of measurements.
    stride, batch, device, precision, quality, nonblind
        As in `runtime.Deblurrer` and its `restore`.

    Returns
    -------
    dict
        Sizes and counts; ``seconds``, as of `spread`, of each of `STAGES`, of ``neural average`` (`NEURAL_AVERAGE`
        together), of ``whole``, the whole call, and of ``other``, its time outside all stages; rates by the medians;
        ``not_network``, the share of the neural average outside the network; if onnx is installed
        ``network_flops_per_second`` of its dense layers; on a GPU ``gpu_bytes``, the memory in use at the end by the
        model and the memory pools.
    """
    from kernels.patches import PatchGrid
    from runtime import Deblurrer
    from runtime.inference.session import open_session

    free_before = free_gpu_memory() if resolve_device(device).is_cuda else 0
    bundle = load_model(model)
    deblurrer = Deblurrer(model=bundle, device=device, precision=precision, batch=batch)
    geometry = patch_geometry(bundle)
    photograph = blurred_photograph(megapixels, grey=grey)
    options: dict[str, Any] = {"quality": quality, "stride": stride, "nonblind": nonblind}
    deblurrer.restore(blurred_photograph(WARM_UP_MEGAPIXELS, grey=grey), **options)
    runs: list[dict[str, float]] = []
    for repeat in range(repeats):
        print(f"{megapixels:g} megapixels: {repeat + 1} of {repeats}", file=sys.stderr)
        began = time.perf_counter()
        timings = deblurrer.restore(photograph, **options).timings
        whole = time.perf_counter() - began
        neural = sum(timings[stage] for stage in NEURAL_AVERAGE)
        other = whole - sum(timings.values())
        runs.append({**timings, "neural average": neural, "other": other, "whole": whole})

    height, width = photograph.shape[:2]
    patches = len(PatchGrid(height, width, geometry.size, geometry.core, stride or geometry.stride))
    seconds = {stage: spread(run[stage] for run in runs) for stage in runs[0]}
    neural, whole = seconds["neural average"]["median"], seconds["whole"]["median"]
    row: dict[str, Any] = {
        "megapixels": height * width / 1e6,
        "size": f"{width} x {height}",
        "channels": 1 if grey else 3,
        "precision": open_session(bundle, "network", device=deblurrer.device, precision=precision).precision,
        "stride": stride or geometry.stride,
        "batch": batch or (CUDA_BATCH if deblurrer.device.is_cuda else CPU_BATCH),
        "patches": patches,
        "seconds": seconds,
        "neural_megapixels_per_second": height * width / 1e6 / neural,
        "patches_per_second": patches / neural,
        "not_network": spread(1 - run["network"] / run["neural average"] for run in runs),
        "megapixels_per_second": height * width / 1e6 / whole,
        "seconds_per_megapixel": whole / (height * width / 1e6),
    }
    if find_spec("onnx"):
        row["network_flops_per_second"] = patches * dense_flops(bundle) / seconds["network"]["median"]
    if deblurrer.device.is_cuda:
        row["gpu_bytes"] = free_before - free_gpu_memory()
    return row


def free_gpu_memory() -> int:
    """Return the free memory of the current GPU in bytes."""
    import cupy

    free, _ = cupy.cuda.runtime.memGetInfo()
    return int(free)
