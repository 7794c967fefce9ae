import os

import numpy as np
import pytest
from click import UsageError

from runtime.cli.jobs import Job, check_resumable, plan_jobs
from runtime.images import write_file


@pytest.fixture
def folder(tmp_path):
    """Photographs and a file that is not an image."""
    path = tmp_path / "in"
    path.mkdir()
    for name in ("z.webp", "a.png", "c.tif", "b.JPG", "notes.txt"):
        (path / name).write_bytes(b"content")
    return path


BAD_PLANS = {
    "stdin to a folder": (("-",), ".", "no name"),
    "stdin among others": (("-", "a.png"), "out", "no name"),
    "several to stdout": (("a.png", "b.png"), "-", "one photograph"),
    "one name twice": (("x/a.png", "y/a.png"), "out", "would both become out/a.png"),
    "several into a picture": (("a.png", "b.png"), "out.png", "out.png names one picture"),
    "a folder into a picture": ((".",), "x/out.HEIC", "go into a folder: name a folder"),
}


@pytest.mark.parametrize(("inputs", "output", "remedy"), BAD_PLANS.values(), ids=BAD_PLANS)
def test_what_does_not_go_together_is_wrong_usage(inputs, output, remedy):
    with pytest.raises(UsageError, match=remedy):
        plan_jobs(inputs, output)


def test_plans(folder, tmp_path):
    assert plan_jobs(("a.png",), "b.png") == [Job("a.png", "b.png")]
    assert plan_jobs(("a.png",), "-") == [Job("a.png", "-")]
    assert plan_jobs(("-",), "b.png") == [Job("-", "b.png")]
    assert plan_jobs(("a.png",), "out/") == [Job("a.png", "out/a.png")]
    assert plan_jobs(("a.png",), str(tmp_path)) == [Job("a.png", f"{tmp_path}/a.png")]
    assert plan_jobs(("x/a.png", "b.png", "x/a.png"), "out") == [Job("x/a.png", "out/a.png"), Job("b.png", "out/b.png")]
    assert [job.target for job in plan_jobs((str(folder),), "out")] == [
        f"out/{name}" for name in ("a.png", "b.JPG", "c.tif", "z.webp")
    ]


def test_a_folder_may_be_named_like_a_picture_if_it_is_one(tmp_path):
    (tmp_path / "out.png").mkdir()
    jobs = plan_jobs(("a.png", "b.png"), f"{tmp_path}/out.png")
    assert [job.target for job in jobs] == [f"{tmp_path}/out.png/a.png", f"{tmp_path}/out.png/b.png"]
    assert plan_jobs(("a.png", "b.png"), "new.png/")[0].target == "new.png/a.png"


def test_one_photograph_named_in_two_ways_is_one_job(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert plan_jobs(("a.png", "./a.png", f"{tmp_path}/a.png"), "out") == [Job("a.png", "out/a.png")]


def test_names_beside_a_target_are_those_of_its_stem_unless_that_is_taken():
    kernels = ("kernel",)
    alone = plan_jobs(("a.png",), "out/", kernels)[0]
    assert alone.beside(kernels) == ["out/a.kernel.png", "out/a.kernel.npy"]
    first, second, third = plan_jobs(("a.png", "a.jpg", "b.jpg"), "out", ("kernel", "motion"))
    assert first.beside(("motion",)) == ["out/a.png.motion.png", "out/a.png.motion.npy"]
    assert str(second.stem("kernel")) == "out/a.jpg.kernel"
    assert str(third.stem("kernel")) == "out/b.kernel"
    assert plan_jobs(("a.png", "a.jpg"), "out") == [Job("a.png", "out/a.png"), Job("a.jpg", "out/a.jpg")]


def test_a_kernel_replaces_no_photograph():
    jobs = plan_jobs(("a.png", "a.kernel.png"), "out", ("kernel",))
    assert [str(job.stem("kernel")) for job in jobs] == ["out/a.png.kernel", "out/a.kernel.kernel"]
    (job,) = plan_jobs(("a.kernel.png",), "a.png", ("kernel",))
    assert str(job.stem("kernel")) == "a.png.kernel"
    with pytest.raises(UsageError, match=r"the kernel of a\.png would replace another file: rename it"):
        plan_jobs(("a.png", "a.jpg", "a.png.kernel.png"), "out", ("kernel",))


def test_a_photograph_is_not_its_own_result():
    check_resumable(plan_jobs(("in/a.png",), "out/"))
    with pytest.raises(UsageError, match="needs another output"):
        check_resumable(plan_jobs(("in/a.png",), "./in/"))


def test_a_job_is_finished_when_every_file_is_whole(tmp_path):
    job, kernels = Job("a.png", str(tmp_path / "a.png")), ("kernel",)
    assert not job.is_finished(())
    write_file(tmp_path / "a.png", np.zeros((3, 4), np.uint8))
    assert job.is_finished(())
    assert not job.is_finished(kernels)
    np.save(tmp_path / "a.kernel.npy", np.zeros((3, 3)))
    write_file(tmp_path / "a.kernel.png", np.zeros((3, 4), np.uint8))
    assert job.is_finished(kernels)
    (tmp_path / "a.kernel.npy").write_bytes(b"")
    assert not job.is_finished(kernels)
    os.truncate(tmp_path / "a.png", os.path.getsize(tmp_path / "a.png") // 2)
    assert not job.is_finished(())
