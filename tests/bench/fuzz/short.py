"""The short form of a family: the same cases every time."""

from bench.fuzz.case import FAILED, REFUSED, RESULT
from bench.fuzz.families import FAMILIES
from bench.fuzz.pool import run_cases


def check_family(name, *, results, refusals, seed=15):
    """Run the short form of a family: no case fails, and so many end either way."""
    outcomes = run_cases(name, range(FAMILIES[name].short), seed=seed)
    failures = [
        f"python -m bench fuzz --family {name} --seed {seed} --case {number}: {outcome.what} ({outcome.title})"
        for number, outcome in outcomes.items()
        if outcome.kind == FAILED
    ]
    assert not failures, "\n".join(failures)
    kinds = [outcome.kind for outcome in outcomes.values()]
    assert kinds.count(RESULT) >= results
    assert kinds.count(REFUSED) >= refusals
