"""``deblur ray``: restore many photographs on the machines of a Ray cluster."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import click

from runtime.cli.options import ProgressLine, batch_options, split_options
from runtime.cli.paths import check_target
from runtime.cli.streams import SaidWarnings, say, tell


@click.command("ray")
@click.argument("places", nargs=-1, required=True, metavar="[IN...] OUT")
@batch_options
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda: one GPU for each worker.")
@click.option("--cores", type=click.IntRange(min=1), default=1, show_default=True, help="Cores of each worker.")
@click.option("--workers", type=click.IntRange(min=1), metavar="N", help="At most N workers; by default all there is.")
@click.option("--attempts", type=click.IntRange(min=1), default=3, show_default=True, help="For a worker that is lost.")
@click.option("--manifest", metavar="FILE", help="One photograph a line, after a tab the name of its result.")
@click.option("--address", help="Of the cluster; by default RAY_ADDRESS, one on this machine, or a new one here.")
@click.option("--overwrite", is_flag=True, help="Make results anew that are there.")
@click.option("--report", metavar="FILE", help="Write a JSON report on every photograph.")
def ray_command(
    places: tuple[str, ...],
    device: str,
    cores: int,
    workers: int | None,
    attempts: int,
    manifest: str | None,
    address: str | None,
    overwrite: bool,
    report: str | None,
    **options: Any,
) -> None:
    """Restore many photographs on the machines of a Ray cluster.

    IN is a photograph, a folder with all below it, a pattern such as "in/**/*.jpg", or an address such as s3://in/2024.
    OUT is a folder that all machines see, or an address in an object store. Results keep the names relative to the
    folder; those that are there and whole are skipped. Every photograph is accounted for at the end; the exit status is
    0 only if all are done.
    """
    if len(places) < 2 and manifest is None:
        raise click.UsageError("name the photographs and then the folder of the results, or give --manifest.")
    if report is not None:
        check_target(report, overwrite=True)
    from runtime.images.quiet import quiet
    from runtime.serve.batch.cluster import Workers
    from runtime.serve.batch.jobs import DONE, FAILED, SKIPPED, UNCHANGED, plan_batch
    from runtime.serve.batch.ray import run_batch

    start = time.perf_counter()
    load_options, restore_options = split_options({**options, "device": device})
    del load_options["device"]
    if os.path.isdir(load_options["model"]):
        load_options["model"] = os.path.abspath(load_options["model"])
    *inputs, output = places
    jobs = plan_batch(inputs, output, manifest)
    with quiet(), SaidWarnings(), ProgressLine(f"{len(jobs)} photographs") as line:
        ledger = run_batch(
            jobs,
            load_options,
            restore_options,
            overwrite=overwrite,
            workers=Workers(device, cores, workers, attempts),
            address=address,
            progress=lambda finished, total: line("restored", finished / total),
        )
    counts = ledger.counts()
    if report is not None:
        _write_report(report, ledger.report() | {"seconds": time.perf_counter() - start})
    for outcome in ledger.outcomes.values():
        if outcome.status == FAILED:
            say(f"deblur: {outcome.error}")
    parts = {
        "restored": counts[DONE],
        "unchanged": counts[UNCHANGED],
        "finished before": counts[SKIPPED],
        "failed": counts[FAILED],
        "lost with a worker at least once": counts["lost"],
    }
    tell(f"{len(jobs)} photographs: " + ", ".join(f"{count} {what}" for what, count in parts.items() if count))
    if counts[FAILED]:
        sys.exit(1)


def _write_report(path: str, report: dict[str, Any]) -> None:
    from runtime.images import write_bytes

    write_bytes(path, json.dumps(report, indent=1).encode() + b"\n")
