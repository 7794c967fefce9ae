"""The quality levels: the computational effort of each stage of a restoration."""

from __future__ import annotations

from typing import NamedTuple

from runtime.arguments import check_choice


class Comparison(NamedTuple):
    """A scale of the pyramid at which hypotheses about a kernel are made and compared.

    Attributes
    ----------
    pixels : int
        Its largest number of pixels.
    starts : int
        From how many of `runtime.estimation.kernel.refine.STARTS` long kernels are estimated.
    """

    pixels: int
    starts: int = 1


class SearchEffort(NamedTuple):
    """Effort of the blind estimation of a kernel.

    Attributes
    ----------
    pixels : int
        Largest number of pixels used: those of the window with the strongest edges. More pixels take longer and
        improve the estimate little.
    comparisons : tuple of Comparison
        Where the hypotheses are compared; of several, the later ones for kernels that would be doubtful otherwise.
    extents : int
        Number of kernel sizes tried: the largest, then each the previous one divided by the scale factor of the
        pyramid.
    polishing : int
        Iterations that polish a kernel.
    rounds : int
        How often the best kernel is refined again at the end.
    second : SearchEffort, optional
        Effort of a second search where the learned prior predicts a large error of the first one's kernel. On most
        photographs there is none, so that it costs little on average.
    """

    pixels: int
    comparisons: tuple[Comparison, ...]
    extents: int
    polishing: int
    rounds: int
    second: SearchEffort | None = None


class DeconvolutionEffort(NamedTuple):
    """Effort of the deconvolution.

    Attributes
    ----------
    method : str
        The default method; see `runtime.options.DECONVOLUTIONS`.
    steps : int
        Conjugate-gradient steps that solve for the pixels beyond the border and in saturated areas.
    stride : int
        Distance in pixels between the patches of EPLL.
    """

    method: str
    steps: int
    stride: int


class Quality(NamedTuple):
    """One quality level.

    Attributes
    ----------
    search : SearchEffort
        Effort of the kernel estimation.
    deconvolution : DeconvolutionEffort
        Effort of the deconvolution.
    stride_factor : int
        Factor on the default stride of the patch network when it only provides the first estimate.
    """

    search: SearchEffort
    deconvolution: DeconvolutionEffort
    stride_factor: int


_MANY_STARTS = Comparison(50_000, starts=4)
"""A scale so coarse that many estimates cost little."""
_SECOND_SEARCH = SearchEffort(400_000, (_MANY_STARTS, Comparison(170_000)), 4, 6, 1)
LEVELS = {
    "fast": Quality(
        SearchEffort(100_000, (Comparison(50_000),), 2, 2, 0, second=_SECOND_SEARCH),
        DeconvolutionEffort("hyper-laplacian", 8, 6),
        2,
    ),
    "balanced": Quality(
        SearchEffort(640_000, (Comparison(170_000), _MANY_STARTS, Comparison(170_000, starts=2)), 4, 6, 1),
        DeconvolutionEffort("epll", 16, 4),
        1,
    ),
    "best": Quality(
        SearchEffort(1_280_000, (Comparison(340_000), _MANY_STARTS, Comparison(340_000, starts=2)), 4, 8, 2),
        DeconvolutionEffort("epll", 60, 2),
        1,
    ),
}
"""The quality levels by name."""


def find_level(name: str) -> Quality:
    """Return the quality level called `name`.

    Raises
    ------
    InvalidArgument
        If there is no such level.
    """
    return LEVELS[check_choice("quality", name, tuple(LEVELS))]
