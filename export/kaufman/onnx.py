"""The pair as ONNX graphs, and what its bundle consists of: the parts of both networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from torch import Tensor

from export.kaufman.analysis import onnx as analysis
from export.kaufman.synthesis import onnx as synthesis
from export.kaufman.train import KaufmanRunConfig
from export.onnx.bundles import Arrays, BundleSpec
from runtime.estimation.analysis import PairAssumptions

_ANALYSIS, _SYNTHESIS = "analysis.", "synthesis."
"""What the names of weights of the two networks begin with."""


def constants(weights: Mapping[str, Tensor]) -> dict[str, Arrays]:
    """Return the constants of the bundle."""
    return {**analysis.constants(_of(weights, _ANALYSIS)), **synthesis.constants(_of(weights, _SYNTHESIS))}


def unpack(stored: Mapping[str, Arrays]) -> Arrays:
    """Return the entries of the state dict that the constants hold."""
    own = {f"{_ANALYSIS}{name}": value for name, value in analysis.unpack(stored).items()}
    return own | {f"{_SYNTHESIS}{name}": value for name, value in synthesis.unpack(stored).items()}


def assumptions(config: KaufmanRunConfig) -> PairAssumptions:
    """Return what the runtime must know of the networks of a run.

    Raises
    ------
    ValueError
        If bundles of such networks cannot be written.
    """
    first = analysis.assumptions(config.network.analysis)
    second = synthesis.assumptions(config.network.synthesis, config.data)
    return PairAssumptions(**{**asdict(first), **asdict(second)})


def _of(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}


SPEC = BundleSpec(
    {**analysis.parts(_ANALYSIS), **synthesis.parts(_SYNTHESIS)},
    assumes=assumptions,
    constants=constants,
    unpack=unpack,
)
