import io
import sys

import pytest

from runtime.cli.options import ProgressLine


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_shows_one_line_and_takes_it_away(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with ProgressLine("photo.png") as progress:
        progress("network", 0.1234)
        progress("network", 0.1235)
        progress("network", 1.0)
    shown = sys.stderr.getvalue().split("\r\x1b[K")
    assert shown == ["", "photo.png", "photo.png: network 12%", "photo.png: network 100%", ""]


def test_the_line_goes_when_the_work_fails(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with pytest.raises(RuntimeError), ProgressLine("photo.png"):
        raise RuntimeError
    assert sys.stderr.getvalue().endswith("\r\x1b[K")


def test_elsewhere_it_is_quiet(capsys):
    with ProgressLine("photo.png") as progress:
        progress("network", 0.5)
    assert capsys.readouterr() == ("", "")
