from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from export.kernel_prior.rounds import CHECKPOINT, collect, collect_alone, run_rounds
from export.kernel_prior.train import load_prior

from .conftest import SMALL


@pytest.fixture(scope="module")
def files(planes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    for index, plane in enumerate(planes[:2]):
        Image.fromarray(plane).save(folder / f"{index}.png")
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def run(files, small, tmp_path_factory):
    folder, lines = tmp_path_factory.mktemp("run"), []
    last = run_rounds(files, folder, 0.02, rounds=2, config=small, report=lines.append)
    return folder, last, lines


def test_each_round_adds_states_and_trains_on_all(run):
    folder, last, lines = run
    assert last == folder / "round-1" / CHECKPOINT
    for number in (0, 1):
        names = {file.name for file in (folder / f"round-{number}").iterdir()}
        assert names == {"training.npz", "validation.npz", CHECKPOINT}
    assert len(lines) == 6
    assert "states for training" in lines[0]
    assert "on unseen photographs" in lines[-1]
    first, second = (load_prior(folder / f"round-{number}" / CHECKPOINT)[1] for number in (0, 1))
    assert second["states"] > first["states"] > 0
    assert second["samples"] > first["samples"] > 0


def test_resuming_makes_nothing_again(run, files, small):
    folder, last, _ = run
    times = {file: file.stat().st_mtime_ns for file in folder.rglob("*.*")}
    assert run_rounds(files, folder, 0.02, rounds=2, resume=True, config=small) == last
    assert {file: file.stat().st_mtime_ns for file in folder.rglob("*.*")} == times
    with pytest.raises(ValueError, match="holds a run"):
        run_rounds(files, folder, 0.02, rounds=2, config=small)


@pytest.mark.parametrize("settings", [{"minutes": 0}, {"rounds": 0}, {"processes": 0}])
def test_numbers_are_positive(files, tmp_path, settings):
    with pytest.raises(ValueError, match="must be positive"):
        run_rounds(files, tmp_path, **({"minutes": 1} | settings))


def test_a_prior_leads_to_other_states(run, files):
    _, last, _ = run
    plain, guided = (collect_alone(files, SMALL, [1], 0, checkpoint) for checkpoint in (None, last))
    np.testing.assert_array_equal(plain[0].evidence, guided[0].evidence)
    assert not np.array_equal(plain[-1].evidence, guided[-1].evidence)


def test_processes_collect_different_states(files):
    found = collect(files, SMALL, [0], 0, processes=2)
    evidence = [each.tobytes() for some in found.evidence.values() for each in some]
    assert len(set(evidence)) == len(found) >= 4
