"""Training of Motion-Net on patches whose motion is known."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from export.data.photographs import Photographs
from export.eboli.data import KINDS, MotionConfig, Motions, synthesise_motions
from export.eboli.network import UNIT, MotionNet, MotionNetConfig
from export.loop.config import SyntheticRunConfig
from export.loop.synthetic import SyntheticTrainer

_VALIDATION_KINDS = ("line", "turning")
"""Kinds of motion with a validation set each; recorded shake has none, since all of it is trained on."""

_TOGETHER = 64


@dataclass(frozen=True)
class MotionRunConfig(SyntheticRunConfig):
    """A network for the motion at every pixel: its name, layers, data and training."""

    method: Literal["eboli"] = "eboli"
    network: MotionNetConfig = field(default_factory=MotionNetConfig)
    data: MotionConfig = field(default_factory=MotionConfig)


class MotionTrainer(SyntheticTrainer):
    """Trains Motion-Net; validation measures the mean error of the motion, see `endpoint_error`."""

    unit = "px"
    config: MotionRunConfig
    network: MotionNet

    def validate(self) -> dict[str, float]:
        """Measure the error on the validation sets, and that of the best constant and of no motion at all."""
        found: dict[str, float] = {}
        for name, motions in self._validation.items():
            predicted = predict(self.network, motions.observed)[:, :2]
            found[name] = endpoint_error(predicted, motions.motion)
            found[f"{name}, mean motion"] = endpoint_error(motions.motion.mean(0).expand_as(predicted), motions.motion)
            found[f"{name}, no motion"] = endpoint_error(torch.zeros_like(predicted), motions.motion)
        return found | {"all": sum(found[name] for name in self._validation) / len(self._validation)}

    def _create_network(self) -> MotionNet:
        return MotionNet(self.config.network)

    def _make_validation(self, photographs: Photographs) -> dict[str, Motions]:
        made = {}
        for number, kind in enumerate(_VALIDATION_KINDS):
            shares: dict[str, Any] = {other: float(other == kind) for other in KINDS}
            data = dataclasses.replace(self.config.data, **shares)
            generator = torch.Generator(self.device).manual_seed(1000 + number)
            made[kind] = synthesise_motions(photographs, data, self.config.train.validation, generator)
        return made

    def _batch(self) -> Motions:
        return synthesise_motions(
            self._photographs, self.config.data, self.config.train.batch, self._generator, self._shake
        )

    def _loss(self, batch: Motions) -> Tensor:
        with self._autocast():
            predicted = self.network(batch.observed)
        return negative_log_likelihood(predicted, batch.motion)


def negative_log_likelihood(predicted: Tensor, motion: Tensor) -> Tensor:
    """Return the mean negative log-likelihood of motions ``(N, 2)``, up to a constant.

    The prediction ``(N, 3)`` is the median and the logarithm of the scale `s` of a Laplace distribution on the plane,
    with density proportional to ``exp(-|e| / s) / s^2``. An error weighs less where a large one was predicted, and
    where the patch tells nothing the median is a short motion, which does little harm.
    """
    error = (predicted[:, :2] - motion).norm(dim=1)
    return (error * torch.exp(-predicted[:, 2]) + 2 * (predicted[:, 2] - torch.tensor(UNIT).log())).mean()


def endpoint_error(predicted: Tensor, motion: Tensor) -> float:
    """Return the mean distance in pixels between the ends of motions that start together, whatever their sign.

    Both ``(N, 2)`` are given by the double angle, as `MotionNet` predicts them.
    """
    ours, theirs = single_angle(predicted), single_angle(motion)
    return float(torch.minimum((ours - theirs).norm(dim=1), (ours + theirs).norm(dim=1)).mean())


def single_angle(motion: Tensor) -> Tensor:
    """Turn ``(r cos 2 theta, r sin 2 theta)`` into ``(r cos theta, r sin theta)``, one of the two that it may be."""
    angle = torch.atan2(motion[:, 1], motion[:, 0]) / 2
    return motion.norm(dim=1, keepdim=True) * torch.stack((torch.cos(angle), torch.sin(angle)), 1)


@torch.no_grad()
def predict(network: MotionNet, patches: Tensor) -> Tensor:
    """Run the network on many patches."""
    return torch.cat([network(part) for part in patches.split(_TOGETHER)])
