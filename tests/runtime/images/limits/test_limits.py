"""Files that ask for much, read in a process that has little."""

import subprocess
import sys

import pytest

SCRIPT = """
import resource
import sys
import zlib

import numpy as np

from runtime.errors import DeblurError
from runtime.images import decode
from tests.runtime.images.limits.forged import *

deflated = zlib.compress(bytes(1 << 28), 1)
files = [
    jpeg(22_000, 22_000, tables(), scan()),
    png(22_000, 22_000, chunk(b"IDAT", b"x")),
    png(9_000, 9_000, chunk(b"IDAT", deflated), depth=16),
    png(8, 8, chunk(b"iCCP", b"a\\0\\0" + deflated), chunk(b"IDAT", b"x"), depth=16),
    png(8, 8, chunk(b"IDAT", deflated), depth=16),
    tiff(entries({257: (LONG, 1, 400_000), 277: (SHORT, 1, 60_000), 258: (SHORT, 1, 64)})),
    tiff(entries({259: (SHORT, 1, 8), 279: (LONG, 1, len(deflated))}), pixels=deflated),
    tiff(entries(), following=0),
]
decode(png(8, 8, chunk(b"IDAT", zlib.compress(bytes(72)))))  # imports what decoding needs
decode(tiff(entries()))
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (200 << 20), resource.RLIM_INFINITY))
for data in files:
    try:
        decode(data)
    except DeblurError as error:
        print(type(error).__name__)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc and limits the address space")
def test_files_that_ask_for_much_are_refused_in_little_memory():
    found = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60)
    assert found.returncode == 0, found.stderr
    assert found.stdout.split() == [*["InvalidImage"] * 2, "OutOfMemory", *["InvalidImage"] * 5]
