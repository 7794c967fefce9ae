"""``python -m bench``: one command per kind of measurement."""

from __future__ import annotations

from typing import Any

import click

from bench.accuracy import accuracy
from bench.blind_motion import motion
from bench.burst_accuracy import bursts
from bench.burst_throughput import burst_throughput
from bench.gpu import gpu
from bench.kernels import kernels
from bench.latency import latency
from bench.nonblind import nonblind
from bench.peers import peers
from bench.quality import quality
from bench.throughput import throughput
from runtime.errors import DeblurError


class _Group(click.Group):
    """Ends a command with one line where the runtime knows what went wrong."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except DeblurError as error:
            raise click.ClickException(str(error)) from error


COMMANDS = [
    kernels, throughput, latency, burst_throughput, peers, gpu, accuracy, bursts, quality, nonblind, motion,
]  # fmt: skip


@click.group(cls=_Group, commands=COMMANDS)
def main() -> None:
    """Measure the runtime. Every command prints tables and, on request, writes JSON and a plot."""


if __name__ == "__main__":
    main(prog_name="python -m bench")
