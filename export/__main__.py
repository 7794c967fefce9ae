"""Command line: ``python -m export train|onnx|check|prior|prior-onnx|repair|repair-onnx``."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# Two threads that spin for each other starve when the cores are shared; it must be set before torch loads.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import click


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
def main() -> None:
    """Train networks, export them as bundles, and check bundles."""


@main.command()
@click.argument("config")
@click.option("--data", required=True, type=click.Path(exists=True, file_okay=False), help="Folder of photographs.")
@click.option("--motion", type=click.Path(exists=True, dir_okay=False), help="JSON file of recorded camera shake.")
@click.option("--runs", default="runs", type=click.Path(file_okay=False), help="Where runs are kept.")
@click.option("--minutes", type=float, help="Time budget; the schedule ends within it, whatever the steps.")
@click.option("--resume", is_flag=True, help="Go on from the run's checkpoint.")
@click.option(
    "--start", type=click.Path(exists=True, dir_okay=False), help="Checkpoint to take the first weights from."
)
@click.option("--device", default="auto", help="cpu, cuda, or auto: cuda where there is one.")
def train(
    config: str,
    data: str,
    motion: str | None,
    runs: str,
    minutes: float | None,
    resume: bool,
    start: str | None,
    device: str,
) -> None:
    """Train CONFIG, a TOML file or the name of a shipped one."""
    import torch

    from export.data.photographs import Photographs, find_photographs, split
    from export.data.recorded_shake import Shake
    from export.eboli.train import MotionTrainer
    from export.loop.config import BurstRunConfig, MotionRunConfig, read_config
    from export.loop.trainer import Trainer
    from export.wieschollek.train import BurstTrainer

    settings = read_config(config)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    training, validation = split(find_photographs(data))
    click.echo(f"{len(training)} photographs to train on, {len(validation)} to validate on, {device}")
    trainers: dict[type, type[Trainer]] = {BurstRunConfig: BurstTrainer, MotionRunConfig: MotionTrainer}
    trainer = trainers.get(type(settings), Trainer)(
        settings,
        Path(runs) / settings.name,
        Photographs.read(training, device),
        Photographs.read(validation, device),
        device,
        minutes,
        resume,
        Shake.read(motion, device) if motion else None,
        start,
    )
    gains = trainer.run()
    rate = trainer.step * settings.train.batch / max(trainer.seconds, 1e-9)
    reached = f"{trainer.measure} {gains.get('all', float('nan')):.3f} {trainer.unit}"
    click.echo(f"{trainer.step} steps, {rate:.0f} samples/s, {reached}")


@main.command()
@click.argument("checkpoint", type=click.Path(exists=True, dir_okay=False))
@click.argument("bundle", type=click.Path(file_okay=False))
@click.option("--trained-on", multiple=True, help="What the photographs are and their licence, for the record.")
@click.option("--data", type=click.Path(exists=True, file_okay=False), help="Photographs to check parity on as well.")
def onnx(checkpoint: str, bundle: str, trained_on: tuple[str, ...], data: str | None) -> None:
    """Export CHECKPOINT to the folder BUNDLE."""
    from export.chakrabarti.onnx import export_checkpoint
    from export.eboli.onnx import export_motion_checkpoint
    from export.loop.config import BurstRunConfig, MotionRunConfig
    from export.loop.trainer import checkpoint_config
    from export.wieschollek.onnx import export_burst_checkpoint

    exporters = {BurstRunConfig: export_burst_checkpoint, MotionRunConfig: export_motion_checkpoint}
    export = exporters.get(type(checkpoint_config(checkpoint)), export_checkpoint)
    written = export(checkpoint, bundle, list(trained_on), data)
    parities = (f"{name} {_describe(part.parity)}" for name, part in written.parts.items())
    click.echo(f"{written.path}: {written.bytes / 1e6:.2f} MB, {'; '.join(parities)}")


@main.command()
@click.argument("bundle", type=click.Path(exists=True, file_okay=False))
@click.argument("checkpoint", type=click.Path(exists=True, dir_okay=False))
@click.option("--data", type=click.Path(exists=True, file_okay=False), help="Photographs to check parity on as well.")
def check(bundle: str, checkpoint: str, data: str | None) -> None:
    """Check that BUNDLE computes what the network of CHECKPOINT computes."""
    from export.eboli.onnx import PART, check_motion_bundle
    from export.loop.config import BurstRunConfig, MotionRunConfig
    from export.loop.trainer import checkpoint_config
    from export.onnx.parity import check_bundle
    from export.wieschollek.onnx import check_burst_bundle

    kind = type(checkpoint_config(checkpoint))
    if kind is BurstRunConfig:
        found = check_burst_bundle(bundle, checkpoint, data)
    elif kind is MotionRunConfig:
        found = {PART: check_motion_bundle(bundle, checkpoint, data)}
    else:
        found = {"network": check_bundle(bundle, checkpoint, data)}
    click.echo(f"{bundle}: {'; '.join(f'{name} {_describe(parity)}' for name, parity in found.items())}")


@main.command()
@click.option("--data", required=True, type=click.Path(exists=True, file_okay=False), help="Folder of photographs.")
@click.option("--out", default="runs/kernel-prior", type=click.Path(file_okay=False), help="Where the run is kept.")
@click.option("--minutes", type=float, default=120, help="Time for collecting and training together.")
@click.option("--rounds", type=int, default=2, help="Rounds, each with states that the last prior leads to.")
@click.option("--processes", type=int, default=1, help="How many collect at once.")
@click.option("--resume", is_flag=True, help="Go on from what is there.")
def prior(data: str, out: str, minutes: float, rounds: int, processes: int, resume: bool) -> None:
    """Train a prior on blur kernels: simulate, record the blind estimation, learn, and again."""
    from export.data.photographs import find_photographs
    from export.kernel_prior.rounds import run_rounds

    checkpoint = run_rounds(
        find_photographs(data), out, minutes, rounds=rounds, processes=processes, resume=resume, report=click.echo
    )
    click.echo(f"{checkpoint}: export it with python -m export prior-onnx")


@main.command("prior-onnx")
@click.argument("checkpoint", type=click.Path(exists=True, dir_okay=False))
@click.argument("bundle", type=click.Path(file_okay=False))
@click.option("--trained-on", multiple=True, help="What the photographs are and their licence, for the record.")
def prior_onnx(checkpoint: str, bundle: str, trained_on: tuple[str, ...]) -> None:
    """Export CHECKPOINT, of a prior on blur kernels, to the folder BUNDLE."""
    from export.kernel_prior.onnx import export_prior

    written = export_prior(checkpoint, bundle, trained_on)
    click.echo(f"{written.path}: {written.bytes / 1e6:.2f} MB, {_describe(written.part('prior').parity)}")


@main.command()
@click.option("--data", required=True, type=click.Path(exists=True, file_okay=False), help="Folder of photographs.")
@click.option("--out", default="runs/repair", type=click.Path(file_okay=False), help="Where the run is kept.")
@click.option("--minutes", type=float, default=120, help="Time for recording and training together.")
@click.option("--processes", type=int, default=1, help="How many record at once.")
@click.option("--resume", is_flag=True, help="Go on from what is there.")
@click.option("--start", type=click.Path(exists=True, file_okay=False), help="Bundle to take the first weights from.")
def repair(data: str, out: str, minutes: float, processes: int, resume: bool, start: str | None) -> None:
    """Train a network that repairs restored photographs: simulate, estimate, restore, record, learn."""
    from export.data.photographs import find_photographs
    from export.repair.run import run_repair

    checkpoint = run_repair(
        find_photographs(data), out, minutes, processes=processes, resume=resume, start=start, report=click.echo
    )
    click.echo(f"{checkpoint}: export it with python -m export repair-onnx")


@main.command("repair-onnx")
@click.argument("checkpoint", type=click.Path(exists=True, dir_okay=False))
@click.argument("bundle", type=click.Path(file_okay=False))
@click.option("--trained-on", multiple=True, help="What the photographs are and their licence, for the record.")
def repair_onnx(checkpoint: str, bundle: str, trained_on: tuple[str, ...]) -> None:
    """Export CHECKPOINT, of a network that repairs restored photographs, to the folder BUNDLE."""
    from export.repair.onnx import export_repair

    written = export_repair(checkpoint, bundle, trained_on)
    click.echo(f"{written.path}: {written.bytes / 1e6:.2f} MB, {_describe(written.part('repair').parity)}")


def _describe(parity: Mapping[str, Mapping[str, Any]]) -> str:
    return ", ".join(f"{name} within {found['max_abs']:.1e}" for name, found in parity.items())


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
