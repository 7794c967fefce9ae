from bench.fuzz.families import FAMILIES, find_family
from tests.bench.fuzz import fakes


def test_families_are_found_by_name_and_by_place():
    assert find_family("images") is FAMILIES["images"]
    assert find_family("tests.bench.fuzz.fakes:FAKE") is fakes.FAKE


def test_every_family_states_its_limits():
    for name, family in FAMILIES.items():
        assert family.name == name
        assert 0 < family.short < family.cases
        assert family.seconds > 0
        assert family.memory > 0
