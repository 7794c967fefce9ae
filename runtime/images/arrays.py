"""Conversion of any supported image to float32 planes, and of planes back to the type of that image."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from kernels.arrays import Array, array_module, is_cuda
from runtime.errors import InvalidArgument, InvalidImage, UnsupportedType
from runtime.images import dlpack, pillow
from runtime.images.codecs import decode, encode
from runtime.images.files import read_file
from runtime.images.header import Header
from runtime.images.metadata.curve import is_linear, is_linear_profile
from runtime.images.ranges import UNSHIFTED, Scale, find_scale, float_range, largest_of_bits
from runtime.inference.devices import Device, download, holding, upload

_FULL_SCALE = {"uint8": 255.0, "uint16": 65535.0, "float16": 1.0, "float32": 1.0, "float64": 1.0}
"""The pixel value that corresponds to 1 in the planes, by dtype."""

_COLOURS = {1: 1, 2: 1, 3: 3, 4: 3}
"""Number of colour planes by number of channels; an additional channel is alpha."""


@dataclass(frozen=True)
class Frame:
    """The format of an opened image, which converts restored planes to an image of the same format.

    Attributes
    ----------
    shape
        Shape of the image array: ``(H, W)`` or ``(H, W, C)``.
    dtype
        Dtype of the image.
    bounds
        Smallest and largest value of the result, in units of the planes. For integers [0, 1], or less if all fit into
        fewer bits; for floats [0, 1]
        extended to the range of the input, so that an image in [0, 1] stays in it and an HDR image keeps its range.
    pixels
        The pixels of the image, on the device of the planes.
    known
        Bool ``(H, W)`` on the device of the planes: False where the value of a pixel says nothing, because it is masked
        (``numpy.ma``) or because its alpha is 0; ``None`` if every pixel is known.
    rewrap
        Converts the resulting array to the type of the input.
    fetch
        Copies an array from the device of the planes to the device of the image.
    copy
        Returns the image itself once more: a copy of an array, or the same bytes.
    linear
        Whether the image says of itself that its values are light, by a profile or a gamma.
    scale
        What became 0 and 1 of floats that are shifted, such as those in [-1, 1].
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    bounds: tuple[float, float]
    pixels: Array
    known: Array | None
    rewrap: Callable[[Array], Any]
    fetch: Callable[[Array], Array]
    copy: Callable[[], Any]
    linear: bool = False
    scale: Scale = UNSHIFTED

    @property
    def quantum(self) -> float:
        """Distance of neighbouring values, in units of the planes: of integers; 0 for floats."""
        return 1 / _FULL_SCALE[self.dtype.name] if self.dtype.kind == "u" else 0.0

    def close(self, planes: Array, kept: Array | None = None) -> Any:
        """Return restored planes as an image of the type, dtype and shape of the input.

        Values are clipped to `bounds` and, for integers, rounded; alpha, mask and metadata are those of the input.
        Unchanged planes reproduce the values of the input exactly (float64 to the nearest float32, shifted ones but for
        rounding).

        Parameters
        ----------
        planes
            Float32 ``(C, H, W)``, on the device on which `open_image` put the planes.
        kept
            Bool ``(H, W)``, on the same device: pixels that get the values of the input, whatever the planes hold.
            Pixels whose alpha is 0 always do.

        Raises
        ------
        InvalidArgument
            If the shape of the planes differs from that of `open_image`.
        """
        expected = (_COLOURS[_channels(self.shape)], *self.shape[:2])
        if planes.shape != expected:
            raise InvalidArgument(f"planes of shape {planes.shape} do not fit: give {expected}, as open_image did")
        xp = array_module(planes)
        full = _FULL_SCALE[self.dtype.name]
        with holding(planes):
            pixels = xp.empty(self.shape, self.dtype)
            channels, source = _with_channels(pixels), _with_channels(self.pixels)
            for index, plane in enumerate(planes):
                black, span = map(np.float32, self.scale)
                values = plane if self.scale.is_identity else plane * span + black
                values = xp.clip(values, *self.bounds)
                if full != 1:
                    values *= full
                    xp.rint(values, out=values)
                channels[..., index] = values
            if channels.shape[2] > len(planes):
                alpha = channels[..., -1] = source[..., -1]
                invisible = alpha <= 0
                kept = invisible if kept is None else kept | invisible
            if kept is not None:
                channels[kept] = source[kept]
            return self.rewrap(self.fetch(pixels))


@dataclass(frozen=True)
class Pixels:
    """The pixels of an image, and how an image of its type is made of such pixels again.

    Attributes
    ----------
    values
        ``(H, W)`` or ``(H, W, C)``, on the device of the image.
    masked
        Bool ``(H, W)``: the pixels of which any channel is masked, or ``None``.
    rewrap
        Converts an array to the type of the image.
    copy
        Returns the image itself once more: a copy of an array, or the same bytes.
    linear
        Whether the image says of itself that its values are light.
    """

    values: Array
    masked: Array | None
    rewrap: Callable[[Array], Any]
    copy: Callable[[], Any]
    linear: bool = False


def pixels_of_file(pixels: Array, header: Header) -> Pixels:
    """Return the pixels of an image file that was decoded, of which arrays are made again."""
    return replace(_in_memory(pixels), linear=is_linear(header))


def pixels_of(image: Any) -> Pixels:
    """Return the pixels of an image that `open_image` takes, decoded if it is encoded, or of an image file.

    Raises
    ------
    UnsupportedType
        If the type of `image` cannot be used.
    InvalidImage
        If it cannot be decoded.
    ImageFileError
        If the file cannot be read.
    """
    if isinstance(image, Pixels):
        return image
    return pixels_of_file(*read_file(image)) if isinstance(image, str | os.PathLike) else _in_memory(image)


def open_image(image: Any, device: Device | None = None, *, scale: Scale | None = None) -> tuple[Array, Frame]:
    """Convert an image to float32 colour planes; return them and the format of the image.

    Parameters
    ----------
    image
        ``numpy.ndarray``, ``numpy.ma.MaskedArray``, ``cupy.ndarray``, any other array that supports DLPack on the CPU
        or on CUDA (a torch tensor), ``PIL.Image``, or the ``bytes`` of a PNG, JPEG, TIFF or WebP file. Arrays are
        ``(H, W)`` or ``(H, W, C)`` with 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGB, alpha) channels. The dtype
        determines the value range: uint8 is [0, 255], uint16 [0, 65535], float16, float32 and float64 [0, 1]. The
        result of a uint16 image whose values fit into 8, 10, 11, 12 or 14 bits, or reach the largest of any number of
        bits, fits there, too. Floats may lie outside [0, 1] (HDR); they are neither scaled nor clipped. If many are far
        below 0, as in [-1, 1] or [-1, 0], black is, and becomes 0, and white its negative, or 0, which becomes 1; see
        `runtime.images.ranges.find_scale`. What masked pixels and those of alpha 0 hold, NaN included, makes no
        difference. Or the `Pixels` of any of these.
    scale
        What floats stand for, if it is known: `Frame.scale` of another frame.
    device
        Device of the planes; by default that of the image. Pixels are uploaded, and downloaded by `Frame.close`, in
        the dtype of the image: 8-bit pixels have a quarter of the bytes of the planes.

    Returns
    -------
    planes
        Float32 ``(1, H, W)`` or ``(3, H, W)``, C-contiguous, newly allocated; 0 at masked pixels.
    frame
        `Frame.close` converts planes to an image like the input. Encoded bytes are returned upright and in the same
        format; a ``PIL.Image`` keeps its ``info``, including the EXIF orientation, since its pixels are not rotated.

    Raises
    ------
    UnsupportedType
        If the type or dtype of `image` cannot be used.
    InvalidImage
        If it is empty, holds NaN or infinity, has another shape, or cannot be decoded.
    InvalidArgument
        If it lies on a GPU other than `device`.
    """
    opened = image if isinstance(image, Pixels) else _in_memory(image)
    pixels = opened.values
    if pixels.dtype.name not in _FULL_SCALE:
        raise UnsupportedType(f"images of dtype {pixels.dtype} are not supported: convert to {_names(_FULL_SCALE)}")
    _check_shape(pixels.shape)
    source, masked = pixels, opened.masked
    if device is not None:
        pixels = upload(pixels, device)
        masked = None if masked is None else upload(masked, device)
    fetch = _unchanged if is_cuda(source) else download
    xp = array_module(pixels)
    channels = _with_channels(pixels)
    colours = _COLOURS[channels.shape[2]]
    with holding(pixels):
        planes = xp.empty((colours, *channels.shape[:2]), np.float32)
        with np.errstate(over="ignore"):  # float64 values beyond float32 become infinite, which is an error below
            planes[...] = xp.moveaxis(channels[..., :colours], -1, 0)
        known = None if masked is None else ~masked
        if channels.shape[2] > colours and not (visible := channels[..., -1] > 0).all():
            known = visible if known is None else known & visible
        if known is not None:  # What nobody sees may be anything, and has no part in the range either.
            planes[:, ~known] = 0
        if (full := _FULL_SCALE[pixels.dtype.name]) != 1:
            bounds = (0.0, 1.0)
            if pixels.dtype.name == "uint16":
                bounds = 0.0, largest_of_bits(float(planes.max())) / full
            planes /= full
            scale = UNSHIFTED
        else:
            low, high = float_range(planes)
            scale = find_scale(planes, known, low, high) if scale is None else scale
            bounds = scale.bounds(low, high)
            if not scale.is_identity:
                planes -= np.float32(scale.black)
                planes /= np.float32(scale.span)
                if known is not None:
                    planes[:, ~known] = 0
    frame = Frame(
        pixels.shape,
        pixels.dtype,
        bounds,
        pixels,
        known,
        opened.rewrap,
        fetch,
        opened.copy,
        opened.linear,
        scale,
    )
    return planes, frame


def _in_memory(image: Any) -> Pixels:
    if isinstance(image, bytes):
        pixels, header = decode(image)
        return Pixels(pixels, None, partial(encode, header=header), partial(_unchanged, image), is_linear(header))
    values, rewrap, copy = _unwrap(image)
    pil = sys.modules.get("PIL.Image")
    profile = image.info.get("icc_profile") if pil is not None and isinstance(image, pil.Image) else None
    linear = isinstance(profile, bytes) and is_linear_profile(profile)
    return Pixels(values, _masked_pixels(image), rewrap, copy, linear)


def _unwrap(image: Any) -> tuple[Array, Callable[[Array], Any], Callable[[], Any]]:
    """Return the pixels of an image on its device, and what converts an array to its type and what copies it."""
    if isinstance(image, np.ma.MaskedArray):
        return image.data, partial(_masked_like, image), image.copy
    if isinstance(image, np.ndarray):
        pixels, wrap = np.asarray(image), image.__array_wrap__  # of a memory map, it makes an array in memory
        return pixels, wrap, lambda: wrap(pixels.copy())
    if is_cuda(image):
        return image, _unchanged, image.copy
    pil = sys.modules.get("PIL.Image")
    if pil is not None and isinstance(image, pil.Image):
        return pillow.pixels_of(image), partial(pillow.image_of, info=image.info), image.copy
    if not isinstance(image, type) and hasattr(image, "__dlpack__") and hasattr(image, "__dlpack_device__"):
        pixels, produce = dlpack.pixels_of(image), dlpack.producer(image)
        return pixels, produce, lambda: produce(pixels.copy())
    remedy = "give a numpy, cupy or DLPack array, a PIL image, or the bytes of an image file"
    if isinstance(image, type):
        raise UnsupportedType(f"the class {image.__name__} is no image, only its instances are: {remedy}")
    raise UnsupportedType(f"an image cannot be of type {type(image).__name__}: {remedy}")


def _masked_pixels(image: Any) -> Array | None:
    """Return the mask (H, W) of the pixels of which any channel is masked, or ``None``."""
    if not isinstance(image, np.ma.MaskedArray) or image.mask is np.ma.nomask:
        return None
    mask = np.ma.getmaskarray(image)
    return mask.any(axis=2) if mask.ndim == 3 else mask


def _masked_like(image: np.ma.MaskedArray[Any, Any], pixels: Array) -> np.ma.MaskedArray[Any, Any]:
    """Return pixels with the mask of a masked image, and under it the values of that image."""
    result = image.copy()  # with its fill value, of which numpy's default is beyond float16
    np.copyto(result.data, pixels, where=~np.ma.getmaskarray(image))
    return result


def _unchanged(pixels: Array) -> Array:
    return pixels


def _check_shape(shape: tuple[int, ...]) -> None:
    if len(shape) not in (2, 3):
        raise InvalidImage(f"an image of shape {shape} has {len(shape)} axes: give one image, (H, W) or (H, W, C)")
    if 0 in shape:
        raise InvalidImage(f"an image of shape {shape} is empty: give at least one pixel")
    if _channels(shape) not in _COLOURS:
        if shape[0] in _COLOURS:
            remedy = "move the channels to the end: image.transpose(1, 2, 0), or image.permute(1, 2, 0) in torch"
        else:
            remedy = "keep grey, grey + alpha, RGB or RGB + alpha"
        raise InvalidImage(f"an image of shape {shape} has {_channels(shape)} channels, more than 4: {remedy}")


def _channels(shape: tuple[int, ...]) -> int:
    return shape[2] if len(shape) == 3 else 1


def _with_channels(pixels: Array) -> Array:
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _names(names: Any) -> str:
    *most, last = names
    return f"{', '.join(most)} or {last}"
