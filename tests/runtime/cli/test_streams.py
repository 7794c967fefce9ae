import errno
import io
import os
import sys
import threading
import warnings

import click
import pytest

from runtime.cli.streams import (
    SaidWarnings,
    check_photograph_goes_to_stdout,
    is_stdout,
    read_photograph,
    say,
    tell,
    write_photograph,
)
from runtime.errors import ImageFileError, InvalidImage

PNG = b"\x89PNG\r\n\x1a\n and the picture"


class Full(io.TextIOWrapper):
    """A stream of a full device."""

    def __init__(self, number):
        super().__init__(io.BytesIO(), encoding="utf-8")
        self.number = number

    def write(self, _):
        raise OSError(self.number, os.strerror(self.number))

    def fileno(self):
        return 7


@pytest.fixture
def silenced(monkeypatch):
    """The descriptors that were silenced."""
    numbers = []
    monkeypatch.setattr("runtime.cli.streams._silence", numbers.append)
    return numbers


def test_what_nobody_can_read_is_not_said(monkeypatch, silenced):
    monkeypatch.setattr(sys, "stderr", Full(errno.ENOSPC))
    say("a word")
    assert silenced == [7]


def test_stdout_that_is_full_is_an_error_with_its_name(monkeypatch, silenced):
    monkeypatch.setattr(sys, "stdout", Full(errno.ENOSPC))
    with pytest.raises(ImageFileError, match=r"stdout cannot be written \(No space left on device\): redirect it"):
        tell("a word")
    assert silenced == [1]
    monkeypatch.setattr(sys, "stdout", Full(errno.EPIPE))
    with pytest.raises(BrokenPipeError):
        tell("a word")


def test_a_photograph_that_does_not_fit_is_an_error(monkeypatch, silenced):
    with open("/dev/full", "wb", buffering=0) as full:
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(full))
        with pytest.raises(ImageFileError, match="stdout cannot be written"):
            write_photograph(b"picture")
    assert silenced == [1]


def test_a_terminal_takes_no_photograph(monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    with pytest.raises(click.UsageError, match="stdout is a terminal: redirect it, or name an output file"):
        check_photograph_goes_to_stdout()


def test_stdin_gives_a_photograph_and_who_may_read_it(monkeypatch, tmp_path):
    (tmp_path / "photo.png").write_bytes(PNG)
    with open(tmp_path / "photo.png", encoding="utf-8") as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        data, (status,) = read_photograph()
    assert (data, status.st_ino) == (PNG, (tmp_path / "photo.png").stat().st_ino)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(PNG)))
    assert read_photograph() == (PNG, [])


def test_stdin_that_is_no_photograph_and_has_no_end_is_not_read_on(monkeypatch):
    with open("/dev/zero", encoding="utf-8") as zeros:
        monkeypatch.setattr(sys, "stdin", zeros)
        data, files = read_photograph()
    assert (set(data), files) == ({0}, [])
    assert len(data) < 100


def test_stdin_without_a_photograph_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    with pytest.raises(InvalidImage, match="stdin is empty: redirect a photograph to it"):
        read_photograph()
    with open(os.open(tmp_path / "x", os.O_WRONLY | os.O_CREAT), encoding="utf-8") as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        with pytest.raises(ImageFileError, match=r"stdin cannot be read \(Bad file descriptor\)"):
            read_photograph()


def test_the_file_that_stdout_goes_to_is_known(tmp_path, capfd):
    (tmp_path / "a.png").touch()
    (tmp_path / "b.png").touch()
    before = os.dup(1)
    with open(tmp_path / "a.png", "wb") as stream:
        os.dup2(stream.fileno(), 1)
        found = [is_stdout(str(tmp_path / name)) for name in ("a.png", "b.png", "absent.png")]
        os.dup2(before, 1)
    os.close(before)
    assert found == [True, False, False]


def test_a_warning_is_one_line_that_names_its_photograph(capsys):
    with SaidWarnings("a.png"):
        for text in ("its gamma\nis lost", "a.png: its size is lost", "a.png: its size is lost"):
            warnings.warn(text, stacklevel=1)
        warnings.warn("soon gone", DeprecationWarning, stacklevel=1)
    assert capsys.readouterr().err.splitlines() == [
        r"deblur: a.png: its gamma\nis lost",
        "deblur: a.png: its size is lost",
    ]


def test_warnings_of_other_threads_name_what_these_work_on(capsys):
    def work(name):
        with warned.about(name):
            warnings.warn("its size is lost", stacklevel=1)
        warnings.warn("beware", stacklevel=1)

    before = warnings.showwarning
    with SaidWarnings() as warned:
        threads = [threading.Thread(target=work, args=(name,)) for name in ("a.png", "b.png")]
        for thread in threads:
            thread.start()
            thread.join()
        warned.say("b.png")
        assert capsys.readouterr().err == "deblur: b.png: its size is lost\n"
    assert sorted(capsys.readouterr().err.splitlines()) == ["deblur: a.png: its size is lost", "deblur: beware"]
    assert warnings.showwarning is before, "later warnings are no longer kept"


def test_warnings_are_said_before_the_error(capsys):
    def fail():
        with SaidWarnings():
            warnings.warn("beware", stacklevel=1)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert capsys.readouterr().err == "deblur: beware\n"
