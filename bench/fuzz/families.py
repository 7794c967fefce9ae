"""The families of cases, by name."""

from __future__ import annotations

from importlib import import_module

from bench.fuzz.bundles import Bundles
from bench.fuzz.calls import Calls
from bench.fuzz.case import Family
from bench.fuzz.faults import Faults
from bench.fuzz.images import Images

_ALL: tuple[Family, ...] = (Images(), Bundles(), Calls(), Faults())
FAMILIES = {family.name: family for family in _ALL}


def find_family(name: str) -> Family:
    """Return a family of `FAMILIES`, or any other by ``"module:name"``."""
    if name in FAMILIES:
        return FAMILIES[name]
    module, _, attribute = name.partition(":")
    family: Family = getattr(import_module(module), attribute)
    return family
