"""The kinds of networks that can be trained and exported: one row each, by the method that their bundles name."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from export.chakrabarti.network import Chakrabarti
from export.chakrabarti.onnx import SPEC as CHAKRABARTI
from export.chakrabarti.train import ChakrabartiRunConfig, ChakrabartiTrainer
from export.eboli.bank import SPEC as BANK
from export.eboli.bank import BankRunConfig, compute_bank
from export.eboli.network import MotionNet
from export.eboli.onnx import SPEC as MOTION
from export.eboli.train import MotionRunConfig, MotionTrainer
from export.epll.train import SPEC as MIXTURE
from export.epll.train import MixtureRunConfig, train_mixture
from export.kaufman.analysis.network import Analysis
from export.kaufman.analysis.onnx import SPEC as ANALYSIS
from export.kaufman.analysis.train import AnalysisRunConfig, AnalysisTrainer
from export.kaufman.classifier.network import Classifier
from export.kaufman.classifier.onnx import SPEC as CLASSIFIER
from export.kaufman.classifier.train import ClassifierRunConfig, ClassifierTrainer
from export.kaufman.network import Kaufman
from export.kaufman.onnx import SPEC as PAIR
from export.kaufman.synthesis.network import Synthesis
from export.kaufman.synthesis.onnx import SPEC as SYNTHESIS
from export.kaufman.synthesis.train import SynthesisRunConfig, train_synthesis
from export.kaufman.train import KaufmanRunConfig, KaufmanTrainer
from export.kernel_prior.network import KernelPrior
from export.kernel_prior.onnx import SPEC as PRIOR
from export.kernel_prior.rounds import train_prior
from export.kernel_prior.train import PriorRunConfig
from export.loop.checkpoints import Checkpoint, load_weights, read_checkpoint
from export.loop.config import RunConfig
from export.loop.job import Job
from export.loop.synthetic import train_synthetic
from export.onnx.bundles import BundleSpec, Trained, read_weights
from export.repair.network import Repair
from export.repair.onnx import SPEC as REPAIR
from export.repair.run import train_repair
from export.repair.train import RepairRunConfig
from export.schuler.network import Schuler
from export.schuler.onnx import SPEC as QUOTIENTS
from export.schuler.train import SchulerRunConfig, SchulerTrainer
from export.wieschollek.network import Wieschollek
from export.wieschollek.onnx import SPEC as BURST
from export.wieschollek.train import BurstRunConfig, BurstTrainer
from runtime.errors import InvalidModel
from runtime.inference.bundle import MANIFEST, Bundle, load_model

CONFIGS = Path(__file__).parent / "configs"
_SYNTHETIC = frozenset({"data", "motion", "minutes", "batch", "resume", "start", "device"})
_RECORDED = frozenset({"data", "minutes", "batch", "resume", "start", "processes"})


@dataclass(frozen=True)
class Kind:
    """How one kind of network is configured, trained, built and exported.

    Attributes
    ----------
    config
        Its configuration.
    default
        Name of its first configuration in `CONFIGS`.
    train
        Trains it and returns its checkpoint.
    options
        The options of ``train`` that it takes, besides ``--out``.
    spec
        What its bundle consists of.
    build
        Builds the network of a configuration; ``None`` where the bundle holds constants alone.
    """

    config: type[RunConfig]
    default: str
    train: Callable[[Any, Job], Path]
    options: frozenset[str]
    spec: BundleSpec
    build: Callable[[Any], nn.Module] | None = None


KINDS = {
    "chakrabarti": Kind(
        ChakrabartiRunConfig,
        "compact",
        partial(train_synthetic, ChakrabartiTrainer),
        _SYNTHETIC,
        CHAKRABARTI,
        Chakrabarti,
    ),
    "wieschollek": Kind(
        BurstRunConfig, "burst", partial(train_synthetic, BurstTrainer), _SYNTHETIC, BURST, Wieschollek
    ),
    "eboli": Kind(MotionRunConfig, "motion", partial(train_synthetic, MotionTrainer), _SYNTHETIC, MOTION, MotionNet),
    "schuler": Kind(
        SchulerRunConfig, "schuler", partial(train_synthetic, SchulerTrainer), _SYNTHETIC, QUOTIENTS, Schuler
    ),
    "kaufman": Kind(KaufmanRunConfig, "kaufman", partial(train_synthetic, KaufmanTrainer), _SYNTHETIC, PAIR, Kaufman),
    "analysis": Kind(
        AnalysisRunConfig,
        "analysis-small",
        partial(train_synthetic, AnalysisTrainer),
        _SYNTHETIC,
        ANALYSIS,
        Analysis,
    ),
    "kernel-classifier": Kind(
        ClassifierRunConfig,
        "kernel-classifier",
        partial(train_synthetic, ClassifierTrainer),
        _SYNTHETIC,
        CLASSIFIER,
        Classifier,
    ),
    "synthesis": Kind(
        SynthesisRunConfig, "synthesis", train_synthesis, _SYNTHETIC | {"processes"}, SYNTHESIS, Synthesis
    ),
    "kernel-prior": Kind(PriorRunConfig, "kernel-prior", train_prior, _RECORDED, PRIOR, KernelPrior),
    "repair": Kind(RepairRunConfig, "repair", train_repair, _RECORDED, REPAIR, Repair),
    "epll": Kind(
        MixtureRunConfig, "mixture", train_mixture, frozenset({"data", "minutes", "batch", "resume", "device"}), MIXTURE
    ),
    "irc": Kind(BankRunConfig, "bank", compute_bank, frozenset(), BANK),
}


def kind_of(config: RunConfig) -> Kind:
    """Return the row of a configuration."""
    return KINDS[config.method]  # type: ignore[attr-defined]


def parse_config(content: dict[str, Any]) -> RunConfig:
    """Build the configuration of the kind that ``method`` names, ``"chakrabarti"`` if it is missing.

    Raises
    ------
    ValueError
        If there is no such kind, a key is unknown or missing, or a value cannot be used.
    """
    method = content.get("method", "chakrabarti")
    if method not in KINDS:
        raise ValueError(f"method must be one of {', '.join(KINDS)}, got {method!r}")
    return KINDS[method].config.from_dict(content)


def read_config(name: str | Path) -> RunConfig:
    """Read a TOML file, a shipped configuration by its name, or the first shipped one of a kind.

    Raises
    ------
    FileNotFoundError
        If there is none of these.
    ValueError
        If it is not valid.
    """
    path = Path(name)
    if not path.is_file():
        path = CONFIGS / f"{KINDS[str(name)].default if str(name) in KINDS else name}.toml"
    if not path.is_file():
        shipped = ", ".join(sorted(file.stem for file in CONFIGS.glob("*.toml")))
        raise FileNotFoundError(
            f"no configuration {str(name)!r}; give a TOML file, one of {shipped}, or a kind of {', '.join(KINDS)}"
        )
    try:
        return parse_config(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def load(path: str | Path) -> Trained:
    """Read a trained network from a checkpoint, full or slim, or from a bundle.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If it is damaged, of an unknown kind, or a bundle that holds constants alone.
    """
    if (Path(path) / MANIFEST).is_file():
        return load_bundle(load_model(path))
    return _rebuild(read_checkpoint(path), path)


def load_bundle(bundle: Bundle) -> Trained:
    """Rebuild the network of a bundle, with its weights as they are stored there.

    Raises
    ------
    InvalidModel
        If the bundle does not say how its network is built, lacks a weight of it, or holds constants alone.
    """
    kind = KINDS.get(bundle.method)
    if kind is None or kind.build is None:
        raise InvalidModel(f"{bundle.path}: is of method {bundle.method!r}, from which no training can start")
    if "config" not in bundle.training:
        raise InvalidModel(f"{bundle.path}: does not record the configuration of its network; export it again")
    named = {"name": bundle.name, "description": bundle.description, "method": bundle.method}
    content = {**bundle.training["config"], **named}
    if "assumes" in kind.config.__dataclass_fields__:
        content["assumes"] = dict(bundle.assumes)
    try:
        config = parse_config(content)
    except ValueError as error:
        raise InvalidModel(f"{bundle.path}: {error}") from error
    weights = read_weights(bundle, kind.spec, kind.build(config.network))  # type: ignore[attr-defined]
    samples = int(bundle.training.get("samples", 0))
    return _rebuild(Checkpoint(config.to_dict(), weights, samples, dict(bundle.accuracy)), bundle.path)


def _rebuild(checkpoint: Checkpoint, path: str | Path) -> Trained:
    """Build the network of a checkpoint; errors name the path."""
    try:
        config = parse_config(dict(checkpoint.config))
        kind = kind_of(config)
        # With the defaults filled in, so that configurations can be compared.
        checkpoint = dataclasses.replace(checkpoint, config=config.to_dict())
        if kind.build is None:
            return Trained(kind.spec, config, checkpoint)
        network = kind.build(config.network)  # type: ignore[attr-defined]
        load_weights(network, checkpoint)
    except ValueError as error:
        raise InvalidModel(f"{path}: {error}") from error
    return Trained(kind.spec, config, checkpoint, network.eval().requires_grad_(False))
