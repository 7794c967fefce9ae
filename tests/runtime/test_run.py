import numpy as np
import pytest

from runtime import run as module
from runtime.inference.devices import CPU
from runtime.inference.progress import Stopwatch
from runtime.noise import LEAST_NOISE, estimate_noise
from runtime.options import BurstOptions, Options
from runtime.preparation.photograph import prepare
from runtime.response import SRGB
from runtime.run import Run, run_on


@pytest.fixture
def plane(rng):
    return (0.5 + 0.02 * rng.standard_normal((60, 70))).astype(np.float32)


def test_the_noise_is_estimated_once(plane, monkeypatch):
    calls = []

    def estimate(image, known):
        calls.append(1)
        return estimate_noise(image, known=known)

    monkeypatch.setattr(module, "estimate_noise", estimate)
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


def test_unknown_pixels_say_nothing_about_the_noise(plane):
    known = np.ones(plane.shape, bool)
    known[:, :40] = False
    filled = np.where(known, plane, 0.5).astype(np.float32)
    assert Run(Options(), known=known).noise_of(filled) == pytest.approx(0.02, rel=0.15)
    assert Run(Options()).noise_of(filled) < 0.01


def test_what_is_left_out_is_unknown_and_smooth(plane):
    known = np.ones(plane.shape, bool)
    known[:5] = False
    foreign = np.zeros_like(known)
    foreign[20:30, 20:40] = True
    filled, run = Run(Options(), known=known).leaving_out(foreign, plane[None])
    assert np.array_equal(run.known, known & ~foreign)
    assert np.array_equal(filled[0][run.known], plane[run.known])
    assert filled[0][foreign].std() < 0.01


def test_a_run_on_a_photograph_is_in_units_of_its_white(plane):
    photograph = prepare(plane[None] * np.float32(0.1))
    run = run_on(photograph, 1 / 255, Options(noise=0.002), CPU, Stopwatch(CPU), None)
    assert run.options.noise == pytest.approx(0.002 / photograph.white.level)
    assert run.saturated == photograph.white.saturated
    assert run.least_noise == pytest.approx(LEAST_NOISE / photograph.white.level)
    assert run.noise_of(photograph.planes[0]) == run.options.noise > run.least_noise


def test_a_run_in_light_knows_its_noise_and_what_is_clipped(plane):
    run = Run(Options(noise=0.02))
    light = run.in_light(SRGB, plane)
    slope = SRGB.mean_slope(plane)
    assert light.response == SRGB
    assert light.options.noise == pytest.approx(0.02 * slope)
    assert light.least_noise == pytest.approx(LEAST_NOISE * slope)
    assert light.saturated == pytest.approx(0.9555, abs=1e-3)
    assert Run(Options()).in_light(SRGB, plane).noise_of(SRGB.to_light(plane)) == pytest.approx(0.02 * slope, rel=0.15)
    assert Run(Options(), saturated=np.inf).in_light(SRGB, plane).saturated == np.inf
