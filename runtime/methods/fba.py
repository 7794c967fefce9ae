"""Fourier burst accumulation (Delbracio and Sapiro 2015; Wieschollek 2016, Eq. 4 and 5).

The Fourier transform of the result is a weighted mean of those of the frames; the weight of a frame at each frequency
is a power of its magnitude there. Whole frames are fused if the blur of each is uniform, and patches if it is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from kernels.arrays import Array, array_module
from kernels.burst import SMOOTHING, BurstAccumulator, fuse_patches
from kernels.patches import PatchGrid, extract_patches, overlap_add
from runtime.colour import luminance
from runtime.contract import BurstEstimate
from runtime.decisions.thresholds import NOISY_GAIN_ACCUMULATED
from runtime.errors import InvalidArgument
from runtime.inference.bundle import Bundle
from runtime.inference.devices import Device
from runtime.options import BurstOptions
from runtime.run import Run

_BATCH_PIXELS = 2**24
"""Number of pixels, over the patches of all frames, that are fused in one batch: 64 MiB."""
_LEAST_LARGEST_PATCH = 512
"""Side in pixels of patches that may always be fused; larger ones only in frames of at least half their side."""


class FourierBurstAccumulation:
    """Restoration of bursts without a network: of whole frames, or with `BurstOptions.patch` patch by patch.

    Parameters
    ----------
    bundle, device, precision, batch
        As for all methods; not used, since there is no network.
    """

    supported_options: ClassVar[frozenset[str]] = frozenset({"p", "patch", "stride", "smoothing"})
    noisy_gain: ClassVar[float] = NOISY_GAIN_ACCUMULATED

    def __init__(self, bundle: Bundle, *, device: Device, precision: str, batch: int | None) -> None:
        pass

    def restore_burst(self, frames: Iterable[Array], run: Run[BurstOptions]) -> BurstEstimate:
        """Fuse aligned frames: see `fuse` and `fuse_by_patches`."""
        if run.options.patch is None:
            return fuse(frames, run)
        return BurstEstimate(fuse_by_patches(list(frames), run.options.patch, run))


def fuse(frames: Iterable[Array], run: Run[BurstOptions]) -> BurstEstimate:
    """Fuse aligned frames one after the other, so that the memory does not grow with their number.

    The discrete Fourier transform extends a frame periodically. Each frame is therefore padded below and on the right
    by its mirror image, to a size with a fast transform, which also moves the discontinuity between opposite borders
    out of the image.

    Parameters
    ----------
    frames
        Float32 ``(C, H, W)``, at least one, all of one shape and on one device.
    run
        Gives `BurstOptions.p` and `BurstOptions.smoothing`; its stopwatch measures ``fuse``.
    """
    options = run.options
    accumulator, shape = None, None
    for frame in frames:
        with run.stopwatch("fuse"):
            shape, padded = frame.shape, _padded(frame)
            accumulator = accumulator or BurstAccumulator(
                *padded.shape, p=options.p, sigma=_sigma(options, min(padded.shape[1:]))
            )
            accumulator.add(padded)
    if accumulator is None or shape is None:
        raise ValueError("a burst of no frames: give at least one")
    with run.stopwatch("fuse"):
        _, height, width = shape
        latent = array_module(frame).ascontiguousarray(accumulator.result()[:, :height, :width])
        return BurstEstimate(latent, accumulator.leaders, accumulator.shares)


def fuse_by_patches(frames: Sequence[Array], patch: int, run: Run[BurstOptions]) -> Array:
    """Fuse the frames patch by patch, with weights from their luminance, and overlap-add with a Hann window.

    Parameters
    ----------
    frames
        Float32 ``(C, H, W)``, at least one, all of one shape and on one device.
    patch
        Side of a patch in pixels, much larger than the blur.
    run
        Gives `BurstOptions.p`, `BurstOptions.stride` and `BurstOptions.smoothing`; the default stride is half a patch.
        Its stopwatch measures ``extract``, ``fuse`` and ``overlap-add``; the progress of ``"patches"`` is reported.

    Returns
    -------
    array
        Float32 ``(C, H, W)``.

    Raises
    ------
    InvalidArgument
        If the stride is larger than the patch.
    """
    options = run.options
    stride = options.stride or -(-patch // 2)
    if stride > patch:
        raise InvalidArgument(f"stride {stride} leaves gaps between patches of {patch} pixels: give at most {patch}")
    xp, (_, height, width) = array_module(frames[0]), frames[0].shape
    largest = max(2 * max(height, width), _LEAST_LARGEST_PATCH)
    if patch > largest:
        raise InvalidArgument(f"patch {patch}: frames of {width}x{height} pixels take at most {largest}, or None")
    grid = PatchGrid(height, width, patch=patch, core=patch, stride=stride)
    guides = [luminance(frame) for frame in frames]
    batch = max(1, _BATCH_PIXELS // (len(frames) * patch**2))
    out = xp.zeros_like(frames[0])
    for start in range(0, len(grid), batch):
        stop = min(start + batch, len(grid))
        with run.stopwatch("extract"):
            guide = _bursts(guides, grid, start, stop)
        for channel, target in enumerate(out):
            with run.stopwatch("extract"):
                patches = _bursts([frame[channel] for frame in frames], grid, start, stop)
            with run.stopwatch("fuse"):
                fused = fuse_patches(patches, options.p, _sigma(options, patch), guide)
            with run.stopwatch("overlap-add"):
                overlap_add(fused, grid, start, target)
        run.report("patches", stop / len(grid))
    return out


def _sigma(options: BurstOptions, side: int) -> float:
    """Return the standard deviation, in frequency samples, of the Gaussian that smooths the magnitudes."""
    return (SMOOTHING if options.smoothing is None else options.smoothing) * side


def _bursts(planes: Sequence[Array], grid: PatchGrid, start: int, stop: int) -> Array:
    """Return patches ``start`` to ``stop - 1`` of all frames: ``(stop - start, frames, patch, patch)``."""
    return array_module(planes[0]).stack([extract_patches(plane, grid, start, stop) for plane in planes], axis=1)


def _padded(frame: Array) -> Array:
    """Pad a frame below and on the right by its mirror image, to a size with a fast Fourier transform."""
    from scipy.fft import next_fast_len

    margins = [(0, next_fast_len(size, real=True) - size) for size in frame.shape[1:]]
    return array_module(frame).pad(frame, [(0, 0), *margins], mode="symmetric")
