"""The command line, ``deblur``.

* ``deblur image`` (`image`): restore photographs from files, folders or stdin. `motion` draws motion fields.
* ``deblur burst`` (`burst`): restore one photograph from several frames.
* ``deblur demo`` (`demo`): blur a sample photograph, restore it and report the gain.
* ``deblur models`` (`info`): list the installed models.
* ``deblur doctor`` (`info`): report what works, and why the rest does not.

`options` holds the options and the progress line that these commands share.
"""

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

_INTERRUPTED = 130
"""Exit status after Ctrl-C, by convention of shells."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="deblur")
def cli() -> None:
    """Make blurred photographs sharp."""


for _command in (image_command, burst_command, demo_command, models, doctor):
    cli.add_command(_command)


def main() -> None:
    """Run ``deblur``; exit with 0 on success, 1 after a failure, 2 after incorrect usage, 130 after Ctrl-C."""
    logging.basicConfig(format="deblur: %(message)s", level=logging.WARNING)
    # The error for a damaged file already contains what tifffile would log.
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    try:
        cli.main(prog_name="deblur", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        click.echo("deblur: interrupted", err=True)
        sys.exit(_INTERRUPTED)
    except DeblurError as error:
        click.echo(f"deblur: {error}", err=True)
        sys.exit(1)
