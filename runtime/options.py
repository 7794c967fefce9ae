"""What a caller may ask of a restoration."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass, fields
from typing import Any

from runtime.errors import InvalidArgument
from runtime.quality import Quality, find_level

DECONVOLUTIONS = ("hyper-laplacian", "epll", "wiener", "irc")
"""The methods of deconvolution, values of `Options.nonblind`."""
NEURAL = "none"
"""Value of `Options.nonblind` that keeps the patch network's own estimate."""
FBA = "fba"
"""Name of plain Fourier burst accumulation, which is a model and a value of `BurstOptions.chroma`."""
CHROMA = ("own", FBA)
"""Values of `BurstOptions.chroma`."""


@dataclass(frozen=True)
class Options:
    """What a caller may ask of the restoration of one photograph.

    Attributes
    ----------
    quality
        ``"fast"``, ``"balanced"`` or ``"best"``: how much work to put into every part.
    stride
        Distance between patches in pixels; ``None`` for the model's own.
    nonblind
        One of `DECONVOLUTIONS`, or ``"none"`` to stop at the network's estimate; ``None`` for that of the quality
        level.
    support
        Side in pixels of the square in which the blur kernel is sought; ``None`` for the method's own, or less on a
        small image.
    noise
        Standard deviation of the noise, in units of the value range; ``None`` to estimate it.
    refine
        Whether the kernel is refined from coarse to fine, or estimated once from the network's estimate.
    neural
        Whether networks take part.

    Raises
    ------
    InvalidArgument
        If a value cannot be used.
    """

    quality: str = "balanced"
    stride: int | None = None
    nonblind: str | None = None
    support: int | None = None
    noise: float | None = None
    refine: bool = True
    neural: bool = True

    def __post_init__(self) -> None:
        find_level(self.quality)
        if self.nonblind not in (None, *DECONVOLUTIONS, NEURAL):
            raise InvalidArgument(f"nonblind {self.nonblind!r}: give one of {', '.join((*DECONVOLUTIONS, NEURAL))}")
        if self.support is not None and not (isinstance(self.support, int) and self.support >= 3):
            raise InvalidArgument(f"support {self.support!r}: give a whole number of pixels, 3 or more, or None")
        if self.noise is not None and not 0 <= self.noise < 1:
            raise InvalidArgument(f"noise {self.noise!r}: give a standard deviation in [0, 1), or None")
        if not self.neural and self.nonblind == NEURAL:
            raise InvalidArgument(
                "neural=False leaves nothing of nonblind='none': give another nonblind, or the network"
            )
        if not self.neural and not self.refine:
            raise InvalidArgument(
                "neural=False needs refine=True: without the network there is no other first estimate"
            )

    @property
    def level(self) -> Quality:
        """What the quality level stands for."""
        return find_level(self.quality)


@dataclass(frozen=True)
class BurstOptions:
    """What a caller may ask of the restoration of one burst.

    Attributes
    ----------
    p
        Power of the magnitudes in Fourier burst accumulation, from 0 (mean) to infinity (maximum).
    patch
        Side in pixels of the patches that Fourier burst accumulation fuses each on its own; ``None`` for whole frames.
    stride
        Distance between patches in pixels; ``None`` for the model's own.
    smoothing
        Standard deviation of the Gaussian that smooths the frames' weights over the frequencies, as a share of the
        shorter side of what is fused; 0 does not smooth; ``None`` for the method's own.
    chroma
        ``"own"``, or ``"fba"`` to take the a and b channels (CIE Lab) of Fourier burst accumulation.

    Raises
    ------
    InvalidArgument
        If a value cannot be used.
    """

    p: float = 11.0
    patch: int | None = None
    stride: int | None = None
    smoothing: float | None = None
    chroma: str = "own"

    def __post_init__(self) -> None:
        for name, size in (("patch", self.patch), ("stride", self.stride)):
            if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 1):
                raise InvalidArgument(f"{name} {size!r}: give a whole number of pixels, 1 or more, or None")
        if isinstance(self.p, bool) or not isinstance(self.p, numbers.Real) or not self.p >= 0:
            raise InvalidArgument(f"p {self.p!r}: give a number from 0 (mean) to infinity (maximum)")
        share = self.smoothing
        if share is not None and (
            isinstance(share, bool) or not isinstance(share, numbers.Real) or not 0 <= share < math.inf
        ):
            raise InvalidArgument(f"smoothing {share!r}: give a share of the shorter side, 0 (none) or more, or None")
        if self.chroma not in CHROMA:
            raise InvalidArgument(f"chroma {self.chroma!r}: give one of {', '.join(CHROMA)}")


def given(options: Options | BurstOptions) -> dict[str, Any]:
    """Return the options, by name, whose values are not the defaults."""
    return {
        field.name: getattr(options, field.name)
        for field in fields(options)
        if getattr(options, field.name) != field.default
    }
