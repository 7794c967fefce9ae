import os
import subprocess
import sys

import pytest

from runtime.images.limits import available_memory
from runtime.images.limits.memory import _of_groups, _of_machine


def test_there_is_some_memory():
    assert 1 << 26 < available_memory() <= _of_machine()


@pytest.mark.parametrize("hidden", [None, AttributeError, ValueError])
def test_where_the_system_does_not_say_a_usual_amount_is_taken_for_granted(hidden, monkeypatch):
    def fail(_):
        raise hidden

    if hidden is None:
        monkeypatch.delattr(os, "sysconf")
    else:
        monkeypatch.setattr(os, "sysconf", fail)
    assert _of_machine() == 8 << 30


def groups(root, listed, limits):
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(listed)
    for path, limit in limits.items():
        file = root / "sys/fs/cgroup" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(limit)
    return sorted(_of_groups(root))


def test_control_groups_of_version_2_hold_for_those_within(tmp_path):
    limits = {"a/b/memory.max": "max\n", "a/memory.max": "5000\n", "memory.max": "9000\n", "c/memory.max": "1\n"}
    assert groups(tmp_path, "0::/a/b\n", limits) == [5000, 9000]


def test_control_groups_of_version_1(tmp_path):
    limits = {"memory/a/memory.limit_in_bytes": "700\n", "cpu/a/memory.limit_in_bytes": "1\n"}
    assert groups(tmp_path, "3:cpu:/a\n2:memory:/a\n0::/\n", limits) == [700]


def test_a_container_sees_its_group_as_the_root(tmp_path):
    assert groups(tmp_path, "0::/../far/away\n", {"memory.max": "800\n"}) == [800]


def test_without_control_groups_there_is_no_limit_by_them(tmp_path):
    assert list(_of_groups(tmp_path)) == []
    assert groups(tmp_path, "nonsense\n", {}) == []


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such limits")
def test_the_limits_of_the_process_count():
    script = (
        "import resource; resource.setrlimit(resource.RLIMIT_DATA, (1 << 33, resource.RLIM_INFINITY));"
        "import runtime.images.limits.memory as m; m._of_machine = lambda: 1 << 50; m._of_groups = lambda root: [];"
        "print(m.available_memory())"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(found.stdout) == 1 << 33
