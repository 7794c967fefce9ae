import numpy as np
import pytest

from bench.fuzz.case import generator
from bench.fuzz.faults import FAULTS, Faults
from tests.bench.fuzz.short import check_family


@pytest.mark.slow
def test_faults_lose_nothing():
    # The cases of this seed are of all quick kinds.
    check_family("faults", results=3, refusals=3, seed=308)


def test_every_fault_has_its_turn(tmp_path):
    titles = set()
    for number in range(120):
        folder = tmp_path / str(number)
        folder.mkdir()
        titles.add(Faults().make(generator("faults", 0, number), folder).title)
        assert len(list((folder / "in").iterdir())) == 2
    assert titles == {fault.__name__ for fault in FAULTS}


def test_calls_from_threads_are_compared(tmp_path, monkeypatch):
    from bench.fuzz import faults

    monkeypatch.setattr(faults, "_CALLS", (lambda frame: frame,))
    faults.threads(np.random.default_rng(0), tmp_path)
    faults.forks(np.random.default_rng(0), tmp_path)
