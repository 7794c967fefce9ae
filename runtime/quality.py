"""The quality levels: how much work each part of a restoration puts in."""

from __future__ import annotations

from typing import NamedTuple


class Effort(NamedTuple):
    """How much work goes into an estimate.

    Attributes
    ----------
    pixels : int
        Most pixels that take part, those of the window with the strongest edges; more add time, but little evidence.
    small : int
        Most pixels of the scale at which the hypotheses are judged.
    hypotheses : int
        Extents tried: the bound, and each time the side divided by `RATIO`.
    polishing : int
        Turns that polish a kernel.
    rounds : int
        Times that the best kernel is refined once more in the end.
    """

    pixels: int
    small: int
    hypotheses: int
    polishing: int
    rounds: int


EFFORTS = {
    "fast": Effort(100_000, 50_000, 2, 2, 0),
    "balanced": Effort(640_000, 170_000, 4, 6, 1),
    "best": Effort(1_280_000, 340_000, 4, 8, 2),
}
"""The quality levels by name."""


class Level(NamedTuple):
    """How much work goes into a restoration.

    Attributes
    ----------
    method : str
        The method, unless another is asked for.
    steps : int
        Conjugate gradient steps for what lies beyond the border and in saturated areas.
    stride : int
        Distance in pixels of the patches of EPLL.
    """

    method: str
    steps: int
    stride: int


LEVELS = {"fast": Level("hyper-laplacian", 8, 6), "balanced": Level("epll", 16, 4), "best": Level("epll", 60, 2)}
"""The quality levels by name."""
