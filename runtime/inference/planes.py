"""Run a network from patches to patches, of any colour and range of values, over a whole photograph.

`runtime.inference.patch_engine` runs the networks of methods that see one plane at a time. The networks here restore
all planes of a photograph at once; what they take for black, white, red and the mean is converted for each batch, so
that no second photograph is in memory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

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
CPU_PIXELS = 2**19
"""Pixels of a batch on the CPU by default: eight patches of 256, whose layers of 64 channels take 128 MB each."""
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
        self.session, self.geometry, self.pixels = session, geometry, pixels
        taken = session.part.inputs[0]
        self._input, self._output, self._dtype = taken.name, session.part.outputs[0].name, taken.type
        self.fixed_batch = taken.shape[0] if isinstance(taken.shape[0], int) else None

    @property
    def device(self) -> Device:
        """The device on which `predict` runs."""
        return self.session.device

    def predict(self, patches: Sequence[Array], stopwatch: Stopwatch, buffers: Buffers | None = None) -> list[Array]:
        """Restore patches.

        Parameters
        ----------
        patches
            Float32 ``(N, size, size)`` for each plane of the photograph, in the order red, green, blue, black being 0
            and white 1. There are as many as the network has channels, or one, which is given to every channel.
        stopwatch
            Measures the stages ``convert`` and ``network``.
        buffers
            Arrays of an earlier call, whose results are used up.

        Returns
        -------
        list of array
            The restored cores of each plane, float32 ``(N, core, core)``; of one plane the mean of all channels.
        """
        buffers = buffers or Buffers(array_module(patches[0]))
        with stopwatch("convert"):
            taken = self.convert(patches, buffers)
        with stopwatch("network"):
            given = self._run(taken)
        with stopwatch("convert"):
            return [self._cores(given, patches, plane, buffers) for plane in range(len(patches))]

    def convert(self, patches: Sequence[Array], buffers: Buffers) -> Array:
        """Return patches, as `predict` takes them, as the network takes them."""
        xp, size, count = array_module(patches[0]), self.geometry.size, len(patches[0])
        taken = buffers.get("taken", (count, self.pixels.channels, size, size), self._dtype)
        for channel in range(self.pixels.channels):
            scale, offset = self.pixels.scale_and_offset(channel)
            values = patches[self.pixels.plane(channel) % len(patches)]
            if (scale, offset) != (1, 0):
                values = xp.multiply(values, np.float32(scale), out=buffers.get("values", values.shape))
                values += np.float32(offset)
            taken[:, channel] = values
        return taken

    def _run(self, taken: Array) -> Array:
        fixed = self.fixed_batch
        if fixed is None or len(taken) == fixed:
            return self.session.run(**{self._input: taken})[self._output]
        xp, given = array_module(taken), []
        for start in range(0, len(taken), fixed):
            part = taken[start : start + fixed]
            if len(part) < fixed:
                whole = xp.zeros((fixed, *part.shape[1:]), part.dtype)
                whole[: len(part)] = part
                part = whole
            given.append(self.session.run(**{self._input: part})[self._output])
        return xp.concatenate(given)[: len(taken)]

    def _cores(self, given: Array, patches: Sequence[Array], plane: int, buffers: Buffers) -> Array:
        """Return the cores of a plane in the units of the photograph: the mean of all channels that were given it."""
        side, sign = self.geometry.core, RESIDUALS[self.pixels.residual]
        shape = (len(patches[plane]), side, side)
        channels = [each for each in range(self.pixels.channels) if self.pixels.plane(each) % len(patches) == plane]
        total = buffers.get(f"cores {plane}", shape)
        for number, channel in enumerate(channels):
            scale, offset = self.pixels.scale_and_offset(channel)
            core = buffers.get("core", shape) if number else total
            core[...] = _central(given[:, channel], side)
            if scale != 1 or sign < 0:
                core *= np.float32((sign or 1) / scale)
            if sign:
                core += _central(patches[plane], side)
            elif offset != 0:
                core -= np.float32(offset / scale)
            if number:
                total += core
        if len(channels) > 1:
            total *= np.float32(1 / len(channels))
        return total


class Buffers:
    """Arrays that are used for one batch after another, since new ones cost the CPU a fault for every page.

    Parameters
    ----------
    xp
        NumPy or CuPy.
    """

    def __init__(self, xp: Any) -> None:
        self._xp = xp
        self._held: dict[str, Array] = {}

    def get(self, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike = np.float32) -> Array:
        """Return an array of any content; one of the same name must no longer be in use, nor differ but in length."""
        held = self._held.get(name)
        if held is None or len(held) < shape[0]:
            held = self._held[name] = self._xp.empty(shape, dtype)
        return held[: shape[0]]

    def clear(self) -> None:
        """Let go of all arrays."""
        self._held.clear()


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

    @property
    def batch(self) -> int:
        """Patches of the next batch."""
        return self._batches.size

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
        xp, together = array_module(planes), self.model.pixels.channels
        groups = [planes] if together > 1 else [planes[index : index + 1] for index in range(len(planes))]
        buffers = [Buffers(xp) for _ in groups]

        def restore_batch(start: int, stop: int) -> list[Array]:
            try:
                return [
                    core
                    for group, arrays in zip(groups, buffers, strict=True)
                    for core in self._restore_batch(group, grid, start, stop, stopwatch, arrays)
                ]
            except BaseException:
                # What a batch that did not fit has taken must be free for a smaller one.
                for arrays in buffers:
                    arrays.clear()
                raise

        return self._batches.run(restore_batch, grid, xp.zeros_like(planes), stopwatch, progress, STAGE)

    def _restore_batch(
        self, planes: Array, grid: PatchGrid, start: int, stop: int, stopwatch: Stopwatch, buffers: Buffers
    ) -> list[Array]:
        """Return the restored cores of patches ``start`` to ``stop - 1`` of each plane.

        On a GPU the last batch is not filled up, as those of small patches are: patches are few and their networks
        large, so that zeros would cost more than the plan for another shape.
        """
        shape = (stop - start, grid.patch, grid.patch)
        with stopwatch("extract"):
            patches = [
                extract_patches(plane, grid, start, stop, out=buffers.get(f"patches {number}", shape))
                for number, plane in enumerate(planes)
            ]
        return self.model.predict(patches, stopwatch, buffers)


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
