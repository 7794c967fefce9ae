"""The registry of deblurring methods; to add one, write its module and add an entry to `METHODS`."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from kernels.arrays import Array
from runtime.contract import BurstMethod, Method
from runtime.decisions.thresholds import NOISY_GAIN
from runtime.errors import InvalidArgument, InvalidModel
from runtime.inference.bundle import Bundle
from runtime.inference.devices import Device
from runtime.inference.session import is_finite
from runtime.options import BurstOptions, Options, changed_options

METHODS = {
    "auto": "runtime.methods.auto:Auto",
    "chakrabarti": "runtime.methods.chakrabarti:Chakrabarti",
    "eboli": "runtime.methods.eboli:Eboli",
    "schuler": "runtime.methods.schuler:Schuler",
    "kaufman": "runtime.methods.kaufman:Kaufman",
    "fba": "runtime.methods.fba:FourierBurstAccumulation",
    "wieschollek": "runtime.methods.wieschollek:Wieschollek",
    "patches": "runtime.methods.patches:Patches",
}
"""Module and class of each method, by the name of the method in a bundle; imported on first use."""


def create_method(bundle: Bundle, *, device: Device, precision: str, batch: int | None) -> Method | BurstMethod:
    """Create the method that a bundle names.

    Parameters
    ----------
    bundle
        The model.
    device, precision, batch
        Where and how its networks run; see `runtime.inference.session.open_session`.

    Raises
    ------
    InvalidModel
        If there is no such method, or its class does not implement `runtime.contract`.
    """
    if bundle.method not in METHODS:
        raise InvalidModel(
            f"{bundle.path}: method {bundle.method!r} cannot deblur a photograph or a burst; "
            f"use one of: {', '.join(METHODS)}"
        )
    module, _, name = METHODS[bundle.method].partition(":")
    made: Any = getattr(import_module(module), name)(bundle, device=device, precision=precision, batch=batch)
    if not isinstance(made, (Method, BurstMethod)):
        raise InvalidModel(f"{module}.{name} must have restore or restore_burst, and supported_options")
    return made


def noisy_gain(method: BurstMethod) -> float:
    """Return the factor from which the noise of a frame that is brightened for a method is taken away."""
    return float(getattr(method, "noisy_gain", NOISY_GAIN))


def expects_blur(method: Method | BurstMethod) -> bool:
    """Tell whether a method restores photographs that are blurred as a whole, in which what is sharp is no part."""
    return bool(getattr(method, "expects_blur", True))


def restores_bursts(method: str) -> bool | None:
    """Tell whether a method restores bursts, or single photographs; ``None`` for what restores neither by itself."""
    if method not in METHODS:
        return None
    module, _, name = METHODS[method].partition(":")
    return hasattr(getattr(import_module(module), name), "restore_burst")


def check_result(bundle: Bundle, latent: Array) -> None:
    """Raise an error if a restored photograph holds NaN or infinity, rather than return it.

    Raises
    ------
    InvalidModel
        If a value of `latent` is not finite.
    """
    if not is_finite(latent):
        raise InvalidModel(
            f"{bundle.path}: makes NaN or infinity of this photograph: its weights are damaged, or do not suit it; "
            "choose another model"
        )


def check_options(name: str, method: Method | BurstMethod, options: Options | BurstOptions) -> None:
    """Raise an error for options that do not affect a method, rather than ignore them.

    Parameters
    ----------
    name
        Name of the model, for the message.
    method
        The method that is to run.
    options
        The options of the call.

    Raises
    ------
    InvalidArgument
        If an option that the method does not support differs from its default.
    """
    for option, value in changed_options(options).items():
        if option not in method.supported_options:
            supported = ", ".join(sorted(method.supported_options)) or "none"
            raise InvalidArgument(
                f"{option}={value!r} is no option of {name}: leave it out, or choose another model "
                f"(its options: {supported})"
            )
