"""What a stand-in for a GPU counts."""

from dataclasses import dataclass, field


@dataclass
class Traffic:
    """What went over the bus, what the host waited for, and what it asked of the device.

    An operation is one on whole arrays, a kernel or a Fourier transform: one launch at least. Views cost none.
    """

    uploads: list[int] = field(default_factory=list)
    downloads: list[int] = field(default_factory=list)
    waits: list[str] = field(default_factory=list)
    returned_memory: int = 0
    operations: int = 0
    transforms: int = 0

    def clear(self):
        self.operations = self.transforms = 0
        self.uploads.clear()
        self.downloads.clear()
        self.waits.clear()
        self.returned_memory = 0


traffic = Traffic()
