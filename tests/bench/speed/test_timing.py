import time

import numpy as np
import pytest

from bench.speed.timing import Timing, measure, measure_in_turn, spread


def test_a_timing_is_summed_up_by_median_and_spread():
    timing = Timing((3.0, 1.0, 2.0, 10.0))
    assert (timing.median, timing.minimum) == (2.5, 1.0)
    assert timing.scaled(2) == {"median": 5.0, "min": 2.0, "max": 20.0, "repeats": 4}
    assert spread(value for value in (1.0, 2.0)) == {"median": 1.5, "min": 1.0, "max": 2.0, "repeats": 2}


def test_work_is_timed_as_often_as_asked_and_after_warm_up():
    calls = []
    timing = measure(lambda: calls.append(1), repeats=4, warmup=3)
    assert len(timing.seconds) == 4
    assert len(calls) == 3 + 4


def test_a_time_is_that_of_the_work():
    timing = measure(lambda: time.sleep(0.02), repeats=2)
    assert all(seconds >= 0.02 for seconds in timing.seconds)


def test_quick_work_is_repeated_within_one_measurement_and_timed_per_call():
    calls = []

    def work():
        calls.append(1)
        time.sleep(0.002)

    timing = measure(work, repeats=1, warmup=0, min_seconds=0.1)
    assert len(calls) > 2
    assert timing.minimum >= 0.002


def test_contenders_take_turns_and_settle_before_each():
    order = []
    timings = measure_in_turn({name: lambda name=name: order.append(name) for name in "ab"}, repeats=2, warmup=1)
    assert "".join(order) == "ab" + "aabb" * 2
    assert {name: len(timing.seconds) for name, timing in timings.items()} == {"a": 2, "b": 2}


@pytest.mark.gpu
def test_a_gpu_is_timed_until_it_has_finished():
    import cupy

    a = cupy.asarray(np.ones((4096, 4096), np.float32))
    timing = measure(lambda: a @ a, repeats=3, warmup=2, gpu=True)
    assert timing.minimum > 2 * 4096**3 / 1e15
