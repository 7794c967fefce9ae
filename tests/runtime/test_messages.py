import errno

import pytest

from runtime.errors import InvalidImage, OutOfMemory
from runtime.messages import describe, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("写真 été.png", "写真 été.png"),
        ("one\ntwo\r\x1b[2J\x85", r"one\ntwo\r\x1b[2J\x85"),
        ("caf\udce9.png", r"caf\udce9.png"),
        ("a\u2028b", r"a\u2028b"),
    ],
)
def test_what_would_leave_its_line_is_escaped(text, shown):
    assert printable(text) == shown


ERRORS = {
    "of ours": (InvalidImage("a\nb.png: too small: give more"), r"a\nb.png: too small: give more"),
    "memory": (MemoryError(), "there is not enough memory: give a smaller photograph or a part of it, or end other"),
    "memory of a library": (
        RuntimeError("Failed to allocate memory\nfor 9 GB"),
        "there is not enough memory (Failed to allocate memory for 9 GB): give a smaller",
    ),
    "a file": (
        PermissionError(errno.EACCES, "Permission denied", "a.png"),
        "a.png: Permission denied: check the file, its permissions and the free space",
    ),
    "a stream": (OSError(errno.ENOSPC, "No space left on device"), "No space left on device: check the file"),
    "unforeseen": (ZeroDivisionError("division\nby zero"), "ZeroDivisionError: division by zero: this is a fault of"),
    "silent": (AssertionError(), "AssertionError: this is a fault of the program: run 'deblur doctor'"),
}


@pytest.mark.parametrize(("error", "start"), ERRORS.values(), ids=ERRORS)
def test_any_error_is_described_in_one_line(error, start):
    text = describe(error)
    assert text.startswith(start)
    assert "\n" not in text


def test_memory_is_described_as_the_runtime_describes_it():
    assert describe(OutOfMemory("no room: give less")) == "no room: give less"
