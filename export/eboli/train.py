"""Training of Motion-Net: as `Trainer` does it, on patches whose motion is known."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from export.data.photographs import Photographs
from export.eboli.data import KINDS, Motions, synthesise_motions
from export.eboli.network import UNIT, MotionNet
from export.loop.config import MotionRunConfig
from export.loop.trainer import Trainer, load_checkpoint

VALIDATION_KINDS = ("line", "turning")
"""Kinds of motion that validation looks at each by itself; recorded shake is left out, it is trained on."""

_FIT_BATCHES = 16
_TOGETHER = 64


class MotionTrainer(Trainer):
    """Trains Motion-Net; see `Trainer`. Validation measures mean errors of the motion, see `endpoint_error`."""

    measure, unit = "error", "px"
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
        for number, kind in enumerate(VALIDATION_KINDS):
            data = dataclasses.replace(self.config.data, **{other: float(other == kind) for other in KINDS})
            generator = torch.Generator(self.device).manual_seed(1000 + number)
            made[kind] = synthesise_motions(photographs, data, self.config.train.validation, generator)
        return made

    def _loss(self) -> Tensor:
        motions = self._motions()
        with self._autocast():
            predicted = self.network(motions.observed)
        return surprise(predicted, motions.motion)

    def _motions(self) -> Motions:
        return synthesise_motions(
            self._photographs, self.config.data, self.config.train.batch, self._generator, self._shake
        )

    def _fit(self) -> None:
        self.network.fit(torch.cat([self._motions().observed for _ in range(_FIT_BATCHES)]))


def surprise(predicted: Tensor, motion: Tensor) -> Tensor:
    """Mean negative log-likelihood of motions ``(N, 2)``, less a constant.

    What is predicted, ``(N, 3)``, are the median and the logarithm of the scale `s` of a Laplace distribution of the
    plane, whose density falls as ``exp(-|e| / s) / s^2``. An error weighs less where it was to be expected, and where
    nothing is certain the median is a short motion, which does little harm.
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


def load_motion_network(path: str | Path) -> tuple[MotionNet, dict[str, Any]]:
    """Read a checkpoint and build its network, on the CPU, ready for inference."""
    checkpoint = load_checkpoint(path)
    network = MotionNet(MotionRunConfig.from_dict(checkpoint["config"]).network)
    network.load_state_dict(checkpoint["network"])
    return network.eval().requires_grad_(False), checkpoint
