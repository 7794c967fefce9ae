"""``deblur triton``: write a model repository for NVIDIA's Triton Inference Server."""

from __future__ import annotations

from typing import Any

import click

from runtime.cli.options import batch_options, split_options
from runtime.cli.streams import tell


@click.command("triton")
@click.argument("repository")
@click.option("--name", default="deblur", show_default=True, help="Name of the model in the repository.")
@click.option("--device", default="cpu", show_default=True, help="cpu, or cuda for each GPU of the server.")
@click.option("--instances", type=click.IntRange(min=1), default=1, show_default=True, help="Copies of the model.")
@click.option("--requests", type=click.IntRange(min=1), default=8, show_default=True, help="Given out together.")
@click.option("--delay", type=click.FloatRange(min=0), default=0.005, show_default=True, help="Seconds for these.")
@click.option("--queue", type=click.IntRange(min=1), default=64, show_default=True, help="Requests that may wait.")
@click.option("--timeout", type=click.FloatRange(min=0), default=300.0, show_default=True, help="Seconds of waiting.")
@click.option("--overwrite", is_flag=True, help="Replace a model of that name.")
@batch_options
def triton_command(
    repository: str,
    name: str,
    device: str,
    instances: int,
    requests: int,
    delay: float,
    queue: int,
    timeout: float,
    overwrite: bool,
    **options: Any,
) -> None:
    """Write a model into REPOSITORY, a folder that Triton's Python backend serves.

    Inputs are photographs, uint8 (H, W, 3). The bundle is copied; this package has to be installed where Triton runs.
    """
    from runtime.serve.triton import Repository, write_repository

    load_options, restore_options = split_options({**options, "device": device})
    settings = Repository(
        name=name,
        device=device,
        instances=instances,
        batch=requests,
        delay=delay,
        queue=queue,
        timeout=timeout,
        options=restore_options,
        loading={name: load_options[name] for name in ("precision", "batch")},
    )
    tell(str(write_repository(repository, load_options["model"], settings, overwrite=overwrite)))
