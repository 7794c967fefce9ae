import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from runtime.images import decode, write_file

UNFORESEEN = [RuntimeError("boom\nbang"), AssertionError(), RecursionError("too deep"), KeyError("x"), OSError(5, "Oh")]


@pytest.mark.parametrize("error", UNFORESEEN, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("command", [["burst", "a.png", "-o", "out.png"], ["models"], ["doctor"], ["demo"]])
def test_any_error_is_one_line_and_exits_1(deblur, monkeypatch, tmp_path, error, command):
    def fail(*_, **__):
        raise error

    monkeypatch.chdir(tmp_path)
    for name in ("inference.diagnosis.diagnose", "inference.bundle.find_models", "deblurrer.Deblurrer"):
        monkeypatch.setattr(f"runtime.{name}", fail)
    result = deblur(*command)
    assert (result.code, result.out, result.err.count("\n")) == (1, b"", 1)
    assert result.err.startswith("deblur: ")


def test_memory_that_does_not_suffice_says_what_to_do(deblur, monkeypatch):
    def fail(**_):
        raise MemoryError

    monkeypatch.setattr("runtime.deblurrer.Deblurrer", fail)
    result = deblur("burst", "a.png", "-o", "out.png")
    assert result.code == 1
    assert result.err.startswith("deblur: there is not enough memory: give a smaller photograph")


LISTENING = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
"""
"""A shell makes jobs in the background, and so all that they start, ignore SIGINT."""

SLOW = """
import sys, time
from kernels.cancellation import checkpoint
from runtime import deblurrer
from runtime.cli import main
from runtime.images import atomic
from runtime.results import Restoration
from tests.support.deblurrers import StandIn

class Negative(StandIn):
    def answer(self, image, **options):
        return Restoration(255 - image, None, None, None, {}, "negative")

def wait(descriptor):
    print("writing", file=sys.stderr, flush=True)
    time.sleep(60)

deblurrer.Deblurrer = Negative
def never(self, image, **options):
    print("restoring", file=sys.stderr, flush=True)
    while True:
        checkpoint()
        time.sleep(0.01)

if "endless" in sys.argv:
    sys.argv.remove("endless")
    Negative.answer = never
if "slow" in sys.argv:
    sys.argv.remove("slow")
    atomic._store = wait
main()
"""


def start(*arguments, **streams):
    command = [sys.executable, "-c", LISTENING + SLOW, *map(str, arguments)]
    return subprocess.Popen(command, **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams)


@pytest.mark.parametrize(
    ("number", "status", "word"), [(signal.SIGINT, 130, b"interrupted"), (signal.SIGTERM, 143, b"terminated")]
)
def test_a_signal_during_a_write_leaves_nothing(photograph, tmp_path, number, status, word):
    out = tmp_path / "out"
    out.mkdir()
    process = start("image", photograph, "-o", out, "slow")
    assert process.stderr.readline() == b"writing\n"
    assert len(list(out.iterdir())) == 1
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (status, b"deblur: " + word + b"\n")
    assert list(out.iterdir()) == []


def test_a_signal_while_several_are_restored_ends_them(photograph, tmp_path):
    (tmp_path / "copy.png").write_bytes(photograph.read_bytes())
    process = start("image", tmp_path, "-o", tmp_path / "out", "endless")
    assert process.stderr.readline() == b"restoring\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err.splitlines()[-1]) == (130, b"deblur: interrupted")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_signal_while_modules_are_imported_leaves_one_line():
    code = (
        LISTENING
        + """
import builtins, os, signal, time
load = builtins.__import__
def interrupt(name, *arguments, **options):
    if name == "click":
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)
    return load(name, *arguments, **options)
from runtime.cli import main
builtins.__import__ = interrupt
main()
"""
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"deblur: interrupted\n")


def test_what_a_killed_job_left_goes_with_the_next_one(photograph, tmp_path, deblur, opened):
    out = tmp_path / "out"
    out.mkdir()
    process = start("image", photograph, "-o", out, "slow")
    assert process.stderr.readline() == b"writing\n"
    assert deblur("image", photograph, "-o", out).code == 0
    assert len(list(out.iterdir())) == 2, "a job that lives keeps its file"
    process.kill()
    process.communicate()
    assert deblur("image", photograph, "-o", out, "--overwrite").code == 0
    assert [path.name for path in out.iterdir()] == ["photograph.png"]


def test_handlers_are_those_of_the_caller_afterwards(deblur):
    before = signal.getsignal(signal.SIGTERM)
    assert deblur("models").code == 0
    assert signal.getsignal(signal.SIGTERM) == before


def shell(command, *arguments):
    """Run ``deblur`` by a shell, which alone can close streams; `command` has ``DEBLUR`` where it stands."""
    command = command.replace("DEBLUR", '"$PYTHON" -c "$CODE"')
    environment = {**os.environ, "PYTHON": sys.executable, "CODE": SLOW}
    full = ["bash", "-c", command, "bash", *map(str, arguments)]
    return subprocess.run(full, capture_output=True, check=False, env=environment, timeout=60)


STREAMS = {
    "closed stdout, which is not needed": ('DEBLUR image "$1" -o "$2" >&-', 0, None),
    "all closed": ('DEBLUR image "$1" -o "$2" <&- >&- 2>&-', 0, None),
    "closed stdout": ('DEBLUR image "$1" -o - >&-', 1, b"stdout cannot be written (Bad file descriptor): "),
    "JSON to a closed stdout": ('DEBLUR image "$1" -o "$2" --json >&-', 1, b"stdout cannot be written"),
    "JSON to a full stdout": ('DEBLUR image "$1" -o "$2" --json >/dev/full', 1, b"stdout cannot be written (No space"),
    "a photograph to a full stdout": ('DEBLUR image "$1" -o - >/dev/full', 1, b"stdout cannot be written (No space"),
    "help to a full stdout": ("DEBLUR --help >/dev/full", 1, b"stdout cannot be written (No space"),
    "a command's help to a full stdout": ("DEBLUR image --help >/dev/full", 1, b"stdout cannot be written (No space"),
    "the version to a full stdout": ("DEBLUR --version >/dev/full", 1, b"stdout cannot be written (No space"),
    "the version, buffered": (
        "PYTHONUNBUFFERED= DEBLUR --version >/dev/full",
        1,
        b"stdout cannot be written (No space",
    ),
    "the version, unbuffered": (
        "PYTHONUNBUFFERED=1 DEBLUR --version >/dev/full",
        1,
        b"stdout cannot be written (No space",
    ),
    "the version to a closed stdout": ("DEBLUR --version >&-", 1, b"stdout cannot be written (Bad file descriptor"),
    "closed stdin": ('DEBLUR image - -o "$2" <&-', 1, b"-: stdin cannot be read (Bad file descriptor): "),
    "empty stdin": ('DEBLUR image - -o "$2" </dev/null', 1, b"-: stdin is empty: "),
    "closed stderr": ('DEBLUR image absent.png -o "$2" 2>&-', 1, None),
    "full stderr": ('DEBLUR image absent.png -o "$2" 2>/dev/full', 1, None),
    "full stderr, wrong usage": ("DEBLUR image 2>/dev/full", 2, None),
}


@pytest.mark.parametrize(("command", "status", "start"), STREAMS.values(), ids=STREAMS)
def test_streams_that_are_closed_or_full(photograph, tmp_path, command, status, start):
    target = tmp_path / "out.png"
    done = shell(command, photograph, target)
    assert done.returncode == status
    if start is None:
        assert done.stderr == b""
    else:
        assert done.stderr.startswith(b"deblur: " + start)
        assert done.stderr.count(b"\n") == 1
    if status == 0:
        assert decode(target.read_bytes())[0][0, 0].tolist() == [255, 254, 253], "no stream went into the photograph"


def test_a_reader_that_takes_one_line_ends_the_job(photograph, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(40):
        write_file(folder / f"{number:02}.png", np.zeros((3, 4), np.uint8))
    command = 'DEBLUR image "$1" -o "$2" --json | head -1; exit "${PIPESTATUS[0]}"'
    done = shell(command, folder, tmp_path / "out")
    assert json.loads(done.stdout)["input"] == f"{folder}/00.png"
    assert (done.returncode, done.stderr) == (1, b"")


def test_two_jobs_into_one_folder_do_not_replace_each_others_results(photograph, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    other = tmp_path / "other" / "photograph.png"
    other.parent.mkdir()
    write_file(other, np.zeros((3, 4), np.uint8))
    jobs = [start("image", path, "-o", out) for path in (photograph, other)]
    results = [(job.communicate(timeout=60)[1], job.returncode) for job in jobs]
    assert sorted(status for _, status in results) == [0, 1]
    (loser,) = (err for err, status in results if status)
    assert b"exists: give --overwrite" in loser
