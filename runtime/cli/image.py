"""``deblur image``: restore photographs from files, folders or stdin."""

from __future__ import annotations

import io
import json
import os
import sys
import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runtime.cli.jobs import Job, check_resumable, goes_into_folder, plan_jobs
from runtime.cli.options import PhotographsLine, load_deblurrer, model_options
from runtime.cli.paths import STREAM, check_target, remove_leftovers_of
from runtime.cli.streams import SaidWarnings, check_stdout, read_photograph, say, tell, write_photograph
from runtime.errors import ImageFileError, InvalidArgument, InvalidModel
from runtime.messages import describe, printable
from runtime.serve.photographs import KINDS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from runtime.deblurrer import Deblurrer
    from runtime.serve.encoded import Opened, Restored

_KERNEL_PICTURE_SIZE = 256
"""Side in pixels to which the picture of a kernel is enlarged, by an integer factor."""


@dataclass(frozen=True)
class Writing:
    """What is written for each photograph, and what may be replaced.

    Attributes
    ----------
    saved
        The `KINDS` that are saved beside the result.
    overwrite
        Whether existing files are replaced.
    skip_existing
        Whether a photograph is left out whose files are there and whole.
    """

    saved: tuple[str, ...]
    overwrite: bool
    skip_existing: bool


@click.command("image")
@click.argument("inputs", nargs=-1, required=True, metavar="IN...")
@click.option("-o", "--output", required=True, metavar="OUT", help="File, folder, or - for stdout.")
@model_options
@click.option("--save-kernel", is_flag=True, help="Save the blur kernel beside the output: .kernel.png and .npy.")
@click.option("--save-motion", is_flag=True, help="Save the motion field beside the output: .motion.png and .npy.")
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
@click.option("--skip-existing", is_flag=True, help="Take a job up again: leave out what is there and whole.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per photograph.")
def image_command(
    inputs: tuple[str, ...],
    output: str,
    save_kernel: bool,
    save_motion: bool,
    overwrite: bool,
    skip_existing: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Restore photographs: IN is a file, a folder, or - for stdin.

    PNG, JPEG, TIFF and WebP; bit depth and metadata are kept. OUT is a folder for several photographs, else a file,
    whose suffix determines the format. A photograph that is left unchanged is copied. After a failure, the other
    photographs are still restored.
    """
    saved = tuple(kind for kind, wanted in zip(KINDS, (save_kernel, save_motion), strict=True) if wanted)
    writing = Writing(saved, overwrite, skip_existing)
    jobs = _plan(inputs, output, writing, as_json)
    deblurrer, restore_options = load_deblurrer(options)
    failures, skipped = [], 0
    with (
        SaidWarnings(jobs[0].source if len(jobs) == 1 else "") as warned,
        PhotographsLine(len(jobs)) as line,
        closing(_outcomes(jobs, deblurrer, restore_options, writing, line, warned)) as outcomes,
    ):
        for photograph, outcome in outcomes:
            source = photograph.job.source
            try:
                with warned.about(source):
                    report = photograph.close(outcome)
            except (BrokenPipeError, InvalidModel):  # these would fail for every photograph
                raise
            except Exception as error:  # the other photographs are restored all the same
                failures.append(_failure(source, error))
                report = {"input": source, "error": failures[-1]}
            del outcome  # a large photograph is not kept while the next one is restored
            skipped += report.get("skipped", False)
            with line.done(source):
                warned.say(source)
                if as_json:
                    tell(json.dumps(report))
                elif report.get("reason"):
                    say(f"{source} is unchanged: {report['reason']}")
    for failure in failures:
        say(f"deblur: {failure}")
    if skipped:
        say(f"deblur: {skipped} of {len(jobs)} photographs were finished before and are skipped")
    if failures and len(jobs) > 1:
        say(f"deblur: {len(failures)} of {len(jobs)} photographs failed")
    if failures:
        sys.exit(1)


def _plan(inputs: tuple[str, ...], output: str, writing: Writing, as_json: bool) -> list[Job]:
    """Check that the arguments are compatible, prepare the folder of the output, and return the jobs."""
    if writing.overwrite and writing.skip_existing:
        raise click.UsageError("--overwrite and --skip-existing exclude each other: leave one out.")
    jobs = plan_jobs(inputs, output, writing.saved)
    if output == STREAM and (writing.saved or writing.skip_existing or as_json):
        raise click.UsageError(
            "stdout is for the photograph only: name an output file for --save-..., --skip-existing or --json."
        )
    if writing.skip_existing:
        check_resumable(jobs)
    if as_json:
        check_stdout()
    if goes_into_folder(inputs, output):
        _make_folder(output)
    remove_leftovers_of(job.target for job in jobs)
    return jobs


def _make_folder(path: str) -> None:
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise ImageFileError(f"{path}: cannot be created ({error.strerror}): give another output folder") from error


def _outcomes(
    jobs: list[Job],
    deblurrer: Deblurrer,
    restore_options: dict[str, Any],
    writing: Writing,
    line: PhotographsLine,
    warned: SaidWarnings,
) -> Generator[tuple[_Photograph, Restored | Exception], None, None]:
    """Restore the photographs; yield each with its restoration, or why there is none, in the order of the jobs."""
    from runtime.serve.encoded import restore_each, restore_one

    photographs = (_Photograph(job, writing, line, warned) for job in jobs)
    if len(jobs) > 1:
        yield from restore_each(deblurrer, photographs, **restore_options)
        return
    outcome: Restored | Exception
    for photograph in photographs:
        try:
            outcome = restore_one(deblurrer, photograph, **restore_options)
        except Exception as error:
            outcome = error
        yield photograph, outcome


class _Photograph:
    """A photograph of the command line: the source that `runtime.serve.encoded` opens, and what is written of it.

    Parameters
    ----------
    job, writing
        Where it comes from, and what is written.
    line, warned
        Where its progress is shown, and what keeps the warnings about it.
    """

    def __init__(self, job: Job, writing: Writing, line: PhotographsLine, warned: SaidWarnings) -> None:
        self.job, self._writing, self._warned = job, writing, warned
        self.options = {"progress": line.of(job.source)}
        self._overwrite = writing.overwrite
        self._sources: list[os.stat_result] = []

    def open(self) -> Opened:
        """Read and decode it, unless it is finished or its result cannot be written; see `runtime.serve.encoded`."""
        with self._warned.about(self.job.source):
            return self._open()

    def _open(self) -> Opened:
        from runtime.images import format_of, read_bytes
        from runtime.serve.encoded import Finished, open_encoded

        job, saved = self.job, self._writing.saved
        if self._writing.skip_existing:
            if job.is_finished(saved):
                raise Finished
            # Something that is there is not whole, or not everything.
            self._overwrite = any(map(os.path.lexists, (job.target, *job.beside(saved))))
        target_format = None if job.target == STREAM else format_of(job.target)
        for path in (*([] if job.target == STREAM else [job.target]), *job.beside(saved)):
            check_target(path, self._overwrite)
        if job.source == STREAM:
            data, self._sources = read_photograph()
        else:
            data, status = read_bytes(job.source)
            self._sources = [status]
        return open_encoded(data, target_format)

    def close(self, outcome: Restored | Exception) -> dict[str, Any]:
        """Write what is wanted; return the report for ``--json``, or raise the error of the photograph."""
        from runtime.serve.encoded import Finished

        job, saved = self.job, self._writing.saved
        report: dict[str, Any] = {
            "input": job.source,
            "output": job.target,
            **{kind: f"{job.stem(kind)}.npy" if kind in saved else None for kind in KINDS},
        }
        try:
            if isinstance(outcome, Exception):
                raise outcome
            return report | self._write(outcome)
        except Finished:
            return report | {"skipped": True}
        except ImageFileError as error:
            # Another process has finished it in the meantime.
            if self._writing.skip_existing and isinstance(error.__cause__, FileExistsError):
                return report | {"skipped": True}
            raise

    def _write(self, restored: Restored) -> dict[str, Any]:
        from runtime.images import write_bytes

        start = time.perf_counter()
        job, saved, result, pixels = self.job, self._writing.saved, restored.result, restored.opened.pixels
        how: dict[str, Any] = {"overwrite": self._overwrite, "sources": self._sources}
        data = restored.encode()
        if job.target == STREAM:
            write_photograph(data)
        else:
            write_bytes(job.target, data, **how)
        if "kernel" in saved:
            _save_kernel(job, result.kernel, how)
        if "motion" in saved:
            _save_motion(job, result.motion, pixels, how)
        return {
            "model": result.model,
            "width": pixels.shape[1],
            "height": pixels.shape[0],
            "confidence": result.confidence,
            "response": result.response,
            "kernel_class": result.kernel_class,
            "code": result.code,
            "reason": result.reason,
            "seconds": restored.seconds + time.perf_counter() - start,
            "timings": result.timings,
        }


def _save_kernel(job: Job, kernel: npt.NDArray[np.float32] | None, how: dict[str, Any]) -> None:
    """Save a kernel as a picture, enlarged and scaled to its maximum, and as an array."""
    from runtime.images import write_file

    if kernel is None:
        raise InvalidArgument("no blur kernel was estimated: leave out --save-kernel or choose another --nonblind")
    _save_values(job.stem("kernel"), kernel, how)
    write_file(f"{job.stem('kernel')}.png", kernel_picture(kernel, _KERNEL_PICTURE_SIZE), **how)


def _save_motion(
    job: Job, motion: npt.NDArray[np.float32] | None, pixels: npt.NDArray[Any], how: dict[str, Any]
) -> None:
    """Save a motion field as a picture, drawn over the photograph, and as an array."""
    from runtime.cli.motion import motion_picture
    from runtime.images import write_file

    if motion is None:
        raise InvalidArgument("this model estimates no motion field: leave out --save-motion or give --model eboli")
    _save_values(job.stem("motion"), motion, how)
    write_file(f"{job.stem('motion')}.png", motion_picture(motion, pixels), **how)


def _save_values(stem: Path, array: npt.NDArray[np.float32], how: dict[str, Any]) -> None:
    import numpy as np

    from runtime.images import write_bytes

    values = io.BytesIO()
    np.save(values, array)
    write_bytes(f"{stem}.npy", values.getvalue(), **how)


def kernel_picture(kernel: npt.NDArray[np.float32], size: int) -> npt.NDArray[np.uint8]:
    """Return a uint8 picture of a kernel, its maximum white, enlarged by an integer factor to about `size` pixels."""
    import numpy as np

    factor = max(1, size // max(*kernel.shape))
    scale = 255 / (float(kernel.max()) or 1)
    enlarged = kernel.repeat(factor, axis=0).repeat(factor, axis=1)
    return np.asarray(np.rint(enlarged * scale), np.uint8)


def _failure(source: str, error: Exception) -> str:
    """Return a message of one line that names the photograph and the error."""
    message, source = describe(error), printable(source)
    return message if message.startswith(source) else f"{source}: {message}"
