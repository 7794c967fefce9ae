"""What a stand-in for a GPU counts."""

import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_PROJECT = tuple(str(_ROOT / name) for name in ("kernels", "runtime"))
_BETWEEN = str(_ROOT / "kernels" / "cuda" / "_module.py")


@dataclass
class Traffic:
    """What went over the bus, what the host waited for, and what it asked of the device.

    An operation is one on whole arrays, a kernel or a Fourier transform: one launch at least. Views cost none. Where
    `places` is a counter, it counts the functions that asked for them. What is captured for a graph is not counted; the
    launch of a graph is one operation, and one of the `replays`.
    """

    uploads: list[int] = field(default_factory=list)
    downloads: list[int] = field(default_factory=list)
    waits: list[str] = field(default_factory=list)
    returned_memory: int = 0
    operations: int = 0
    transforms: int = 0
    replays: int = 0
    places: Counter[str] | None = None

    def launch(self):
        """Count an operation."""
        self.operations += 1
        if self.places is None:
            return
        frame = sys._getframe(1)
        while frame and (not frame.f_code.co_filename.startswith(_PROJECT) or frame.f_code.co_filename == _BETWEEN):
            frame = frame.f_back
        if frame:
            self.places[f"{Path(frame.f_code.co_filename).relative_to(_ROOT)}, {frame.f_code.co_name}"] += 1

    def clear(self):
        self.operations = self.transforms = self.replays = 0
        self.uploads.clear()
        self.downloads.clear()
        self.waits.clear()
        self.returned_memory = 0


traffic = Traffic()
