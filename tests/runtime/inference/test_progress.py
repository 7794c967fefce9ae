import pytest

from runtime.inference import progress
from runtime.inference.progress import Stopwatch


def test_adds_up_each_stage_in_the_order_they_began(monkeypatch):
    clock = iter([0.0, 1.0, 5.0, 7.0, 10.0, 14.0])
    monkeypatch.setattr(progress.time, "perf_counter", lambda: next(clock))
    watch = Stopwatch()
    for stage in ("extract", "network", "extract"):
        with watch(stage):
            pass
    assert list(watch.seconds().items()) == [("extract", 5.0), ("network", 2.0)]


def test_a_stage_within_another_one_interrupts_it(monkeypatch):
    clock = iter([0.0, 1.0, 5.0, 7.0])
    monkeypatch.setattr(progress.time, "perf_counter", lambda: next(clock))
    watch = Stopwatch()
    with watch("kernel estimate"), watch("network"):
        pass
    assert watch.seconds() == {"kernel estimate": 3.0, "network": 4.0}


def test_a_stage_that_fails_ends(monkeypatch):
    clock = iter([0.0, 1.0, 5.0, 7.0])
    monkeypatch.setattr(progress.time, "perf_counter", lambda: next(clock))
    watch = Stopwatch()
    with pytest.raises(ZeroDivisionError), watch("network"):
        raise ZeroDivisionError
    with watch("filter"):
        pass
    assert watch.seconds() == {"network": 1.0, "filter": 2.0}
