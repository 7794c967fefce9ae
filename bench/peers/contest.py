"""Timings of this runtime and other libraries in turn; each function is meant for its own process."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np

from bench.data.models import patch_geometry
from bench.data.photographs import blurred_photograph
from bench.peers.patches import MonaiPatches, TorchPatches, on_array, restore_by, with_half_weights
from bench.peers.steps import RUNTIME, step_makers
from bench.speed.machine import usable_cores
from bench.speed.network import load_torch_network
from bench.speed.timing import Work, measure_in_turn
from kernels.arrays import Array
from kernels.patches import PatchGrid
from runtime.inference.bundle import Bundle, load_model
from runtime.inference.devices import Device, download, on_device, resolve_device, upload
from runtime.inference.patch_engine import CPU_BATCH, CUDA_BATCH

MIN_SECONDS = 0.2
"""Shortest duration of one measurement, in seconds."""
_MONAI_BATCHES = (1, 4)
"""MONAI's ``sw_batch_size``, in multiples of the batch of the others."""


class Contender(NamedTuple):
    """What is timed: the library, the precision, and the patches per batch."""

    by: str
    precision: str
    batch: int


MakeWork = Callable[[], Work]
CompilerOptions = dict[str, str | int | bool | Callable[..., Any]]


class _Task(NamedTuple):
    """The common input of all contenders."""

    bundle: Bundle
    place: Device
    plane: Array
    grid: PatchGrid
    batch: int


def measure_patches(
    model: str, *, device: str, megapixels: float, stride: int | None, batch: int | None, repeats: int
) -> list[dict[str, Any]]:
    """Time the restoration of a grey photograph by a patch network in this runtime, PyTorch and MONAI.

    Parameters
    ----------
    model
        Path of a bundle.
    device, megapixels, stride, batch
        As the options of ``python -m bench peers``.
    repeats
        Number of measurements of each, in turn.

    Returns
    -------
    list of dict
        One per contender: ``by``, ``precision``, ``batch``; ``seconds`` as of `spread`, ``seconds_per_patch``,
        ``megapixels_per_second``, ``time_over_runtime`` (in the same precision, or else in float32) and
        ``max_abs_difference`` from the runtime in float32. One that cannot run has a ``problem`` instead.
    """
    return _measure(_task(model, device, megapixels, stride, batch), _eager_makers, repeats)


def measure_compiled(
    model: str, *, device: str, megapixels: float, stride: int | None, batch: int | None, repeats: int
) -> list[dict[str, Any]]:
    """Do the same as `measure_patches` for this runtime and compiled PyTorch; compiling may take minutes."""
    return _measure(_task(model, device, megapixels, stride, batch), _compiled_makers, repeats)


def measure_steps(
    model: str, *, device: str, megapixels: float, stride: int | None, batch: int | None, repeats: int
) -> list[dict[str, Any]]:
    """Time extraction, filtering and overlap-add with random filters in this runtime and in array libraries.

    Parameters and result are those of `measure_patches`, all in float32.
    """
    task = _task(model, device, megapixels, stride, batch)
    taps = np.random.default_rng(1).standard_normal((task.batch, task.grid.patch, task.grid.patch))
    spectra = np.fft.rfft2(taps / task.grid.patch)
    filters = upload(np.ascontiguousarray(np.stack([spectra.real, spectra.imag], 1), np.float32), task.place)
    with on_device(task.place):
        makers = step_makers(task.plane, filters, task.grid, task.place.is_cuda)
        return _contest({Contender(by, "fp32", task.batch): maker for by, maker in makers.items()}, task, repeats)


def _task(model: str, device: str, megapixels: float, stride: int | None, batch: int | None) -> _Task:
    bundle, place = load_model(model), resolve_device(device)
    geometry = patch_geometry(bundle)
    plane = blurred_photograph(megapixels, grey=True).astype(np.float32) / 255
    height, width = plane.shape
    grid = PatchGrid(height, width, geometry.size, geometry.core, stride or geometry.stride)
    return _Task(bundle, place, upload(plane, place), grid, batch or (CUDA_BATCH if place.is_cuda else CPU_BATCH))


def _precisions(task: _Task) -> list[str]:
    """Return the precisions of the network to time on the device."""
    return ["fp32", "fp16"] if task.place.is_cuda and "fp16" in task.bundle.part("network").graphs else ["fp32"]


def _runtime(task: _Task, precision: str) -> Work:
    from runtime.inference.patch_engine import NetworkPatchModel, PatchEngine

    network = NetworkPatchModel(task.bundle, device=task.place, precision=precision)
    engine = PatchEngine(network, batch=task.batch)
    return lambda: engine.restore(task.plane[None], stride=task.grid.stride)[0]


def _measure(
    task: _Task, others: Callable[[_Task, str], Iterator[tuple[Contender, MakeWork]]], repeats: int
) -> list[dict[str, Any]]:
    """Time the runtime, in its precisions, and the others, in float32 and in half precision."""
    with on_device(task.place):
        makers: dict[Contender, MakeWork] = {
            Contender(RUNTIME, name, task.batch): partial(_runtime, task, name) for name in _precisions(task)
        }
        # The half precision that the device is fast at.
        for precision in ("fp32", "fp16" if task.place.is_cuda else "bf16"):
            makers |= dict(others(task, precision))
        return _contest(makers, task, repeats)


def _eager_makers(task: _Task, precision: str) -> Iterator[tuple[Contender, MakeWork]]:
    yield Contender("PyTorch eager", precision, task.batch), partial(_torch, task, precision, False)
    for batch in (factor * task.batch for factor in _MONAI_BATCHES):
        yield Contender("MONAI", precision, batch), partial(_monai, task, precision, batch)


def _compiled_makers(task: _Task, precision: str) -> Iterator[tuple[Contender, MakeWork]]:
    yield Contender("PyTorch compiled", precision, task.batch), partial(_torch, task, precision, True)


def _torch(task: _Task, precision: str, compiled: bool) -> Work:
    import torch

    network, half = _network(task, precision)
    if compiled:
        # Frozen weights let the compiler choose their memory layout for the processor.
        options: CompilerOptions | None = None if task.place.is_cuda else {"freezing": True}
        network = torch.compile(network, dynamic=False, options=options)
    patches = TorchPatches(restore_by(network, half), task.grid, task.batch, str(task.place), padded=compiled)
    return partial(on_array, patches, task.plane)


def _monai(task: _Task, precision: str, batch: int) -> Work:
    if find_spec("monai") is None:
        raise ImportError("MONAI is not installed: pip install 'deblur-runtime[bench-peers]'")
    network, half = _network(task, precision)
    patches = MonaiPatches(restore_by(network, half), task.grid, batch, str(task.place))
    return partial(on_array, patches, task.plane)


def _network(task: _Task, precision: str) -> tuple[Any, Any]:
    """Return the network on the device, and the half-precision dtype, or ``None`` for float32."""
    import torch

    torch.set_num_threads(usable_cores())
    half = {"fp32": None, "fp16": torch.float16, "bf16": torch.bfloat16}[precision]
    return with_half_weights(load_torch_network(task.bundle), half).to(str(task.place)), half


def _contest(makers: dict[Contender, MakeWork], task: _Task, repeats: int) -> list[dict[str, Any]]:
    """Time in turn all contenders that can run, and compare their results with those of the first."""
    contenders: dict[Contender, Work] = {}
    problems: dict[Contender, str] = {}
    results: dict[Contender, Array] = {}
    for contender, make in makers.items():
        print(f"{contender.by}, {contender.precision}, batch {contender.batch}", file=sys.stderr)
        try:
            contenders[contender] = partial(_synchronized, make(), task.place)
            results[contender] = download(contenders[contender]())
        except Exception as error:  # a library may fail in any way; the report says how
            contenders.pop(contender, None)
            problems[contender] = f"{type(error).__name__}: {(str(error).strip().splitlines() or ['no message'])[0]}"
    timings = measure_in_turn(contenders, repeats=repeats, min_seconds=MIN_SECONDS)
    rows = []
    for contender in makers:
        row: dict[str, Any] = {"by": contender.by, "precision": contender.precision, "batch": contender.batch}
        if contender in problems:
            rows.append({**row, "problem": problems[contender]})
            continue
        seconds = timings[contender].median
        own = [timings[other].median for precision in (contender.precision, "fp32")
               for other in contenders if other[:2] == (RUNTIME, precision)]  # fmt: skip
        rows.append(
            {
                **row,
                "seconds": timings[contender].scaled(),
                "seconds_per_patch": seconds / len(task.grid),
                "megapixels_per_second": task.plane.size / 1e6 / seconds,
                **({"time_over_runtime": seconds / own[0]} if own else {}),
                "max_abs_difference": float(np.abs(results[contender] - next(iter(results.values()))).max()),
            }
        )
    return rows


def _synchronized(work: Work, place: Device) -> Array:
    """Run and wait for all CUDA streams of all libraries, so that the wall clock includes their work."""
    result = work()
    if place.is_cuda:
        import cupy

        cupy.cuda.runtime.deviceSynchronize()
    return result
