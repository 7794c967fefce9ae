"""The sections of ``python -m bench gpu``: their commands, sizes and time limits, the most important first."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SIZES = ("small", "full")
NEURAL_AVERAGE = ("--grey", "--nonblind", "none", "--no-torch")
"""Options that restrict a restoration to the neural average of one plane, without kernel estimation."""


@dataclass(frozen=True)
class Section:
    """One command to run.

    Attributes
    ----------
    name
        Name of the section and of its files.
    limit
        Time limit in seconds.
    command
        Arguments of ``python -m``.
    reports
        Whether it writes ``<name>.json`` and ``<name>.png``.
    stdin
        Its standard input.
    """

    name: str
    limit: float
    command: tuple[str, ...]
    reports: bool = True
    stdin: str = ""

    def files(self, out: Path) -> list[Path]:
        """Return the files that the section writes, apart from its log."""
        return [out / f"{self.name}.json", out / f"{self.name}.png"] if self.reports else []


def sections(sizes: str, device: str, out: Path, models: Path) -> Iterator[Section]:
    """List the sections.

    Parameters
    ----------
    sizes
        ``"full"``, for a GPU, or ``"small"``, which takes a CPU a few minutes.
    device
        ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
    out
        Folder of the results.
    models
        Folder for an untrained network that later sections use: of the paper's size or, for small sizes, the compact
        one.

    Yields
    ------
    Section
    """
    full = sizes == "full"

    def bench(name: str, limit: float, command: str, *options: object, sized: str) -> Section:
        files = ("--json", out / f"{name}.json", "--plot", out / f"{name}.png")
        arguments = (command, "--device", device, *options, *sized.split(), *files)
        return Section(name, limit, ("bench", *map(str, arguments)))

    configuration = "paper" if full else "compact"
    paper = models / "bundle"
    yield Section("doctor", 45, ("runtime.cli", "doctor"), reports=False)
    tests = "tests" if full else "tests/kernels/test_patch_filters.py"
    yield Section("tests", 150, ("pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", tests), reports=False)
    yield bench(
        "kernels", 75, "kernels", "--face", "cpu" if device == "cpu" else "cuda",
        sized="--repeats 5" if full else "--repeats 1 --batch 64 --megapixels 0.01",
    )  # fmt: skip
    yield Section(
        "paper-size", 90, ("bench.speed.isolated", "bench.data.models:make_untrained"), reports=False,
        stdin=json.dumps({"name": configuration, "folder": str(models)}),
    )  # fmt: skip
    half = "--precision fp16" if device != "cpu" else "--precision fp32"
    yield bench(
        "throughput-paper-strides", 60, "throughput", "--model", paper, *NEURAL_AVERAGE,
        sized=f"{half} --megapixels 1 --stride 4,1,2,8 --repeats 3" if full
        else "--megapixels 0.02 --stride 4,8 --repeats 1",
    )  # fmt: skip
    yield bench(
        "latency", 45, "latency", "--quality", "fast", "--nonblind", "none",
        sized="--megapixels 1,24 --seconds 8" if full else "--megapixels 0.02 --calls 5",
    )  # fmt: skip
    yield bench(
        "bursts", 45, "burst-throughput",
        sized="--frames 14 --megapixels 0.7 --stride 5" if full
        else "--frames 2 --megapixels 0.02 --stride 16 --repeats 1",
    )  # fmt: skip
    yield bench(
        "peers-paper", 110, "peers", "--model", paper,
        sized="--megapixels 1 --stride 8 --repeats 3" if full
        else "--megapixels 0.005 --stride 16 --batch 16 --repeats 1",
    )  # fmt: skip
    yield bench(
        "throughput-paper-sizes", 60, "throughput", "--model", paper, *NEURAL_AVERAGE,
        sized=f"{half} --megapixels 0.25,4,16,64 --stride 8 --repeats 2" if full
        else "--megapixels 0.01 --repeats 1",
    )  # fmt: skip
    yield bench(
        "eboli", 60, "latency", "--motion", "--model", "eboli",
        sized="--megapixels 0.1875,2 --seconds 5 --calls 20" if full else "--megapixels 0.01 --calls 3 --quality fast",
    )  # fmt: skip
    yield bench(
        "eboli-motion-given", 45, "latency", "--given",
        sized="--megapixels 0.1875,2 --seconds 5 --calls 20" if full else "--megapixels 0.01 --calls 3",
    )  # fmt: skip
    yield bench(
        "batches", 45, "throughput", *NEURAL_AVERAGE,
        sized="--megapixels 1 --stride 4 --batch 1024,4096,16384 --repeats 3" if full
        else "--megapixels 0.01 --batch 64,256 --repeats 1",
    )  # fmt: skip
    if full:
        yield from (
            bench("throughput-compact-strides", 45, "throughput", *NEURAL_AVERAGE,
                  sized=f"{half} --megapixels 1 --stride 4,1,2,8 --repeats 3"),
            bench("throughput-compact-sizes", 45, "throughput", *NEURAL_AVERAGE,
                  sized=f"{half} --megapixels 0.25,4,16,64 --stride 8 --repeats 2"),
            bench("throughput-paper-fp32", 45, "throughput", "--model", paper, *NEURAL_AVERAGE,
                  sized="--precision fp32 --megapixels 1,4 --stride 4,8 --repeats 2"),
            bench("throughput-compact-fp32", 45, "throughput", *NEURAL_AVERAGE,
                  sized="--precision fp32 --megapixels 1,4 --stride 4,8 --repeats 2"),
            bench("peers-compact", 90, "peers", sized="--megapixels 1 --stride 8 --repeats 3"),
        )  # fmt: skip
