"""``deblur models`` lists the installed models, ``deblur doctor`` reports what works."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from runtime.cli.streams import tell
from runtime.errors import InvalidModel

if TYPE_CHECKING:
    from runtime.inference.bundle import Bundle


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def models(as_json: bool) -> None:
    """List the models that can be loaded by name."""
    from runtime.inference.bundle import find_models

    entries = []
    bundles, faults = find_models()
    for bundle in bundles:
        try:
            entries.append(_entry(bundle))
        except InvalidModel as error:
            faults.append(error)
    if as_json:
        tell(json.dumps([*entries, *({"error": str(fault)} for fault in faults)], indent=2))
        return
    for entry in entries:
        tell(f"{entry['name']} {entry['version']} ({entry['method']}, {entry['megabytes']} MB)")
        tell(f"  {entry['description']}")
        _print({"measured": entry["accuracy"], "path": entry["path"]}, indent=2)
    for fault in faults:
        tell(f"unusable: {fault}")
    if not entries:
        tell("no models: set DEBLUR_MODELS to the folder that contains your bundles")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(as_json: bool) -> None:
    """Report what works on this machine, and why the rest does not."""
    from runtime.inference.diagnosis import diagnose

    report = diagnose()
    if as_json:
        tell(json.dumps(report, indent=2))
    else:
        _print(report)


def _entry(bundle: Bundle) -> dict[str, Any]:
    return {
        "name": bundle.name,
        "version": bundle.version,
        "method": bundle.method,
        "description": bundle.description,
        "megabytes": round(bundle.bytes / 1e6, 1),
        "accuracy": dict(bundle.accuracy),
        "path": str(bundle.path),
    }


def _print(report: dict[str, Any], indent: int = 0) -> None:
    """Print a nested dictionary, one value per line."""
    for name, value in report.items():
        label = f"{' ' * indent}{name.replace('_', ' ')}:"
        if isinstance(value, dict) and value:
            tell(label)
            _print(value, indent + 2)
        else:
            tell(f"{label} {_plain(value)}")


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None or value == {} else str(value)
