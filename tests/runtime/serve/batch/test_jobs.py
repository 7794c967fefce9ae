import os
from pathlib import Path

import fsspec
import numpy as np
import pytest

from runtime.errors import ImageFileError, InvalidArgument, InvalidImage, InvalidModel
from runtime.images import decode, read_file, write_file
from runtime.inference.devices import CPU
from runtime.inference.stream import lanes_on
from runtime.results import Restoration
from runtime.serve.batch import jobs as batch
from runtime.serve.batch import storage
from runtime.serve.batch.jobs import DONE, FAILED, SKIPPED, UNCHANGED, Job, Ledger, Outcome, plan_batch, restore_jobs
from tests.support.deblurrers import StandIn

PIXELS = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)


class Negative(StandIn):
    """Restores a photograph to its negative, after which something happens."""

    def __init__(self, reason=None, happens=lambda: None):
        self.reason, self.happens = reason, happens

    def answer(self, pixels, **options):
        self.happens()
        image = pixels if self.reason else 255 - pixels
        return Restoration(image, None, None, None, {}, "negative", 0.5, reason=self.reason)


@pytest.fixture
def folder(tmp_path):
    for name in ("in/a.png", "in/sub/a.png", "in/sub/b.jpg"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        write_file(path, PIXELS)
    return tmp_path


@pytest.fixture
def job(folder):
    return Job(str(folder / "in" / "a.png"), str(folder / "out" / "new" / "a.png"), existed=False)


def restore_job(job, deblurrer, overwrite=False):
    [(number, outcome)] = restore_jobs([(7, job)], deblurrer, {}, overwrite)
    assert number == 7
    return outcome


def names(jobs, folder):
    return [os.path.relpath(job.target, folder) for job in jobs]


def test_results_keep_their_names_relative_to_the_folder(folder):
    jobs = plan_batch([str(folder / "in")], str(folder / "out"))
    assert names(jobs, folder / "out") == ["a.png", "sub/a.png", "sub/b.jpg"]
    assert not any(job.existed for job in jobs)


def test_what_was_there_before_is_noted_and_what_lies_in_the_output_is_no_input(folder):
    write_file_in = folder / "in" / "out" / "sub"
    write_file_in.mkdir(parents=True)
    write_file(write_file_in / "a.png", PIXELS)
    jobs = plan_batch([str(folder / "in")], str(folder / "in" / "out"))
    assert names(jobs, folder / "in" / "out") == ["a.png", "sub/a.png", "sub/b.jpg"]
    assert [job.existed for job in jobs] == [False, True, False]


def test_two_photographs_never_become_one_file(folder):
    with pytest.raises(InvalidArgument, match=r"in/a.png and .*in/sub/a.png would both become .*out/a.png"):
        plan_batch([str(folder / "in" / "a.png"), str(folder / "in" / "sub")], str(folder / "out"))
    same = [str(folder / "in" / "a.png")] * 2
    assert len(plan_batch(same, str(folder / "out"))) == 1


def test_a_result_replaces_no_photograph(folder):
    with pytest.raises(InvalidArgument, match=r"in/sub/a.png lies in the output, among the results"):
        plan_batch([str(folder / "in" / "sub" / "a.png")], str(folder / "in"))
    with pytest.raises(ImageFileError, match="there are no photographs outside of the output"):
        plan_batch([str(folder / "in")], str(folder / "in"))


def test_a_manifest_names_photographs_and_results(folder):
    manifest = folder / "list.txt"
    first, second = folder / "in" / "a.png", folder / "in" / "sub" / "a.png"
    manifest.write_text(f"{first}\r\n\n{second}\tother/second.tif\n")
    jobs = plan_batch([], str(folder / "out"), str(manifest))
    assert [job.source for job in jobs] == [str(first), str(second)]
    assert names(jobs, folder / "out") == ["a.png", "other/second.tif"]
    manifest.write_text(f"{first}\t../a.png\n")
    with pytest.raises(InvalidArgument, match=r"list.txt, line 1: ../a.png leads out of the output"):
        plan_batch([], str(folder / "out"), str(manifest))
    with pytest.raises(ImageFileError, match="the manifest cannot be used"):
        plan_batch([], str(folder / "out"), str(folder / "none.txt"))


def test_a_photograph_is_restored_and_written(job):
    outcome = restore_job(job, Negative())
    assert outcome.status == DONE
    assert (outcome.details["model"], outcome.details["width"], outcome.details["height"]) == ("negative", 4, 4)
    np.testing.assert_array_equal(read_file(job.target)[0], 255 - PIXELS)


def test_an_unchanged_photograph_is_copied(job):
    outcome = restore_job(job, Negative("sharp already"))
    assert (outcome.status, outcome.details["reason"]) == (UNCHANGED, "sharp already")
    assert Path(job.target).read_bytes() == Path(job.source).read_bytes()


@pytest.mark.parametrize(("existed", "status"), [(True, SKIPPED), (False, DONE)])
def test_a_result_that_is_whole_is_left(job, existed, status):
    Path(job.target).parent.mkdir(parents=True)
    write_file(job.target, PIXELS)
    before = Path(job.target).read_bytes()
    job = Job(job.source, job.target, existed)
    assert restore_job(job, Negative()) == Outcome(status)
    assert Path(job.target).read_bytes() == before
    assert restore_job(job, Negative(), overwrite=True).status == DONE
    np.testing.assert_array_equal(read_file(job.target)[0], 255 - PIXELS)


def test_a_result_that_is_not_whole_is_made_again(job):
    Path(job.target).parent.mkdir(parents=True)
    Path(job.target).write_bytes(Path(job.source).read_bytes()[:40])
    assert restore_job(job, Negative()).status == DONE
    np.testing.assert_array_equal(read_file(job.target)[0], 255 - PIXELS)


def test_a_result_that_somebody_else_has_finished_meanwhile_stays(job):
    def finish():
        Path(job.target).parent.mkdir(parents=True)
        write_file(job.target, PIXELS)

    assert restore_job(job, Negative(happens=finish)).status == DONE
    np.testing.assert_array_equal(read_file(job.target)[0], PIXELS)


def fail(error):
    def happens():
        raise error

    return happens


@pytest.mark.parametrize(
    ("error", "text", "fatal"),
    [
        (InvalidImage("too small: give more"), "in/a.png: too small: give more", False),
        (MemoryError(), "in/a.png: there is not enough memory", False),
        (ZeroDivisionError("odd\nline"), "in/a.png: ZeroDivisionError: odd line", False),
        (InvalidModel("not for photographs: load another"), "in/a.png: not for photographs", True),
    ],
)
def test_no_error_leaves_a_worker(job, error, text, fatal):
    outcome = restore_job(job, Negative(happens=fail(error)))
    assert outcome.status == FAILED
    assert text in outcome.error
    assert "\n" not in outcome.error
    assert outcome.fatal == fatal
    assert not os.path.exists(job.target)


def test_a_photograph_that_cannot_be_read_or_named_is_a_failure(job, folder):
    (folder / "in" / "a.png").write_text("no picture")
    assert "in/a.png: " in restore_job(job, Negative()).error
    nameless = Job(job.source, str(folder / "out" / "a.xyz"), existed=False)
    assert "name an image file with one of" in restore_job(nameless, Negative()).error


def test_each_result_is_written_before_it_is_reported_and_what_is_in_hand_is_known(folder):
    jobs = [
        Job(str(folder / "in" / "a.png"), str(folder / "out" / f"{number}.png"), existed=False) for number in range(30)
    ]
    jobs[1] = Job(str(folder / "none.png"), str(folder / "out" / "1.png"), existed=False)
    begun, most = [], 0
    for place, (number, outcome) in enumerate(restore_jobs(enumerate(jobs), Negative(), {}, False, begun.append)):
        assert number == place
        assert outcome.status == (FAILED if place == 1 else DONE)
        assert os.path.exists(jobs[place].target) == (place != 1)
        assert number in begun
        most = max(most, len(begun) - place)
    assert begun == [*range(30)]
    assert most <= 2 * lanes_on(CPU) + 1


def test_a_batch_goes_from_one_object_store_to_another(folder, monkeypatch):
    monkeypatch.setattr(storage, "OBJECT_STORES", {"memory"})
    store = fsspec.filesystem("memory")
    store.store.clear()
    for name in ("a.png", "sub/a.png", "sub/b.jpg"):
        store.pipe_file(f"/bucket/{name}", (folder / "in" / name).read_bytes())
    manifest = folder / "list.txt"
    manifest.write_text("memory://bucket/a.png\tfrom/list.tif\n")
    output = "memory://results/2024/"
    try:
        jobs = plan_batch(["memory://bucket/**/*.png", "memory://bucket/sub/b.jpg"], output, str(manifest))
        expected = ["a.png", "b.jpg", "from/list.tif", "sub/a.png"]
        assert sorted(job.target for job in jobs) == [f"memory://results/2024/{name}" for name in expected]
        outcomes = dict(restore_jobs(enumerate(jobs), Negative(), {}, False))
        assert [outcomes[number].status for number in range(4)] == [DONE] * 4
        for job in jobs:
            pixels, header = decode(store.cat_file(job.target))
            assert header.format == {"png": "PNG", "jpg": "JPEG", "tif": "TIFF"}[job.target[-3:]]
            if header.format != "JPEG":
                np.testing.assert_array_equal(pixels, 255 - PIXELS)
        again = plan_batch(["memory://bucket"], output)
        assert [job.existed for job in again] == [True, True, False]
        assert [outcome.status for _, outcome in restore_jobs(enumerate(again), Negative(), {}, False)] == [
            SKIPPED,
            SKIPPED,
            DONE,
        ]
    finally:
        store.store.clear()


def test_each_photograph_is_accounted_for_once(job):
    ledger = Ledger([job, job, job])
    assert ledger.open == [0, 1, 2]
    ledger.enter(1, Outcome(DONE, details={"seconds": 1.0}))
    ledger.lost.update(ledger.open)
    ledger.enter(1, Outcome(FAILED, "the second word does not count"))
    ledger.enter(0, Outcome(FAILED, "too small"))
    assert ledger.open == [2]
    ledger.lost.update(ledger.open)
    ledger.enter(2, Outcome(SKIPPED))
    assert ledger.counts() == {"done": 1, "unchanged": 0, "skipped": 1, "failed": 1, "lost": 2}
    report = ledger.report()
    assert report["photographs"] == 3
    assert [entry["status"] for entry in report["results"]] == [FAILED, DONE, SKIPPED]
    assert [entry["lost"] for entry in report["results"]] == [1, 0, 2]
    assert report["results"][0]["error"] == "too small"
    assert report["results"][1]["seconds"] == 1.0


def test_statuses_are_those_that_are_counted():
    assert set(batch.STATUSES) == {DONE, UNCHANGED, SKIPPED, FAILED}
