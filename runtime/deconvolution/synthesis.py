"""Deconvolution by a network that the blur kernel guides (Kaufman and Fattal 2020, section 3.2), in stages.

The first stage sees two linear inverses of the photograph. Between the stages the photograph has its say, as in other
half-quadratic methods: the estimate of a stage is a prior for the next solution of the quadratic step.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import count

import numpy as np

from kernels.arrays import Array, array_module
from runtime.blur.kernel import Kernel, fit, normalise, resize
from runtime.deconvolution.observation import Observation
from runtime.errors import InvalidModel
from runtime.inference.assumptions import ImageAssumptions
from runtime.inference.bundle import Bundle, load_model
from runtime.inference.devices import Device, download
from runtime.inference.session import Session, open_session

MODEL = "synthesis"
"""Name of the bundle."""
CONSTANTS = "synthesis"
"""Name of its constants: ``deviations (stages - 1,)``, the expected errors of the estimates that stages pass on."""
PLANES = 3
"""Planes that each stage sees."""
MARGIN = 32
"""Pixels by which periodic planes are continued, since the network takes what is beyond them for black."""


def part_name(stage: int) -> str:
    """Return the name of the part of a bundle that is a stage, counted from 0."""
    return f"stage{stage + 1}"


@dataclass(frozen=True)
class SynthesisAssumptions(ImageAssumptions):
    """What a synthesis network was trained with.

    Attributes
    ----------
    side
        Side in pixels of the kernels that guide it, odd.
    unit
        Sides of its planes are multiples of this.
    weights
        Of the squared gradient in the two inverses, in units of the variance of the noise.
    noise
        Smallest and largest standard deviation of the noise, in units of the value range.
    """

    side: int = 85
    unit: int = 8
    weights: tuple[float, float] = (100.0, 10.0)
    noise: tuple[float, float] = (0.002, 0.04)

    def __post_init__(self) -> None:
        if self.side < 3 or self.side % 2 == 0 or self.unit < 1:
            raise ValueError(f"side must be odd and at least 3 and unit at least 1, got {self.side} and {self.unit}")
        if min(self.weights) <= 0 or not 0 < self.noise[0] <= self.noise[1]:
            raise ValueError(f"weights must be positive and noise a range, got {self.weights} and {self.noise}")


class Synthesiser:
    """The synthesis network on a device.

    Parameters
    ----------
    bundle
        A bundle with parts ``stage1``, ``stage2``, ..., the constants `CONSTANTS` and `SynthesisAssumptions`; each part
        has the inputs ``planes`` (batch, 3, height, width), ``kernels`` (batch, side, side) and ``noise`` (batch), and
        the output ``latent`` (batch, height, width). It may assume more than that, for other parts.
    device
        The device on which the network runs.

    Raises
    ------
    InvalidModel
        If the bundle has no such networks.
    """

    def __init__(self, bundle: Bundle, *, device: Device) -> None:
        self._assumes = bundle.read_assumptions(SynthesisAssumptions, partly=True)
        try:
            deviations = bundle.load_constants(CONSTANTS)["deviations"]
            stages = next(stage for stage in count(1) if part_name(stage) not in bundle.parts)
            if deviations.shape != (stages - 1,) or not (np.isfinite(deviations).all() and (deviations > 0).all()):
                raise ValueError(
                    f"deviations of shape {deviations.shape} for {stages} stages, or some that are not positive"
                )
        except (KeyError, ValueError) as error:
            raise InvalidModel(
                f"{bundle.path}: not the constants of a synthesis network ({error}); export it again"
            ) from error
        self._deviations = [float(deviation) for deviation in deviations]
        side = self._assumes.side
        self._stages: list[Session] = []
        for stage in range(stages):
            bundle.part(part_name(stage)).require(
                bundle.path,
                {"planes": ("batch", PLANES, "height", "width"), "kernels": ("batch", side, side), "noise": ("batch",)},
                {"latent": ("batch", "height", "width")},
            )
            self._stages.append(open_session(bundle, part_name(stage), device=device))

    def restore(self, observation: Observation, *, steps: int = 16) -> Array:
        """Restore one plane.

        Parameters
        ----------
        observation
            The blurred plane.
        steps
            Conjugate-gradient steps of each of the first two solves, see `Observation.solve`.

        Returns
        -------
        array of float32
            Latent image on the periodic plane of `observation`.
        """
        model, noise = observation.model, observation.noise
        xp = array_module(model.power)
        low, high = self._assumes.noise
        facts = {
            "kernels": xp.asarray(guide(download(observation.kernel), self._assumes.side)[None]),
            "noise": xp.asarray(np.array([min(max(noise, low), high)], np.float32)),
        }
        gradient = model.gradient_power()
        smooth, sharp = (
            model.plane(observation.solve(1.0, np.float32(weight * noise**2) * gradient, steps=steps))
            for weight in self._assumes.weights
        )
        estimate = self._run(0, xp.stack([smooth, sharp, observation.extended]), facts)
        for stage, deviation in enumerate(self._deviations, start=1):
            coupling = np.float32((noise / deviation) ** 2)
            prior = xp.full(model.power.shape, coupling, dtype=xp.float32)
            agreed = model.plane(observation.solve(1.0, prior, coupling * model.spectrum(estimate), steps=1))
            estimate = self._run(stage, xp.stack([agreed, estimate, observation.extended]), facts)
        return estimate

    def _run(self, stage: int, planes: Array, facts: dict[str, Array]) -> Array:
        """Run a stage on periodic planes (3, H, W) of any size, which are continued on all sides."""
        height, width = planes.shape[1:]
        margins = [(0, 0), *((MARGIN, MARGIN + -(side + 2 * MARGIN) % self._assumes.unit) for side in (height, width))]
        padded = array_module(planes).pad(planes, margins, mode="wrap")
        latent = self._stages[stage].run(planes=padded[None], **facts)["latent"][0]
        inner: Array = latent[MARGIN : MARGIN + height, MARGIN : MARGIN + width]
        return array_module(planes).ascontiguousarray(inner)


def guide(kernel: Kernel, side: int) -> Kernel:
    """Return a kernel as the network sees it, float32 (side, side) of sum 1; a larger one is shrunk."""
    largest = max(kernel.shape)
    if largest > side:
        kernel = resize(kernel, side, side / largest)
    return normalise(fit(kernel.astype(np.float64), side)).astype(np.float32)


def load_synthesiser(device: Device, bundle: Bundle | None = None) -> Synthesiser:
    """Return a synthesis network on a device, by default that of the package; the latter is cached."""
    return _shipped(device) if bundle is None else Synthesiser(bundle, device=device)


@lru_cache(maxsize=4)
def _shipped(device: Device) -> Synthesiser:
    return Synthesiser(load_model(MODEL), device=device)
