"""Least-squares deconvolution in the Fourier domain, one independent problem per frequency.

With the transfer function ``K`` of the blur, the spectrum ``Y`` of the blurred plane, a weight ``d`` of the data term,
a confidence ``t`` from 0 to 1 in the data at each frequency, a quadratic prior of weight ``p`` and a linear term
``G``, the energy ``d t |K X - Y|^2 / 2 + p |X|^2 / 2 - Re(conj(G) X)`` has its minimum at

    X = (d t conj(K) Y + G) / (d t |K|^2 + p).

The three functions are the steps of a solver that alternates between this minimum and the pixels that were not
observed: the factors that depend on ``K``, ``t`` and ``p`` alone, the data that the minimum leaves unexplained, and the
minimum itself. Spectra are half spectra in the layout of ``numpy.fft.rfft2``.
"""

from __future__ import annotations

from kernels._dispatch import COMPLEX64, check_array, check_positive, implementation
from kernels.arrays import Array


def weigh(power: Array, prior: Array, trust: Array, data: float, ease: float) -> tuple[Array, Array, Array]:
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
        ``d``, positive.
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
    data, ease = check_positive("data", data), check_positive("ease", ease)
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


def solution(transfer: Array, spectrum: Array, pull: Array, trust: Array, inverse: Array, data: float) -> Array:
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
        transfer, spectrum, pull, trust, inverse, check_positive("data", data)
    )


def _check(transfer: Array, spectrum: Array, pull: Array, trust: Array, inverse: Array) -> None:
    check_array("spectrum", spectrum, (None, None), COMPLEX64)
    check_array("transfer", transfer, spectrum.shape, COMPLEX64)
    check_array("pull", pull, spectrum.shape, COMPLEX64)
    check_array("trust", trust, spectrum.shape)
    check_array("inverse", inverse, spectrum.shape)
