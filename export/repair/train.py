"""Training of the repair network on recorded examples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from export.networks.repair import Repair, RepairConfig
from export.train import load_checkpoint


def load_repair(path: str | Path) -> tuple[Repair, dict[str, Any]]:
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
        network = Repair(RepairConfig(**checkpoint["config"]["network"]))
        network.load_state_dict(checkpoint["network"])
    except (KeyError, TypeError, RuntimeError) as error:
        raise ValueError(f"{path}: is of no repair network; give a checkpoint of python -m export repair") from error
    return network.eval().requires_grad_(False), checkpoint
