"""Running the command, and what becomes of errors: one line on stderr and an exit status, never a traceback."""

from __future__ import annotations

import logging
from contextlib import suppress

import click

from runtime._version import __version__
from runtime.cli import streams
from runtime.cli.burst import burst_command
from runtime.cli.demo import demo_command
from runtime.cli.image import image_command
from runtime.cli.info import doctor, models
from runtime.cli.pack import pack_command
from runtime.cli.serving.ray import ray_command
from runtime.cli.serving.serve import serve_command
from runtime.cli.serving.triton import triton_command
from runtime.cli.warmup import warmup_command
from runtime.messages import describe

_INTERRUPTED = 130
"""Exit status after Ctrl-C, by convention of shells."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="deblur")
def cli() -> None:
    """Make blurred photographs sharp."""


for _command in (
    image_command,
    burst_command,
    demo_command,
    serve_command,
    ray_command,
    triton_command,
    pack_command,
    models,
    doctor,
    warmup_command,
):
    cli.add_command(_command)


def run() -> int:
    """Run ``deblur`` with the arguments of the process; return its exit status."""
    streams.prepare()
    logging.basicConfig(format="deblur: %(message)s", level=logging.WARNING)
    # The error for a damaged file already contains what tifffile would log.
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    try:
        with streams.SaidWarnings(), streams.named_stdout():
            cli.main(prog_name="deblur", standalone_mode=False)
        streams.flush()
    except click.ClickException as error:
        streams.show(error)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        streams.say("deblur: interrupted")
        return _INTERRUPTED
    except Exception as error:
        streams.say(f"deblur: {describe(error)}")
        return 1
    finally:
        with suppress(Exception):
            streams.flush()
    return 0
