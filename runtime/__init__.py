"""Deblur photographs: ``runtime.deblur(image)``.

Functions:

* `deblur`: restore a photograph whose blur is unknown.
* `deblur_burst`: restore one photograph from several blurred frames of one scene.
* `deconvolve`: restore a photograph whose blur kernel or motion field is known.
* `warm_up`: compile and load beforehand what a first restoration would wait for.
* `load_model`, `list_models`: find model bundles by name or path.
* `diagnose`: report which devices and packages work, and why the others do not.

Classes:

* `Deblurrer`: a loaded model that restores many photographs or bursts.
* `Restoration`, `BurstRestoration`: a restored image with its blur, confidence and timings.
* `Task`: an image with options of its own, for `Deblurrer.restore_many`.
* `Bundle`: a model on disk, its networks and its metadata.

`errors` holds the exceptions and warnings, `__version__` the version.

Packages and modules:

* `api`, `deblurrer`: the functions and the class above. `cli`: the command ``deblur``. `serve`: batches on
  many machines.
* `methods`: one deblurring method per paper. `contract`: the interface between methods and the API.
* `estimation`: blind estimation of the blur. `deconvolution`: the latent image, given the blur.
* `restoration`: deconvolution followed by repair and the decision whether to keep the result.
* `decisions`: thresholds of these decisions, and the reasons reported for an unchanged photograph.
* `blur`: blur models and their operators. `burst`: reading, registration and fusion of frames.
* `images`: image arrays and files. `colour`: luminance and CIE Lab. `noise`: noise estimation. `tiles`: tiling.
* `inference`: model bundles, ONNX Runtime sessions, devices, and patch networks over whole images.
* `options`, `quality`, `run`, `results`: what a caller asks for, passes along and gets back.
* `messages`: messages of one line. `warming`: the function above.
* `metrics`: PSNR after alignment.

The public names load on first use: importing the package takes little time, touches no device, and is safe before a
fork.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from runtime._version import __version__

if TYPE_CHECKING:
    from runtime import errors
    from runtime.api import deblur, deblur_burst, deconvolve
    from runtime.deblurrer import Deblurrer
    from runtime.inference.bundle import Bundle, list_models, load_model
    from runtime.inference.diagnosis import diagnose
    from runtime.options import Task
    from runtime.results import BurstRestoration, Restoration
    from runtime.warming import warm_up

__all__ = [
    "Bundle",
    "BurstRestoration",
    "Deblurrer",
    "Restoration",
    "Task",
    "__version__",
    "deblur",
    "deblur_burst",
    "deconvolve",
    "diagnose",
    "errors",
    "list_models",
    "load_model",
    "warm_up",
]

_MODULE_OF = {
    "Bundle": "runtime.inference.bundle",
    "BurstRestoration": "runtime.results",
    "Deblurrer": "runtime.deblurrer",
    "Restoration": "runtime.results",
    "Task": "runtime.options",
    "deblur": "runtime.api",
    "deblur_burst": "runtime.api",
    "deconvolve": "runtime.api",
    "diagnose": "runtime.inference.diagnosis",
    "list_models": "runtime.inference.bundle",
    "load_model": "runtime.inference.bundle",
    "warm_up": "runtime.warming",
}


def __getattr__(name: str) -> Any:
    if name == "errors":
        return import_module("runtime.errors")
    if name in _MODULE_OF:
        value = getattr(import_module(_MODULE_OF[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
