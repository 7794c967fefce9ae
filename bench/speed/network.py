"""The network of a patch model alone, in ONNX Runtime and PyTorch, with the same weights and patches, in turn."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bench.data.models import patch_geometry
from bench.data.photographs import blurred_photograph
from bench.speed.machine import usable_cores
from bench.speed.timing import Work, measure_in_turn
from runtime.errors import InvalidModel
from runtime.inference.bundle import Bundle, load_model

if TYPE_CHECKING:
    import torch

    from runtime.inference.session import Session

MIN_SECONDS = 0.2
"""Shortest duration of one measurement, in seconds."""


class Variant(NamedTuple):
    """One way to run the network: the library and its mode, and the precision."""

    runs: str
    precision: str


SESSION = Variant("session", "fp32")


def measure_network(model: str, *, batches: list[int], repeats: int) -> list[dict[str, Any]]:
    """Time the network of a bundle on the CPU in the runtime's session and, if installed, in PyTorch.

    Parameters
    ----------
    model
        Path of a bundle.
    batches
        Patches per call.
    repeats
        Number of measurements of each variant, in turn.

    Returns
    -------
    list of dict
        One per batch size and variant: ``runs``, ``precision``, ``batch``, ``seconds_per_patch``,
        ``patches_per_second``; ``max_abs_difference`` of the filters from the session's; for the session
        ``time_over_pytorch``, its time over that of the fastest PyTorch variant in float32. A variant that cannot run
        has a ``problem`` instead.
    """
    from runtime.inference.devices import CPU
    from runtime.inference.session import open_session

    bundle = load_model(model)
    session = open_session(bundle, "network", device=CPU, precision="fp32")
    network = load_torch_network(bundle) if find_spec("torch") else None
    rows = []
    for batch in batches:
        patches = _patches(bundle, batch)
        variants: dict[Variant, Work] = {SESSION: partial(_run_session, session, patches)}
        problems = {}
        for variant, work in _torch_variants(network, patches) if network is not None else ():
            print(f"{variant.runs}, {variant.precision}, {batch} patches", file=sys.stderr)
            try:
                work()
            except Exception as error:  # a compiler may fail in any way; the report says how
                problems[variant] = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
            else:
                variants[variant] = work
        rows += _compare(variants, batch, repeats)
        rows += [{**variant._asdict(), "batch": batch, "problem": problem} for variant, problem in problems.items()]
    return rows


def load_torch_network(bundle: Bundle) -> torch.nn.Module:
    """Rebuild the PyTorch network of a bundle and give it the bundle's weights.

    Raises
    ------
    InvalidModel
        If the bundle does not record the configuration of its network, or lacks a weight.
    """
    from export.registry import load_bundle

    try:
        network = load_bundle(bundle).network
    except InvalidModel as error:
        raise InvalidModel(f"{error}; or compare with --no-torch") from error
    assert network is not None
    return network


def _run_session(session: Session, patches: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    filters: npt.NDArray[np.float32] = session.run(patches=patches)["filters"]
    return filters


def _torch_variants(network: torch.nn.Module, patches: npt.NDArray[np.float32]) -> Iterator[tuple[Variant, Work]]:
    """Yield the PyTorch variants on the CPU: eager and compiled, in float32 and bfloat16."""
    import torch

    torch.set_num_threads(usable_cores())
    given = torch.from_numpy(patches)
    modules: dict[str, Any] = {
        "PyTorch eager": network,
        "PyTorch compiled": torch.compile(network, dynamic=False),
        "PyTorch compiled, weights frozen": torch.compile(network, dynamic=False, options={"freezing": True}),
    }
    for name, module in modules.items():
        for precision in ("fp32", "bf16"):
            yield Variant(name, precision), partial(_run_torch, module, given, precision == "bf16")


def _run_torch(module: torch.nn.Module, patches: torch.Tensor, half: bool) -> npt.NDArray[np.float32]:
    import torch

    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=half):
        filters: npt.NDArray[np.float32] = module(patches).float().numpy()
    return filters


def _compare(variants: dict[Variant, Work], batch: int, repeats: int) -> list[dict[str, Any]]:
    expected = variants[SESSION]()
    timings = measure_in_turn(variants, repeats=repeats, min_seconds=MIN_SECONDS)
    rows: list[dict[str, Any]] = [
        {
            **variant._asdict(),
            "batch": batch,
            "seconds_per_patch": timings[variant].scaled(1 / batch),
            "patches_per_second": batch / timings[variant].median,
            "max_abs_difference": float(np.abs(work() - expected).max()),
        }
        for variant, work in variants.items()
    ]
    rivals = [
        timing.median for variant, timing in timings.items() if variant.precision == "fp32" and variant != SESSION
    ]
    if rivals:
        rows[0]["time_over_pytorch"] = timings[SESSION].median / min(rivals)
    return rows


def _patches(bundle: Bundle, batch: int) -> npt.NDArray[np.float32]:
    """Extract patches spread evenly over a photograph."""
    from kernels.patches import PatchGrid, extract_patches

    geometry = patch_geometry(bundle)
    plane = blurred_photograph(1.0, grey=True).astype(np.float32) / 255
    height, width = plane.shape
    grid = PatchGrid(height, width, geometry.size, geometry.core, geometry.stride)
    numbers = np.linspace(0, len(grid) - 1, batch).astype(int).tolist()
    return np.concatenate([extract_patches(plane, grid, number, number + 1) for number in numbers])
