"""The command line: ``deblur image``, ``deblur burst``, ``deblur demo``, ``deblur models`` and ``deblur doctor``."""

from __future__ import annotations

import logging
import sys

import click

from runtime._version import __version__
from runtime.cli.burst import burst_command
from runtime.cli.demo import demo_command
from runtime.cli.image import image_command
from runtime.cli.info import doctor, models
from runtime.errors import DeblurError

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells expect it."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="deblur")
def cli() -> None:
    """Make blurred photographs sharp."""


for _command in (image_command, burst_command, demo_command, models, doctor):
    cli.add_command(_command)


def main() -> None:
    """Run ``deblur``: exit 0 when all went well, 1 on a failure, 2 on wrong usage, 130 after Ctrl-C."""
    logging.basicConfig(format="deblur: %(message)s", level=logging.WARNING)
    # What tifffile would log of a damaged file is in the error already.
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    try:
        cli.main(prog_name="deblur", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        click.echo("deblur: interrupted", err=True)
        sys.exit(INTERRUPTED)
    except DeblurError as error:
        click.echo(f"deblur: {error}", err=True)
        sys.exit(1)
