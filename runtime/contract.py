"""What a deblurring method takes and gives: `Method`, `BurstMethod`, and their estimates."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from kernels.arrays import Array
from runtime.inference.progress import Progress, Stopwatch
from runtime.options import BurstOptions, Options


@dataclass(frozen=True)
class Estimate:
    """What a method found out, as arrays on its device.

    Attributes
    ----------
    latent
        Float32 ``(C, H, W)``.
    kernel
        Float32 ``(h, w)`` blur kernel, or ``None`` where none was estimated.
    initial
        Float32 ``(H, W)`` first estimate of the latent luminance, or ``None``.
    motion
        Float32 ``(H, W, 2)`` motion field, or ``None``.
    confidence
        In [0, 1], that the photograph is blurred, or ``None`` where nobody asked.
    reason
        One sentence that says why the photograph was left as it is, or ``None`` where it was not.
    gain
        By how many dB of PSNR the restoration is expected to be nearer to the truth, or ``None`` where nobody asked.
    """

    latent: Array
    kernel: Array | None = None
    initial: Array | None = None
    motion: Array | None = None
    confidence: float | None = None
    reason: str | None = None
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
    """A way to restore a photograph."""

    def restore(self, observed: Array, options: Options, stopwatch: Stopwatch, progress: Progress | None) -> Estimate:
        """Restore ``(C, H, W)`` planes that lie on the method's device."""


@runtime_checkable
class BurstMethod(Protocol):
    """A way to restore one photograph from a burst."""

    def restore_burst(
        self, frames: Iterable[Array], options: BurstOptions, stopwatch: Stopwatch, progress: Progress | None
    ) -> BurstEstimate:
        """Restore ``(C, H, W)`` planes from aligned frames of that shape that lie on the method's device.

        Raises
        ------
        InvalidArgument
            If an option is not for this method.
        """
