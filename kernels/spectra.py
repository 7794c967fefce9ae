"""Least-squares deconvolution in the Fourier domain, one independent problem per frequency.

With the transfer function ``K`` of the blur, the spectrum ``Y`` of the blurred plane, a weight ``d`` of the data term,
a confidence ``t`` from 0 to 1 in the data at each frequency, a quadratic prior of weight ``p`` and a linear term
``G``, the energy ``d t |K X - Y|^2 / 2 + p |X|^2 / 2 - Re(conj(G) X)`` has its minimum at

    X = (d t conj(K) Y + G) / (d t |K|^2 + p).

The functions are the steps of a solver that alternates between this minimum and the pixels that were not observed: the
factors that depend on ``K``, ``t`` and ``p`` alone, the data that the minimum leaves unexplained, conjugate gradients
for the pixels that were not observed, and the minimum itself. Spectra are half spectra in the layout of
``numpy.fft.rfft2``.
"""

from __future__ import annotations

from kernels._dispatch import (
    BOOL,
    COMPLEX64,
    check_array,
    check_integer,
    check_number,
    check_output,
    check_positive,
    implementation,
)
from kernels.arrays import Array, is_cuda


def weigh(power: Array, prior: Array, trust: Array, data: float | Array, ease: float) -> tuple[Array, Array, Array]:
    """Compute the factors of the solution that depend on the blur, the prior and the confidence alone.

    Parameters
    ----------
    power
        float32 ``(H, M)``: ``|K|^2``, C-contiguous, NumPy or CuPy.
    prior
        float32 ``(H, M)``: ``p``, positive.
    trust
        float32 ``(H, M)``: ``t``, positive.
    data
        ``d``, positive. On a GPU it may be an array () of float32, whose value is not checked.
    ease
        Positive number, relative to the confidence, that keeps `easing` finite.

    Returns
    -------
    inverse
        float32 ``(H, M)``: ``1 / (d t |K|^2 + p)``, the inverse of the energy's second derivative.
    unexplained
        float32 ``(H, M)``: ``t p inverse``, the part of ``Y`` that the solution leaves unexplained, times ``t``.
    easing
        float32 ``(H, M)``: ``1 / (unexplained + ease t)``, a preconditioner for conjugate gradients.

    Raises
    ------
    TypeError
        If an array is not float32, the arrays are not all NumPy or all CuPy, or a number is not one.
    ValueError
        If a shape does not fit, an array is not contiguous, or a number is not positive and finite.
    """
    check_array("power", power, (None, None))
    check_array("prior", prior, power.shape)
    check_array("trust", trust, power.shape)
    data, ease = _check_data(data), check_positive("ease", ease)
    weights: tuple[Array, Array, Array] = implementation("spectra", power, prior, trust).weigh(
        power, prior, trust, data, ease
    )
    return weights


def misfit(transfer: Array, spectrum: Array, pull: Array, trust: Array, inverse: Array, unexplained: Array) -> Array:
    """Compute what the solution leaves unexplained of the data, ``t (Y - K X)``, without computing ``X``.

    By the formula for ``X`` this is ``unexplained Y - t inverse K G``.

    Parameters
    ----------
    transfer
        complex64 ``(H, M)``: ``K``, C-contiguous, NumPy or CuPy.
    spectrum
        complex64 ``(H, M)``: ``Y``.
    pull
        complex64 ``(H, M)``: ``G``, the linear term.
    trust
        float32 ``(H, M)``: ``t``.
    inverse, unexplained
        float32 ``(H, M)``, from `weigh`.

    Returns
    -------
    misfit
        complex64 ``(H, M)``.

    Raises
    ------
    TypeError
        If an array is of another dtype, or the arrays are not all NumPy or all CuPy.
    ValueError
        If a shape does not fit, or an array is not contiguous.
    """
    _check(transfer, spectrum, pull, trust, inverse)
    check_array("unexplained", unexplained, spectrum.shape)
    return implementation("spectra", transfer, spectrum, pull, trust, inverse, unexplained).misfit(
        transfer, spectrum, pull, trust, inverse, unexplained
    )


def solution(transfer: Array, spectrum: Array, pull: Array, trust: Array, inverse: Array, data: float | Array) -> Array:
    """Compute the spectrum ``X`` that minimises the energy, ``inverse (d t conj(K) Y + G)``.

    Parameters
    ----------
    transfer, spectrum, pull, trust, inverse
        As for `misfit`.
    data
        ``d``, positive, as it was given to `weigh`.

    Returns
    -------
    solution
        complex64 ``(H, M)``.

    Raises
    ------
    TypeError
        If an array is of another dtype, the arrays are not all NumPy or all CuPy, or `data` is not a number.
    ValueError
        If a shape does not fit, an array is not contiguous, or `data` is not positive and finite.
    """
    _check(transfer, spectrum, pull, trust, inverse)
    return implementation("spectra", transfer, spectrum, pull, trust, inverse).solution(
        transfer, spectrum, pull, trust, inverse, _check_data(data)
    )


def conjugate_gradients(
    pixels: Array,
    spectrum: Array,
    misfit: Array,
    unknown: Array,
    easing: Array,
    unexplained: Array,
    *,
    steps: int,
    tolerance: float,
) -> None:
    """Move unknown pixels of the data towards what the solution predicts for them, in place.

    The prediction leaves nothing unexplained there: ``U F* unexplained F x = -U misfit``, where `U` picks the unknown
    pixels, `F` is the Fourier transform, and `x` the change of the pixels. This symmetric positive system is solved by
    conjugate gradients, preconditioned by ``U F* easing F``. They start from no change.

    Parameters
    ----------
    pixels
        float32 ``(H, W)``: the data; changed in place where they are unknown.
    spectrum
        complex64 ``(H, W // 2 + 1)``: the half spectrum of `pixels`, ``Y``; changed in place.
    misfit
        float32 ``(H, W)``: the plane of what `misfit` gives for the data as they are.
    unknown
        bool ``(H, W)``.
    easing, unexplained
        float32 ``(H, W // 2 + 1)``, from `weigh`.
    steps
        Number of steps, at most; not negative.
    tolerance
        Mean square of the residual of the unknown pixels at which the steps end; not negative.

    Raises
    ------
    TypeError
        If an array is of another dtype, the arrays are not all NumPy or all CuPy, or a number is not one.
    ValueError
        If a shape does not fit, an array is not contiguous or an output read-only, or a number is negative.
    """
    check_output("pixels", pixels, (None, None))
    if pixels.size == 0:
        raise ValueError(f"pixels have shape {pixels.shape}: give at least one")
    height, width = pixels.shape
    check_output("spectrum", spectrum, (height, width // 2 + 1), COMPLEX64)
    check_array("misfit", misfit, pixels.shape)
    check_array("unknown", unknown, pixels.shape, BOOL)
    check_array("easing", easing, spectrum.shape)
    check_array("unexplained", unexplained, spectrum.shape)
    steps, tolerance = check_integer("steps", steps), check_number("tolerance", tolerance)
    if steps < 0 or not tolerance >= 0:
        raise ValueError(f"steps and tolerance must not be negative, got {steps} and {tolerance}")
    implementation("spectra", pixels, spectrum, misfit, unknown, easing, unexplained).conjugate_gradients(
        pixels, spectrum, misfit, unknown, easing, unexplained, steps=steps, tolerance=tolerance
    )


def _check_data(data: float | Array) -> float | Array:
    if not is_cuda(data):
        return check_positive("data", data)
    check_array("data", data, ())
    return data


def _check(transfer: Array, spectrum: Array, pull: Array, trust: Array, inverse: Array) -> None:
    check_array("spectrum", spectrum, (None, None), COMPLEX64)
    check_array("transfer", transfer, spectrum.shape, COMPLEX64)
    check_array("pull", pull, spectrum.shape, COMPLEX64)
    check_array("trust", trust, spectrum.shape)
    check_array("inverse", inverse, spectrum.shape)
