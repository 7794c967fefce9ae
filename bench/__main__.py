"""``python -m bench``: the command line of the benchmarks.

Commands: ``kernels``, ``throughput``, ``latency``, ``burst-throughput``, ``packed``, ``peers``, ``gpu``, ``launches``,
``accuracy``, ``bursts``, ``quality``, ``nonblind``, ``known``, ``colours``, ``schuler``, ``kaufman``,
``kernel-sizes``, ``motion``, ``decisions``, ``fuzz``, ``serve`` and ``ray``.
"""

from __future__ import annotations

from typing import Any

import click

from bench.accuracy.bursts import bursts
from bench.accuracy.command import accuracy
from bench.accuracy.decisions import decisions
from bench.accuracy.guidance import kaufman
from bench.accuracy.levels import quality
from bench.accuracy.motion import motion
from bench.accuracy.quotients import schuler
from bench.accuracy.sizes import kernel_sizes
from bench.fuzz.command import fuzz
from bench.gpu.command import gpu
from bench.gpu.launches import launches
from bench.peers.command import peers
from bench.serve.command import serve
from bench.serve.ray import ray_batch
from bench.solvers.colours import colours
from bench.solvers.command import nonblind
from bench.solvers.known import known
from bench.speed.burst_throughput import burst_throughput
from bench.speed.kernels import kernels
from bench.speed.latency import latency
from bench.speed.packed import packed
from bench.speed.throughput import throughput
from runtime.errors import DeblurError


class _Group(click.Group):
    """Reports errors of the runtime as one line, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except DeblurError as error:
            raise click.ClickException(str(error)) from error


COMMANDS = [
    kernels, throughput, latency, burst_throughput, packed, peers, gpu, launches, accuracy, bursts, quality,
    nonblind, known, colours, schuler, kaufman, kernel_sizes, motion, decisions, fuzz, serve,
    ray_batch,
]  # fmt: skip


@click.group(cls=_Group, commands=COMMANDS)
def main() -> None:
    """Benchmarks of the runtime. They print tables and can write them as JSON and as a plot."""


if __name__ == "__main__":
    main(prog_name="python -m bench")
