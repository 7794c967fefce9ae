import sys

import click
import numpy as np
import pytest

from bench.speed.isolated import peak_resident, run_isolated
from runtime.errors import InvalidArgument
from tests.bench.conftest import ROOT

HERE = "tests.bench.speed.test_isolated"
ENVIRONMENT = {"PYTHONPATH": str(ROOT)}


def allocate(megabytes):
    print("this belongs to stderr")
    return float(np.ones(megabytes * 2**17).sum()), "torch" in sys.modules


def refuse():
    raise InvalidArgument("give something else")


def crash():
    return 1 / 0


def test_a_function_runs_elsewhere_and_its_memory_is_its_own():
    # What this process holds must not count; a plain ru_maxrss would count it.
    ballast = np.ones(2**26)
    assert peak_resident() > 2**29
    (total, torch), little = run_isolated(f"{HERE}:allocate", {"megabytes": 1}, ENVIRONMENT)
    _, much = run_isolated(f"{HERE}:allocate", {"megabytes": 200}, ENVIRONMENT)
    assert total == 2**17
    assert not torch
    assert little < ballast.nbytes / 2
    assert 190 * 2**20 < much - little < 260 * 2**20


def test_a_failure_elsewhere_is_a_failure_here(capfd):
    with pytest.raises(click.ClickException, match="exit status 1"):
        run_isolated(f"{HERE}:refuse", {}, ENVIRONMENT)
    assert capfd.readouterr().err.strip() == "Error: give something else"
    with pytest.raises(click.ClickException):
        run_isolated(f"{HERE}:crash", {}, ENVIRONMENT)
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_the_environment_can_be_changed():
    found, _ = run_isolated("os:getenv", {"key": "OMP_WAIT_POLICY"}, {"OMP_WAIT_POLICY": "passive"})
    assert found == "passive"
