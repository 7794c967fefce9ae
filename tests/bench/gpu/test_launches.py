import json
import sys

import pytest
from click.testing import CliRunner

from bench.__main__ import main
from bench.gpu.launches import photograph
from tests.support.cuda_emulator import MISSING_COMPILER


def test_the_photograph_has_the_size_that_was_asked_for():
    assert photograph(70).shape == (70, 70, 3)
    assert photograph(600).shape == (600, 600, 3)


@pytest.mark.skipif(MISSING_COMPILER is not None, reason=str(MISSING_COMPILER))
def test_a_job_is_counted_with_the_functions_that_ask_for_most(tmp_path):
    arguments = ["launches", "wiener", "--side", "65", "--places", "3"]
    arguments += ["--json", str(tmp_path / "counts.json"), "--plot", str(tmp_path / "counts.svg")]
    done = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    assert "65 x 65 pixels in colour, fast" in done.output
    tables = json.loads((tmp_path / "counts.json").read_text())["tables"]
    first, repeated = tables["launches"]
    assert [(row["job"], row["call"]) for row in (first, repeated)] == [("wiener", "first"), ("wiener", "repeated")]
    assert first["graphs"] == 0 < repeated["graphs"]
    assert repeated["transforms"] < repeated["operations"] < first["operations"]
    assert 0 < repeated["waits"] < 60
    assert 100 < repeated["python_calls"] < first["python_calls"]
    assert len(tables["places"]) == 3
    assert all(row["place"].startswith(("runtime/", "kernels/")) for row in tables["places"])
    assert (tmp_path / "counts.svg").stat().st_size > 1000


def test_without_the_tests_it_says_where_it_runs(monkeypatch):
    monkeypatch.setitem(sys.modules, "tests.support.cuda_stand_in", None)
    done = CliRunner().invoke(main, ["launches", "wiener"])
    assert done.exit_code == 1
    assert "run this in a checkout of the project" in done.output
