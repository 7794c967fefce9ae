"""What the command line asks of a training run, apart from its configuration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from export.loop.checkpoints import Checkpoint


@dataclass(frozen=True)
class Job:
    """One training run.

    Attributes
    ----------
    folder
        Where checkpoints, logs and recorded samples are written.
    data
        Folder of sharp photographs.
    motion
        JSON file of recorded camera shake.
    minutes
        Time budget, in place of the number of steps.
    resume
        Whether to continue the run in `folder`.
    start
        Checkpoint or bundle with the initial weights.
    processes
        How many processes record samples.
    device
        ``"cpu"`` or ``"cuda"``.
    report
        Receives lines of progress.
    """

    folder: Path
    data: Path | None = None
    motion: Path | None = None
    minutes: float | None = None
    resume: bool = False
    start: Checkpoint | None = None
    processes: int = 1
    device: str = "cpu"
    report: Callable[[str], None] = print

    def __post_init__(self) -> None:
        if self.minutes is not None and self.minutes <= 0:
            raise ValueError(f"minutes must be positive, got {self.minutes}")
        if self.processes < 1:
            raise ValueError(f"processes must be at least 1, got {self.processes}")
