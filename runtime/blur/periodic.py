"""A blur kernel on a periodic plane, where it is a product of half spectra."""

from __future__ import annotations

from kernels.arrays import Array, array_module
from kernels.transforms import irfft2, rfft2

SHORTEST = 16
"""Least side of the periodic plane: twice a patch."""


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
        Height and width of the periodic plane: the image, and room for at least all the latent pixels
        beyond its border that the kernel reaches.
    transfer : array of complex64
        Half spectrum of the kernel.
    power : array of float32
        Squared magnitude of `transfer`.
    """

    def __init__(self, shape: tuple[int, int], kernel: Array) -> None:
        from scipy.fft import next_fast_len

        xp = array_module(kernel)
        height, width = kernel.shape
        self.image_shape = shape
        self.shape = tuple(
            int(next_fast_len(max(n + 3 * (m - 1) // 2, SHORTEST), real=True))
            for n, m in zip(shape, kernel.shape, strict=True)
        )
        canvas = xp.zeros(self.shape, dtype=xp.float32)
        canvas[:height, :width] = kernel
        canvas = xp.roll(canvas, (-((height - 1) // 2), -((width - 1) // 2)), axis=(0, 1))
        self.transfer: Array = self.spectrum(canvas)
        self.power: Array = xp.square(self.transfer.real) + xp.square(self.transfer.imag)

    def spectrum(self, canvas: Array) -> Array:
        """Return the half spectrum, complex64, of a real plane of the size of `shape`."""
        return rfft2(canvas)

    def plane(self, spectrum: Array) -> Array:
        """Return the real plane, float32, of a half spectrum."""
        return irfft2(spectrum, self.shape[1])

    def crop(self, canvas: Array) -> Array:
        """Return the part of a periodic plane that the photograph shows."""
        return canvas[: self.image_shape[0], : self.image_shape[1]]

    def extend(self, image: Array) -> Array:
        """Continue an image of `image_shape` smoothly over the periodic plane; linear in the image."""
        for axis in (0, 1):
            image = _continue_axis(image, self.shape[axis], axis)
        return image

    def gradient_power(self) -> Array:
        """Return ``|D_x|^2 + |D_y|^2``, float32, for forward differences, in the layout of `transfer`."""
        xp = array_module(self.transfer)
        rows, cols = self.shape
        down = 2 - 2 * xp.cos(2 * xp.pi * xp.arange(rows) / rows)
        right = 2 - 2 * xp.cos(2 * xp.pi * xp.arange(cols // 2 + 1) / cols)
        return (down[:, None] + right[None, :]).astype(xp.float32)


def convolve(plane: Array, kernel: Array) -> Array:
    """Convolve a plane (H, W), smoothly continued beyond its border, with a kernel; both of float32."""
    model = BlurModel(plane.shape, kernel)
    return model.crop(model.plane(model.transfer * model.spectrum(model.extend(plane))))


def _continue_axis(image: Array, length: int, axis: int) -> Array:
    """Lengthen one axis to `length`, crossing smoothly from the mirrored end to the mirrored start."""
    xp = array_module(image)
    size, extra = image.shape[axis], length - image.shape[axis]
    step = xp.arange(extra)
    after = xp.take(image, xp.maximum(size - 1 - step, 0), axis=axis)
    before = xp.take(image, xp.minimum(extra - 1 - step, size - 1), axis=axis)
    weight = (0.5 + 0.5 * xp.cos(xp.pi * (step + 1) / (extra + 1))).astype(xp.float32)
    weight = weight[:, None] if axis == 0 else weight[None, :]
    return xp.concatenate([image, weight * after + (1 - weight) * before], axis=axis)
