"""Configuration of a training run: one TOML file per model."""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self, get_type_hints

from export.chakrabarti.network import ChakrabartiConfig
from export.data.synthesis import SynthesisConfig
from export.eboli.data import MotionConfig
from export.eboli.network import MotionNetConfig
from export.wieschollek.data import BurstConfig
from export.wieschollek.network import WieschollekConfig

CONFIGS = Path(__file__).parents[1] / "configs"


@dataclass(frozen=True)
class TrainConfig:
    """How a network is trained.

    Attributes
    ----------
    steps
        Number of steps; a time budget given to the trainer takes its place.
    batch
        Patches per step.
    learning_rate
        Highest rate of AdamW, reached after the share `warmup` of the run, then falling linearly to zero.
    weight_decay, betas
        As in AdamW.
    clip
        Largest norm of the gradient.
    precision
        Arithmetic of the layers; the frequency analysis and the loss stay in float32.
    validate_every
        Steps from one validation, with a log entry and a checkpoint, to the next.
    validation
        Patches in each validation set.
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
    validation: int = 1024
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.steps, self.batch, self.validate_every, self.validation) < 1:
            raise ValueError("steps, batch, validate_every and validation must be at least 1")
        if self.learning_rate <= 0 or not 0 <= self.warmup < 1:
            raise ValueError("learning_rate must be positive and warmup a share from 0 to below 1")
        if self.precision not in ("bf16", "fp32"):
            raise ValueError(f"precision must be 'bf16' or 'fp32', got {self.precision!r}")


@dataclass(frozen=True)
class _Run:
    """What every run has: the name of its model, its training, and data that come in shares."""

    name: str
    description: str
    train: TrainConfig = field(default_factory=TrainConfig)

    def __post_init__(self) -> None:
        share = self.data.share  # type: ignore[attr-defined]
        if self.train.batch % share or self.train.validation % share:
            raise ValueError(f"batch and validation must be multiples of data.share = {share}")

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Self:
        """Build from nested tables, as `to_dict` gives them.

        Raises
        ------
        ValueError
            If a key is unknown or missing, or a value cannot be used.
        """
        return _build(cls, content, "")

    def to_dict(self) -> dict[str, Any]:
        """Return plain nested tables, fit for JSON."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class RunConfig(_Run):
    """A model for single photographs: its name, network, data and training."""

    method: Literal["chakrabarti"] = "chakrabarti"
    network: ChakrabartiConfig = field(default_factory=ChakrabartiConfig)
    data: SynthesisConfig = field(default_factory=SynthesisConfig)


@dataclass(frozen=True)
class BurstRunConfig(_Run):
    """A model for bursts: its name, network, data and training."""

    method: Literal["wieschollek"] = "wieschollek"
    network: WieschollekConfig = field(default_factory=WieschollekConfig)
    data: BurstConfig = field(default_factory=BurstConfig)


@dataclass(frozen=True)
class MotionRunConfig(_Run):
    """A model for the motion at every pixel: its name, network, data and training."""

    method: Literal["eboli"] = "eboli"
    network: MotionNetConfig = field(default_factory=MotionNetConfig)
    data: MotionConfig = field(default_factory=MotionConfig)


AnyRunConfig = RunConfig | BurstRunConfig | MotionRunConfig
METHODS: dict[str, type[AnyRunConfig]] = {
    "chakrabarti": RunConfig,
    "wieschollek": BurstRunConfig,
    "eboli": MotionRunConfig,
}


def parse_config(content: dict[str, Any]) -> AnyRunConfig:
    """Build the configuration of the kind that ``method`` names, for single photographs where nothing does.

    Raises
    ------
    ValueError
        If there is no such method, a key is unknown or missing, or a value cannot be used.
    """
    method = content.get("method", "chakrabarti")
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    return METHODS[method].from_dict(content)


def read_config(name_or_path: str | Path) -> AnyRunConfig:
    """Read a TOML file, or the shipped configuration of that name.

    Raises
    ------
    FileNotFoundError
        If there is neither.
    ValueError
        If it is not valid.
    """
    path = Path(name_or_path)
    if not path.is_file():
        path = CONFIGS / f"{name_or_path}.toml"
    if not path.is_file():
        have = ", ".join(sorted(file.stem for file in CONFIGS.glob("*.toml")))
        raise FileNotFoundError(f"no configuration {str(name_or_path)!r}; give a TOML file or one of: {have}")
    try:
        return parse_config(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _build(kind: Any, content: Any, where: str) -> Any:
    hints = get_type_hints(kind)
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
        raise ValueError(f"{where or 'the file'}: {error}") from error
