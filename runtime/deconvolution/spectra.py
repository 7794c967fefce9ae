"""What `runtime.deconvolution.observation.Observation.solve` does frequency by frequency: half spectra in, half spectra out.

With the weight ``d`` of the data term, trust ``t``, transfer function ``K`` and prior ``p``, the energy's minimum for a
canvas ``Y`` and a linear term ``G`` is ``X = (d t conj(K) Y + G) / (d t |K|^2 + p)``. What that leaves unexplained,
``t (Y - K X)``, is linear in both.
"""

from __future__ import annotations

from kernels.arrays import Array, array_module, is_cuda


def weigh(power: Array, prior: Array, trust: Array, data: float, ease: float) -> tuple[Array, Array, Array]:
    """Return the inverse of the energy's curvature, the share that stays unexplained, and its eased inverse.

    Parameters
    ----------
    power, prior, trust : arrays of float32
        ``|K|^2``, ``p``, which is positive, and ``t``.
    data : float
        ``d``.
    ease : float
        Added to what stays unexplained, in units of the trust, before it is inverted.
    """
    if not is_cuda(power):
        from runtime.deconvolution.cpu import weigh as on_cpu

        return on_cpu(power, prior, trust, data, ease)
    return weigh_plainly(power, prior, trust, data, ease)


def weigh_plainly(power: Array, prior: Array, trust: Array, data: float, ease: float) -> tuple[Array, Array, Array]:
    """Do the work of `weigh` by whole-array operations, on any device."""
    inverse = 1 / (data * trust * power + prior)
    unexplained = trust * prior * inverse
    return inverse, unexplained, 1 / (unexplained + ease * trust)


def misfit(transfer: Array, spectrum: Array, pull: Array, trust: Array, inverse: Array, unexplained: Array) -> Array:
    """Return ``t (Y - K X)`` from ``K``, ``Y``, ``G``, ``t`` and what `weigh` gave."""
    if not is_cuda(spectrum):
        from runtime.deconvolution.cpu import misfit as on_cpu

        return on_cpu(transfer, spectrum, pull, trust, inverse, unexplained)
    return misfit_plainly(transfer, spectrum, pull, trust, inverse, unexplained)


def misfit_plainly(
    transfer: Array, spectrum: Array, pull: Array, trust: Array, inverse: Array, unexplained: Array
) -> Array:
    """Do the work of `misfit` by whole-array operations, on any device."""
    return unexplained * spectrum - trust * inverse * transfer * pull


def solution(transfer: Array, spectrum: Array, pull: Array, trust: Array, inverse: Array, data: float) -> Array:
    """Return ``X`` from ``K``, ``Y``, ``G``, ``t``, what `weigh` gave, and ``d``."""
    if not is_cuda(spectrum):
        from runtime.deconvolution.cpu import solution as on_cpu

        return on_cpu(transfer, spectrum, pull, trust, inverse, data)
    return solution_plainly(transfer, spectrum, pull, trust, inverse, data)


def solution_plainly(transfer: Array, spectrum: Array, pull: Array, trust: Array, inverse: Array, data: float) -> Array:
    """Do the work of `solution` by whole-array operations, on any device."""
    xp = array_module(spectrum)
    return inverse * (data * trust * xp.conj(transfer) * spectrum + pull)
