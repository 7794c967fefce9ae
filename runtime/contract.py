"""What passes between the parts of a restoration: candidates and estimates, and the methods that make them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

from kernels.arrays import Array
from runtime.blur.blurs import Blur
from runtime.decisions.reasons import Reason
from runtime.options import BurstOptions, Options
from runtime.run import Run


@dataclass(frozen=True)
class Candidate:
    """A blur that may have made the photograph, and the error expected of it.

    Attributes
    ----------
    blur : Blur
    log_error : float
        Natural logarithm of the predicted relative squared error of the blur; NaN where nothing predicts it.
    confidence : float
        In [0, 1]: probability that the photograph is blurred in this way.
    noise_factor : float
        Factor on the noise level when deconvolving: an estimated motion's errors weigh more than the noise.
    """

    blur: Blur
    log_error: float
    confidence: float = 1.0
    noise_factor: float = 1.0


@dataclass(frozen=True)
class Estimate:
    """What a method found out, as arrays on its device.

    Attributes
    ----------
    latent
        Float32 ``(C, H, W)``: the restored photograph, or the observed one where it was left unchanged.
    blur
        What blurred it, or ``None`` where no blur was estimated.
    initial
        Float32 ``(H, W)`` first estimate of the latent luminance, or ``None``.
    motion
        Float32 ``(H, W, 2)`` estimated motion field, or ``None``.
    confidence
        In [0, 1], that the photograph is blurred and the restoration an improvement; ``None`` where nobody asked.
    reason
        Why the photograph was left unchanged, or ``None`` where it was restored.
    gain
        Predicted gain in PSNR, in dB, of the restoration over the observed photograph; ``None`` where nobody asked.
    """

    latent: Array
    blur: Blur | None = None
    initial: Array | None = None
    motion: Array | None = None
    confidence: float | None = None
    reason: Reason | None = None
    gain: float | None = None


@dataclass(frozen=True)
class BurstEstimate:
    """What a burst method found out, as arrays on its device.

    Attributes
    ----------
    latent
        Float32 ``(C, H, W)``.
    leaders
        Int32 ``(H', W' // 2 + 1)``: for each frequency in the layout of ``numpy.fft.rfft2`` the place of the frame with
        the largest weight among those given, ``H'`` and ``W'`` being the sides of a frame or a little more; ``None``
        where frames were not weighed whole.
    shares
        Float32 of that shape: that weight, of a sum of 1; or ``None``.
    """

    latent: Array
    leaders: Array | None = None
    shares: Array | None = None


@runtime_checkable
class Method(Protocol):
    """A way to restore a photograph.

    Attributes
    ----------
    honours : frozenset of str
        Names of the options, of `runtime.options.Options`, that make a difference to it; the registry refuses others.
    """

    honours: ClassVar[frozenset[str]]

    def restore(self, observed: Array, run: Run[Options]) -> Estimate:
        """Restore ``(C, H, W)`` planes, float32 in [0, 1], that lie on the method's device."""


@runtime_checkable
class BurstMethod(Protocol):
    """A way to restore one photograph from a burst.

    Attributes
    ----------
    honours : frozenset of str
        Names of the options, of `runtime.options.BurstOptions`, that make a difference to it.
    """

    honours: ClassVar[frozenset[str]]

    def restore_burst(self, frames: Iterable[Array], run: Run[BurstOptions]) -> BurstEstimate:
        """Restore ``(C, H, W)`` planes, float32 in [0, 1], from aligned frames of that shape on the method's device."""
