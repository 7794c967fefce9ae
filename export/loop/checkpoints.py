"""Checkpoints: full ones, from which a run resumes, and slim ones, which hold little more than the weights.

Both are files of `torch.save` that hold tensors, numbers, strings, lists and tables only. They are read with
``weights_only=True``, so that no file can run code.
"""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

CHECKPOINT = "checkpoint.pt"
SLIM = "checkpoint.slim.pt"
SLIM_BYTES = 16_000_000
"""Largest size of a slim checkpoint in bytes."""


@dataclass(frozen=True)
class Checkpoint:
    """The weights of a network, how it is built, and how far its training has come.

    Attributes
    ----------
    config
        The run's configuration, as `export.loop.config.RunConfig.to_dict` returns it.
    weights
        State dict of the network, float32.
    samples
        Samples that the weights were trained on.
    accuracy
        The last validation.
    counts
        Further numbers for the training record, such as that of the recorded examples.
    resume
        What continues the run: optimiser, step, time and random state. ``None`` in a slim checkpoint.
    """

    config: Mapping[str, Any]
    weights: Mapping[str, Tensor]
    samples: int = 0
    accuracy: Mapping[str, Any] | None = None
    counts: Mapping[str, int] | None = None
    resume: Mapping[str, Any] | None = None

    @property
    def method(self) -> str:
        """The kind of network, as in the registry."""
        return str(self.config["method"])


def write_checkpoint(path: str | Path, checkpoint: Checkpoint) -> None:
    """Write a full checkpoint; the file is replaced as a whole or not at all."""
    _write(Path(path), _pack(checkpoint))


def write_slim(path: str | Path, checkpoint: Checkpoint, parameters: Collection[str]) -> None:
    """Write a slim checkpoint: learned parameters rounded to float16, as in a bundle, and no state to resume from.

    Parameters
    ----------
    path
        The file, which is replaced as a whole or not at all.
    checkpoint
        The full one.
    parameters
        Names of the weights to round; the others, such as the statistics of input features, are kept.

    Raises
    ------
    ValueError
        If the file would be larger than `SLIM_BYTES`; nothing is written then.
    """
    weights = {name: value.half() if name in parameters else value for name, value in checkpoint.weights.items()}
    packed = _pack(replace(checkpoint, weights=weights, resume=None))
    if len(packed) > SLIM_BYTES:
        raise ValueError(
            f"{path}: not written, a slim checkpoint would have {len(packed) / 1e6:.0f} MB, more than "
            f"{SLIM_BYTES / 1e6:.0f} MB; use {CHECKPOINT}"
        )
    _write(Path(path), packed)


def read_checkpoint(path: str | Path, device: torch.device | str = "cpu") -> Checkpoint:
    """Read a checkpoint, full or slim.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If the file is something else.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no checkpoint there; train first, without --resume")
    try:
        # Files of torch.save are zip files; of anything else its reader makes what it can.
        if not zipfile.is_zipfile(path):
            raise ValueError("not a file of torch.save")
        content = torch.load(path, map_location=device, weights_only=True)
        checkpoint = Checkpoint(**content)
        weights = {name: value.float() for name, value in checkpoint.weights.items()}
        return replace(checkpoint, weights=weights, config={**checkpoint.config, "method": checkpoint.method})
    except (pickle.UnpicklingError, RuntimeError, ValueError, TypeError, AttributeError, LookupError) as error:
        raise ValueError(f"{path}: is no checkpoint; give the {CHECKPOINT} or {SLIM} of a run") from error


def load_weights(network: nn.Module, checkpoint: Checkpoint) -> None:
    """Give a network the weights of a checkpoint.

    Raises
    ------
    ValueError
        If they are those of another network.
    """
    try:
        network.load_state_dict(dict(checkpoint.weights))
    except RuntimeError as error:
        name = checkpoint.config.get("name", "the checkpoint")
        raise ValueError(f"the weights of {name} are those of another network than {type(network).__name__}") from error


def _pack(checkpoint: Checkpoint) -> memoryview:
    stream = io.BytesIO()
    torch.save({name: getattr(checkpoint, name) for name in Checkpoint.__dataclass_fields__}, stream)
    return stream.getbuffer()


def _write(path: Path, packed: memoryview) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}")
    draft.write_bytes(packed)
    draft.replace(path)
