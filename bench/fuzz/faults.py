"""The family ``faults``: full disks, closed streams, signals, odd files, threads, forks and many calls."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

import runtime
from bench.fuzz.calls import check_image
from bench.fuzz.case import Broken, Case
from bench.fuzz.commands import check_folder, finish, run, start
from bench.fuzz.images import Images
from bench.fuzz.inputs.mutations import pick
from runtime.images import write_file

_IMAGES = Images()
_GROWTH = 48 << 20
"""Bytes by which a process may grow over many calls, after the first ones."""
_ODD_NAMES = (
    "pipe.png", "folder.png", "/dev/zero", "/dev/full", "loop.png", "empty.png", "", "\n.png", "写" * 80 + ".png",
    "a\x1b[2J.png",
)  # fmt: skip
"""Of files that are none, and of files that are."""
_STATUSES_OF_A_SIGNAL = (0, 1, 129, 130, 143, -signal.SIGTERM, -signal.SIGHUP, -signal.SIGINT)


class Faults:
    """What happens around a restoration."""

    name: ClassVar[str] = "faults"
    cases: ClassVar[int] = 120
    short: ClassVar[int] = 8
    seconds: ClassVar[float] = 120.0
    memory: ClassVar[int] = 1200 << 20
    silent: ClassVar[bool] = True

    def warm_up(self) -> None:
        """Compile what is called in this process."""
        for call in _CALLS:
            call(_frame(np.random.default_rng(0), 40))

    def make(self, rng: np.random.Generator, folder: Path) -> Case:
        """Choose a fault; two small frames lie in a folder ``in``."""
        fault = pick(rng, FAULTS)
        (folder / "in").mkdir()
        first = _frame(rng, 80)
        for number in range(2):
            write_file(folder / "in" / f"{number}.png", np.roll(first, number, 1))
        return Case(fault.__name__.strip("_"), partial(fault, rng, folder))


def _frame(rng: np.random.Generator, size: int) -> npt.NDArray[np.uint8]:
    """Return a soft picture."""
    values = np.cumsum(np.cumsum(rng.standard_normal((size, size)), 0), 1)
    return np.asarray((255 * (values - values.min()) / np.ptp(values)).astype(np.uint8))


def _burst(folder: Path, target: str, *options: str) -> list[str]:
    """Return the quickest command that restores a picture."""
    return ["burst", str(folder / "in"), "-o", target, "--no-register", "--device", "cpu", *options]


def full_disk(rng: np.random.Generator, folder: Path) -> None:
    """Let no file grow beyond some blocks: no result is half written."""
    target = folder / "out.png"
    blocks = int(rng.integers(0, 12))
    try:
        run(_burst(folder, str(target)), f'ulimit -f {blocks}; exec "$@"').check()
    finally:
        check_folder(folder)


def streams(rng: np.random.Generator, folder: Path) -> None:
    """Close the standard streams, or connect them with what is full."""
    shell = pick(rng, (">&-", "<&-", "2>&-", ">/dev/full", "2>/dev/full", ">&- 2>&-", "<&- >&- 2>&-", "</dev/full"))
    picture = str(folder / "in" / "0.png")
    arguments = pick(
        rng,
        (
            ["models"], ["--help"], ["--version"], ["image", "--help"], ["doctor"], _burst(folder, "-"),
            _burst(folder, str(folder / "out.png")), _burst(folder, str(folder / "out.png"), "--json"),
            ["image", "-", "-o", "-"], ["image", "-", "-o", str(folder / "out.png"), "--json"],
            ["image", picture, "-o", "-", "--nonblind", "none"], ["image", "nothing.png", "-o", "-"],
        ),
    )  # fmt: skip
    try:
        run(arguments, f'exec "$@" {shell}').check((0, 1, 2, 141, -signal.SIGPIPE), speaks="2>" not in shell)
    finally:
        check_folder(folder)


def closed_pipe(rng: np.random.Generator, folder: Path) -> None:
    """Nobody reads what is written."""
    arguments = pick(
        rng, (["models"], ["--help"], _burst(folder, "-"), _burst(folder, str(folder / "o.png"), "--json"))
    )
    process = start(arguments)
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    finish(process).check((0, 1, 141, -signal.SIGPIPE), speaks=False)


def interrupted(rng: np.random.Generator, folder: Path) -> None:
    """Send a signal at any time: the work ends soon, and leaves nothing half done."""
    process = start(["image", str(folder / "in"), "-o", str(folder / "out"), "--quality", "fast", "--device", "cpu"])
    time.sleep(float(rng.uniform(0.02, 1) if rng.random() < 0.5 else rng.uniform(1, 8)))
    process.send_signal(pick(rng, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)))
    ended = finish(process, 15)
    check_folder(folder)
    # Before the command has begun, Python answers Ctrl-C in its own way.
    if "KeyboardInterrupt" not in ended.stderr or "in main" in ended.stderr:
        ended.check(_STATUSES_OF_A_SIGNAL, speaks=False)


def killed(rng: np.random.Generator, folder: Path) -> None:
    """After SIGKILL no result is half written, and the next run finishes the job and leaves nothing behind."""
    arguments = ["image", str(folder / "in"), "-o", str(folder / "out"), "--quality", "fast", "--device", "cpu"]
    process = start(arguments)
    time.sleep(float(rng.uniform(0.5, 8)))
    process.kill()
    finish(process)
    for file in (folder / "out").glob("*.png"):
        check_image(_read(file), _read(folder / "in" / file.name))
    run([*arguments, "--overwrite"]).check((0,))
    check_folder(folder)


def two_jobs(rng: np.random.Generator, folder: Path) -> None:
    """Of two jobs with one result, one writes it and the other says that it is there."""
    processes = [start(_burst(folder, str(folder / "out.png"))) for _ in range(2)]
    statuses = sorted(finish(process).status for process in processes)
    check_folder(folder)
    if statuses != [0, 1]:
        raise Broken(f"exit statuses {statuses}")


def odd_inputs(rng: np.random.Generator, folder: Path) -> None:
    """Give what is no photograph, or has a name that is hard to write."""
    good = (folder / "in" / "0.png").read_bytes()
    name = pick(rng, _ODD_NAMES)
    path = name if name.startswith("/") or not name else str(folder / name)
    if name == "pipe.png":
        os.mkfifo(path)
    elif name == "folder.png":
        os.mkdir(path)
    elif name == "loop.png":
        os.symlink(path, path)
    elif path and not name.startswith("/"):
        Path(path).write_bytes(b"" if name == "empty.png" else good)
    command = pick(
        rng, (["burst", path, str(folder / "in" / "1.png"), "--no-register"], ["image", path, "--nonblind", "none"])
    )
    results = folder / "results"
    results.mkdir()
    try:
        run([*command, "-o", str(results / "out.png"), "--device", "cpu"]).check()
    finally:
        check_folder(results)


def damaged(rng: np.random.Generator, folder: Path) -> None:
    """Give a damaged file: what is said of it are lines of our own, whatever decoders print."""
    case = _IMAGES.make(rng, folder)
    (file,) = folder.glob("*.bin")
    ended = run(["image", str(file), "-o", str(folder / "out.tif"), "--nonblind", "none", "--device", "cpu"])
    foreign = [line for line in ended.stderr.splitlines() if not line.startswith(("deblur: ", str(file)))]
    if foreign:
        raise Broken(f"{case.title}: {foreign[0]}")
    ended.check()


def _deconvolve(frame: npt.NDArray[Any]) -> Any:
    return runtime.deconvolve(frame, np.full((3, 3), 1 / 9, np.float32), quality="fast", device="cpu")


def _fuse(frame: npt.NDArray[Any]) -> Any:
    return runtime.deblur_burst([frame, np.roll(frame, 1, 0)], register=False, device="cpu")


_CALLS: tuple[Callable[[npt.NDArray[Any]], Any], ...] = (_deconvolve, _fuse)


def threads(rng: np.random.Generator, folder: Path) -> None:
    """Call from many threads: each gets what it gets alone."""
    call, frames = pick(rng, _CALLS), [_frame(rng, 40 + index) for index in range(8)]
    expected, found = [call(frame) for frame in frames], dict[int, Any]()

    def work(index: int) -> None:
        found[index] = call(frames[index])

    workers = [threading.Thread(target=work, args=(index,)) for index in range(len(frames))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    if any(not np.array_equal(found.get(index, 0), value) for index, value in enumerate(expected)):
        raise Broken("a thread gave another picture")


def forks(rng: np.random.Generator, folder: Path) -> None:
    """Forked processes, which call together, give the same pictures."""
    call, frame = pick(rng, _CALLS), _frame(rng, 50)
    expected = call(frame)
    children = []
    for _ in range(3):
        child = os.fork()
        if child == 0:
            equal = False
            try:
                equal = np.array_equal(call(frame), expected)
            finally:
                os._exit(0 if equal else 1)
        children.append(child)
    if any(os.waitpid(child, 0)[1] for child in children):
        raise Broken("a forked process gave another picture, or died")


def many_calls(rng: np.random.Generator, folder: Path) -> None:
    """Memory does not grow with the number of calls, refused ones among them."""
    frame, call = _frame(rng, 200), pick(rng, _CALLS)
    start = 0
    for number in range(200):
        call(frame[: 100 + number % 100])
        with suppress(runtime.errors.InvalidImage):
            runtime.deblur(b"\x89PNG\r\n\x1a\n" + rng.bytes(1000), model="chakrabarti", device="cpu")
        if number == 40:
            start = _resident()
    if (grown := _resident() - start) > _GROWTH:
        raise Broken(f"{grown >> 20} MiB more after 160 calls")


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _read(file: Path) -> npt.NDArray[Any]:
    from runtime.images import read_file

    return read_file(file)[0]


FAULTS: tuple[Callable[[np.random.Generator, Path], None], ...] = (
    full_disk, streams, streams, streams, closed_pipe, interrupted, interrupted, killed, two_jobs, odd_inputs,
    odd_inputs, damaged, damaged, threads, forks, many_calls,
)  # fmt: skip
