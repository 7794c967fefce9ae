"""``deblur serve``: the service over HTTP."""

from __future__ import annotations

import ipaddress
import sys
from pathlib import Path

import click

from runtime.cli.streams import say
from runtime.errors import InvalidArgument, MissingDependency


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="Port; 0: any.")
@click.option(
    "--device", "devices", multiple=True, default=("auto",), show_default=True,
    help="cpu, cuda, cuda:N or auto; repeatable, a worker for each.",
)  # fmt: skip
@click.option(
    "--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Worker processes on each device."
)
@click.option("--queue", type=click.IntRange(min=1), default=64, show_default=True, help="Requests that may wait.")
@click.option(
    "--deadline", type=click.FloatRange(min=1), default=300, show_default=True, help="Seconds for a request, in all."
)
@click.option(
    "--limit-megabytes", type=click.FloatRange(min=0.001), default=64, show_default=True, help="Size of a request."
)
@click.option(
    "--limit-megapixels", type=click.FloatRange(min=0.001), default=50, show_default=True, help="Pixels of a request."
)
@click.option("--limit-frames", type=click.IntRange(min=1), default=32, show_default=True, help="Frames of a burst.")
@click.option(
    "--limit-held", type=click.FloatRange(min=0.001), default=512, show_default=True,
    help="Megabytes of all requests together.",
)  # fmt: skip
@click.option("--per-client", type=click.IntRange(min=1), help="Requests of one address at a time.")
@click.option(
    "--body-seconds", type=click.FloatRange(min=1), default=30, show_default=True, help="Time for sending a request."
)
@click.option(
    "--drain-seconds", type=click.FloatRange(min=0), default=300, show_default=True,
    help="Time for what has been taken, after SIGTERM or Ctrl-C.",
)  # fmt: skip
@click.option("--token-file", type=click.Path(path_type=Path), help="File with the token that clients must send.")
@click.option("--insecure", is_flag=True, help="Let anybody who reaches the address ask, without a token.")
def serve_command(
    host: str,
    port: int,
    devices: tuple[str, ...],
    workers: int,
    queue: int,
    deadline: float,
    limit_megabytes: float,
    limit_megapixels: float,
    limit_frames: int,
    limit_held: float,
    per_client: int | None,
    body_seconds: float,
    drain_seconds: float,
    token_file: Path | None,
    insecure: bool,
) -> None:
    """Restore photographs over HTTP, until SIGTERM or Ctrl-C.

    docs/service.md describes the interface. Only this computer can ask, unless --host says otherwise; then a token, or
    --insecure, is needed.
    """
    if token_file is None and not insecure and not _is_loopback(host):
        raise click.UsageError(f"others can reach {host}: give --token-file, or --insecure to serve without a token.")
    try:
        import fastapi  # noqa: F401
        import python_multipart  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise MissingDependency(f"{error.name} is not installed: pip install 'deblur-runtime[serve]'") from error
    from runtime.serve.http.guard import grant
    from runtime.serve.http.server import serve
    from runtime.serve.settings import MEGA, Settings

    try:
        access = grant(token_file, insecure, host)
    except InvalidArgument as error:
        raise click.UsageError(str(error)) from error
    settings = Settings(
        devices=devices,
        workers=workers,
        queue=queue,
        bytes_held=round(limit_held * MEGA),
        request_bytes=round(limit_megabytes * MEGA),
        pixels=round(limit_megapixels * MEGA),
        frames=limit_frames,
        deadline=deadline,
        body_seconds=body_seconds,
        per_client=per_client,
    )
    if not serve(settings, access, host, port, drain_seconds, lambda text: say(f"deblur: {text}")):
        say("deblur: some requests were not answered in time")
        sys.exit(1)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
