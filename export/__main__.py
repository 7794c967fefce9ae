"""Command line: ``python -m export train|onnx|check``."""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Two threads that spin for each other starve when the cores are shared; it must be set before torch loads.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import click

if TYPE_CHECKING:
    from export.data.photographs import Photographs

CONFIGS = Path(__file__).parent / "configs"
_PARITY_PHOTOGRAPHS = 8
"""How many photographs parity is measured on."""


def _list_configs() -> str:
    """Return a line for each shipped configuration; torch is not needed for that."""
    lines = ["\b", "Shipped configurations:"]
    for file in sorted(CONFIGS.glob("*.toml")):
        text = file.read_text(encoding="utf-8")
        about = text.splitlines()[0].removeprefix("# ")
        lines.append(f"  {file.stem:15} {tomllib.loads(text).get('method', 'chakrabarti'):13} {about}")
    return "\n".join(lines)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True, "max_content_width": 120})
def main() -> None:
    """Train networks, export them as bundles for the runtime, and check bundles."""


@main.command(epilog=_list_configs())
@click.argument("config")
@click.option("--data", type=click.Path(exists=True, file_okay=False), help="Folder of sharp photographs.")
@click.option("--out", type=click.Path(file_okay=False), help="Folder of the run.  [default: runs/NAME]")
@click.option("--minutes", type=click.FloatRange(0, min_open=True), help="Time budget, in place of the configured one.")
@click.option("--batch", type=click.IntRange(1), help="Samples per step, in place of the configured number.")
@click.option("--resume", is_flag=True, help="Continue the run in the folder.")
@click.option("--start", type=click.Path(exists=True), help="Checkpoint, slim or full, or bundle with initial weights.")
@click.option("--motion", type=click.Path(exists=True, dir_okay=False), help="JSON file of recorded camera shake.")
@click.option("--processes", type=click.IntRange(1), help="How many processes record samples.  [default: 1]")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), help="[default: auto, cuda if there is one]")
def train(config: str, out: str | None, **options: Any) -> None:
    """Train CONFIG: a TOML file, a shipped configuration, or a kind of network, the second column below.

    Writes checkpoint.pt, from which --resume continues, and checkpoint.slim.pt with the weights alone as float16, if
    these take no more than 16 MB. Both can be exported, and other runs can start from them.
    """
    import torch

    from export.loop.job import Job
    from export.registry import kind_of, load, read_config

    settings = read_config(config)
    kind = kind_of(settings)
    given = {name: value for name, value in options.items() if value not in (None, False)}
    for name in given:
        if name not in kind.options:
            raise click.UsageError(f"{settings.name} takes no --{name}")
    if "data" in kind.options and "data" not in given:
        raise click.UsageError(f"{settings.name} is trained on photographs; give --data")
    if given.get("resume") and given.get("start"):
        raise click.UsageError("give --resume or --start, not both")
    if batch := given.pop("batch", None):
        settings = settings.with_batch(batch)
    if given.pop("device", "auto") == "auto":
        device = "cuda" if torch.cuda.is_available() and "device" in kind.options else "cpu"
    else:
        device = options["device"]
    start = load(given.pop("start")).checkpoint if "start" in given else None
    for name in ("data", "motion"):
        if name in given:
            given[name] = Path(given[name])
    folder = Path(out) if out else Path("runs") / settings.name
    checkpoint = kind.train(settings, Job(folder, start=start, device=device, report=click.echo, **given))
    click.echo(f"{checkpoint}: export it with python -m export onnx")


@main.command()
@click.argument("checkpoint", type=click.Path(exists=True, dir_okay=False))
@click.argument("bundle", type=click.Path(file_okay=False))
@click.option("--trained-on", multiple=True, help="Name and licence of a set of photographs, for the record.")
@click.option("--data", type=click.Path(exists=True, file_okay=False), help="Photographs to check parity on as well.")
def onnx(checkpoint: str, bundle: str, trained_on: tuple[str, ...], data: str | None) -> None:
    """Export CHECKPOINT, full or slim, of any kind of network, to the folder BUNDLE."""
    from export.onnx.bundles import export_bundle
    from export.registry import load

    written = export_bundle(load(checkpoint), bundle, trained_on=trained_on, photographs=_photographs(data))
    parity = {name: part.parity for name, part in written.parts.items()}
    click.echo(f"{written.path}: {written.bytes / 1e6:.2f} MB{_describe(parity)}")


@main.command()
@click.argument("bundle", type=click.Path(exists=True, file_okay=False))
@click.argument("checkpoint", type=click.Path(exists=True, dir_okay=False))
@click.option("--data", type=click.Path(exists=True, file_okay=False), help="Photographs to check parity on as well.")
def check(bundle: str, checkpoint: str, data: str | None) -> None:
    """Check that BUNDLE computes what the network of CHECKPOINT computes."""
    from export.onnx.bundles import check_bundle
    from export.registry import load

    click.echo(f"{bundle}: agrees{_describe(check_bundle(bundle, load(checkpoint), _photographs(data)))}")


def _photographs(data: str | None) -> Photographs | None:
    """Read photographs that no network was trained on."""
    from export.data.photographs import Photographs, find_photographs, split

    if data is None:
        return None
    _, files = split(find_photographs(data))
    return Photographs.read(files[:_PARITY_PHOTOGRAPHS])


def _describe(parity: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    described = ""
    for name, part in parity.items():
        described += f"; {name} " + ", ".join(f"{key} within {found['max_abs']:.1e}" for key, found in part.items())
    return described


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status: 1 after an error, 2 for wrong usage."""
    try:
        main(arguments, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return 130
    except (OSError, ValueError) as error:
        click.echo(f"error: {error}", err=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(run())
