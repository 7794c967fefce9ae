"""The deblurring methods: one module per paper, each saying which parts run in which order."""

from __future__ import annotations

from collections.abc import Callable

from runtime.contract import BurstMethod, Method
from runtime.errors import InvalidModel
from runtime.inference.bundle import Bundle
from runtime.inference.devices import Device


def create_method(bundle: Bundle | None, *, device: Device, precision: str, batch: int | None) -> Method | BurstMethod:
    """Set up the method that a bundle names, or Fourier burst accumulation, which needs none.

    Raises
    ------
    InvalidModel
        If this version has no such method.
    """
    from runtime.methods.chakrabarti import Chakrabarti
    from runtime.methods.eboli import Eboli
    from runtime.methods.fba import FourierBurstAccumulation
    from runtime.methods.wieschollek import Wieschollek

    if bundle is None:
        return FourierBurstAccumulation()
    methods: dict[str, Callable[..., Method | BurstMethod]] = {
        "chakrabarti": Chakrabarti,
        "eboli": Eboli,
        "wieschollek": Wieschollek,
    }
    if bundle.method not in methods:
        known = ", ".join(methods)
        raise InvalidModel(
            f"{bundle.path}: method {bundle.method!r} cannot deblur a photograph or a burst; use one of: {known}"
        )
    return methods[bundle.method](bundle, device=device, precision=precision, batch=batch)
