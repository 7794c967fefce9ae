import io
import sys
import threading

import pytest

from runtime.cli.options import PhotographsLine, ProgressLine


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


def test_of_several_the_first_in_work_is_shown_and_how_many_are_done(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with PhotographsLine(3) as line:
        first, second = line.of("a.png"), line.of("b\n.png")
        second("network", 0.5)
        first("network", 0.25)
        with line.done("a.png"):
            sys.stderr.write("a.png is unchanged\n")
        second("deconvolve", 1.0)
        with line.done("b\n.png"):
            pass
    shown = sys.stderr.getvalue().split("\r\x1b[K")
    assert shown == [
        "",
        "0 of 3 done",
        "0 of 3 done; a.png",
        "0 of 3 done; a.png: network 25%",
        "a.png is unchanged\n",
        "1 of 3 done; b\\n.png: deconvolve 100%",
        "",
    ]


def test_nothing_is_shown_between_what_is_said(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    said = threading.Event()
    with PhotographsLine(2) as line:
        line.of("a.png")
        progress = line.of("b.png")

        def report():
            progress("network", 0.5)
            said.set()

        with line.done("a.png"):
            thread = threading.Thread(target=report)
            thread.start()
            assert not said.wait(0.05), "it waits"
        assert said.wait(20)
        thread.join()


def test_of_one_alone_only_its_stage_is_shown(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with PhotographsLine(1) as line:
        line.of("a.png")("network", 0.5)
    assert sys.stderr.getvalue().split("\r\x1b[K") == ["", "a.png", "a.png: network 50%", ""]
