"""Repair of a restoration by a network that removes the artefacts of an inexact blur kernel.

An estimated kernel always has errors, which deconvolution turns into ringing and doubled edges. The input of the
network is the observed image, the restored image, and the difference between the restored image, blurred again, and the
observed image. At each pixel the network predicts a weight of the restoration and a correction. It also predicts the
squared errors of the observed and of the repaired image, whose ratio is the predicted gain.
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
from runtime.deconvolution.saturation import bounded
from runtime.errors import InvalidModel
from runtime.inference.bundle import Bundle, load_model
from runtime.inference.devices import Device, download
from runtime.inference.session import open_session
from runtime.response import LINEAR, Response
from runtime.tiles import FADE, Span, bands, tiles

MODEL = "repair"
"""Name of the bundle."""
PART = "repair"
"""Name of the network in the bundle."""
REACH = 96
"""Margin in pixels of a tile: the receptive field of the network extends by 95 px."""
_CORE = 768
"""Side of a tile in pixels, about, without the margins. A run takes 126 MiB; of larger tiles it takes twice as much."""


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
        The repaired photograph.
    gain : float
        Predicted gain in PSNR, in dB, over the observed photograph.
    """

    planes: Array
    gain: float


class Repairer:
    """The repair network on a device.

    Parameters
    ----------
    bundle
        A bundle with a network ``repair`` of inputs ``planes`` (batch, 3, height, width) and ``facts`` (batch, 3), and
        outputs ``repaired`` (batch, height, width) and ``log_errors`` (batch, 2, height / unit, width / unit), and with
        `RepairAssumptions`; by default the one included in the package.
    device
        The device on which the network runs.

    Raises
    ------
    InvalidModel
        If the bundle has no such network.
    """

    def __init__(self, bundle: Bundle | None = None, *, device: Device) -> None:
        bundle = bundle or load_model(MODEL)
        part = bundle.part(PART)
        self._path = bundle.path
        self._assumes = bundle.read_assumptions(RepairAssumptions)
        unit = self._assumes.unit
        part.require(
            bundle.path,
            {"planes": ("batch", 3, "height", "width"), "facts": ("batch", 3)},
            {
                "repaired": ("batch", "height", "width"),
                "log_errors": ("batch", 2, f"height/{unit}", f"width/{unit}"),
            },
        )
        self._session = open_session(bundle, PART, device=device, precision="fp32")

    def repair(
        self,
        guide: Array,
        restored: Array,
        blur: Blur,
        *,
        log_error: float,
        noise: float,
        known: Array | None = None,
        response: Response = LINEAR,
    ) -> Repaired:
        """Repair a restored photograph, tile by tile; the larger the predicted gain, the weaker the correction.

        Parameters
        ----------
        guide : (H, W) array of float32
            Luminance of the observed photograph, values in [0, 1].
        restored : (C, H, W) array of float32
            Its deconvolution, changed in place: its luminance is repaired, and the correction added to every plane.
        blur : Blur
            The blur of the deconvolution.
        log_error : float
            Natural logarithm of the blur's predicted relative squared error.
        noise : float
            Standard deviation of the noise of the photograph, in units of the value range.
        known : (H, W) array of bool, optional
            Pixels whose observed values are known; at the others the restoration, blurred again, takes their place.
        response : Response
            The curve from all these values to those that the network looks at, which are as stored.
        """
        noise /= response.mean_slope_of(guide)
        parameters = array_module(restored).asarray(facts(noise, log_error, blur.width, self._assumes)[None])
        blurred = blur.apply(bounded(luminance(restored))[None])[0]
        repaired, gain = self._repair(guide, restored, blurred, parameters, known, response)
        strength = FULL_REPAIR_GAIN.below(gain)
        for band in bands(guide.shape):
            stored = response.from_light(restored[:, band])
            stored += strength * (repaired[band] - _latent(restored[:, band], response))
            restored[:, band] = response.to_light(stored)
        return Repaired(restored, gain)

    def _repair(
        self,
        guide: Array,
        restored: Array,
        blurred: Array,
        parameters: Array,
        known: Array | None,
        response: Response,
    ) -> tuple[Array, float]:
        """Return the stored values (H, W) of the repaired luminance, and the predicted gain in dB."""
        xp, unit, shape = array_module(guide), self._assumes.unit, guide.shape
        repaired, sums = xp.zeros_like(guide), xp.zeros(2)
        for spans in tiles(shape, (REACH + FADE,) * 2, _CORE):
            rows, cols = (replace(span, start=span.start // unit * unit) for span in spans)
            window = slice(rows.start, rows.stop), slice(cols.start, cols.stop)
            again = response.from_light(blurred[window])
            seen = bounded(response.from_light(guide[window]))
            seen = seen if known is None else xp.where(known[window], seen, again)
            tile, log_errors = self._run(evidence(seen, _latent(restored[:, *window], response), again), parameters)
            tile *= rows.weights(shape[0], tile)[:, None] * cols.weights(shape[1], tile)
            repaired[window] += tile
            inside = log_errors[:, _squares(rows, unit), _squares(cols, unit)]
            with np.errstate(over="ignore"):
                sums += xp.exp(inside.astype(np.float64)).sum(axis=(1, 2))
        errors = download(sums)
        if not (np.isfinite(errors).all() and errors.min() > 0):
            raise InvalidModel(f"{self._path}: predicts errors of {errors}: its weights are damaged; export it again")
        return repaired, 10 * math.log10(errors[0] / errors[1])

    def _run(self, planes: Array, parameters: Array) -> tuple[Array, Array]:
        """Run the network on planes (3, h, w) of any size, which are padded to multiples of the assumed unit."""
        height, width = planes.shape[1:]
        margins = [(0, 0), (0, -height % self._assumes.unit), (0, -width % self._assumes.unit)]
        padded = array_module(planes).pad(planes, margins, mode="edge")
        outputs = self._session.run(planes=padded[None], facts=parameters)
        return outputs["repaired"][0, :height, :width], outputs["log_errors"][0]


def _latent(restored: Array, response: Response) -> Array:
    """Return the luminance (H, W) of a part (C, H, W) of a restoration as stored values."""
    return response.from_light(bounded(luminance(restored)))


def evidence(observed: Array, restored: Array, blurred: Array) -> Array:
    """Return the input planes of the network, (3, H, W): observed, restored, and ``blurred - observed``."""
    return array_module(restored).stack([observed, restored, blurred - observed])


def facts(noise: float, log_error: float, width: float, assumes: RepairAssumptions) -> NDArray[np.float32]:
    """Return the scalar inputs of the network, float32 (3,), scaled to the order of 1.

    Parameters
    ----------
    noise : float
        Standard deviation of the noise, in units of the value range.
    log_error : float
        Natural logarithm of the kernel's predicted relative squared error; NaN, without a prediction, counts as large.
    width : float
        Standard deviation of the kernel in pixels.
    assumes
        Of the network.
    """
    low, high = assumes.log_errors
    logarithms = (
        math.log10(max(noise, assumes.least_noise)),
        high if math.isnan(log_error) else min(max(log_error, low), high),
        math.log(max(width, assumes.least_width)),
    )
    return np.array([value + offset for value, offset in zip(logarithms, assumes.offsets, strict=True)], np.float32)


def _squares(span: Span, unit: int) -> slice:
    """Return the range of the squares of a tile that lie in its core, without the margins."""
    return slice((span.first - span.start) // unit, -(-(span.last - span.start) // unit))


@lru_cache(maxsize=4)
def load_repairer(device: Device) -> Repairer:
    """Return the repair network of the package on a device; it is cached."""
    return Repairer(device=device)
