"""``deblur pack``: make a bundle of a network from patches to patches."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click

from runtime.cli.options import ProgressLine
from runtime.cli.streams import tell


def _numbers(ctx: click.Context, param: click.Parameter, value: str) -> tuple[float, ...]:
    """Parse numbers that commas separate, such as ``"0,255"``."""
    try:
        return tuple(float(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(f"{value!r}: give numbers separated by commas", ctx, param) from None


@click.command("pack")
@click.argument("network")
@click.option("-o", "--output", required=True, metavar="FOLDER", help="The bundle to write.")
@click.option("--patch", type=click.IntRange(min=1), metavar="PX", help="Side of a patch; by default about 256.")
@click.option("--core", type=click.IntRange(min=1), metavar="PX", help="Part of it that is used; by default measured.")
@click.option("--stride", type=click.IntRange(min=1), metavar="PX", help="Distance between patches.")
@click.option(
    "--colour", metavar="C", help="rgb (default for three channels), bgr, grey (for one), y (luminance only)."
)
@click.option(
    "--range", "values", callback=_numbers, metavar="N,N", default="0,1", show_default=True, help="Black and white."
)
@click.option(
    "--mean",
    callback=_numbers,
    metavar="N,...",
    default="0",
    show_default=True,
    help="Subtracted, in units of the range.",
)
@click.option(
    "--std",
    callback=_numbers,
    metavar="N,...",
    default="1",
    show_default=True,
    help="Divided by, in units of the range.",
)
@click.option("--residual", default="none", show_default=True, help="add or subtract: it gives a difference.")
@click.option("--name", help="Of the model; by default that of the folder.")
@click.option("--description", default="", help="One line for `deblur models`.")
@click.option("--licence", default="", help="Of the weights.")
@click.option("--overwrite", is_flag=True, help="Replace a bundle that is there.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def pack_command(
    network: str,
    output: str,
    patch: int | None,
    core: int | None,
    stride: int | None,
    colour: str | None,
    values: tuple[float, ...],
    mean: tuple[float, ...],
    std: tuple[float, ...],
    residual: str,
    name: str | None,
    description: str,
    licence: str,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Make a model of NETWORK, an ONNX file from patches to patches, for all commands here.

    One input and one output, (batch, channels, height, width), of one or three channels. It is tried on the CPU: the
    sizes that it takes, how far its pixels see, and what seams remain between patches; patches are chosen by that.
    """
    if len(values) != 2:
        raise click.UsageError("--range takes two numbers, those of black and white, such as 0,255.")
    from runtime.packing import Packing, pack_network

    packing = Packing(
        patch=patch,
        core=core,
        stride=stride,
        colour=colour,
        range=(values[0], values[1]),
        mean=mean,
        std=std,
        residual=residual,
        name=name,
        description=description,
        licence=licence,
    )
    with ProgressLine(network) as progress:
        packed = pack_network(network, output, packing, overwrite=overwrite, progress=progress)
    if as_json:
        tell(json.dumps({"path": output, "name": packed.bundle.name, **packed.found}, indent=2))
        return
    for label, text in _described(packed.found):
        tell(f"{label + ':':<18}{text}")
    tell(f"{output}: use it with --model {output}")


def _described(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of the table of what was found."""
    batch, field, multiple = found["batch"], found["field"], found["multiple"]
    return [
        (
            "input",
            f"{found['input']}, {found['type']}, {found['colour']}, {found['range'][0]:g} to {found['range'][1]:g}",
        ),
        ("output", found["output"]),
        ("sizes tried", ", ".join(map(str, found["sizes"]))),
        ("sizes taken", "this one" if multiple is None else "any" if multiple == 1 else f"multiples of {multiple}"),
        ("batch", "any" if batch is None else str(batch)),
        ("receptive field", "the whole patch" if field is None else f"{field} px"),
        ("patch", f"{found['patch']} px, core {found['core']} (margin {found['margin']}), stride {found['stride']}"),
        (
            "largest seam",
            f"{found['seam']:.1e} of the range, mean {found['mean_seam']:.1e}, against {found['against']}",
        ),
        ("changes a sample", f"by {found['change']:.3f} of the range (root mean square)"),
        ("seconds a patch", f"{found['seconds']:.3f}"),
    ]
