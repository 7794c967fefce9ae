"""What a kernel's error leaves in a restored photograph, taken away by a network that knows what it looks like.

A kernel that was estimated is never quite right, and the ringing and doubled edges that deconvolution makes of its
error do not look like a photograph. A small network sees the observed and the restored photograph and where they
disagree, says at each pixel how far to trust the restoration and what to add, and how large an error it expects of
either.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from kernels.arrays import Array, array_module
from runtime.blur.blurs import Blur
from runtime.colour import luminance
from runtime.decisions.thresholds import FULL_REPAIR_GAIN
from runtime.errors import InvalidModel
from runtime.inference.bundle import Bundle, load_model
from runtime.inference.devices import Device, download
from runtime.inference.session import open_session
from runtime.tiles import Span, tiles

MODEL = "repair"
PART = "repair"
REACH = 128
"""Pixels around a tile that matter to it."""


@dataclass(frozen=True)
class RepairAssumptions:
    """What a repair network assumes about its input, as its bundle states it.

    Attributes
    ----------
    unit
        Sides of the input planes are multiples of this many pixels; errors are predicted for squares of this side.
    least_noise
        Standard deviation below which noise counts as this much, values in [0, 1].
    log_errors
        Range that the logarithm of the kernel's expected error is clipped to.
    least_width
        Standard deviation in pixels below which a kernel counts as this wide.
    offsets
        Added to the logarithms of noise, error and width, so that they are about 0 for an ordinary photograph.
    """

    unit: int
    least_noise: float
    log_errors: tuple[float, float]
    least_width: float
    offsets: tuple[float, float, float]

    def __post_init__(self) -> None:
        if not isinstance(self.unit, int) or self.unit < 1:
            raise ValueError(f"unit must be a whole number of pixels, got {self.unit!r}")
        if min(self.least_noise, self.least_width) <= 0:
            raise ValueError(f"least_noise and least_width must be positive: {self.least_noise}, {self.least_width}")
        if not self.log_errors[0] < self.log_errors[1] or len(self.offsets) != 3:
            raise ValueError(f"log_errors must be a range and offsets three: {self.log_errors}, {self.offsets}")


@dataclass(frozen=True)
class Repaired:
    """A repaired photograph.

    Attributes
    ----------
    planes : (C, H, W) array of float32
    gain : float
        How much nearer to the truth than the observed photograph the network expects it to be, in dB of PSNR.
    """

    planes: Array
    gain: float


class Repairer:
    """The network of a bundle on a device.

    Parameters
    ----------
    bundle
        With a part ``repair`` that takes ``planes`` (batch, 3, height, width) and ``facts`` (batch, 3) and gives
        ``repaired`` (batch, height, width) and ``log_errors`` (batch, 2, height / unit, width / unit), and with
        `RepairAssumptions`; by default the one that ships with the runtime.
    device
        Where it runs.

    Raises
    ------
    InvalidModel
        If the bundle is no such network.
    """

    def __init__(self, bundle: Bundle | None = None, *, device: Device) -> None:
        bundle = bundle or load_model(MODEL)
        part = bundle.part(PART)
        self._assumes = bundle.read_assumptions(RepairAssumptions)
        if part.outputs[-1].shape[-1] != f"width/{self._assumes.unit}":
            raise InvalidModel(
                f"{bundle.path}: assumes a unit of {self._assumes.unit} px, but its last output is "
                f"{part.outputs[-1].shape}; export it again"
            )
        self._session = open_session(bundle, PART, device=device, precision="fp32")

    def repair(self, observed: Array, restored: Array, blur: Blur, *, log_error: float, noise: float) -> Repaired:
        """Repair a restored photograph, tile by tile: the less, the better it is expected to be already.

        Parameters
        ----------
        observed, restored : (C, H, W) array of float32
            The photograph, values in [0, 1], and what deconvolution made of it. Their luminance is repaired, and every
            plane changed alike.
        blur : Blur
            What it was deconvolved by.
        log_error : float
            Logarithm of the blur's predicted relative error.
        noise : float
            Standard deviation of the photograph's noise.
        """
        xp = array_module(restored)
        seen, latent = luminance(observed), luminance(restored)
        told = xp.asarray(facts(noise, log_error, blur.width, self._assumes)[None])
        blurred, unit = blur.apply(latent[None])[0], self._assumes.unit
        repaired, errors = xp.zeros_like(latent), np.zeros(2)
        reach = REACH + blur.support
        for spans in tiles(latent.shape, (reach, reach)):
            rows, cols = (replace(span, start=span.start // unit * unit) for span in spans)
            window = slice(rows.start, rows.stop), slice(cols.start, cols.stop)
            tile, log_errors = self._run(evidence(seen[window], latent[window], blurred[window]), told)
            tile *= rows.weights(latent.shape[0], tile)[:, None] * cols.weights(latent.shape[1], tile)
            repaired[window] += tile
            core = log_errors[:, _squares(rows, unit), _squares(cols, unit)]
            errors += np.exp(download(core).astype(np.float64)).sum(axis=(1, 2))
        gain = 10 * math.log10(errors[0] / errors[1])
        share = FULL_REPAIR_GAIN.below(gain)
        return Repaired(restored + share * (repaired - latent), gain)

    def _run(self, planes: Array, told: Array) -> tuple[Array, Array]:
        """Run the network on planes (3, h, w) of any size, extended to multiples of the assumed unit."""
        height, width = planes.shape[1:]
        more = [(0, 0), (0, -height % self._assumes.unit), (0, -width % self._assumes.unit)]
        padded = array_module(planes).pad(planes, more, mode="edge")
        found = self._session.run(planes=padded[None], facts=told)
        return found["repaired"][0, :height, :width], found["log_errors"][0]


def evidence(observed: Array, restored: Array, blurred: Array) -> Array:
    """Return what the network sees, (3, H, W): observed, restored, and the latter, blurred again, less observed."""
    return array_module(restored).stack([observed, restored, blurred - observed])


def facts(noise: float, log_error: float, width: float, assumes: RepairAssumptions) -> NDArray[np.float32]:
    """Return the network's second input, numbers (3,) of the order of 1.

    Parameters
    ----------
    noise : float
        Standard deviation of the noise.
    log_error : float
        Logarithm of the kernel's expected relative error.
    width : float
        Of the kernel: its standard deviation in pixels.
    assumes
        Of the network.
    """
    low, high = assumes.log_errors
    logarithms = (
        math.log10(max(noise, assumes.least_noise)),
        min(max(log_error, low), high),
        math.log(max(width, assumes.least_width)),
    )
    return np.array([value + offset for value, offset in zip(logarithms, assumes.offsets, strict=True)], np.float32)


def _squares(span: Span, unit: int) -> slice:
    """Return which squares of a tile lie in the core of the tile, along one axis."""
    return slice((span.first - span.start) // unit, -(-(span.last - span.start) // unit))


@lru_cache(maxsize=4)
def load_repairer(device: Device) -> Repairer:
    """Return the repair network that ships with the runtime, on a device, loaded once."""
    return Repairer(device=device)
