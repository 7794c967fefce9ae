"""Any array or picture in, float32 planes inside, the same kind of thing out."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from kernels.arrays import Array, array_module, is_cuda
from runtime.errors import InvalidArgument, InvalidImage, MissingDependency, UnsupportedType
from runtime.images import pillow
from runtime.images.codecs import decode, encode
from runtime.inference.devices import Device, download, holding, upload

_FULL_SCALE = {"uint8": 255.0, "uint16": 65535.0, "float16": 1.0, "float32": 1.0, "float64": 1.0}
"""The value that stands for 1 inside, by dtype."""

_COLOURS = {1: 1, 2: 1, 3: 3, 4: 3}
"""Colour planes by number of channels; a channel beyond them is alpha."""


_HOST = (1, 3, 11)
"""DLPack device types that NumPy reads: CPU, CUDA pinned host, ROCm pinned host."""

_CUDA = (2, 13)
"""DLPack device types that CuPy reads: CUDA, CUDA managed."""


@dataclass(frozen=True)
class Frame:
    """What `open_image` took off an image, to be put back around the restored planes.

    Attributes
    ----------
    shape
        Shape of the image's array.
    dtype
        Its dtype.
    bounds
        Least and greatest value that goes out, in units of the planes. For integers [0, 1]; for floats [0, 1]
        widened to the range that came in, so that an image in [0, 1] stays there and an HDR image keeps its range.
    alpha
        The alpha channel ``(H, W)`` in the image's own dtype, or ``None``.
    rewrap
        Turns the finished array into the type that came in.
    fetch
        Brings an array from where the planes are to where the image was.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    bounds: tuple[float, float]
    alpha: Array | None
    rewrap: Callable[[Array], Any]
    fetch: Callable[[Array], Array]

    def close(self, planes: Array) -> Any:
        """Return restored planes as the type, dtype and shape of the image that came in.

        Values are clipped to `bounds` and, for integers, rounded; alpha and metadata are those of the image.
        Planes that were not changed give back the very values that came in (float64 to the nearest float32).

        Parameters
        ----------
        planes
            Float32 ``(C, H, W)`` where `open_image` put them.

        Raises
        ------
        InvalidArgument
            If the planes have another shape than those of `open_image`.
        """
        expected = (_COLOURS[_channels(self.shape)], *self.shape[:2])
        if planes.shape != expected:
            raise InvalidArgument(f"planes of shape {planes.shape} do not fit: give {expected}, as open_image did")
        xp = array_module(planes)
        scale = _FULL_SCALE[self.dtype.name]
        with holding(planes):
            pixels = xp.empty(self.shape, self.dtype)
            channels = _with_channels(pixels)
            for index, plane in enumerate(planes):
                values = xp.clip(plane, *self.bounds)
                if scale != 1:
                    values *= scale
                    xp.rint(values, out=values)
                channels[..., index] = values
            if self.alpha is not None:
                channels[..., -1] = self.alpha
            return self.rewrap(self.fetch(pixels))


def open_image(image: Any, device: Device | None = None) -> tuple[Array, Frame]:
    """Take any image apart into float32 colour planes and the frame that closes around them again.

    Parameters
    ----------
    image
        ``numpy.ndarray``, ``cupy.ndarray``, any other array that speaks DLPack on the CPU or on CUDA (a torch
        tensor), ``PIL.Image``, or the ``bytes`` of a PNG, JPEG, TIFF or WebP file. Arrays are ``(H, W)`` or
        ``(H, W, C)`` with 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGB, alpha) channels. The dtype alone tells the
        range: uint8 is [0, 255], uint16 [0, 65535], float16, float32 and float64 [0, 1]. Floats may lie outside
        [0, 1] (HDR); they are neither scaled nor clipped.
    device
        Where the planes are wanted, by default where the image is. Pixels go to a GPU, and `Frame.close` brings them
        back, in their own dtype: 8 bits are a quarter of the bytes of the planes.

    Returns
    -------
    planes
        Float32 ``(1, H, W)`` or ``(3, H, W)``, C-contiguous, newly allocated.
    frame
        `Frame.close` turns planes back into what came in. Encoded bytes come back upright and in the same format;
        a ``PIL.Image`` keeps its ``info``, and with it the EXIF orientation that belongs to its unturned pixels.

    Raises
    ------
    UnsupportedType
        If the type or dtype of `image` cannot be used.
    InvalidImage
        If it is empty, not finite, of another shape, or cannot be decoded.
    InvalidArgument
        If it lies on a GPU and is wanted elsewhere.
    """
    pixels, rewrap = _unwrap(image)
    if pixels.dtype.name not in _FULL_SCALE:
        raise UnsupportedType(f"images of dtype {pixels.dtype} are not supported: convert to {_names(_FULL_SCALE)}")
    _check_shape(pixels.shape)
    given = pixels
    if device is not None:
        pixels = upload(pixels, device)
    fetch = _unchanged if is_cuda(given) else download
    xp = array_module(pixels)
    channels = _with_channels(pixels)
    colours = _COLOURS[channels.shape[2]]
    with holding(pixels):
        planes = xp.empty((colours, *channels.shape[:2]), np.float32)
        with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite and is refused below
            planes[...] = xp.moveaxis(channels[..., :colours], -1, 0)
        bounds = (0.0, 1.0)
        if (scale := _FULL_SCALE[pixels.dtype.name]) != 1:
            planes /= scale
        else:
            bounds = _float_bounds(planes)
        alpha = channels[..., -1].copy() if channels.shape[2] > colours else None
    return planes, Frame(pixels.shape, pixels.dtype, bounds, alpha, rewrap, fetch)


def _unwrap(image: Any) -> tuple[Array, Callable[[Array], Any]]:
    """Return the pixels of an image, where they lie, and the way back to its type."""
    if isinstance(image, np.ndarray):
        return np.asarray(image), _unchanged
    if is_cuda(image):
        return image, _unchanged
    if isinstance(image, bytes):
        pixels, header = decode(image)
        return pixels, partial(encode, header=header)
    pil = sys.modules.get("PIL.Image")
    if pil is not None and isinstance(image, pil.Image):
        return pillow.pixels_of(image), partial(pillow.image_of, info=image.info)
    if hasattr(image, "__dlpack__") and hasattr(image, "__dlpack_device__"):
        return _from_dlpack(image), _producer(image)
    remedy = "give a numpy, cupy or DLPack array, a PIL image, or the bytes of an image file"
    raise UnsupportedType(f"an image cannot be of type {type(image).__name__}: {remedy}")


def _unchanged(pixels: Array) -> Array:
    return pixels


def _from_dlpack(image: Any) -> Array:
    """Share the memory of a DLPack array, on the host or on a GPU."""
    try:
        device_type = int(image.__dlpack_device__()[0])
        if device_type in _HOST:
            return np.from_dlpack(image)
        if device_type in _CUDA:
            return _cupy().from_dlpack(image)
    except (BufferError, TypeError, ValueError, RuntimeError) as error:
        remedy = "give a detached, dense tensor of a dtype that numpy has"
        raise UnsupportedType(f"{type(image).__name__} cannot be read through DLPack ({error}): {remedy}") from error
    raise UnsupportedType(f"{type(image).__name__} lies on DLPack device {device_type}: move it to the CPU or to CUDA")


def _cupy() -> Any:
    try:
        import cupy
    except ImportError as error:
        raise MissingDependency("a CUDA array needs CuPy: pip install 'deblur-runtime[gpu]'") from error
    return cupy


def _producer(image: Any) -> Callable[[Array], Any]:
    """Return the ``from_dlpack`` of the library that made `image`; that library is loaded already."""
    if hasattr(image, "__array_namespace__"):
        return image.__array_namespace__().from_dlpack  # type: ignore[no-any-return]
    library = sys.modules[type(image).__module__.partition(".")[0]]
    if not hasattr(library, "from_dlpack"):
        remedy = "convert it to a numpy array"
        raise UnsupportedType(f"{library.__name__} has no from_dlpack to make a {type(image).__name__} again: {remedy}")
    return library.from_dlpack  # type: ignore[no-any-return]


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


def _float_bounds(planes: Array) -> tuple[float, float]:
    low, high = float(planes.min()), float(planes.max())
    if not np.isfinite([low, high]).all():
        remedy = "replace them first, for example with numpy.nan_to_num"
        raise InvalidImage(f"the image holds NaN, infinite or, for float32, too large values: {remedy}")
    return min(low, 0.0), max(high, 1.0)


def _channels(shape: tuple[int, ...]) -> int:
    return shape[2] if len(shape) == 3 else 1


def _with_channels(pixels: Array) -> Array:
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _names(names: Any) -> str:
    *most, last = names
    return f"{', '.join(most)} or {last}"
