"""The deblurring methods by name: to add one, write its module and add its row."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from runtime.contract import BurstMethod, Method
from runtime.errors import InvalidArgument, InvalidModel
from runtime.inference.bundle import Bundle
from runtime.inference.devices import Device
from runtime.options import BurstOptions, Options, given

METHODS = {
    "chakrabarti": "runtime.methods.chakrabarti:Chakrabarti",
    "eboli": "runtime.methods.eboli:Eboli",
    "fba": "runtime.methods.fba:FourierBurstAccumulation",
    "wieschollek": "runtime.methods.wieschollek:Wieschollek",
}
"""Module and class of each method, by the name that a bundle gives it; loaded on first use."""


def create_method(bundle: Bundle, *, device: Device, precision: str, batch: int | None) -> Method | BurstMethod:
    """Set up the method that a bundle names.

    Parameters
    ----------
    bundle
        The model.
    device, precision, batch
        Where and how its networks run.

    Raises
    ------
    InvalidModel
        If there is no such method.
    """
    if bundle.method not in METHODS:
        raise InvalidModel(
            f"{bundle.path}: method {bundle.method!r} cannot deblur a photograph or a burst; "
            f"use one of: {', '.join(METHODS)}"
        )
    module, _, name = METHODS[bundle.method].partition(":")
    made: Any = getattr(import_module(module), name)(bundle, device=device, precision=precision, batch=batch)
    if not isinstance(made, (Method, BurstMethod)):
        raise InvalidModel(f"{module}.{name} has neither restore nor restore_burst, and says not what it honours")
    return made


def check_options(name: str, method: Method | BurstMethod, options: Options | BurstOptions) -> None:
    """Refuse options that make no difference to a method, rather than ignore them.

    Parameters
    ----------
    name
        Of the model, for the message.
    method, options
        What is asked of what.

    Raises
    ------
    InvalidArgument
        If an option that the method does not honour has another value than the default.
    """
    for option, value in given(options).items():
        if option not in method.honours:
            honoured = ", ".join(sorted(method.honours)) or "none"
            raise InvalidArgument(
                f"{option}={value!r} is no option of {name}: leave it out, or choose another model "
                f"(its options: {honoured})"
            )
