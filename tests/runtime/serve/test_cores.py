import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="needs a system with CPU affinity")

CONFINED = """
import os, sys, threading
from runtime.serve import cores
cores._NAME = "\\0deblur-test-" + sys.argv[1] + "-{}"
started, end = threading.Event(), threading.Event()
old = []
def wait():
    started.wait()
    old.append(os.sched_getaffinity(threading.get_native_id()))
thread = threading.Thread(target=wait)
thread.start()
taken = cores.confine_to_cores(int(sys.argv[2]))
started.set()
thread.join()
assert old == [taken] == [os.sched_getaffinity(0)]
print(*sorted(taken), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def confine():
    """Start a process that is confined to some cores; gives the process and its cores."""
    processes = []

    def start(count):
        process = subprocess.Popen(
            [sys.executable, "-c", CONFINED, str(os.getpid()), str(count)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process, {int(core) for core in process.stdout.readline().split()}

    yield start
    for process in processes:
        process.kill()
        process.communicate()


ALL = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()


@pytest.mark.skipif(len(ALL) < 2, reason="needs two cores")
def test_workers_do_not_meet_on_a_core_and_free_it_when_they_are_killed(confine):
    first, cores = confine(1)
    assert len(cores) == 1
    _, others = confine(1)
    assert len(others) == 1
    assert others.isdisjoint(cores)
    first.kill()
    first.wait()
    _, again = confine(1)
    assert again == cores


def test_a_worker_for_which_no_cores_are_free_keeps_all(confine):
    assert confine(len(ALL))[1] == ALL
    assert confine(len(ALL) + 1)[1] == ALL
    for core in range(len(ALL)):
        confine(1)
        assert core < len(ALL)
    assert confine(1)[1] == ALL
