"""The options of a restoration, checked when they are created."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass, fields
from typing import Any

from runtime.errors import InvalidArgument
from runtime.quality import Quality, find_level

DECONVOLUTIONS = ("hyper-laplacian", "epll", "wiener", "irc")
"""Names of the deconvolution methods, values of `Options.nonblind`."""
NEURAL = "none"
"""Value of `Options.nonblind` that returns the patch network's own estimate, without deconvolution."""
FBA = "fba"
"""Name of Fourier burst accumulation, both as a model and as a value of `BurstOptions.chroma`."""
CHROMA = ("own", FBA)
"""Values of `BurstOptions.chroma`."""


@dataclass(frozen=True)
class Options:
    """Options for the restoration of one photograph.

    Attributes
    ----------
    quality
        ``"fast"``, ``"balanced"`` or ``"best"``: the computational effort of every stage.
    stride
        Distance between patches in pixels; ``None`` for the model's default.
    nonblind
        One of `DECONVOLUTIONS`, or ``"none"`` to return the network's estimate without deconvolution; ``None`` for
        the method of the quality level.
    support
        Side in pixels of the largest kernel to estimate; ``None`` for the method's default, reduced on a small image.
    noise
        Standard deviation of the noise, in units of the value range, in [0, 1); ``None`` to estimate it.
    refine
        Whether the kernel is refined from coarse to fine, or estimated once from the network's estimate.
    neural
        Whether networks are used.

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
                "neural=False and nonblind='none' leave nothing to do: give another nonblind, or neural=True"
            )
        if not self.neural and not self.refine:
            raise InvalidArgument(
                "neural=False needs refine=True: without the network there is no other first estimate"
            )

    @property
    def level(self) -> Quality:
        """The settings of the quality level."""
        return find_level(self.quality)


@dataclass(frozen=True)
class BurstOptions:
    """Options for the restoration of one burst.

    Attributes
    ----------
    p
        Exponent of the Fourier magnitudes in the weights of Fourier burst accumulation, from 0 (mean) to infinity
        (maximum).
    patch
        Side in pixels of the patches that Fourier burst accumulation fuses separately; ``None`` to fuse whole frames.
    stride
        Distance between patches in pixels; ``None`` for the model's default.
    smoothing
        Standard deviation of the Gaussian that smooths the frames' weights over the frequencies, as a fraction of
        the shorter side of the frame or patch that is fused; 0 for no smoothing; ``None`` for the method's default.
    chroma
        ``"own"`` for the method's own colours, or ``"fba"`` to take the a and b channels (CIE Lab) from Fourier burst
        accumulation.

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
        fraction = self.smoothing
        if fraction is not None and (
            isinstance(fraction, bool) or not isinstance(fraction, numbers.Real) or not 0 <= fraction < math.inf
        ):
            raise InvalidArgument(
                f"smoothing {fraction!r}: give a fraction of the shorter side, 0 (none) or more, or None"
            )
        if self.chroma not in CHROMA:
            raise InvalidArgument(f"chroma {self.chroma!r}: give one of {', '.join(CHROMA)}")


def changed_options(options: Options | BurstOptions) -> dict[str, Any]:
    """Return the options that differ from their defaults, by name."""
    return {
        field.name: getattr(options, field.name)
        for field in fields(options)
        if getattr(options, field.name) != field.default
    }
