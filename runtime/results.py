"""What a restoration gives: `Restoration` of a photograph, `BurstRestoration` of a burst."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels.arrays import Array


@dataclass(frozen=True)
class Restoration:
    """A restored photograph and what was found out on the way.

    Attributes
    ----------
    image
        Type, dtype and shape of the image that was given.
    kernel
        The blur kernel: float32 NumPy array of sum 1, or ``None`` where none was estimated.
    initial
        The network's own estimate of the sharp luminance: float32 array ``(H, W)``, or ``None``. A NumPy array, or for
        an image on a GPU a CuPy array there.
    motion
        The motion field: float32 array ``(H, W, 2)`` in pixels and degrees, where `initial` would be, or ``None``.
    timings
        Seconds by stage.
    model
        Name of the model.
    confidence
        In [0, 1], that the photograph is blurred; under one half it comes back as it was. ``None`` where the blur
        kernel was not refined.
    code
        Why the photograph came back as it was, for programs: a code of `runtime.decisions.reasons.Reason`, such as
        ``"not-blurred"``; ``None`` where it was restored.
    reason
        The same for people: one sentence.
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


@dataclass(frozen=True)
class BurstRestoration:
    """A photograph restored from a burst.

    Attributes
    ----------
    image
        Type, dtype and shape of the reference frame; a NumPy array ``(H, W)`` or ``(H, W, C)`` where that is a file.
    reference
        Number of the frame with which the others were aligned, and whose alpha and metadata the image has; from 0.
    frames
        Numbers of the frames that took part.
    leaders
        With ``"fba"`` of whole frames, for each frequency the number of the frame with the largest weight: int32 NumPy
        array ``(H', W' // 2 + 1)`` in the layout of ``numpy.fft.rfft2``, ``H'`` and ``W'`` being the frame's sides or
        a little more, as the Fourier transform likes it. Else ``None``.
    shares
        That weight, of a sum of 1: float32 NumPy array of that shape, or ``None``.
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
