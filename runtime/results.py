"""The results of the API: `Restoration` of a photograph, `BurstRestoration` of a burst."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels.arrays import Array


@dataclass(frozen=True)
class Restoration:
    """A restored photograph with its estimated blur and diagnostics.

    Attributes
    ----------
    image
        The restored image, of the type, dtype and shape of the input image; of a ``numpy.memmap``, an array in memory.
    kernel
        The estimated blur kernel: float32 NumPy array ``(h, w)`` of sum 1; at the centre of the photograph if the
        camera rotated; ``None`` if no kernel was estimated.
    initial
        The first estimate of the latent luminance by the patch network of the model `chakrabarti`: float32 ``(H, W)``;
        ``None`` with other models. A NumPy array, or a CuPy array for an input image on a GPU.
    motion
        The estimated motion field: float32 ``(H, W, 2)``, length in pixels and angle in degrees, or ``None``. A NumPy
        or CuPy array, as `initial`.
    timings
        Seconds by stage.
    model
        Name of the model.
    confidence
        Probability, in [0, 1], that the photograph is blurred and the restoration an improvement; below one half, the
        input image is returned unchanged. ``None`` if the blur kernel was not refined.
    code
        Why the input image was returned unchanged, for programs: a code of `runtime.decisions.reasons.Reason`, such as
        ``"not-blurred"``; ``None`` if the image was restored.
    reason
        The same as one sentence.
    response
        The curve from light to the values of the photograph that the restoration is based on: ``"linear"``,
        ``"srgb"``, or the exponent of a power.
    kernel_class
        Class of the kernel by its size, for which networks were chosen: ``"small"``, ``"medium"`` or ``"large"``;
        ``None`` if it was not classified.
    """

    image: Any
    kernel: npt.NDArray[np.float32] | None
    initial: Array | None
    motion: Array | None
    timings: dict[str, float]
    model: str
    confidence: float | None = None
    code: str | None = None
    reason: str | None = None
    response: str = "linear"
    kernel_class: str | None = None


@dataclass(frozen=True)
class BurstRestoration:
    """A photograph restored from a burst.

    Attributes
    ----------
    image
        The restored image, of the type, dtype and shape of the reference frame; a NumPy array ``(H, W)`` or
        ``(H, W, C)`` if the frames are files.
    reference
        Index, from 0, of the frame to which the others were aligned, and whose alpha and metadata the image has.
    frames
        Indices of the frames that were used.
    leaders
        With ``"fba"`` on whole frames, the index of the frame with the largest weight at each frequency: int32 NumPy
        array ``(H', W' // 2 + 1)`` in the layout of ``numpy.fft.rfft2``, where ``H'`` and ``W'`` are the height and
        width of the photograph, without borders of one colour, padded to a fast transform size. Otherwise ``None``.
    shares
        The weight of that frame at each frequency, where the weights of all frames sum to 1: float32 NumPy array of
        the same shape, or ``None``.
    timings
        Seconds by stage.
    model
        Name of the model.
    """

    image: Any
    reference: int
    frames: tuple[int, ...]
    leaders: npt.NDArray[np.int32] | None
    shares: npt.NDArray[np.float32] | None
    timings: dict[str, float]
    model: str
