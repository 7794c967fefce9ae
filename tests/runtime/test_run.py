import numpy as np
import pytest

from runtime import run as module
from runtime.noise import LEAST_NOISE, estimate_noise
from runtime.options import BurstOptions, Options
from runtime.run import Run


@pytest.fixture
def plane(rng):
    return (0.5 + 0.02 * rng.standard_normal((60, 70))).astype(np.float32)


def test_the_noise_is_estimated_once(plane, monkeypatch):
    calls = []
    monkeypatch.setattr(module, "estimate_noise", lambda image: calls.append(1) or estimate_noise(image))
    run = Run(Options())
    assert run.noise_of(plane) == run.noise_of(plane) == run.with_options(stride=3).noise_of(plane)
    assert run.noise_of(plane) == pytest.approx(0.02, rel=0.1)
    assert len(calls) == 1


@pytest.mark.parametrize(("given", "used"), [(0.05, 0.05), (0.0, LEAST_NOISE)])
def test_the_callers_noise_comes_first(plane, given, used):
    assert Run(Options(noise=given)).noise_of(plane) == used


def test_a_changed_option_changes_nothing_else():
    reports = []
    run = Run(Options(quality="fast", stride=5), progress=lambda *report: reports.append(report))
    other = run.with_options(stride=None)
    assert (run.options.stride, other.options) == (5, Options(quality="fast"))
    assert other.stopwatch is run.stopwatch
    other.report("poses", 0.5)
    assert reports == [("poses", 0.5)]


def test_progress_is_optional():
    Run(BurstOptions()).report("frames", 1.0)
