"""The families of cases, by name."""

from __future__ import annotations

from bench.fuzz.bundles import Bundles
from bench.fuzz.calls import Calls
from bench.fuzz.case import Family
from bench.fuzz.faults import Faults
from bench.fuzz.images import Images

_ALL: tuple[Family, ...] = (Images(), Bundles(), Calls(), Faults())
FAMILIES = {family.name: family for family in _ALL}
