"""Configuration of a training run: nested dataclasses, read from a TOML file or from a checkpoint."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any, Literal, Self, get_type_hints


@dataclass(frozen=True)
class TrainConfig:
    """How a network is trained with AdamW.

    Attributes
    ----------
    steps
        Number of steps; a time budget given to the trainer takes its place.
    batch
        Samples per step.
    learning_rate
        Highest learning rate, reached after `warmup`.
    warmup
        Length of the linear warm-up: a share of the run for `SyntheticTrainer`, steps for `RecordedTrainer`.
    weight_decay, betas
        As in AdamW.
    clip
        Largest norm of the gradient.
    precision
        Arithmetic of the layers; the loss stays in float32.
    validate_every
        Steps from one validation, with a log entry and a checkpoint, to the next.
    seed
        Of the weights and of the data.
    """

    steps: int = 20000
    batch: int = 512
    learning_rate: float = 1e-3
    warmup: float = 0.02
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.98)
    clip: float = 1.0
    precision: Literal["bf16", "fp32"] = "bf16"
    validate_every: int = 500
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.steps, self.batch, self.validate_every) < 1:
            raise ValueError("steps, batch and validate_every must be at least 1")
        if self.learning_rate <= 0 or self.warmup < 0:
            raise ValueError("learning_rate must be positive and warmup at least 0")
        if self.precision not in ("bf16", "fp32"):
            raise ValueError(f"precision must be 'bf16' or 'fp32', got {self.precision!r}")


@dataclass(frozen=True)
class SyntheticTrainConfig(TrainConfig):
    """How a network is trained on patches that are synthesised during training.

    Attributes
    ----------
    warmup
        Share of the run in which the learning rate rises; it then falls linearly to zero.
    validation
        Samples in each validation set.
    optimiser
        AdamW, or Muon (`export.loop.muon`), which takes fewer steps to train small matrices and has no weight decay.
    """

    validation: int = 1024
    optimiser: Literal["adamw", "muon"] = "adamw"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.optimiser not in ("adamw", "muon"):
            raise ValueError(f"optimiser must be 'adamw' or 'muon', got {self.optimiser!r}")
        if self.validation < 1:
            raise ValueError("validation must be at least 1")
        if self.warmup >= 1:
            raise ValueError("warmup must be a share from 0 to below 1")


@dataclass(frozen=True)
class RunConfig:
    """What every run has: name and description of the model. Subclasses add ``method``, the kind, and the rest."""

    name: str
    description: str

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Self:
        """Build from nested tables, as `to_dict` returns them.

        Raises
        ------
        ValueError
            If a key is unknown or missing, or a value cannot be used.
        """
        built: Self = _build(cls, content, "")
        return built

    def to_dict(self) -> dict[str, Any]:
        """Return nested tables of numbers, strings and lists, as JSON and TOML have them."""
        content: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        return content

    def with_batch(self, batch: int) -> Self:
        """Return the same configuration with another number of samples per step."""
        return dataclasses.replace(self, train=dataclasses.replace(self.train, batch=batch))  # type: ignore[attr-defined, call-arg]


@dataclass(frozen=True)
class SyntheticRunConfig(RunConfig):
    """A run on synthesised samples, of which ``data.share`` successive ones have the same blur."""

    train: SyntheticTrainConfig = field(default_factory=SyntheticTrainConfig)

    def __post_init__(self) -> None:
        share = self.data.share  # type: ignore[attr-defined]
        if self.train.batch % share or self.train.validation % share:
            raise ValueError(f"batch and validation must be multiples of data.share = {share}")


def _build(kind: Any, content: Any, where: str) -> Any:
    hints = get_type_hints(kind)
    if not isinstance(content, dict):
        raise ValueError(f"{where.rstrip('.')} must be a table, got {content!r}")
    unknown = set(content) - set(hints)
    if unknown:
        raise ValueError(f"unknown key {where}{min(unknown)}; known are {', '.join(hints)}")
    values = {}
    for key, value in content.items():
        if dataclasses.is_dataclass(hints[key]):
            values[key] = _build(hints[key], value, f"{where}{key}.")
        else:
            values[key] = tuple(value) if isinstance(value, list) else value
    try:
        return kind(**values)
    except TypeError as error:
        raise ValueError(f"{where or 'the configuration'}: {error}") from error
