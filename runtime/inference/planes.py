"""Run a network from patches to patches, of any colour and range of values, over a whole photograph.

`runtime.inference.patch_engine` runs the networks of methods that see one plane at a time. The networks here restore
all planes of a photograph at once; what they take for black, white, red and the mean is converted for each batch, so
that no second photograph is in memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from kernels.arrays import Array, array_module
from kernels.patches import PatchGrid, extract_patches
from runtime.arguments import check_whole
from runtime.errors import InvalidModel
from runtime.inference.bundle import Bundle, Part, PatchGeometry
from runtime.inference.devices import Device
from runtime.inference.patch_engine import BatchRunner, plan_patches
from runtime.inference.progress import Progress, Stopwatch
from runtime.inference.session import Session, open_session

CHANNELS = {"rgb": 3, "bgr": 3, "grey": 1, "y": 1}
"""Channels of a network, by what they are: "grey" is each plane by itself, "y" the luminance alone."""
RESIDUALS = {"none": 0, "add": 1, "subtract": -1}
"""Sign with which the difference that a network gives is added to its input; 0 where it gives the result itself."""
CPU_PIXELS = 2**18
"""Pixels of a batch on the CPU by default: four patches of 256, whose layers of 64 channels take 64 MB each."""
CUDA_PIXELS = 2**21
"""The same on a GPU."""
STAGE = "patches"
"""Name of the stage in progress reports."""
_LARGEST = 1e6
"""Magnitude of a value of the range, mean or standard deviation, at most."""


@dataclass(frozen=True)
class PixelAssumptions:
    """What a network takes its input for; it gives its output in the same units.

    The value ``v`` of a photograph, 0 for black and 1 for white, is fed as
    ``(black + (white - black) * v - mean) / std``.

    Attributes
    ----------
    range
        Black and white.
    colour
        ``"rgb"`` or ``"bgr"`` for three channels; for one, ``"grey"`` if each plane of a photograph is restored by
        itself, or ``"y"`` if only its luminance is and the differences of its colours stay.
    mean, std
        In units of `range`; one value, or one for each channel in the order of the network.
    residual
        ``"none"``, or ``"add"`` or ``"subtract"`` if the network gives what is to be added to its input or subtracted.

    Raises
    ------
    ValueError
        If a value cannot be used.
    """

    range: tuple[float, float] = (0, 1)
    colour: str = "rgb"
    mean: tuple[float, ...] = (0,)
    std: tuple[float, ...] = (1,)
    residual: str = "none"

    def __post_init__(self) -> None:
        if self.colour not in CHANNELS:
            raise ValueError(f"colour {self.colour!r} is none of {', '.join(CHANNELS)}")
        if self.residual not in RESIDUALS:
            raise ValueError(f"residual {self.residual!r} is none of {', '.join(RESIDUALS)}")
        numbers = (*self.range, *self.mean, *self.std)
        if not all(math.isfinite(number) and abs(number) <= _LARGEST for number in numbers):
            raise ValueError(f"range, mean and std must be finite numbers up to {_LARGEST:.0e}")
        if len(self.range) != 2 or self.range[0] == self.range[1]:
            raise ValueError("range must be the values of black and white, which differ")
        if len(self.mean) not in (1, self.channels) or len(self.std) not in (1, self.channels):
            raise ValueError(f"mean and std must be one number or {self.channels}, one for each channel")
        if not all(deviation > 1 / _LARGEST for deviation in self.std):
            raise ValueError("std must be positive")

    @property
    def channels(self) -> int:
        """Number of channels of the network."""
        return CHANNELS[self.colour]

    def scale_and_offset(self, channel: int) -> tuple[float, float]:
        """Return ``a`` and ``b`` so that a channel is fed ``a v + b``."""
        black, white = self.range
        mean, deviation = (values[channel % len(values)] for values in (self.mean, self.std))
        return (white - black) / deviation, (black - mean) / deviation

    def plane(self, channel: int) -> int:
        """Return the plane of a photograph, in the order red, green, blue, that a channel is."""
        return 2 - channel if self.colour == "bgr" else channel


class PlanesModel:
    """A network from patches to patches in the units of photographs.

    Parameters
    ----------
    session
        Takes float32 or float16 ``(N, C, size, size)``, N being any or a fixed number, and gives the same, or less by
        an equal margin on all sides.
    geometry
        Size of a patch, the core that is taken of what is given, and the default stride.
    pixels
        What the network takes its input for.

    Raises
    ------
    InvalidModel
        If the network takes or gives anything else.
    """

    def __init__(self, session: Session, geometry: PatchGeometry, pixels: PixelAssumptions) -> None:
        check_part(session.part, geometry, pixels)
        self._session, self.geometry, self.pixels = session, geometry, pixels
        taken = session.part.inputs[0]
        self._input, self._output, self._dtype = taken.name, session.part.outputs[0].name, taken.type
        self.fixed_batch = taken.shape[0] if isinstance(taken.shape[0], int) else None

    @property
    def device(self) -> Device:
        """The device on which `predict` runs."""
        return self._session.device

    def predict(self, patches: Sequence[Array], stopwatch: Stopwatch) -> list[Array]:
        """Restore patches.

        Parameters
        ----------
        patches
            Float32 ``(N, size, size)`` for each plane of the photograph, in the order red, green, blue, black being 0
            and white 1. There are as many as the network has channels, or one, which is given to every channel.
        stopwatch
            Measures the stages ``convert`` and ``network``.

        Returns
        -------
        list of array
            The restored cores of each plane, float32 ``(N, core, core)``; of one plane the mean of all channels.
        """
        with stopwatch("convert"):
            taken = self._taken(patches)
        with stopwatch("network"):
            given = self._run(taken)
        with stopwatch("convert"):
            return self._cores(given, patches)

    def _taken(self, patches: Sequence[Array]) -> Array:
        xp, count = array_module(patches[0]), len(patches[0])
        taken = xp.empty((count, self.pixels.channels, self.geometry.size, self.geometry.size), self._dtype)
        for channel in range(self.pixels.channels):
            scale, offset = self.pixels.scale_and_offset(channel)
            values = patches[self.pixels.plane(channel) % len(patches)]
            if scale != 1:
                values = values * np.float32(scale)
            if offset != 0:
                values = values + np.float32(offset)
            taken[:, channel] = values
        return taken

    def _run(self, taken: Array) -> Array:
        fixed = self.fixed_batch
        if fixed is None or len(taken) == fixed:
            return self._session.run(**{self._input: taken})[self._output]
        xp, given = array_module(taken), []
        for start in range(0, len(taken), fixed):
            part = taken[start : start + fixed]
            if len(part) < fixed:
                whole = xp.zeros((fixed, *part.shape[1:]), part.dtype)
                whole[: len(part)] = part
                part = whole
            given.append(self._session.run(**{self._input: part})[self._output])
        return xp.concatenate(given)[: len(taken)]

    def _cores(self, given: Array, patches: Sequence[Array]) -> list[Array]:
        restored: list[Array | None] = [None] * len(patches)
        for channel in range(self.pixels.channels):
            plane = self.pixels.plane(channel) % len(patches)
            scale, offset = self.pixels.scale_and_offset(channel)
            core = _central(given[:, channel], self.geometry.core).astype(np.float32)
            if scale != 1:
                core *= np.float32(1 / scale)
            if sign := RESIDUALS[self.pixels.residual]:
                core *= np.float32(sign)
                core += _central(patches[plane], self.geometry.core)
            elif offset != 0:
                core -= np.float32(offset / scale)
            known = restored[plane]
            restored[plane] = core if known is None else known + core
        if len(patches) < self.pixels.channels:
            restored = [each * np.float32(len(patches) / self.pixels.channels) for each in restored if each is not None]
        return [each for each in restored if each is not None]


class PlanesEngine:
    """Restores photographs with a network from patches to patches.

    Parameters
    ----------
    model
        The network.
    batch
        Patches per batch. By default it is chosen for the device and the size of a patch, and halved if the device runs
        out of memory, with a warning in the log; a batch size given here is never changed.
    """

    def __init__(self, model: PlanesModel, *, batch: int | None = None) -> None:
        self.model = model
        batch = check_whole("batch", batch, least=1, what="patches")
        pixels = CUDA_PIXELS if model.device.is_cuda else CPU_PIXELS
        default = model.fixed_batch or max(1, pixels // model.geometry.size**2)
        self._batches = BatchRunner(model.device, default if batch is None else batch, fixed=batch is not None)

    def restore(
        self,
        planes: Array,
        *,
        stride: int | None = None,
        stopwatch: Stopwatch | None = None,
        progress: Progress | None = None,
    ) -> Array:
        """Restore a photograph.

        Parameters
        ----------
        planes
            Float32 ``(1, H, W)`` or ``(3, H, W)``, any size from 1 px, values in [0, 1]. Three planes through a network
            of one channel are restored one by one; one plane through three channels is given to each, and their mean is
            taken.
        stride
            Distance between patches in pixels, from 1 to the core of the model; by default the model's.
        stopwatch
            Measures the stages ``extract``, ``convert``, ``network`` and ``overlap-add``.
        progress
            Called after every batch, with the stage ``"patches"``.

        Returns
        -------
        array
            Float32 of the shape of `planes`, on the same device: at each pixel the Hann-weighted mean of all restored
            cores.

        Raises
        ------
        InvalidArgument
            If `stride` is not valid for the model.
        OutOfMemory
            If even the smallest batch allowed does not fit.
        """
        grid = plan_patches(planes, self.model.geometry, stride)
        stopwatch = stopwatch or Stopwatch(self.model.device)
        together = self.model.pixels.channels
        groups = [planes] if together > 1 else [planes[index : index + 1] for index in range(len(planes))]
        return self._batches.run(
            lambda start, stop: [
                core for group in groups for core in self._restore_batch(group, grid, start, stop, stopwatch)
            ],
            grid, array_module(planes).zeros_like(planes), stopwatch, progress, STAGE,
        )  # fmt: skip

    def _restore_batch(
        self, planes: Array, grid: PatchGrid, start: int, stop: int, stopwatch: Stopwatch
    ) -> Iterator[Array]:
        """Yield the restored cores of patches ``start`` to ``stop - 1`` of each plane.

        On a GPU the last batch is not filled up, as those of small patches are: patches are few and their networks
        large, so that zeros would cost more than the plan for another shape.
        """
        with stopwatch("extract"):
            patches = [extract_patches(plane, grid, start, stop) for plane in planes]
        yield from self.model.predict(patches, stopwatch)


def open_planes_model(bundle: Bundle, *, device: Device, precision: str = "auto") -> PlanesModel:
    """Open the network of a bundle, its part named ``network``.

    Parameters
    ----------
    bundle
        A bundle with patch geometry.
    device, precision
        As in `runtime.inference.session.open_session`.

    Raises
    ------
    InvalidModel
        If the network is none from patches to patches.
    """
    if bundle.patch is None:
        raise InvalidModel(f"{bundle.path}: no patch geometry, so this is no patch model; choose another model")
    pixels = bundle.read_assumptions(PixelAssumptions)
    try:
        check_part(bundle.part("network"), bundle.patch, pixels)
    except InvalidModel as error:
        raise InvalidModel(f"{bundle.path}: {error}; pack it again") from error
    return PlanesModel(open_session(bundle, "network", device=device, precision=precision), bundle.patch, pixels)


def check_part(part: Part, geometry: PatchGeometry, pixels: PixelAssumptions) -> None:
    """Check that a network is one from patches to patches.

    Raises
    ------
    InvalidModel
        If it is not.
    """
    if len(part.inputs) != 1 or len(part.outputs) != 1:
        raise InvalidModel("a network from patches to patches takes one tensor and gives one")
    taken, given = part.inputs[0], part.outputs[0]
    side = given.shape[-1]
    channels, size = pixels.channels, geometry.size
    if not (
        isinstance(side, int)
        and (taken.shape[1:], given.shape[1:]) == ((channels, size, size), (channels, side, side))
        and taken.shape[:1] == given.shape[:1]
        and geometry.core <= side <= size
        and (size - side) % 2 == (side - geometry.core) % 2 == 0
        and taken.type in ("float32", "float16")
        and given.type in ("float32", "float16")
    ):
        raise InvalidModel(
            f"its network takes {taken.type} {taken.shape} and gives {given.type} {given.shape}, not patches of "
            f"{channels} channels and {size} pixels with cores of {geometry.core}"
        )


def _central(squares: Array, side: int) -> Array:
    """Return the central squares ``(N, side, side)`` of larger ones, as a view."""
    margin = (squares.shape[-1] - side) // 2
    return squares[:, margin : margin + side, margin : margin + side]
