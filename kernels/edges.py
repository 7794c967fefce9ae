"""Edges: differences of a periodic image, the strongest of them, and a filter that makes steps of blurred ones."""

from __future__ import annotations

from kernels._dispatch import check_array, check_number, check_positive, check_size, implementation
from kernels.arrays import Array

SAMPLE = 2**16
"""Gradients from which the length of the strongest is found, at least, if there are as many."""


def forward_differences(image: Array) -> Array:
    """Take the forward differences of a periodic image along both axes.

    Parameters
    ----------
    image
        float32 ``(H, W)`` of at least one pixel, C-contiguous, NumPy or CuPy.

    Returns
    -------
    differences
        float32 ``(2, H, W)``: first those along the rows, ``x[m, n + 1] - x[m, n]``, then those along the columns.

    Raises
    ------
    TypeError
        If `image` is not a float32 array.
    ValueError
        If `image` is not 2-D and contiguous, or has no pixel.
    """
    return implementation("edges", _checked(image)).forward_differences(image)


def shock_filter(image: Array, step: float, iterations: int) -> Array:
    """Turn the blurred edges of a periodic image into steps (Osher and Rudin 1990).

    Each iteration moves `u` by ``-step sign(c) |grad u|``, where ``c = ux^2 uxx + 2 ux uy uxy + uy^2 uyy`` has the sign
    of the second derivative along the gradient, by central differences. In ``|grad u|``, the derivative along each axis
    is the smaller one-sided difference where the two agree in sign, else 0 (minmod): no value leaves the range of its
    neighbours for steps of up to 0.7.

    Parameters
    ----------
    image
        float32 ``(H, W)`` of at least one pixel, C-contiguous, NumPy or CuPy.
    step
        Length of a step in units of the gradient, positive.
    iterations
        How many, at least 1.

    Returns
    -------
    sharpened
        float32 ``(H, W)``.

    Raises
    ------
    TypeError
        If `image` is not a float32 array, `step` not a number or `iterations` not an integer.
    ValueError
        If `image` is not 2-D and contiguous, or has no pixel, `step` is not positive and finite, or `iterations` below
        1.
    """
    found = implementation("edges", _checked(image))
    return found.shock_filter(image, check_positive("step", step), check_size("iterations", iterations))


def keep_strongest(edges: Array, share: float) -> Array:
    """Set all gradients but a share of them, those of the largest magnitude, to zero.

    The least magnitude that is kept is a quantile, interpolated linearly, of every n-th gradient, where n is the
    largest number that leaves `SAMPLE` of them.

    Parameters
    ----------
    edges
        float32 ``(2, H, W)`` of at least one gradient, C-contiguous, NumPy or CuPy; finite.
    share
        Of the gradients that are kept, about; in [0, 1].

    Returns
    -------
    kept
        float32 ``(2, H, W)``.

    Raises
    ------
    TypeError
        If `edges` is not a float32 array, or `share` not a number.
    ValueError
        If `edges` is not of this shape and contiguous, or has no gradient, or `share` is not in [0, 1].
    """
    check_array("edges", edges, (2, None, None))
    if edges.size == 0:
        raise ValueError(f"edges have shape {edges.shape}: give at least one gradient")
    if not 0 <= check_number("share", share) <= 1:
        raise ValueError(f"share must be in [0, 1], got {share}")
    return implementation("edges", edges).keep_strongest(edges, float(share))


def _checked(image: Array) -> Array:
    check_array("image", image, (None, None))
    if image.size == 0:
        raise ValueError(f"image has shape {image.shape}: give at least one pixel")
    return image
