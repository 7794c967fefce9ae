import io
import os
import subprocess
import sys
import threading
import warnings

import pytest

from runtime.images.quiet import quiet

WARNS = {"__name__": "PIL.TiffImagePlugin"}


def warn_like_pillow():
    exec("import warnings; warnings.warn('Truncated File Read')", dict(WARNS))


def test_warnings_of_pillow_are_ignored_and_others_are_not():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with quiet():
            warn_like_pillow()
            warnings.warn("ours", stacklevel=1)
        warn_like_pillow()
    assert [str(warning.message) for warning in caught] == ["ours", "Truncated File Read"]


def test_threads_leave_the_filters_as_they_were():
    before = list(warnings.filters)
    inside, done = threading.Barrier(3), threading.Barrier(3)

    def work():
        with quiet():
            inside.wait(10)
            warn_like_pillow()
        done.wait(10)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    with quiet():
        inside.wait(10)
    done.wait(10)
    for thread in threads:
        thread.join(10)
    assert list(warnings.filters) == before


PROGRAM = """
import os, sys
from runtime.images.quiet import quiet
if {own}:
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
with quiet():
    os.write(2, b"libfoo\\n")
    print("ours", file=sys.stderr)
os.write(2, b"later\\n")
"""


@pytest.mark.parametrize(("own", "heard"), [(True, "ours\nlater\n"), (False, "libfoo\nours\nlater\n")])
def test_libraries_are_silenced_where_python_has_a_stderr_of_its_own(own, heard):
    done = subprocess.run([sys.executable, "-c", PROGRAM.format(own=own)], capture_output=True, text=True, check=True)
    assert done.stderr == heard


@pytest.mark.parametrize("stream", [None, io.StringIO()])
def test_stderr_may_be_anything(monkeypatch, stream):
    monkeypatch.setattr(sys, "stderr", stream)
    before = os.fstat(2)
    with quiet():
        assert os.path.samestat(os.fstat(2), before)
    assert os.path.samestat(os.fstat(2), before)
