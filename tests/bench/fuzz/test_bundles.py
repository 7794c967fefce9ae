import os

import pytest

from bench.fuzz.bundles import Bundles
from bench.fuzz.case import generator, judge
from runtime.inference.bundle import SEARCH_VARIABLE
from tests.bench.fuzz.short import check_family


@pytest.mark.slow
def test_mutated_bundles_are_used_or_refused():
    check_family("bundles", results=10, refusals=20)


def test_a_case_is_made_again_from_its_number(tmp_path):
    for number in range(8):
        made = []
        for place in ("a", "b"):
            folder = tmp_path / f"{place}{number}"
            folder.mkdir()
            case = Bundles().make(generator("bundles", 5, number), folder)
            files = [file for file in sorted(folder.rglob("*")) if file.is_file() and not file.is_symlink()]
            made.append((case.title, [(file.name, file.read_bytes()) for file in files]))
        assert made[0] == made[1]


def test_the_search_path_is_as_it_was_afterwards(tmp_path, monkeypatch):
    monkeypatch.delenv(SEARCH_VARIABLE, raising=False)
    family = Bundles()
    for number in range(12):
        folder = tmp_path / str(number)
        folder.mkdir()
        case = family.make(generator("bundles", 6, number), folder)
        if case.title.endswith("list"):
            judge(case, folder)
            assert SEARCH_VARIABLE not in os.environ
            return
    raise AssertionError("no case lists models")
