"""Deblur photographs: ``runtime.deblur(image)``.

The public face. Names load on first use, so that importing the package costs next to nothing,
touches no device, and is safe before a fork.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runtime import errors
    from runtime.api import Deblurrer, deblur, deblur_burst, deconvolve
    from runtime.bundle import Bundle, list_models, load_model
    from runtime.diagnosis import diagnose
    from runtime.restoration import BurstRestoration, Restoration

__version__ = "0.1.0"

__all__ = [
    "Bundle",
    "BurstRestoration",
    "Deblurrer",
    "Restoration",
    "deblur",
    "deblur_burst",
    "deconvolve",
    "diagnose",
    "errors",
    "list_models",
    "load_model",
]

_HOME = {
    "Bundle": "runtime.bundle",
    "BurstRestoration": "runtime.restoration",
    "Deblurrer": "runtime.api",
    "Restoration": "runtime.restoration",
    "deblur": "runtime.api",
    "deblur_burst": "runtime.api",
    "deconvolve": "runtime.api",
    "diagnose": "runtime.diagnosis",
    "list_models": "runtime.bundle",
    "load_model": "runtime.bundle",
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
