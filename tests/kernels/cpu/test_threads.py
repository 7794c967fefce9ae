import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from kernels.cpu import threads
from kernels.cpu.threads import core_count, limit_cores, run_in_slices
from kernels.patch_filters import filter_patches


@pytest.mark.parametrize("cores", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 2, 7, 100])
def test_slices_make_up_the_range(monkeypatch, cores, count):
    monkeypatch.setattr(threads, "core_count", lambda: cores)
    taken = []
    run_in_slices(lambda first, last, label: taken.append((first, last, label)), count, "x")
    numbers = [number for first, last, _ in sorted(taken) for number in range(first, last)]
    assert numbers == list(range(count))
    assert {label for *_, label in taken} <= {"x"}


def test_an_error_in_any_slice_is_raised(monkeypatch):
    monkeypatch.setattr(threads, "core_count", lambda: 3)

    def fail_at_the_end(first, last):
        if last == 100:
            raise RuntimeError("the last slice failed")

    for _ in range(20):
        with pytest.raises(RuntimeError, match="the last slice failed"):
            run_in_slices(fail_at_the_end, 100)


@pytest.mark.parametrize("cores", [1, 3])
def test_a_slice_is_no_longer_than_asked_for(monkeypatch, cores):
    monkeypatch.setattr(threads, "core_count", lambda: cores)
    taken = []
    run_in_slices(lambda first, last: taken.append((first, last)), 100, most=7)
    assert sum(last - first for first, last in taken) == 100
    assert max(last - first for first, last in taken) <= 7


@pytest.mark.parametrize("cores", [1, 3])
def test_it_can_be_cancelled_between_slices(monkeypatch, cores):
    monkeypatch.setattr(threads, "core_count", lambda: cores)
    taken, checks = [], iter([None, None, ValueError("enough")])

    def check():
        if (error := next(checks)) is not None:
            raise error

    monkeypatch.setattr(threads, "checkpoint", check)
    caller = threading.get_ident()

    def slow(first, last):
        taken.append(threading.get_ident() == caller)
        time.sleep(0.002)

    with pytest.raises(ValueError, match="enough"):
        run_in_slices(slow, 1000, most=1)
    assert taken.count(True) == 2
    assert len(taken) < 500


def test_the_caller_does_not_wait_for_busy_threads(monkeypatch):
    monkeypatch.setattr(threads, "core_count", lambda: 2)
    release, done = threading.Event(), []
    occupied = [threads._pool().submit(release.wait, 60) for _ in range(threads._pool()._max_workers)]
    try:
        run_in_slices(lambda first, last: done.append(last - first), 10)
        assert sum(done) == 10
        assert not any(future.done() for future in occupied)
    finally:
        release.set()


def test_many_threads_may_call_at_once():
    rng = np.random.default_rng(0)
    patches = rng.random((40, 17, 17), np.float32)
    filters = rng.random((40, 2, 17, 9), np.float32)
    expected = filter_patches(patches, filters, 9)
    with ThreadPoolExecutor(8) as pool:
        for result in pool.map(lambda _: filter_patches(patches, filters, 9), range(64)):
            np.testing.assert_array_equal(result, expected)


def test_a_forked_child_computes_too():
    script = """
import os, sys
import numpy as np
from kernels.patch_filters import filter_patches
from kernels.patches import PatchGrid, extract_patches, overlap_add

grid = PatchGrid(50, 60, patch=17, core=9, stride=4)
image = np.random.default_rng(0).random((50, 60), np.float32)
filters = np.random.default_rng(1).random((len(grid), 2, 17, 9), np.float32)

def restore():
    cores = filter_patches(extract_patches(image, grid, 0, len(grid)), filters, 9)
    return overlap_add(cores, grid, 0, np.zeros_like(image))

before = restore()
child = os.fork()
same = np.array_equal(restore(), before)
if child == 0:
    sys.exit(0 if same else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) or not same)
"""
    assert subprocess.run([sys.executable, "-c", script], timeout=120).returncode == 0


def test_core_count_is_positive():
    assert core_count() >= 1


def test_a_limit_holds_for_its_thread_alone():
    before, caller = core_count(), threading.get_ident()
    limited = []

    def work():
        limit_cores(1)
        run_in_slices(lambda first, last: limited.append((core_count(), threading.get_ident())), 20)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(limited) == 1
    assert limited[0][0] == 1
    assert limited[0][1] not in (caller, None)
    assert core_count() == before
