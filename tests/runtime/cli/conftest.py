import sys
from types import SimpleNamespace

import numpy as np
import pytest

from runtime import deblurrer as module
from runtime.cli import main
from runtime.errors import InvalidImage
from runtime.images import write_file
from runtime.results import Restoration
from tests.support.deblurrers import StandIn

KERNEL = np.float32([[0, 0.125, 0], [0, 0.5, 0.25], [0, 0, 0.125]])
REASON = None
MOTION = None


class Negative(StandIn):
    """Replaces `runtime.Deblurrer`: returns the negative of a photograph; one of a single row is an error."""

    def __init__(self, **options):
        self.load_options = options
        self.restored = []
        self.raises = None
        self.kernel = KERNEL

    def answer(self, image, progress, **options):
        self.restored.append(options)
        progress("thinking", 0.5)
        if self.raises is not None:
            raise self.raises
        if len(image) == 1:
            raise InvalidImage("too small: give a larger crop")
        negative, timings = np.iinfo(image.dtype).max - image, {"thinking": 0.25}
        return Restoration(negative, self.kernel, None, MOTION, timings, "negative", 0.75, reason=REASON)


@pytest.fixture
def opened(monkeypatch):
    """The replacements of `runtime.Deblurrer` that were created."""
    deblurrers = []

    def open_negative(**options):
        deblurrers.append(Negative(**options))
        return deblurrers[-1]

    monkeypatch.setattr(module, "Deblurrer", open_negative)
    return deblurrers


@pytest.fixture
def deblur(monkeypatch, capfdbinary):
    """Run ``deblur`` with arguments; returns its exit status, stdout (bytes) and stderr."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["deblur", *map(str, arguments)])
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = stop.code
        sys.stdout.flush()
        out, err = capfdbinary.readouterr()
        return SimpleNamespace(code=code, out=out, err=err.decode())

    return run


@pytest.fixture
def photograph(tmp_path):
    """A small PNG file."""
    path = tmp_path / "photograph.png"
    write_file(path, np.arange(12 * 8 * 3, dtype=np.uint8).reshape(12, 8, 3))
    return path


@pytest.fixture
def folder(tmp_path):
    """Three photographs, two of which cannot be restored, and a file that is not an image."""
    path = tmp_path / "in"
    path.mkdir()
    write_file(path / "a.png", np.full((5, 4), 100, np.uint8))
    write_file(path / "b.JPG", np.full((1, 4), 100, np.uint8))
    (path / "c.tif").write_text("no picture")
    (path / "notes.txt").write_text("nor this")
    write_file(path / "z.webp", np.full((5, 4, 3), 100, np.uint8))
    return path
