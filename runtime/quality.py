"""The quality levels: how much work each part of a restoration puts in."""

from __future__ import annotations

from typing import NamedTuple

from runtime.errors import InvalidArgument


class SearchEffort(NamedTuple):
    """How much work goes into the blind estimation of a kernel.

    Attributes
    ----------
    pixels : int
        Most pixels that take part, those of the window with the strongest edges; more add time, but little evidence.
    small : int
        Most pixels of the scale at which the hypotheses are compared.
    hypotheses : int
        Extents of the kernel that are tried, each smaller than the one before by the ratio of the pyramid.
    polishing : int
        Iterations that polish a kernel.
    rounds : int
        Times that the best kernel is refined once more in the end.
    """

    pixels: int
    small: int
    hypotheses: int
    polishing: int
    rounds: int


class DeconvolutionEffort(NamedTuple):
    """How much work goes into deconvolution.

    Attributes
    ----------
    method : str
        The method, unless another is asked for; see `runtime.options.DECONVOLUTIONS`.
    steps : int
        Conjugate gradient steps for what lies beyond the border and in saturated areas.
    stride : int
        Distance in pixels of the patches of EPLL.
    """

    method: str
    steps: int
    stride: int


class Quality(NamedTuple):
    """One quality level.

    Attributes
    ----------
    search : SearchEffort
    deconvolution : DeconvolutionEffort
    stride_factor : int
        Factor on the patch network's own stride where it only gives a first estimate.
    """

    search: SearchEffort
    deconvolution: DeconvolutionEffort
    stride_factor: int


LEVELS = {
    "fast": Quality(SearchEffort(100_000, 50_000, 2, 2, 0), DeconvolutionEffort("hyper-laplacian", 8, 6), 2),
    "balanced": Quality(SearchEffort(640_000, 170_000, 4, 6, 1), DeconvolutionEffort("epll", 16, 4), 1),
    "best": Quality(SearchEffort(1_280_000, 340_000, 4, 8, 2), DeconvolutionEffort("epll", 60, 2), 1),
}
"""The quality levels by name."""


def find_level(name: str) -> Quality:
    """Return the quality level of a name.

    Raises
    ------
    InvalidArgument
        If there is none of that name.
    """
    if not isinstance(name, str) or name not in LEVELS:
        raise InvalidArgument(f"quality {name!r}: give one of {', '.join(LEVELS)}")
    return LEVELS[name]
