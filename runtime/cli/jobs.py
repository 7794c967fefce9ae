"""What becomes of which photograph: the jobs of ``deblur image``."""

from __future__ import annotations

import mimetypes
import os
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import click

from runtime.cli.paths import STREAM, key, list_inputs
from runtime.cli.streams import check_photograph_goes_to_stdout
from runtime.serve.photographs import is_whole


@dataclass(frozen=True)
class Job:
    """One photograph to restore; `STREAM` as source means stdin, as target stdout.

    Attributes
    ----------
    source, target
        Paths of the photograph and of the result.
    whole_name
        Whether files beside the target are named with its suffix, ``photo.jpg.kernel.png``, because another job has a
        target of the same stem.
    """

    source: str
    target: str
    whole_name: bool = False

    def stem(self, kind: str) -> Path:
        """Return the path, without suffix, of the file of the ``"kernel"`` or the ``"motion"``."""
        target = Path(self.target)
        return target.with_name(f"{target.name if self.whole_name else target.stem}.{kind}")

    def beside(self, saved: tuple[str, ...]) -> list[str]:
        """Return the paths of the files that are saved beside the target."""
        return [f"{self.stem(kind)}{suffix}" for kind in saved for suffix in (".png", ".npy")]

    def is_finished(self, saved: tuple[str, ...]) -> bool:
        """Return whether the target, and what is saved beside it, are there and whole."""
        return all(os.path.isfile(path) and is_whole(path) for path in (self.target, *self.beside(saved)))


def plan_jobs(inputs: tuple[str, ...], output: str, saved: tuple[str, ...] = ()) -> list[Job]:
    """Return source and target of each photograph, before any is read.

    Raises
    ------
    click.UsageError
        If the inputs and the output are incompatible, or a file would be written twice.
    """
    if not goes_into_folder(inputs, output):
        if output == STREAM:
            check_photograph_goes_to_stdout()
        return _with_distinct_names([Job(inputs[0], output)], saved)
    if output == STREAM:
        raise click.UsageError("stdout is for one photograph: name an output folder.")
    if STREAM in inputs:
        raise click.UsageError("a photograph from stdin has no name: name an output file, or - for stdout.")
    if _is_picture_name(output):
        raise click.UsageError(
            f"{output} names one picture, but photographs of a folder, or several, go into a folder: name a folder."
        )
    jobs: dict[str, Job] = {}
    for source in list_inputs(inputs):
        job = Job(source, os.path.join(output, os.path.basename(source)))
        other = jobs.setdefault(key(job.target), job)
        if key(other.source) != key(source):
            raise click.UsageError(f"{other.source} and {source} would both become {job.target}: rename one.")
    return _with_distinct_names(list(jobs.values()), saved)


def goes_into_folder(inputs: tuple[str, ...], output: str) -> bool:
    """Return whether the output is a folder."""
    several = len(inputs) > 1 or os.path.isdir(inputs[0])
    return several or os.path.isdir(output) or output.endswith(os.sep)


def check_resumable(jobs: list[Job]) -> None:
    """Raise an error if photographs would count as their own results.

    Raises
    ------
    click.UsageError
        If a target is a source.
    """
    sources = {key(job.source) for job in jobs}
    for job in jobs:
        if key(job.target) in sources:
            raise click.UsageError(f"{job.target} is a photograph to restore: --skip-existing needs another output.")


def _is_picture_name(path: str) -> bool:
    """Return whether the name of what may become a folder is that of a picture."""
    kind, _ = mimetypes.guess_type(os.path.basename(path))
    return kind is not None and kind.startswith("image/") and not os.path.isdir(path)


def _with_distinct_names(jobs: list[Job], saved: tuple[str, ...]) -> list[Job]:
    """Return the jobs such that no file is written by two, and what is saved beside a target replaces no photograph."""
    photographs = {key(path) for job in jobs for path in (job.source, job.target)}
    written = Counter(key(path) for job in jobs for path in job.beside(saved))

    def collides(job: Job) -> bool:
        return any(key(path) in photographs or written[key(path)] > 1 for path in job.beside(saved))

    jobs = [replace(job, whole_name=True) if collides(job) else job for job in jobs]
    written = Counter(key(path) for job in jobs for path in job.beside(saved))
    for job in filter(collides, jobs):
        kinds = " and ".join(saved)
        raise click.UsageError(f"the {kinds} of {job.source} would replace another file: rename it.")
    return jobs
