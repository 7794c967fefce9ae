import click
import pytest

from bench.fuzz.case import FAILED, REFUSED, RESULT
from bench.fuzz.pool import run_cases
from tests.bench.fuzz.fakes import ENDS


def test_cases_end_in_every_way_and_the_others_go_on():
    told = []
    outcomes = run_cases(
        "tests.bench.fuzz.fakes:FAKE", range(len(ENDS)), seed=0, jobs=2, report=lambda *o: told.append(o)
    )
    assert sorted(number for number, _ in told) == list(outcomes) == list(range(len(ENDS)))
    kinds = [outcome.kind for outcome in outcomes.values()]
    assert kinds == [RESULT, REFUSED, *[FAILED] * 6, RESULT]
    whats = [outcome.what for outcome in outcomes.values()]
    assert whats[2:7] == [
        "invalid result: NaN", "raw ZeroDivisionError", "no end after 1 s", "the process died: SIGABRT",
        "printed: libfoo warning",
    ]  # fmt: skip
    assert all(outcome.title for outcome in outcomes.values())


def test_a_family_that_cannot_start_says_why():
    with pytest.raises(click.ClickException, match="cannot start: RuntimeError: no model"):
        run_cases("tests.bench.fuzz.fakes:UNREADY", [0], seed=0)
