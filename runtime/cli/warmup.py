"""``deblur warmup``: compile beforehand what the first restorations would wait for."""

from __future__ import annotations

import click

from runtime.cli.options import ProgressLine
from runtime.cli.streams import tell


@click.command("warmup")
@click.option("--model", "models", multiple=True, help="Only this model; repeatable.  [default: all]")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
def warmup_command(models: tuple[str, ...], device: str) -> None:
    """Compile the kernels, so that later processes on the same kind of machine need not.

    Small photographs are restored with every model and method of deconvolution. What is compiled is kept in the folders
    that NUMBA_CACHE_DIR and CUPY_CACHE_DIR name, or else beside the program or in the user's cache.
    """
    from runtime.warming import warm_up

    with ProgressLine("warm-up") as progress:
        seconds = warm_up(models=models or None, device=device, progress=progress)
    for name, time in seconds.items():
        tell(f"{name}: {time:.1f} s")
