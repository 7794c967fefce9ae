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
from runtime.inference.bundle import Bundle, load_model
from runtime.inference.devices import Device, download
from runtime.inference.session import open_session
from runtime.tiles import Span, tiles

MODEL = "repair"
PART = "repair"
UNIT = 8
"""Sides of what the network sees are multiples of this, and so are those of the squares whose errors it expects."""
REACH = 128
"""Pixels around a tile that matter to it."""
LEAST_NOISE, LEAST_WIDTH = 1e-4, 0.3
LOG_ERRORS = -4.0, 1.0
"""Range of the kernel's expected error that the network is told of."""


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
        ``repaired`` (batch, height, width) and ``log_errors`` (batch, 2, height / 8, width / 8); by default the one
        that ships with the runtime.
    device
        Where it runs.
    """

    def __init__(self, bundle: Bundle | None = None, *, device: Device) -> None:
        self._session = open_session(bundle or load_model(MODEL), PART, device=device, precision="fp32")

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
        told = xp.asarray(facts(noise, log_error, blur.width)[None])
        blurred = blur.apply(latent[None])[0]
        repaired, errors = xp.zeros_like(latent), np.zeros(2)
        reach = REACH + blur.support
        for spans in tiles(latent.shape, (reach, reach)):
            rows, cols = (replace(span, start=span.start // UNIT * UNIT) for span in spans)
            window = slice(rows.start, rows.stop), slice(cols.start, cols.stop)
            tile, log_errors = self._run(evidence(seen[window], latent[window], blurred[window]), told)
            tile *= rows.weights(latent.shape[0], tile)[:, None] * cols.weights(latent.shape[1], tile)
            repaired[window] += tile
            core = log_errors[:, _squares(rows), _squares(cols)]
            errors += np.exp(download(core).astype(np.float64)).sum(axis=(1, 2))
        gain = 10 * math.log10(errors[0] / errors[1])
        share = FULL_REPAIR_GAIN.below(gain)
        return Repaired(restored + share * (repaired - latent), gain)

    def _run(self, planes: Array, told: Array) -> tuple[Array, Array]:
        """Run the network on planes (3, h, w) of any size, continued to a multiple of `UNIT`."""
        height, width = planes.shape[1:]
        more = [(0, 0), (0, -height % UNIT), (0, -width % UNIT)]
        padded = array_module(planes).pad(planes, more, mode="edge")
        found = self._session.run(planes=padded[None], facts=told)
        return found["repaired"][0, :height, :width], found["log_errors"][0]


def evidence(observed: Array, restored: Array, blurred: Array) -> Array:
    """Return what the network sees, (3, H, W): observed, restored, and the latter, blurred again, less observed."""
    return array_module(restored).stack([observed, restored, blurred - observed])


def facts(noise: float, log_error: float, width: float) -> NDArray[np.float32]:
    """Return what the network is told, numbers (3,) of the order of 1.

    Parameters
    ----------
    noise : float
        Standard deviation of the noise.
    log_error : float
        Logarithm of the kernel's expected relative error.
    width : float
        Of the kernel: its standard deviation in pixels.
    """
    return np.array(
        [
            math.log10(max(noise, LEAST_NOISE)) + 2,
            min(max(log_error, LOG_ERRORS[0]), LOG_ERRORS[1]) + 1.5,
            math.log(max(width, LEAST_WIDTH)) - 1,
        ],
        np.float32,
    )


def _squares(span: Span) -> slice:
    """Return the squares, of those of a tile, that lie in the part that it stands for."""
    return slice((span.first - span.start) // UNIT, -(-(span.last - span.start) // UNIT))


@lru_cache(maxsize=4)
def load_repairer(device: Device) -> Repairer:
    """Return the repair network that ships with the runtime, on a device, loaded once."""
    return Repairer(device=device)
