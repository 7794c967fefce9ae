from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from PIL import Image

from export.kernel_prior.rounds import START, collect, collect_alone, train_prior
from export.loop.checkpoints import CHECKPOINT, SLIM, read_checkpoint
from export.loop.job import Job
from export.loop.trainer import LOG
from tests.export.kinds import make


@pytest.fixture(scope="module")
def files(planes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    for index, plane in enumerate(planes[:2]):
        Image.fromarray(plane).save(folder / f"{index}.png")
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def run(files, small, tmp_path_factory):
    folder, lines = tmp_path_factory.mktemp("run"), []
    last = train_prior(small, Job(folder, files[0].parent, minutes=0.02, report=lines.append))
    return folder, last, lines


def test_each_round_adds_states_and_trains_on_all(run):
    folder, last, lines = run
    assert last == folder / "round-1" / CHECKPOINT
    for number in (0, 1):
        names = {file.name for file in (folder / f"round-{number}").iterdir()}
        assert names == {"training.npz", "validation.npz", CHECKPOINT, SLIM, LOG}
    assert len(lines) == 6
    assert "states for training" in lines[0]
    assert "on unseen photographs" in lines[-1]
    first, second = (read_checkpoint(folder / f"round-{number}" / CHECKPOINT) for number in (0, 1))
    assert second.counts["states"] > first.counts["states"] > 0
    assert second.samples > first.samples > 0


def test_resuming_makes_nothing_again(run, files, small):
    folder, last, _ = run
    times = {file: file.stat().st_mtime_ns for file in folder.rglob("*.*")}
    job = Job(folder, files[0].parent, minutes=0.02, resume=True, report=lambda line: None)
    assert train_prior(small, job) == last
    assert {file: file.stat().st_mtime_ns for file in folder.rglob("*.*")} == times
    with pytest.raises(ValueError, match="holds a run"):
        train_prior(small, dataclasses.replace(job, resume=False))


def test_a_run_starts_from_given_weights(run, files, small, tmp_path):
    once = dataclasses.replace(small, rounds=1)
    start = read_checkpoint(run[1])
    job = Job(tmp_path, files[0].parent, minutes=0.005, start=start, report=lambda line: None)
    found = read_checkpoint(train_prior(once, job))
    assert found.samples > start.samples
    assert {file.name for file in tmp_path.iterdir()} == {START, "round-0"}
    other = dataclasses.replace(job, folder=tmp_path / "other", start=make("repair").checkpoint)
    with pytest.raises(ValueError, match="trained with another 'network'"):
        train_prior(once, other)
    assert not other.folder.exists()


def test_a_prior_leads_to_other_states(run, files, small):
    _, last, _ = run
    plain, guided = (collect_alone(files, small, [1], 0, checkpoint) for checkpoint in (None, last))
    np.testing.assert_array_equal(plain[0].evidence, guided[0].evidence)
    assert not np.array_equal(plain[-1].evidence, guided[-1].evidence)


def test_processes_collect_different_states(files, small):
    found = collect(files, small, [0], 0, processes=2)
    evidence = [each.tobytes() for some in found.evidence.values() for each in some]
    assert len(set(evidence)) == len(found) >= 4
