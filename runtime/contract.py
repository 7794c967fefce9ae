"""The interface of deblurring methods: candidate blurs, estimates, and the protocols that a method implements."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

from kernels.arrays import Array
from runtime.blur.blurs import Blur
from runtime.decisions.reasons import Reason
from runtime.options import BurstOptions, Options
from runtime.response import LINEAR, Response
from runtime.run import Run


@dataclass(frozen=True)
class Candidate:
    """An estimated blur with its predicted error.

    Attributes
    ----------
    blur : Blur
        One kernel, the poses of a camera, or a motion field.
    log_error : float
        Natural logarithm of the predicted relative squared error of the blur; NaN if there is no prediction.
    confidence : float
        Probability, in [0, 1], that the photograph has this blur.
    noise_factor : float
        Factor on the noise level when deconvolving. It exceeds 1 for an estimated motion field, whose errors are
        larger than the noise.
    """

    blur: Blur
    log_error: float
    confidence: float = 1.0
    noise_factor: float = 1.0


@dataclass(frozen=True)
class Estimate:
    """The result of a method for one photograph; arrays lie on the method's device.

    Attributes
    ----------
    latent
        Float32 ``(C, H, W)``: the restored photograph, or the observed one if it was left unchanged.
    blur
        The estimated blur, or ``None`` if none was estimated.
    initial
        Float32 ``(H, W)``: a network's first estimate of the latent luminance, or ``None``.
    motion
        Float32 ``(H, W, 2)``: the estimated motion field, or ``None``.
    confidence
        Probability, in [0, 1], that the photograph is blurred and the restoration an improvement; ``None`` if it was
        not computed.
    reason
        Why the photograph was left unchanged, or ``None`` if it was restored.
    gain
        Predicted gain in PSNR, in dB, of the restoration over the observed photograph; ``None`` if it was not
        predicted.
    response
        The curve from light to the values of the photograph, if the method chose it; `latent` holds such values too.
    log_error
        Natural logarithm of the predicted relative squared error of the blur; NaN if there is no prediction.
    kernel_class
        Class of the kernel by its size, for which networks were chosen; ``None`` if it was not classified.
    """

    latent: Array
    blur: Blur | None = None
    initial: Array | None = None
    motion: Array | None = None
    confidence: float | None = None
    reason: Reason | None = None
    gain: float | None = None
    response: Response = LINEAR
    log_error: float = math.nan
    kernel_class: str | None = None


@dataclass(frozen=True)
class BurstEstimate:
    """The result of a burst method; arrays lie on the method's device.

    Attributes
    ----------
    latent
        Float32 ``(C, H, W)``: the restored image.
    leaders
        Int32 ``(H', W' // 2 + 1)``, in the layout of ``numpy.fft.rfft2``: at each frequency, the index of the frame
        with the largest weight among the frames given. ``H'`` and ``W'`` are the height and width of a frame, padded
        to a fast transform size. ``None`` if the frames were not fused as a whole.
    shares
        Float32 of the same shape: the weight of that frame at each frequency, where the weights of all frames sum to
        1; or ``None``.
    """

    latent: Array
    leaders: Array | None = None
    shares: Array | None = None


@runtime_checkable
class Method(Protocol):
    """A deblurring method for single photographs.

    Attributes
    ----------
    supported_options : frozenset of str
        Names of the fields of `runtime.options.Options` that affect this method. Setting any other is an error.
    expects_blur : bool, optional
        Whether the whole photograph is blurred, as it is by default, so that what is sharp in it, such as a frame or a
        date stamp, is no part of it and stays as it is.
    """

    supported_options: ClassVar[frozenset[str]]

    def restore(self, observed: Array, run: Run[Options]) -> Estimate:
        """Restore an observed photograph: float32 ``(C, H, W)`` in [0, 1], on the method's device."""


@runtime_checkable
class BurstMethod(Protocol):
    """A method that restores one image from a burst of frames.

    Attributes
    ----------
    supported_options : frozenset of str
        Names of the fields of `runtime.options.BurstOptions` that affect this method. Setting any other is an error.
    noisy_gain : float, optional
        Factor from which only what rises above its noise is taken from a frame that is brightened; by default
        `runtime.decisions.thresholds.NOISY_GAIN`.
    """

    supported_options: ClassVar[frozenset[str]]

    def restore_burst(self, frames: Iterable[Array], run: Run[BurstOptions]) -> BurstEstimate:
        """Restore one image from aligned frames, each float32 ``(C, H, W)`` in [0, 1], on the method's device."""
