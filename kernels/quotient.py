"""Kernels of blur and latent images by regularised division of spectra (Schuler et al. 2014, Eq. 4 and 5).

The blur kernel is the quotient of cross spectrum and power spectrum, summed over features ``x_i`` of the sharp image
and their blurred counterparts ``y_i``; the latent image is that of one kernel and one plane. A spectrum is that of a
periodic plane, so borders are faded first, and what a division gives as kernel is brought into shape afterwards: what
is below a share of its largest values is no blur. All functions are batched over photographs.
"""

from __future__ import annotations

from kernels._dispatch import check_array, check_integer, check_number, check_positive, check_size, implementation
from kernels.arrays import Array

SHARPNESS = 16
"""Order of the norm that is the soft maximum of a kernel: differentiable, and above the maximum by a quarter at most
where thirty pixels share it."""
LEAST = 1e-6
"""Weight of a delta in the sum of a kernel, so that one without positive values is a delta and none is divided by 0."""


def fade(planes: Array, border: int) -> Array:
    """Fade planes to zero at their borders by halves of a Barthann window, `kernels.borders.fading`.

    Parameters
    ----------
    planes
        float32 ``(N, F, H, W)``, NumPy or CuPy.
    border
        Pixels over which they fade, at least 0; where two borders do not fit they meet in the middle.

    Returns
    -------
    faded
        float32 ``(N, F, H, W)``.

    Raises
    ------
    TypeError
        If `planes` is no array of float32, or `border` is not an integer.
    ValueError
        If `planes` has another number of axes or is not contiguous, or `border` is negative.
    """
    check_array("planes", planes, (None,) * 4)
    if check_integer("border", border) < 0:
        raise ValueError(f"border must be at least 0, got {border}")
    return implementation("quotient", planes).fade(planes, int(border))


def kernel_quotient(sharp: Array, blurred: Array, support: int, beta: float, prior: Array | None = None) -> Array:
    """Divide spectra summed over features (Eq. 4), tied to an estimate before.

    ``F^-1((sum_i conj(F x_i) F y_i / (H W) + beta F k_0) / (sum_i |F x_i|^2 / (H W) + beta))``: by the number of
    pixels, `beta` means the same whatever the size. Planes are continued by zeros to sides that transform fast
    (`kernels.borders.fast_side`); give features that fade at the borders.

    Parameters
    ----------
    sharp, blurred
        float32 ``(N, F, H, W)``: ``x_i`` and ``y_i``, NumPy or CuPy.
    support
        Side of the kernels, odd, at most the sides of the planes.
    beta
        Positive.
    prior
        float32 ``(N, support, support)``: ``k_0``, nothing if it is not given.

    Returns
    -------
    kernels
        float32 ``(N, support, support)`` of any sign, the origin in the middle.

    Raises
    ------
    TypeError
        If an array is not float32, the arrays are not all NumPy or all CuPy, or a number is of another type.
    ValueError
        If a shape does not fit, an array is not contiguous, or a number is out of its range.
    """
    check_array("sharp", sharp, (None,) * 4)
    check_array("blurred", blurred, sharp.shape)
    support = check_size("support", support)
    if support % 2 == 0 or support > min(sharp.shape[2:]):
        raise ValueError(f"support must be odd and at most the sides of the planes {sharp.shape[2:]}, got {support}")
    if prior is not None:
        check_array("prior", prior, (len(sharp), support, support))
    return implementation("quotient", sharp, blurred, prior).kernel_quotient(
        sharp, blurred, support, check_positive("beta", beta), prior
    )


def image_quotient(planes: Array, kernels: Array, weight: float) -> Array:
    """Undo a blur under a penalty on the energy (Eq. 5): ``F^-1(conj(F k) F y / (|F k|^2 + weight))``.

    Parameters
    ----------
    planes
        float32 ``(N, H, W)``: blurred, as if periodic, NumPy or CuPy. Sides of `kernels.borders.fast_side` are fast.
    kernels
        float32 ``(N, K, K)``, K odd and at most the sides of the planes, the origin in the middle.
    weight
        Positive.

    Returns
    -------
    latent
        float32 ``(N, H, W)``.

    Raises
    ------
    TypeError
        If an array is not float32, the arrays are not all NumPy or all CuPy, or `weight` is not a number.
    ValueError
        If a shape does not fit, an array is not contiguous, or `weight` is not positive and finite.
    """
    check_array("planes", planes, (None,) * 3)
    check_array("kernels", kernels, (len(planes), None, kernels.shape[-1]))
    if kernels.shape[1] != kernels.shape[2] or kernels.shape[1] % 2 == 0 or kernels.shape[1] > min(planes.shape[1:]):
        raise ValueError(
            f"kernels must be square, of an odd side of at most those of the planes {planes.shape[1:]}, "
            f"got {tuple(kernels.shape)}"
        )
    return implementation("quotient", planes, kernels).image_quotient(planes, kernels, check_positive("weight", weight))


def shape_kernels(raw: Array, threshold: float) -> Array:
    """Set to zero what is below a share of the soft maximum, and scale to sum 1.

    With ``p = max(raw, 0)`` this is ``q = max(p - threshold (sum p^16)^(1/16), 0)``, and then ``(q + e delta) /
    (sum q + e)`` with a small `e` (`LEAST`), so that a delta is left where there is nothing else.

    Parameters
    ----------
    raw
        float32 ``(N, K, K)``, finite, NumPy or CuPy.
    threshold
        From 0 to below 1.

    Returns
    -------
    kernels
        float32 ``(N, K, K)``, non-negative, of sum 1.

    Raises
    ------
    TypeError
        If `raw` is no array of float32, or `threshold` is not a number.
    ValueError
        If `raw` is not a batch of squares or not contiguous, or `threshold` is out of its range.
    """
    check_array("raw", raw, (None, None, raw.shape[-1]))
    if raw.shape[1] != raw.shape[2]:
        raise ValueError(f"raw must be squares (N, K, K), got {tuple(raw.shape)}")
    if not 0 <= check_number("threshold", threshold) < 1:
        raise ValueError(f"threshold must be from 0 to below 1, got {threshold}")
    return implementation("quotient", raw).shape_kernels(raw, float(threshold))
