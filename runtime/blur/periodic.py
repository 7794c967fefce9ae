"""Convolution with a blur kernel on a periodic plane, by the Fourier transform of real planes."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from kernels.arrays import Array, array_module, is_cuda
from kernels.device_tables import constants
from kernels.transforms import irfft2, rfft2
from runtime.blur.inverse import inverse_filter

_SMALLEST_SIDE = 16
"""Smallest side of the periodic plane in pixels: twice that of an EPLL patch."""


class BlurModel:
    """A blur kernel on the periodic plane of one image size.

    Parameters
    ----------
    shape : tuple of int
        Height and width of the observed image.
    kernel : (h, w) array of float32
        Blur kernel of sum 1; its origin is ``((h - 1) // 2, (w - 1) // 2)``.

    Attributes
    ----------
    shape : tuple of int
        Height and width of the periodic plane: the image, and at least all latent pixels beyond its boundary
        that the kernel reaches.
    transfer : array of complex64
        Half spectrum of the kernel.
    power : array of float32
        Squared magnitude of `transfer`.
    inverse : array of complex64
        Half spectrum of `runtime.blur.inverse.inverse_filter` of the kernel; computed when it is first asked for.
    """

    def __init__(self, shape: tuple[int, int], kernel: Array) -> None:
        from scipy.fft import next_fast_len

        xp = array_module(kernel)
        height, width = kernel.shape
        self.image_shape = shape
        self._kernel = kernel
        self.shape = tuple(
            int(next_fast_len(max(n + 3 * (m - 1) // 2, _SMALLEST_SIDE), real=True))
            for n, m in zip(shape, kernel.shape, strict=True)
        )
        plane = xp.zeros(self.shape, dtype=xp.float32)
        plane[:height, :width] = kernel
        plane = xp.roll(plane, (-((height - 1) // 2), -((width - 1) // 2)), axis=(0, 1))
        self.transfer: Array = self.spectrum(plane)
        self.power: Array = xp.square(self.transfer.real) + xp.square(self.transfer.imag)

    def spectrum(self, plane: Array) -> Array:
        """Return the half spectrum (H, W // 2 + 1), complex64, of a real plane of the size of `shape`."""
        return rfft2(plane)

    def plane(self, spectrum: Array) -> Array:
        """Return the real plane, float32, of a half spectrum."""
        return irfft2(spectrum, self.shape[1])

    def filter(self, plane: Array, response: Array) -> Array:
        """Return a real plane filtered by a half spectrum such as `transfer`; float32."""
        # A call in place of an operator: in ``response * temporary`` NumPy may take the factors in either order, from
        # one time to the next, and a product of complex numbers is then rounded in another way.
        return self.plane(array_module(plane).multiply(response, self.spectrum(plane)))

    def crop(self, plane: Array) -> Array:
        """Return the part of a periodic plane that is the image, a view (`image_shape`)."""
        return plane[: self.image_shape[0], : self.image_shape[1]]

    def extend(self, image: Array) -> Array:
        """Extend an image of `image_shape` smoothly over the periodic plane; linear in the image."""
        for axis in (0, 1):
            image = _extend_axis(image, self.shape[axis], axis)
        return image

    def fold(self, plane: Array) -> Array:
        """Apply the adjoint of `extend`."""
        for axis in (1, 0):
            plane = _fold_axis(plane, self.image_shape[axis], axis)
        return plane

    @cached_property
    def inverse(self) -> Array:  # noqa: D102 - see the attributes
        filter_ = inverse_filter(self._kernel)
        xp, half = array_module(filter_), filter_.shape[0] // 2
        plane = xp.zeros(self.shape, np.float32)
        # A filter that is longer than the plane wraps around.
        rows, cols = (xp.arange(-half, half + 1) % size for size in self.shape)
        xp.add.at(plane, (rows[:, None], cols[None, :]), filter_)
        return self.spectrum(plane)

    def gradient_power(self) -> Array:
        """Return ``|D_x|^2 + |D_y|^2``, float32, for forward differences, in the layout of `transfer`."""
        return self._gradient_power

    def contrast(self, spectrum: Array) -> float | Array:
        """Return the root mean square of the forward differences, along both axes, of the plane of a half spectrum.

        On a GPU it is an array () of float32, so that nobody waits for it.
        """
        xp = array_module(spectrum)
        (stands_for,) = constants(spectrum, _multiplicity, self.shape[1])
        powers = (self.gradient_power() * xp.square(xp.abs(spectrum))).sum(axis=0)
        differences = 2 * float(np.prod(self.shape))
        rms = xp.sqrt((stands_for * powers).sum() / (differences * float(np.prod(self.shape))))
        return rms.astype(np.float32) if is_cuda(spectrum) else float(rms)

    @cached_property
    def _gradient_power(self) -> Array:
        down, right = constants(self.transfer, _difference_power, *self.shape)
        return (down + right).astype(np.float32)


def convolve(plane: Array, kernel: Array) -> Array:
    """Convolve a plane (H, W), extended smoothly beyond its boundary, with a kernel; both of float32."""
    model = BlurModel(plane.shape, kernel)
    return model.crop(model.filter(model.extend(plane), model.transfer))


def convolve_adjoint(plane: Array, kernel: Array) -> Array:
    """Apply the adjoint of `convolve` to a plane (H, W)."""
    model = BlurModel(plane.shape, kernel)
    padded = array_module(plane).zeros(model.shape, np.float32)
    model.crop(padded)[...] = plane
    return model.fold(model.filter(padded, model.transfer.conj()))


def _extend_axis(image: Array, length: int, axis: int) -> Array:
    """Extend one axis to `length` pixels, by a cross-fade from the mirrored end to the mirrored start."""
    xp = array_module(image)
    after, before, weight = constants(image, _extension, image.shape[axis], length, axis)
    mirrored = weight * xp.take(image, after, axis=axis) + (1 - weight) * xp.take(image, before, axis=axis)
    size, shape = image.shape[axis], list(image.shape)
    shape[axis] = length
    extended = xp.empty(shape, mirrored.dtype)
    lines = xp.moveaxis(extended, axis, 0)
    lines[:size], lines[size:] = xp.moveaxis(image, axis, 0), xp.moveaxis(mirrored, axis, 0)
    return extended


def _fold_axis(plane: Array, size: int, axis: int) -> Array:
    """Apply the adjoint of `_extend_axis` to an axis that had `size` pixels."""
    xp = array_module(plane)
    after, before, weight = constants(plane, _extension, size, plane.shape[axis], axis)
    image, beyond = xp.split(plane, [size], axis=axis)
    lines, folded = xp.moveaxis(beyond, axis, 0), xp.moveaxis(image.copy(), axis, 0)
    weight = xp.moveaxis(weight, axis, 0)
    xp.add.at(folded, after, weight * lines)
    xp.add.at(folded, before, (1 - weight) * lines)
    return xp.ascontiguousarray(xp.moveaxis(folded, 0, axis))


def _difference_power(rows: int, cols: int) -> tuple[Array, ...]:
    """Return the power of forward differences at the frequencies of each axis, float64 (rows, 1) and (1, cols')."""
    down = 2 - 2 * np.cos(2 * np.pi * np.arange(rows) / rows)
    right = 2 - 2 * np.cos(2 * np.pi * np.arange(cols // 2 + 1) / cols)
    return down[:, None], right[None, :]


def _multiplicity(cols: int) -> tuple[Array, ...]:
    """Return for how many frequencies each column of a half spectrum stands, float32: its own, and their conjugates."""
    stands_for = np.full(cols // 2 + 1, 2, np.float32)
    stands_for[0] = 1
    if cols % 2 == 0:
        stands_for[-1] = 1
    return (stands_for,)


def _extension(size: int, length: int, axis: int) -> tuple[Array, ...]:
    """Return, for each pixel beyond `size`, its mirror images at both ends of the axis, and the weight of the first."""
    extra = length - size
    step = np.arange(extra)
    weight = (0.5 + 0.5 * np.cos(np.pi * (step + 1) / (extra + 1))).astype(np.float32)
    after, before = np.maximum(size - 1 - step, 0), np.minimum(extra - 1 - step, size - 1)
    return after, before, weight[:, None] if axis == 0 else weight[None, :]
