"""Training of the kernel prior."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from export.networks.kernel_prior import KernelPrior, KernelPriorConfig
from export.train import load_checkpoint


def load_prior(path: str | Path) -> tuple[KernelPrior, dict[str, Any]]:
    """Read a checkpoint and build its network, on the CPU, ready for inference.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If the file is something else.
    """
    checkpoint = load_checkpoint(path)
    try:
        network = KernelPrior(KernelPriorConfig(**checkpoint["config"]["network"]))
        network.load_state_dict(checkpoint["network"])
    except (KeyError, TypeError, RuntimeError) as error:
        raise ValueError(f"{path}: is no checkpoint of a kernel prior; give one of python -m export prior") from error
    return network.eval().requires_grad_(False), checkpoint
