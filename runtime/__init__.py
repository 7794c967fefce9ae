"""Deblur photographs: ``runtime.deblur(image)``.

The public face. Names load on first use, so that importing the package costs next to nothing,
touches no device, and is safe before a fork.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from runtime._version import __version__

if TYPE_CHECKING:
    from runtime import errors
    from runtime.api import Deblurrer, deblur, deblur_burst, deconvolve
    from runtime.inference.bundle import Bundle, list_models, load_model
    from runtime.inference.diagnosis import diagnose
    from runtime.results import BurstRestoration, Restoration

__all__ = [
    "Bundle",
    "BurstRestoration",
    "Deblurrer",
    "Restoration",
    "__version__",
    "deblur",
    "deblur_burst",
    "deconvolve",
    "diagnose",
    "errors",
    "list_models",
    "load_model",
]

_HOME = {
    "Bundle": "runtime.inference.bundle",
    "BurstRestoration": "runtime.results",
    "Deblurrer": "runtime.api",
    "Restoration": "runtime.results",
    "deblur": "runtime.api",
    "deblur_burst": "runtime.api",
    "deconvolve": "runtime.api",
    "diagnose": "runtime.inference.diagnosis",
    "list_models": "runtime.inference.bundle",
    "load_model": "runtime.inference.bundle",
}


def __getattr__(name: str) -> Any:
    if name == "errors":
        return import_module("runtime.errors")
    if name in _HOME:
        value = getattr(import_module(_HOME[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
