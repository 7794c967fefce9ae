"""The options of a restoration, checked when they are created."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from runtime.arguments import check_choice, check_flag, check_path, check_real, check_whole
from runtime.errors import InvalidArgument, UnsupportedType
from runtime.inference.bundle import Bundle
from runtime.inference.devices import check_device
from runtime.inference.manifest import PRECISIONS
from runtime.quality import LEVELS, Quality, find_level
from runtime.response import find_response

SYNTHESIS = "synthesis"
"""Name of the deconvolution by a network."""
DECONVOLUTIONS = ("hyper-laplacian", "epll", SYNTHESIS, "wiener", "irc")
"""Names of the deconvolution methods, values of `Options.nonblind`."""
NEURAL = "none"
"""Value of `Options.nonblind` that returns the patch network's own estimate, without deconvolution."""
AUTO = "auto"
"""Value of `Options.response` that leaves it to the photograph."""
FBA = "fba"
"""Name of Fourier burst accumulation, both as a model and as a value of `BurstOptions.chroma`."""
ANY = "any"
"""Value of `Options.content` for photographs of anything."""
CONTENTS = (ANY, "text", "landscape")
"""Values of `Options.content`."""
GENERAL = "general"
"""Value of `Options.variant` for one network for kernels of any size."""
SCALE_OPTIMISED = "scale-optimised"
"""Value of `Options.variant` for a network for each class of kernels by size, of which a classifier chooses."""
VARIANTS = (GENERAL, SCALE_OPTIMISED)
"""Values of `Options.variant`."""
_LARGEST_P = 3e38
"""Exponent beyond which there is only infinity in float32."""
_WIDEST_SMOOTHING = 2.0**20
"""Fraction of the shorter side beyond which smoothing over all frequencies no longer changes: no side is longer."""
CHROMA = ("own", FBA)
"""Values of `BurstOptions.chroma`."""


@dataclass(frozen=True)
class Loading:
    """What is to be loaded, and where it is to run.

    Attributes
    ----------
    model
        Name or path of a model bundle, or a `Bundle`; see `runtime.load_model`.
    device
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``; see `runtime.inference.devices.resolve_device`.
    precision
        ``"auto"``, ``"fp32"`` or ``"fp16"``; see `runtime.inference.session.open_session`.
    batch
        Patches per batch; ``None`` for the device's default.

    Raises
    ------
    UnsupportedType
        If the model is of another type.
    InvalidArgument
        If another value cannot be used.
    """

    model: str | os.PathLike[str] | Bundle
    device: str = "auto"
    precision: str = "auto"
    batch: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.model, Bundle):
            _set(self, model=check_path("model", self.model))
        _set(self, device=check_device(self.device))
        _set(self, precision=check_choice("precision", self.precision, ("auto", *PRECISIONS)))
        _set(self, batch=check_whole("batch", self.batch, least=1, what="patches"))


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
    response
        The curve from light to the values of the photograph: ``"srgb"``, ``"linear"``, the exponent of a power, or
        ``"auto"`` to choose it by the photograph.
    content
        One of `CONTENTS`: what the photograph shows, for networks that were trained for it.
    variant
        One of `VARIANTS`: which networks estimate the kernel.

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
    response: str | float = AUTO
    content: str = ANY
    variant: str = GENERAL

    def __post_init__(self) -> None:
        _set(self, quality=check_choice("quality", self.quality, tuple(LEVELS)))
        if self.nonblind is not None:
            _set(self, nonblind=check_choice("nonblind", self.nonblind, (*DECONVOLUTIONS, NEURAL)))
        _set(self, stride=check_whole("stride", self.stride, least=1))
        _set(self, support=check_whole("support", self.support, least=3))
        if self.noise is not None:
            remedy = "give a standard deviation in [0, 1), or None"
            _set(self, noise=check_real("noise", self.noise, lambda noise: 0 <= noise < 1, remedy))
        _set(self, refine=check_flag("refine", self.refine), neural=check_flag("neural", self.neural))
        _set(self, response=check_response(self.response))
        _set(self, content=check_choice("content", self.content, CONTENTS))
        _set(self, variant=check_choice("variant", self.variant, VARIANTS))
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


RESTORE_OPTIONS = (*(field.name for field in fields(Options)), "strength", "progress")
"""Names of all options of `Deblurrer.restore`."""


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
        _set(self, patch=check_whole("patch", self.patch, least=1), stride=check_whole("stride", self.stride, least=1))
        p = check_real("p", self.p, lambda p: p >= 0, "give a number from 0 (mean) to infinity (maximum)")
        _set(self, p=p if p <= _LARGEST_P else math.inf)
        if self.smoothing is not None:
            remedy = "give a fraction of the shorter side, 0 (none) or more, or None"
            smoothing = check_real("smoothing", self.smoothing, lambda fraction: 0 <= fraction < math.inf, remedy)
            _set(self, smoothing=min(smoothing, _WIDEST_SMOOTHING))
        _set(self, chroma=check_choice("chroma", self.chroma, CHROMA))


def check_response(given: Any) -> str | float:
    """Return ``"auto"`` or what `runtime.response.find_response` understands, as plain values.

    Raises
    ------
    InvalidArgument
        If it is neither.
    """
    if isinstance(given, str) and given == AUTO:
        return AUTO
    try:
        response = find_response(given)
    except InvalidArgument as error:
        raise InvalidArgument(f'{error}, or "auto"') from None
    return response.gamma if response.gamma and not response.linear else response.name


def read_response(text: str) -> str | float:
    """Return the exponent or the name of a response curve that a text holds, to be checked by `Options`."""
    try:
        return float(text)
    except ValueError:
        return text


@dataclass(frozen=True)
class Task:
    """An image for `Deblurrer.restore_many`, with options of its own.

    Attributes
    ----------
    image
        As in `Deblurrer.restore`, or the path of an image file, or a function without arguments that returns one of
        these. It is called where photographs are decoded; what it raises is the error of this photograph.
    options
        Options of `Deblurrer.restore`, which take the place of those of the call.
    """

    image: Any
    options: Mapping[str, Any] = field(default_factory=dict)

    def checked_options(self) -> dict[str, Any]:
        """Return the options by their names, of which each is one of `Deblurrer.restore`.

        They are not checked when the task is made: what is wrong with them is the error of this photograph alone.

        Raises
        ------
        UnsupportedType
            If they are no mapping.
        InvalidArgument
            If there is no option of a name.
        """
        if not isinstance(self.options, Mapping):
            remedy = 'give a dict of options of restore, such as {"quality": "fast"}'
            raise UnsupportedType(f"options of a task cannot be of type {type(self.options).__name__}: {remedy}")
        return {check_choice("option", name, RESTORE_OPTIONS): value for name, value in self.options.items()}


def changed_options(options: Options | BurstOptions) -> dict[str, Any]:
    """Return the options that differ from their defaults, by name."""
    return {
        field.name: getattr(options, field.name)
        for field in fields(options)
        if getattr(options, field.name) != field.default
    }


def _set(options: Loading | Options | BurstOptions, **values: Any) -> None:
    """Replace values, as a caller gave them, by plain ones."""
    for name, value in values.items():
        object.__setattr__(options, name, value)
