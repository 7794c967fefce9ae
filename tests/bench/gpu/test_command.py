import json
import os
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.gpu import command as gpu_module
from bench.gpu.command import gpu, run_section
from bench.gpu.sections import Section


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """Make modules that can be run by name."""
    folder = tmp_path / "modules"
    folder.mkdir()
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))

    def make(name, text):
        (folder / f"{name}.py").write_text(text)
        return Section(name, 30, (name,), reports=False)

    return make


def test_a_section_is_done_with_its_last_line_and_its_files(commands, tmp_path):
    done = commands("writes", "import sys; open(sys.argv[1], 'w').write('{}'); print('first'); print(' last \\n')")
    section = Section("writes", 30, (*done.command, str(tmp_path / "writes.json")))
    row = run_section(section, tmp_path, 100)
    assert (row["outcome"], row["result"]) == ("done", "writes.json")
    assert "problem" not in row
    assert run_section(done, tmp_path, 100)["problem"].endswith("IndexError: list index out of range")


def test_a_section_that_fails_says_why(commands, tmp_path):
    row = run_section(commands("fails", "import sys; sys.exit('no such thing')"), tmp_path, 100)
    assert (row["outcome"], row["problem"]) == ("failed", "exit status 1: no such thing")


def test_a_section_is_given_what_it_is_to_read(commands, tmp_path):
    asks = commands("asks", "print('first'); print(f' {input()} \\n')")
    assert run_section(Section("asks", 30, asks.command, False, "answer"), tmp_path, 100)["result"] == "answer"
    assert (tmp_path / "asks.log").read_text().startswith("first")


SPAWNS = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""


def test_a_section_that_takes_too_long_is_stopped_with_all_that_it_started(commands, tmp_path):
    row = run_section(commands("hangs", SPAWNS), tmp_path, 6)
    assert row["outcome"] == "stopped"
    assert row["problem"] == "stopped after 6 s"
    assert row["seconds"] < 20
    child = int(row["result"])
    for _ in range(100):
        if not _lives(child):
            break
        time.sleep(0.1)
    assert not _lives(child)


def test_limits_are_stretched_but_not_beyond_what_is_left(commands, tmp_path):
    waits = commands("waits", "import time; time.sleep(2); print('done')")
    assert run_section(Section("waits", 0.5, waits.command, False), tmp_path, 100)["outcome"] == "stopped"
    assert run_section(Section("waits", 0.5, waits.command, False), tmp_path, 100, limit_factor=60)["outcome"] == "done"


def _lives(process):
    try:
        state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_section_is_skipped_where_no_time_is_left(commands, tmp_path):
    row = run_section(commands("never", "open('never', 'w')"), tmp_path, 4)
    assert (row["outcome"], row["seconds"]) == ("skipped", 0)
    assert not (tmp_path / "never.log").exists()


@pytest.fixture
def three(commands, monkeypatch):
    listed = [commands("one", "print('fine')"), commands("two", "1 / 0"), commands("three", "print('fine too')")]
    monkeypatch.setattr(gpu_module, "sections", lambda sizes, device, out, models: iter(listed))
    machine = {"processor": "none", "cores": 1, "memory_bytes": 1, "load": 0.0, "gpu": "none", "system": "none",
               "versions": {}}  # fmt: skip
    monkeypatch.setattr(gpu_module, "run_isolated", lambda function, arguments: (machine, 1))


def test_one_that_fails_does_not_stop_the_rest_but_shows(three, tmp_path):
    out = tmp_path / "out"
    result = CliRunner().invoke(gpu, ("--out", str(out), "--device", "cpu"))
    assert result.exit_code == 1
    content = json.loads((out / "summary.json").read_text())
    rows = content["tables"]["sections"]
    assert [(row["section"], row["outcome"]) for row in rows] == [
        ("one", "done"), ("two", "failed"), ("three", "done"),
    ]  # fmt: skip
    assert "ZeroDivisionError" in rows[1]["problem"]
    assert content["tables"]["goals"] == []
    assert str(tmp_path) not in json.dumps(content["settings"])
    text = (out / "summary.txt").read_text()
    assert all(word in text for word in ("fine too", "ZeroDivisionError", "Goals"))


def test_sections_can_be_chosen(three, tmp_path):
    result = CliRunner().invoke(gpu, ("--out", str(tmp_path), "--device", "cpu", "--only", "th", "--only", "one"))
    assert result.exit_code == 0, result.output
    rows = json.loads((tmp_path / "summary.json").read_text())["tables"]["sections"]
    assert [row["section"] for row in rows] == ["one", "three"]


def test_the_summary_is_there_after_each_section(three, tmp_path, monkeypatch):
    def cut(section, *arguments):
        if section.name == "two":
            raise KeyboardInterrupt
        return run_section(section, *arguments)

    monkeypatch.setattr(gpu_module, "run_section", cut)
    CliRunner().invoke(gpu, ("--out", str(tmp_path), "--device", "cpu"))
    rows = json.loads((tmp_path / "summary.json").read_text())["tables"]["sections"]
    assert [row["section"] for row in rows] == ["one"]


@pytest.mark.parametrize("wrong", [(), ("--out", "no/such/folder"), ("--out", ".", "--budget", "1")])
def test_options_that_make_no_sense_are_refused(wrong):
    assert CliRunner().invoke(gpu, wrong).exit_code == 2
