"""``deblur image``: restore photographs from files, folders or stdin."""

from __future__ import annotations

import io
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runtime.cli.options import STREAM, ProgressLine, check_target, list_photographs, load_deblurrer, model_options
from runtime.errors import DeblurError, ImageFileError, InvalidArgument, InvalidModel

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from runtime.deblurrer import Deblurrer

_KERNEL_PICTURE_SIZE = 256
"""Side in pixels to which the picture of a kernel is enlarged, by an integer factor."""


@dataclass(frozen=True)
class Job:
    """One photograph to restore; `STREAM` as source means stdin, as target stdout."""

    source: str
    target: str

    def stem(self, kind: str) -> Path:
        """Return the path, without suffix, of the file of the ``"kernel"`` or the ``"motion"``."""
        target = Path(self.target)
        return target.with_name(f"{target.stem}.{kind}")


@click.command("image")
@click.argument("inputs", nargs=-1, required=True, metavar="IN...")
@click.option("-o", "--output", required=True, metavar="OUT", help="File, folder, or - for stdout.")
@model_options
@click.option("--save-kernel", is_flag=True, help="Save the blur kernel beside the output: .kernel.png and .npy.")
@click.option("--save-motion", is_flag=True, help="Save the motion field beside the output: .motion.png and .npy.")
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per photograph.")
def image_command(
    inputs: tuple[str, ...],
    output: str,
    save_kernel: bool,
    save_motion: bool,
    overwrite: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Restore photographs: IN is a file, a folder, or - for stdin.

    PNG, JPEG, TIFF and WebP; bit depth, colour profile and EXIF are kept. OUT is a folder for several photographs, else
    a file, whose suffix determines the format. After a failure, the other photographs are still restored.
    """
    jobs = plan_jobs(inputs, output)
    saved = tuple(kind for kind, wanted in (("kernel", save_kernel), ("motion", save_motion)) if wanted)
    if output == STREAM and (saved or as_json):
        raise click.UsageError("stdout is for the photograph only: name an output file for --save-... or --json.")
    if _goes_into_folder(inputs, output):
        _make_folder(output)
    deblurrer, restore_options = load_deblurrer(options)
    failures = []
    for number, job in enumerate(jobs, 1):
        title = job.source if len(jobs) == 1 else f"[{number}/{len(jobs)}] {job.source}"
        try:
            with ProgressLine(title) as progress:
                report = _restore(job, deblurrer, restore_options | {"progress": progress}, saved, overwrite)
        except (BrokenPipeError, InvalidModel):  # these would fail for every photograph
            raise
        except Exception as error:  # the other photographs are restored all the same
            failures.append(_failure(job, error))
            report = {"input": job.source, "error": failures[-1]}
        if as_json:
            click.echo(json.dumps(report))
        elif report.get("reason"):
            click.echo(f"{job.source} is unchanged: {report['reason']}", err=True)
    for failure in failures:
        click.echo(f"deblur: {failure}", err=True)
    if failures and len(jobs) > 1:
        click.echo(f"deblur: {len(failures)} of {len(jobs)} photographs failed", err=True)
    if failures:
        sys.exit(1)


def plan_jobs(inputs: tuple[str, ...], output: str) -> list[Job]:
    """Return source and target of each photograph, before any is read.

    Raises
    ------
    click.UsageError
        If the inputs and the output are incompatible.
    """
    sources = [source for path in inputs for source in list_photographs(path)]
    if not _goes_into_folder(inputs, output):
        if output == STREAM and sys.stdout.isatty():
            raise click.UsageError("stdout is a terminal: redirect it, or name an output file.")
        return [Job(sources[0], output)]
    if output == STREAM:
        raise click.UsageError("stdout is for one photograph: name an output folder.")
    if STREAM in inputs:
        raise click.UsageError("a photograph from stdin has no name: name an output file, or - for stdout.")
    jobs = [Job(source, os.path.join(output, os.path.basename(source))) for source in sources]
    origins: dict[str, str] = {}
    for job in jobs:
        if (other := origins.setdefault(job.target, job.source)) != job.source:
            raise click.UsageError(f"{other} and {job.source} would both become {job.target}: rename one.")
    return list(dict.fromkeys(jobs))  # one photograph given twice is one job


def _goes_into_folder(inputs: tuple[str, ...], output: str) -> bool:
    several = len(inputs) > 1 or os.path.isdir(inputs[0])
    return several or os.path.isdir(output) or output.endswith(os.sep)


def _make_folder(path: str) -> None:
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise ImageFileError(f"{path}: cannot be created ({error.strerror}): give another output folder") from error


def _restore(
    job: Job, deblurrer: Deblurrer, restore_options: dict[str, Any], saved: tuple[str, ...], overwrite: bool
) -> dict[str, Any]:
    """Restore one photograph; return the report for ``--json``."""
    from runtime.images import decode, encode, format_of, read_file, write_file

    start = time.perf_counter()
    if job.target != STREAM:
        format_of(job.target)
        check_target(job.target, overwrite)
    for kind in saved:
        check_target(f"{job.stem(kind)}.png", overwrite)
        check_target(f"{job.stem(kind)}.npy", overwrite)
    if job.source == STREAM:
        pixels, header = decode(sys.stdin.buffer.read())
    else:
        pixels, header = read_file(job.source)
    result = deblurrer.restore(pixels, **restore_options)
    if job.target == STREAM:
        sys.stdout.buffer.write(encode(result.image, header))
        sys.stdout.buffer.flush()
    else:
        write_file(job.target, result.image, header)
    if "kernel" in saved:
        _save_kernel(job, result.kernel)
    if "motion" in saved:
        _save_motion(job, result.motion, pixels)
    return {
        "input": job.source,
        "output": job.target,
        **{kind: f"{job.stem(kind)}.npy" if kind in saved else None for kind in ("kernel", "motion")},
        "model": result.model,
        "width": pixels.shape[1],
        "height": pixels.shape[0],
        "confidence": result.confidence,
        "code": result.code,
        "reason": result.reason,
        "seconds": time.perf_counter() - start,
        "timings": result.timings,
    }


def _save_kernel(job: Job, kernel: npt.NDArray[np.float32] | None) -> None:
    """Save a kernel as a picture, enlarged and scaled to its maximum, and as an array."""
    from runtime.images import write_file

    if kernel is None:
        raise InvalidArgument("no blur kernel was estimated: leave out --save-kernel or choose another --nonblind")
    _save_values(job.stem("kernel"), kernel)
    write_file(f"{job.stem('kernel')}.png", kernel_picture(kernel, _KERNEL_PICTURE_SIZE))


def _save_motion(job: Job, motion: npt.NDArray[np.float32] | None, pixels: npt.NDArray[Any]) -> None:
    """Save a motion field as a picture, drawn over the photograph, and as an array."""
    from runtime.cli.motion import motion_picture
    from runtime.images import write_file

    if motion is None:
        raise InvalidArgument("this model estimates no motion field: leave out --save-motion or give --model eboli")
    _save_values(job.stem("motion"), motion)
    write_file(f"{job.stem('motion')}.png", motion_picture(motion, pixels))


def _save_values(stem: Path, array: npt.NDArray[np.float32]) -> None:
    import numpy as np

    from runtime.images import write_bytes

    values = io.BytesIO()
    np.save(values, array)
    write_bytes(f"{stem}.npy", values.getvalue())


def kernel_picture(kernel: npt.NDArray[np.float32], size: int) -> npt.NDArray[np.uint8]:
    """Return a uint8 picture of a kernel, its maximum white, enlarged by an integer factor to about `size` pixels."""
    import numpy as np

    factor = max(1, size // max(*kernel.shape))
    scale = 255 / (float(kernel.max()) or 1)
    enlarged = kernel.repeat(factor, axis=0).repeat(factor, axis=1)
    return np.asarray(np.rint(enlarged * scale), np.uint8)


def _failure(job: Job, error: Exception) -> str:
    """Return a message of one line that names the photograph and the error."""
    message = str(error) if isinstance(error, DeblurError) else f"{type(error).__name__}: {error}"
    message = " ".join(message.split())
    return message if message.startswith(job.source) else f"{job.source}: {message}"
