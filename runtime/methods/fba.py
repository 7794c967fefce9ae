"""Fourier burst accumulation of whole frames (Delbracio and Sapiro 2015; Wieschollek 2016, Eq. 4 and 5)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kernels.arrays import Array, array_module
from kernels.burst import BurstAccumulator
from runtime.methods import BurstOptions
from runtime.progress import Stopwatch


@dataclass(frozen=True)
class Accumulation:
    """A fused burst, as arrays on its device.

    Attributes
    ----------
    latent
        Float32 ``(C, H, W)``.
    leaders
        Int32 ``(H', W' // 2 + 1)``: for each frequency of the mirrored frames, in the layout of ``numpy.fft.rfft2``,
        the number of the frame with the largest weight.
    shares
        Float32 of that shape: that weight, of a sum of 1.
    """

    latent: Array
    leaders: Array
    shares: Array


def fuse(frames: Iterable[Array], options: BurstOptions, stopwatch: Stopwatch) -> Accumulation:
    """Fuse aligned frames, one after the other: memory does not grow with their number.

    The Fourier transform takes a frame for one period of many. Each is therefore continued below and on the right by
    its mirror image, up to a size whose transform is quick; this moves the break between opposite borders out of
    the picture, too.

    Parameters
    ----------
    frames
        Float32 ``(C, H, W)``, at least one, all of one shape and on one device.
    options
        What is asked for; `BurstOptions.p` counts.
    stopwatch
        Charged for ``fuse``.
    """
    accumulator, shape = None, None
    for frame in frames:
        with stopwatch("fuse"):
            shape, continued = frame.shape, _continued(frame)
            accumulator = accumulator or BurstAccumulator(*continued.shape, p=options.p)
            accumulator.add(continued)
    if accumulator is None or shape is None:
        raise ValueError("a burst of no frames: give at least one")
    with stopwatch("fuse"):
        _, height, width = shape
        latent = array_module(frame).ascontiguousarray(accumulator.result()[:, :height, :width])
        return Accumulation(latent, accumulator.leaders, accumulator.shares)


def _continued(frame: Array) -> Array:
    from scipy.fft import next_fast_len

    sizes = (next_fast_len(size, real=True) for size in frame.shape[1:])
    more = [(0, size - had) for size, had in zip(sizes, frame.shape[1:], strict=True)]
    return array_module(frame).pad(frame, [(0, 0), *more], mode="symmetric")
