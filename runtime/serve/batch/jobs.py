"""A batch: which photograph becomes which file, and what becomes of each. No word of how the work is spread."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from runtime.errors import DeblurError, ImageFileError, InvalidArgument, InvalidModel
from runtime.images import SUFFIXES, decode, format_of
from runtime.messages import describe, printable
from runtime.serve.batch import storage
from runtime.serve.encoded import Finished, Opened, Restored, open_encoded, restore_each

if TYPE_CHECKING:
    from runtime.deblurrer import Deblurrer

DONE, UNCHANGED, SKIPPED, FAILED = "done", "unchanged", "skipped", "failed"
STATUSES = (DONE, UNCHANGED, SKIPPED, FAILED)
"""What can become of a photograph: restored; written as it was, for no improvement is expected; finished before; not
written, for a reason."""


@dataclass(frozen=True)
class Job:
    """One photograph of a batch.

    Attributes
    ----------
    source, target
        Places of the photograph and of the result; see `runtime.serve.batch.storage`.
    existed
        Whether the target was there when the batch began.
    """

    source: str
    target: str
    existed: bool


@dataclass(frozen=True)
class Outcome:
    """What became of one photograph.

    Attributes
    ----------
    status
        One of `STATUSES`.
    error
        Why it failed, in one line.
    fatal
        Whether every other photograph would fail for the same reason.
    details
        Model, size, confidence, code, reason and seconds, as far as it was restored.
    """

    status: str
    error: str | None = None
    fatal: bool = False
    details: dict[str, Any] = field(default_factory=dict)


def plan_batch(inputs: Sequence[str], output: str, manifest: str | None = None) -> list[Job]:
    """Return the jobs of a batch; no photograph is read.

    Parameters
    ----------
    inputs
        Photographs, folders and patterns; see `runtime.serve.batch.storage.find_photographs`. Results keep the names
        relative to the folder. Of a folder, what lies below the output is left out.
    output
        Folder of the results.
    manifest
        Path of a text file with one photograph a line, and after a tab the name of its result, relative to the output;
        by default its own name.

    Raises
    ------
    InvalidArgument
        If two photographs would become one file, a photograph that is named lies in the output, or the name of a
        result leads out of it.
    ImageFileError
        If there is no photograph, or something cannot be listed.
    """
    storage.check_writable(output)
    output = storage.checked_place(output)
    found = [pair for place in inputs for pair in storage.find_photographs(storage.checked_place(place))]
    listed = [] if manifest is None else _read_manifest(manifest)
    found += listed
    existing = storage.names_below(output)
    named = {storage.checked_place(place) for place in inputs} | {source for source, _ in listed}
    jobs: dict[str, Job] = {}
    for source, name in found:
        if _is_below(source, output):
            if source in named:
                raise InvalidArgument(f"{source} lies in the output, among the results: give another output")
            continue
        target = storage.join(output, name)
        job = Job(source, target, name in existing)
        other = jobs.setdefault(target, job)
        if other.source != source:
            raise InvalidArgument(
                f"{other.source} and {source} would both become {target}: give a manifest that names their results"
            )
    if not jobs:
        kinds = ", ".join(SUFFIXES)
        raise ImageFileError(f"there are no photographs outside of the output ({kinds}): check the inputs")
    return list(jobs.values())


def restore_jobs(
    jobs: Iterable[tuple[int, Job]],
    deblurrer: Deblurrer,
    restore_options: dict[str, Any],
    overwrite: bool,
    begin: Callable[[int], object] = lambda number: None,
) -> Iterator[tuple[int, Outcome]]:
    """Restore photographs and write the results; no error of a photograph comes out.

    Photographs are read and decoded ahead, and restored side by side where there are cores for it; each result is
    written before the outcome of its photograph is given. A result that is there and whole is left, unless all are to
    be replaced: it was finished before the batch, or by a worker that was lost before it could say so.

    Parameters
    ----------
    jobs
        The photographs, with their numbers.
    deblurrer, restore_options
        The model, and options of `runtime.Deblurrer.restore`.
    overwrite
        Whether results that are there are made anew.
    begin
        Called with the number of a photograph before anything is done with it, perhaps in another thread.

    Yields
    ------
    number, outcome
        In the order of the jobs.

    Raises
    ------
    InvalidArgument, InvalidModel
        If an option has an invalid value, or the model restores bursts.
    """
    photographs = (_Photograph(number, job, overwrite, begin) for number, job in jobs)
    for photograph, outcome in restore_each(deblurrer, photographs, **restore_options):
        yield photograph.number, photograph.close(outcome)
        del outcome  # a large photograph is not kept while the next one is restored


class _Photograph:
    """A photograph of a batch in the hands of a worker."""

    def __init__(self, number: int, job: Job, overwrite: bool, begin: Callable[[int], object]) -> None:
        self.number = number
        self.options: dict[str, Any] = {}
        self._job, self._overwrite, self._begin = job, overwrite, begin

    def open(self) -> Opened:
        self._begin(self.number)
        job = self._job
        is_there = storage.exists(job.target)
        if is_there and not self._overwrite and _is_whole(job.target):
            raise Finished
        self._replaces = is_there or self._overwrite
        format = format_of(storage.base_name(job.target))
        data, self._sources = storage.read(job.source)
        return open_encoded(data, format)

    def close(self, restored: Restored | Exception) -> Outcome:
        """Write the result; return what became of the photograph."""
        job = self._job
        try:
            if isinstance(restored, Exception):
                raise restored
            return self._write(restored)
        except Finished:
            return Outcome(SKIPPED if job.existed else DONE)
        except Exception as error:
            message, source = describe(error), printable(job.source)
            text = message if message.startswith(source) else f"{source}: {message}"
            return Outcome(FAILED, text, fatal=isinstance(error, InvalidModel))

    def _write(self, restored: Restored) -> Outcome:
        start = time.perf_counter()
        try:
            storage.write(self._job.target, restored.encode(), overwrite=self._replaces, sources=self._sources)
        except ImageFileError as error:
            # Somebody has finished it meanwhile, such as the first worker of a photograph that was given to a second.
            if not isinstance(error.__cause__, FileExistsError):
                raise
        height, width = restored.opened.pixels.shape[:2]
        result = restored.result
        return Outcome(
            UNCHANGED if restored.unchanged else DONE,
            details={
                "model": result.model,
                "width": width,
                "height": height,
                "confidence": result.confidence,
                "code": result.code,
                "reason": result.reason,
                "response": result.response,
                "kernel_class": result.kernel_class,
                "seconds": restored.seconds + time.perf_counter() - start,
            },
        )


@dataclass
class Ledger:
    """The account of a batch, in which each photograph ends with one outcome.

    Parameters
    ----------
    jobs
        All photographs.
    """

    jobs: list[Job]
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    lost: Counter[int] = field(default_factory=Counter)

    @property
    def open(self) -> list[int]:
        """Numbers of the photographs of which nothing is known yet."""
        return [number for number in range(len(self.jobs)) if number not in self.outcomes]

    def enter(self, number: int, outcome: Outcome) -> None:
        """Enter what became of a photograph; the first word counts, since work that was lost is done twice."""
        self.outcomes.setdefault(number, outcome)

    def counts(self) -> dict[str, int]:
        """Return how many photographs ended in which way, and how many were lost with a worker at least once."""
        found = Counter(outcome.status for outcome in self.outcomes.values())
        return {status: found[status] for status in STATUSES} | {"lost": len(self.lost)}

    def report(self) -> dict[str, Any]:
        """Return the account as JSON types: counts, and each photograph."""
        entries = [
            {
                "input": printable(job.source),
                "output": printable(job.target),
                "status": outcome.status,
                "lost": self.lost[number],
                **({"error": outcome.error} if outcome.error is not None else {}),
                **outcome.details,
            }
            for number, job in enumerate(self.jobs)
            for outcome in [self.outcomes[number]]
        ]
        return {"photographs": len(self.jobs), **self.counts(), "results": entries}


def _read_manifest(path: str) -> list[tuple[str, str]]:
    """Return the photographs of a manifest and the names of their results."""
    try:
        lines = storage.read(storage.checked_place(path))[0].split(b"\n")
    except DeblurError as error:
        raise ImageFileError(f"the manifest cannot be used: {error}") from error
    found = []
    for number, line in enumerate(map(os.fsdecode, lines), 1):
        line = line.rstrip("\r")
        if not line.strip():
            continue
        source, _, name = line.partition("\t")
        name = name or storage.base_name(source)
        if name.startswith("/") or ".." in name.split("/"):
            where = f"{path}, line {number}"
            raise InvalidArgument(f"{where}: {printable(name)} leads out of the output: give a name in it")
        found.append((storage.checked_place(source), name))
    return found


def _is_below(place: str, folder: str) -> bool:
    return place.startswith(folder if folder.endswith((os.sep, "/")) else f"{folder}/")


def _is_whole(place: str) -> bool:
    """Return whether a picture is there and can be decoded."""
    try:
        decode(storage.read(place)[0])
    except DeblurError:
        return False
    return True
