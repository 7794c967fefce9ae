import pytest

from bench.fuzz.case import Broken
from bench.fuzz.commands import CommandFailed, Ended, check_folder, run
from bench.fuzz.inputs.pictures import picture


def test_a_command_runs_in_a_process_of_its_own_under_what_a_shell_does_to_it():
    ended = run(["--version"])
    ended.check((0,))
    assert b"deblur" in ended.stdout
    assert b"deblur" in run(["--version"], 'exec "$@" 2>&-').stdout


@pytest.mark.parametrize(
    ("ended", "error", "message"),
    [
        (Ended("c", 1, b"", "deblur: x.png: cannot be read"), CommandFailed, "cannot be read"),
        (Ended("c", 1, b"", ""), Broken, "without a word"),
        (Ended("c", -11, b"", "deblur: x"), Broken, "exit status -11"),
        (Ended("c", 1, b"", "Traceback (most recent call last):\nValueError: x"), Broken, "Traceback"),
    ],
)
def test_a_failure_has_a_status_and_a_line_of_its_own(ended, error, message):
    with pytest.raises(error, match=message):
        ended.check()


def test_a_failure_that_nobody_can_hear_need_not_speak():
    Ended("c", 0, b"", "").check()
    with pytest.raises(CommandFailed):
        Ended("c", 1, b"", "").check(speaks=False)


def test_half_pictures_and_unfinished_files_are_found(tmp_path):
    (tmp_path / "whole.png").write_bytes(picture("png-8"))
    check_folder(tmp_path)
    (tmp_path / "half.png").write_bytes(picture("png-8")[:500])
    with pytest.raises(Broken, match=r"half\.png is not whole"):
        check_folder(tmp_path)
    (tmp_path / "half.png").unlink()
    (tmp_path / ".x.part").touch()
    with pytest.raises(Broken, match="left behind"):
        check_folder(tmp_path)
