"""`kernels.burst` for NumPy arrays; that module documents the functions."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kernels.arrays import Array
from kernels.burst import POWER, SMOOTHING
from kernels.cpu._compile import compiled
from kernels.cpu.simd.folding import (
    Matrix,
    back,
    bases_for,
    combine,
    forward,
    read_spectrum,
    scratch_for,
    separate,
    write_spectrum,
)
from kernels.cpu.simd.matmul import aligned_zeros
from kernels.cpu.simd.vectors import LANES, larger, load, splat, square_root, store, store_backwards
from kernels.cpu.threads import core_count, run_in_slices
from kernels.formulas.smoothing import gaussian_taps

if TYPE_CHECKING:
    from kernels.burst import BurstState

LARGEST_PRODUCT = 128
"""Side of the largest patches that are transformed by products; from here on SciPy is as fast."""

MOST_PRODUCTS = 64
"""Largest exponent for which powers are computed by products."""


def mean_magnitudes(spectra: Array, out: Array | None = None) -> Array:
    """Average the magnitudes row by row."""
    if out is None:
        out = np.empty(spectra.shape[1:], np.float32)
    run_in_slices(_mean_magnitudes, len(out), spectra, out)
    return out


def accumulate(spectra: Array, magnitudes: Array, number: int, p: float, state: BurstState) -> None:
    """Add the frame row by row, in one pass over the state."""
    run_in_slices(_accumulate, len(magnitudes), spectra, magnitudes, np.int32(number), np.float32(p), *state)


def fuse_patches(
    patches: Array,
    p: float = POWER,
    sigma: float | None = None,
    guide: Array | None = None,
    out: Array | None = None,
) -> Array:
    """Fuse one burst at a time, frame by frame, in the cache of one core.

    Patches of up to `LARGEST_PRODUCT` pixels are transformed by `kernels.cpu.simd.folding`, so that memory is read and
    written once; larger ones by SciPy, all beforehand and all fused ones at the end.
    """
    return _fuse(patches, guide, None, p, sigma, out)


def fuse_weighted(patches: Array, weights: Array, sigma: float | None = None, out: Array | None = None) -> Array:
    """Fuse as `fuse_patches` does, with the weights for magnitudes and an exponent of 1, which normalises them."""
    return _fuse(patches, None, weights, 1, sigma, out)


def _fuse(
    patches: Array, guide: Array | None, weights: Array | None, p: float, sigma: float | None, out: Array | None
) -> Array:
    count, _, size, _ = patches.shape
    if out is None:
        out = np.empty((count, size, size), np.float32)
    settings = _settings(size, SMOOTHING * size if sigma is None else sigma, p)
    guide, weights = (_NONE if given is None else given for given in (guide, weights))
    if size <= LARGEST_PRODUCT:
        run_in_slices(_fuse_bursts, count, patches, guide, weights, True, bases_for(size, size), settings, out)
        return out
    import scipy.fft

    spectra, guides = _parts_of_rfft2(patches), _parts_of_rfft2(guide) if guide.size else guide
    fused = np.empty((count, size, size // 2 + 1), np.complex64)
    parts = fused.view(np.float32)
    run_in_slices(_fuse_bursts, count, spectra, guides, weights, False, bases_for(1, 1), settings, parts)
    out[:] = scipy.fft.irfft2(fused, s=(size, size), overwrite_x=True, workers=core_count())
    return out


_NONE = np.empty((0, 0, 0, 0), np.float32)


def _parts_of_rfft2(patches: Array) -> Array:
    """Return real and imaginary parts of the spectra, alternating along the last axis."""
    import scipy.fft

    return scipy.fft.rfft2(patches, workers=core_count()).view(np.float32)


class _Settings(NamedTuple):
    """How to weigh: the exponent, also as an integer where powers are products and else -1, and half a Gaussian."""

    p: np.float32
    products: int
    taps: Matrix


@lru_cache(maxsize=16)
def _settings(size: int, sigma: float, p: float) -> _Settings:
    products = int(p) if p <= MOST_PRODUCTS and p == int(p) else -1
    return _Settings(np.float32(p), products, gaussian_taps(size, sigma))


@compiled
def _mean_magnitudes(first, last, spectra, out):  # type: ignore[no-untyped-def]
    channels, _, width = spectra.shape
    share = np.float32(1 / channels)
    for y in range(first, last):
        for x in range(width):
            total = np.float32(0)
            for c in range(channels):
                value = spectra[c, y, x]
                total += np.sqrt(value.real * value.real + value.imag * value.imag)
            out[y, x] = share * total


@compiled
def _factors(magnitude, largest, p):  # type: ignore[no-untyped-def]
    """Return the factors of the sums so far and of the new frame, relative to the larger magnitude."""
    one = np.float32(1)
    if magnitude > largest:
        return np.float32((largest / magnitude) ** p), one
    return one, np.float32((magnitude / largest) ** p) if largest > 0 else one


@compiled
def _accumulate(  # type: ignore[no-untyped-def]
    first, last, spectra, magnitudes, number, p, sums, totals, maxima, leaders
):
    channels, _, width = spectra.shape
    for y in range(first, last):
        for x in range(width):
            kept, weight = _factors(magnitudes[y, x], maxima[y, x], p)
            totals[y, x] = kept * totals[y, x] + weight
            for c in range(channels):
                sums[c, y, x] = kept * sums[c, y, x] + weight * spectra[c, y, x]
            if magnitudes[y, x] > maxima[y, x]:
                maxima[y, x] = magnitudes[y, x]
                leaders[y, x] = number


class _Work(NamedTuple):
    """Matrices for one burst, their rows padded to whole vectors.

    Spectra are in the layout of `kernels.cpu.simd.folding.combine`. Of what is real, ``(2, M, ...)``, the first half
    belongs to ``(u, v)`` and the second to ``(-u, v)``.
    """

    sums: Matrix
    scratch: Matrix
    spectrum: Array
    fused: Array
    totals: Array
    maxima: Array
    ratios: Matrix
    magnitudes: Matrix
    extended: Matrix
    across: Matrix
    smooth: Matrix


@compiled
def _fuse_bursts(first, last, patches, guides, weights, folded, bases, settings, out):  # type: ignore[no-untyped-def]
    """Fuse the bursts `first` to `last - 1`, adding frame after frame as `accumulate` does.

    Unless patches are transformed here, `folded`, those given and written are spectra.
    """
    frames, size = patches.shape[1:3]
    work = _allocate(size, bases, len(settings.taps) - 1)
    for index in range(first, last):
        work.totals[:], work.maxima[:], work.fused[:] = 0, 0, 0
        for frame in range(frames):
            if weights.size:
                _read_weights(weights[index, frame], work.magnitudes)
            elif guides.size:
                _transform(guides[index, frame], folded, bases, work)
                _take_magnitudes(work.spectrum, work.magnitudes)
            _transform(patches[index, frame], folded, bases, work)
            if not (weights.size or guides.size):
                _take_magnitudes(work.spectrum, work.magnitudes)
            _add_frame(work, settings)
        _normalise(work)
        if folded:
            separate(work.fused, bases, work.sums)
            back(work.sums, bases, work.scratch, out[index])
        else:
            write_spectrum(work.fused, out[index])


@compiled
def _allocate(size, bases, reach):  # type: ignore[no-untyped-def]
    half = size // 2 + 1
    width, rows = -(-half // LANES) * LANES, size + size % 2
    return _Work(
        scratch_for(bases),
        scratch_for(bases),
        aligned_zeros(4 * half, width).reshape(4, half, width),
        aligned_zeros(4 * half, width).reshape(4, half, width),
        aligned_zeros(2 * half, width).reshape(2, half, width),
        aligned_zeros(2 * half, width).reshape(2, half, width),
        aligned_zeros(half, width),
        aligned_zeros(size, width),
        aligned_zeros(rows, _margin(reach) + width + reach + 2 * LANES),
        aligned_zeros(rows + 2 * reach, width),
        aligned_zeros(rows, width),
    )


@compiled
def _transform(patch, folded, bases, work):  # type: ignore[no-untyped-def]
    if folded:
        forward(patch, bases, work.sums, work.scratch)
        combine(work.sums, bases, work.spectrum)
    else:
        read_spectrum(patch, work.spectrum)


@compiled
def _margin(reach):  # type: ignore[no-untyped-def]
    """Return the columns before frequency 0 of the extended magnitudes: whole vectors of more than `reach`."""
    return (reach // LANES + 1) * LANES


@compiled
def _take_magnitudes(spectrum, magnitudes):  # type: ignore[no-untyped-def]
    size, half = magnitudes.shape[0], spectrum.shape[1]
    for sign in range(2):
        real, imag = spectrum[2 * sign], spectrum[2 * sign + 1]
        for u in range(half):
            row = (size - u) % size if sign else u
            for v in range(0, half, LANES):
                x, y = load(real, u, v, LANES), load(imag, u, v, LANES)
                store(magnitudes, row, v, LANES, square_root(x * x + y * y))


@compiled
def _read_weights(weights, magnitudes):  # type: ignore[no-untyped-def]
    """Copy weights; where the half spectrum holds both frequencies of a pair, both get the mean of their weights."""
    size, half = weights.shape
    for u in range(size):
        for v in range(0, half, LANES):
            store(magnitudes, u, v, LANES, load(weights, u, v, half - v))
    for u in range(size // 2 + 1):
        minus = (size - u) % size
        for v in range(0, half, max(1, size // 2)):
            if 2 * v % size == 0:
                magnitudes[u, v] = magnitudes[minus, v] = np.float32(0.5) * (weights[u, v] + weights[minus, v])


@compiled
def _add_frame(work, settings):  # type: ignore[no-untyped-def]
    """Smooth the magnitudes of a frame and add its spectrum, weighted by their powers."""
    reach = len(settings.taps) - 1
    _extend(work.magnitudes, reach, work.extended)
    _smooth_across(work.extended, settings.taps, work.across)
    size = len(work.magnitudes)
    _smooth_down(work.across, size, settings.taps, work.smooth)
    for sign in range(2):
        _relate(work.smooth, size, sign, work.maxima[sign], work.ratios)
        _raise(work.ratios, settings.products, settings.p)
        _add(
            work.smooth, size, sign, work.ratios, work.spectrum[2 * sign], work.spectrum[2 * sign + 1],
            work.totals[sign], work.maxima[sign], work.fused[2 * sign], work.fused[2 * sign + 1],
        )  # fmt: skip


@compiled
def _extend(magnitudes, reach, extended):  # type: ignore[no-untyped-def]
    """Continue the half spectrum to both sides by `reach` columns, with ``magnitudes[-u, -v] = magnitudes[u, v]``."""
    size = magnitudes.shape[0]
    half, margin = size // 2 + 1, _margin(reach)
    last = (size - 1) // 2  # the last column that the right half mirrors
    for u in range(size):
        minus = (size - u) % size
        for v in range(max(0, last - reach + 1) // LANES * LANES, last + 1, LANES):
            store_backwards(extended, minus, margin + size - v, LANES, load(magnitudes, u, v, LANES))
        for v in range(0, reach + 1, LANES):
            store_backwards(extended, minus, margin - v, LANES, load(magnitudes, u, v, LANES))
    # Last, because the vectors above reach into these columns.
    for u in range(size):
        for v in range(0, half, LANES):
            store(extended, u, margin + v, half - v, load(magnitudes, u, v, LANES))


@compiled
def _smooth_across(extended, taps, across):  # type: ignore[no-untyped-def]
    """Convolve the rows, two at once, so that the sums of one do not wait for those of the other."""
    width, reach = across.shape[1], len(taps) - 1
    margin = _margin(reach)
    for u in range(0, extended.shape[0], 2):
        for v in range(0, width, LANES):
            middle, tap = margin + v, splat(taps[0])
            first, second = tap * load(extended, u, middle, LANES), tap * load(extended, u + 1, middle, LANES)
            for k in range(1, reach + 1):
                left, right, tap = middle - k, middle + k, splat(taps[k])
                first = first + tap * (load(extended, u, left, LANES) + load(extended, u, right, LANES))
                second = second + tap * (load(extended, u + 1, left, LANES) + load(extended, u + 1, right, LANES))
            store(across, reach + u, v, LANES, first)
            store(across, reach + u + 1, v, LANES, second)


@compiled
def _smooth_down(across, size, taps, smooth):  # type: ignore[no-untyped-def]
    """Continue the rows periodically above and below, and convolve the columns, for two rows at once."""
    width, reach = across.shape[1], len(taps) - 1
    for row in range(reach):
        # Vector by vector: for rows as a whole Numba compiles its rules of shapes, with their messages, for seconds.
        for v in range(0, width, LANES):
            store(across, row, v, LANES, load(across, size + row, v, LANES))
            store(across, reach + size + row, v, LANES, load(across, reach + row, v, LANES))
    for u in range(0, smooth.shape[0], 2):
        middle = reach + u
        for v in range(0, width, LANES):
            tap = splat(taps[0])
            first, second = tap * load(across, middle, v, LANES), tap * load(across, middle + 1, v, LANES)
            for k in range(1, reach + 1):
                above, below, tap = middle - k, middle + k, splat(taps[k])
                first = first + tap * (load(across, above, v, LANES) + load(across, below, v, LANES))
                second = second + tap * (load(across, above + 1, v, LANES) + load(across, below + 1, v, LANES))
            store(smooth, u, v, LANES, first)
            store(smooth, u + 1, v, LANES, second)


@compiled
def _relate(smooth, size, sign, maxima, ratios):  # type: ignore[no-untyped-def]
    """Divide the smaller by the larger of magnitude and maximum, at frequencies ``u`` or, with `sign` 1, ``-u``."""
    one, none = splat(np.float32(1)), splat(np.float32(0))
    for u in range(maxima.shape[0]):
        row = (size - u) % size if sign else u
        for v in range(0, maxima.shape[1], LANES):
            x, y = load(smooth, row, v, LANES), load(maxima, u, v, LANES)
            most = larger(x, y, x, y)
            store(ratios, u, v, LANES, larger(most, none, larger(x, y, y, x) / most, one))


@compiled
def _raise(ratios, products, p):  # type: ignore[no-untyped-def]
    """Raise numbers to the power `p`: by products if it is `products`, which is negative if there would be too many."""
    if products == 1:
        return
    for u in range(ratios.shape[0]):
        if products < 0:
            for v in range(ratios.shape[1]):
                ratios[u, v] = ratios[u, v] ** p
            continue
        for v in range(0, ratios.shape[1], LANES):
            square, product = load(ratios, u, v, LANES), splat(np.float32(1))
            rest = products
            while rest > 0:
                if rest & 1:
                    product = product * square
                square = square * square
                rest >>= 1
            store(ratios, u, v, LANES, product)


@compiled
def _add(smooth, size, sign, powers, real, imag, totals, maxima, fused_real, fused_imag):  # type: ignore[no-untyped-def]
    """Add a spectrum: of magnitude and maximum, what belongs to the smaller is weighted by the power of their ratio."""
    one = splat(np.float32(1))
    for u in range(maxima.shape[0]):
        row = (size - u) % size if sign else u
        for v in range(0, maxima.shape[1], LANES):
            x, y, power = load(smooth, row, v, LANES), load(maxima, u, v, LANES), load(powers, u, v, LANES)
            kept, weight = larger(x, y, power, one), larger(x, y, one, power)
            store(maxima, u, v, LANES, larger(x, y, x, y))
            store(totals, u, v, LANES, kept * load(totals, u, v, LANES) + weight)
            total = kept * load(fused_real, u, v, LANES) + weight * load(real, u, v, LANES)
            store(fused_real, u, v, LANES, total)
            total = kept * load(fused_imag, u, v, LANES) + weight * load(imag, u, v, LANES)
            store(fused_imag, u, v, LANES, total)


@compiled
def _normalise(work):  # type: ignore[no-untyped-def]
    """Divide by the sum of the weights."""
    for part in range(4):
        fused, totals = work.fused[part], work.totals[part // 2]
        for u in range(fused.shape[0]):
            for v in range(0, fused.shape[1], LANES):
                store(fused, u, v, LANES, load(fused, u, v, LANES) / load(totals, u, v, LANES))
