import json

import pytest
from click.testing import CliRunner

from bench.fuzz import command as module
from bench.fuzz.case import FAILED, REFUSED, RESULT, Outcome
from bench.fuzz.command import fuzz


@pytest.fixture
def outcomes(monkeypatch):
    """What the pool gives, and what it was asked for."""
    asked, given = [], {}

    def run(name, numbers, **options):
        asked.append((name, list(numbers), options["seed"]))
        for number, outcome in given.items():
            options["report"](number, outcome)
        return given

    monkeypatch.setattr(module, "run_cases", run)
    return asked, given


def test_outcomes_are_counted_and_written(outcomes, tmp_path):
    asked, given = outcomes
    given.update({0: Outcome(RESULT), 1: Outcome(REFUSED, "InvalidImage"), 2: Outcome(REFUSED, "InvalidImage")})
    files = ["--json", f"{tmp_path}/f.json", "--plot", f"{tmp_path}/f.png"]
    result = CliRunner().invoke(fuzz, ["--family", "images", "--cases", "3", "--seed", "7", *files])
    assert result.exit_code == 0, result.output
    assert asked == [("images", [0, 1, 2], 7)]
    tables = json.loads((tmp_path / "f.json").read_text())["tables"]
    (row,) = tables["families"]
    assert (row["cases"], row["result"], row["refused"], row["failed"]) == (3, 1, 2, 0)
    assert tables["errors"] == [{"family": "images", "error": "InvalidImage", "cases": 2}]
    assert (tmp_path / "f.png").stat().st_size > 1000


def test_a_failure_fails_the_command_and_is_named(outcomes):
    asked, given = outcomes
    given[4] = Outcome(FAILED, "raw ValueError", "png, truncate")
    result = CliRunner().invoke(fuzz, ["--family", "images", "--case", "4", "--seed", "7"])
    assert result.exit_code == 1
    assert asked == [("images", [4], 7)]
    assert "--family images --seed 7 --case 4: raw ValueError (png, truncate)" in result.output


def test_all_families_run_in_full_by_default(outcomes):
    asked, _ = outcomes
    CliRunner().invoke(fuzz, [])
    assert [(name, len(numbers)) for name, numbers, _ in asked] == [
        (name, family.cases) for name, family in module.FAMILIES.items()
    ]
