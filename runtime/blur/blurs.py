"""The blurs of a photograph: one kernel, the poses of a camera, or a motion at each pixel.

A blur is linear: ``observed = blur.apply(latent) + noise``. Latent pixels beyond the boundary are unknown; `Blur.apply`
extends the photograph there, and `Blur.adjoint` is the exact adjoint, including this extension.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kernels.arrays import Array, array_module
from runtime.blur.kernel import extent, fit, spread
from runtime.blur.motion import LONGEST, load_bank, motion_kernel
from runtime.blur.operators import MotionOperator
from runtime.blur.periodic import convolve, convolve_adjoint
from runtime.blur.poses import Place, Poses
from runtime.inference.devices import download
from runtime.tiles import FADE, Span, tiles

CENTRE: Place = (0.0, 0.0)
"""The centre of a photograph."""
_SMALLEST_PART, _LARGEST_PART = 96, 512
"""Sides in pixels, about, of the parts of a photograph that have a kernel each: at least, and at most."""
_KERNEL_CHANGE = 0.4
"""Difference in pixels between the displacements of neighbouring parts by a roll of one standard deviation."""


class Blur(ABC):
    """A linear blur of a photograph."""

    @abstractmethod
    def apply(self, planes: Array) -> Array:
        """Blur planes (C, H, W) of float32, and return planes of the same shape on the same device."""

    @abstractmethod
    def adjoint(self, planes: Array) -> Array:
        """Apply the adjoint of `apply` to planes (C, H, W) of float32."""

    @abstractmethod
    def kernel_at(self, place: Place) -> Array:
        """Return the blur kernel (h, w), float32 of sum 1, at a place, given in rows and columns from the centre."""

    @property
    def on_host(self) -> NDArray[np.float32]:
        """The kernel at the centre of the photograph, on the host."""
        return np.asarray(download(self.kernel_at(CENTRE)), np.float32)

    @property
    @abstractmethod
    def width(self) -> float:
        """Standard deviation in pixels, along its longest axis, of a kernel that is typical of the photograph."""

    @property
    @abstractmethod
    def support(self) -> int:
        """Longer side in pixels of that kernel."""


class Part(NamedTuple):
    """A part of a photograph with a kernel of its own.

    Attributes
    ----------
    rows, cols : Span
        The part, with the surroundings from which it is blurred or restored.
    kernel : (h, w) array of float32
        Of sum 1.
    """

    rows: Span
    cols: Span
    kernel: Array

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the part with its surroundings."""
        return slice(self.rows.start, self.rows.stop), slice(self.cols.start, self.cols.stop)

    def weights(self, like: Array) -> Array:
        """Return the blending weights of the window's pixels, of sum 1 over all parts of planes such as `like`."""
        height, width = like.shape[-2:]
        return self.rows.weights(height, like)[:, None] * self.cols.weights(width, like)


class _PartwiseBlur(ABC):
    """A blur with one kernel for each part of a photograph; parts are blended where they overlap."""

    @abstractmethod
    def parts(self, like: Array) -> Iterator[Part]:
        """Yield the parts of planes (..., H, W), with kernels on the same device."""

    def apply(self, planes: Array) -> Array:
        """Blur planes (C, H, W), extended smoothly beyond their boundary."""
        blurred = array_module(planes).zeros_like(planes)
        for part in self.parts(planes):
            weights = part.weights(planes)
            for plane, target in zip(planes, blurred, strict=True):
                target[part.window] += weights * convolve(plane[part.window], part.kernel)
        return blurred

    def adjoint(self, planes: Array) -> Array:
        """Apply the adjoint of `apply`."""
        result = array_module(planes).zeros_like(planes)
        for part in self.parts(planes):
            weights = part.weights(planes)
            for plane, target in zip(planes, result, strict=True):
                target[part.window] += convolve_adjoint(weights * plane[part.window], part.kernel)
        return result


class KernelBlur(_PartwiseBlur, Blur):
    """One kernel everywhere.

    Parameters
    ----------
    kernel : (h, w) array of float32
        Non-negative, of sum 1, on the device of the photograph; origin at ``((h - 1) // 2, (w - 1) // 2)``.
    on_host : (h, w) array of float32, optional
        The same on the host, if it is there already: a GPU is then not waited for.
    """

    def __init__(self, kernel: Array, on_host: NDArray[np.float32] | None = None) -> None:
        self.kernel = kernel
        self._on_host = on_host

    def parts(self, like: Array) -> Iterator[Part]:
        """Yield the tiles of planes (..., H, W)."""
        height, width = self.kernel.shape
        for rows, cols in tiles(like.shape[-2:], (_reach(height), _reach(width))):
            yield Part(rows, cols, self.kernel)

    def kernel_at(self, place: Place) -> Array:
        """Return the kernel."""
        return self.kernel

    @property
    def on_host(self) -> NDArray[np.float32]:
        """The kernel on the host."""
        if self._on_host is None:
            self._on_host = super().on_host
        return self._on_host

    @cached_property
    def width(self) -> float:
        """Standard deviation of the kernel in pixels."""
        return spread(self.on_host.astype(np.float64))

    @property
    def support(self) -> int:
        """Longer side of the kernel."""
        return int(max(self.kernel.shape))


class PoseBlur(_PartwiseBlur, Blur):
    """The blur of a camera that rolled while it shook: each part of the photograph has the kernel of its centre.

    Parameters
    ----------
    poses : Poses
    """

    def __init__(self, poses: Poses) -> None:
        self.poses = poses

    def parts(self, like: Array) -> Iterator[Part]:
        """Yield parts of planes (..., H, W) with the kernels of their centres; the more roll, the smaller the parts."""
        xp, poses = array_module(like), self.poses
        height, width = like.shape[-2:]
        roll_weights = poses.weights.sum(axis=(1, 2))
        deviation = float(np.sqrt(roll_weights @ np.square(poses.rolls - roll_weights @ poses.rolls)))
        side = round(min(max(_KERNEL_CHANGE / max(deviation, 1e-9), _SMALLEST_PART), _LARGEST_PART))
        corner = poses.kernel((height / 2, width / 2)).shape[0]
        for rows, cols in tiles((height, width), (_reach(corner),) * 2, side):
            kernel = poses.kernel(((rows.first + rows.last - height) / 2, (cols.first + cols.last - width) / 2))
            largest = min(span.stop - span.start for span in (rows, cols)) - 1 | 1
            yield Part(rows, cols, xp.asarray(fit(kernel, min(extent(kernel), largest)).astype(np.float32)))

    def kernel_at(self, place: Place) -> NDArray[np.float32]:
        """Return the sum over the rolls of the weights, each shifted by the displacement of the place."""
        return self.poses.kernel(place).astype(np.float32)

    @cached_property
    def width(self) -> float:
        """Standard deviation in pixels of the kernel at the centre."""
        return spread(self.kernel_at(CENTRE).astype(np.float64))

    @property
    def support(self) -> int:
        """Side of the kernel at the centre."""
        return int(max(self.kernel_at(CENTRE).shape))


class MotionBlur(Blur):
    """A linear motion at each pixel.

    Parameters
    ----------
    field : (H, W, 2) array of float32
        Length in pixels, up to 35, and angle in degrees, counter-clockwise as the photograph is seen; on its device.
    """

    def __init__(self, field: Array) -> None:
        self.field = field

    def apply(self, planes: Array) -> Array:
        """Blur planes (C, H, W), mirrored beyond their boundary: every pixel is the mean along its own motion."""
        xp, margin = array_module(planes), self._margin
        padded = xp.pad(planes, [(0, 0), (margin,) * 2, (margin,) * 2], mode="symmetric")
        return self._operator.apply(padded)[:, *self._inside]

    def adjoint(self, planes: Array) -> Array:
        """Apply the adjoint of `apply`."""
        xp, margin = array_module(planes), self._margin
        padded = self._operator.adjoint(xp.pad(planes, [(0, 0), (margin,) * 2, (margin,) * 2]))
        for axis in (1, 2):
            padded = _fold_mirrored(padded, margin, axis)
        return padded

    def kernel_at(self, place: Place) -> NDArray[np.float32]:
        """Return the kernel of the motion at the pixel nearest to a place."""
        row, col = (
            min(max(round((size - 1) / 2 + offset), 0), size - 1)
            for size, offset in zip(self.field.shape[:2], place, strict=True)
        )
        return motion_kernel(max(float(self.field[row, col, 0]), 1.0), float(self.field[row, col, 1]))

    @cached_property
    def typical_kernel(self) -> NDArray[np.float32]:
        """The kernel (side, side) of the median length and the median angle."""
        xp = array_module(self.field)
        length, angle = (float(xp.median(self.field[..., axis])) for axis in (0, 1))
        return motion_kernel(length, angle)

    @cached_property
    def width(self) -> float:
        """Standard deviation in pixels of the typical kernel."""
        return spread(self.typical_kernel.astype(np.float64))

    @property
    def support(self) -> int:
        """Side of the typical kernel."""
        return len(self.typical_kernel)

    @property
    def _margin(self) -> int:
        return int(min(LONGEST // 2 + 1, *self.field.shape[:2]))

    @property
    def _inside(self) -> tuple[slice, slice]:
        height, width = self.field.shape[:2]
        return slice(self._margin, self._margin + height), slice(self._margin, self._margin + width)

    @cached_property
    def _operator(self) -> MotionOperator:
        """The blur of the field, extended by the margin."""
        around = [(self._margin,) * 2, (self._margin,) * 2, (0, 0)]
        return MotionOperator.of_field(array_module(self.field).pad(self.field, around, mode="edge"), load_bank())


def _reach(side: int) -> int:
    """Return by how many pixels a part is extended beyond its seams, for a kernel of `side` pixels.

    The boundary affects half a kernel of pixels, which must lie outside the strip in which parts are blended.
    """
    return max(side, FADE + side // 2 + 1)


def _fold_mirrored(padded: Array, margin: int, axis: int) -> Array:
    """Apply the adjoint of padding an axis by `margin` mirrored pixels on both sides."""
    xp = array_module(padded)
    lines = xp.moveaxis(padded, axis, -1)
    folded = lines[..., margin : lines.shape[-1] - margin].copy()
    folded[..., :margin] += lines[..., :margin][..., ::-1]
    folded[..., folded.shape[-1] - margin :] += lines[..., lines.shape[-1] - margin :][..., ::-1]
    return xp.ascontiguousarray(xp.moveaxis(folded, -1, axis))
