"""The service on a Ray cluster, by Ray Serve: replicas of it behind Ray's proxies.

A replica is the same service as that of ``deblur serve``, with worker processes of its own and the same addresses. Ray
starts replicas where there is room, gives them requests, and ends those that are unwell or no longer needed.

::

    serve run runtime.serve.ray:app cores=4 count=2
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from runtime.arguments import check_real, check_whole
from runtime.errors import DeviceUnavailable, InvalidArgument, MissingDependency
from runtime.serve.cores import confine_to_cores
from runtime.serve.settings import Settings

if TYPE_CHECKING:
    from ray.serve import Application
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

NAME = "deblur"
"""Name of the deployment."""
_GLANCE = 0.2
"""Seconds between two looks at whether the workers of a replica can start."""
_STARTS = 3
"""How often Ray tries to start a replica of which no worker can start."""
_QUESTIONS = 64
"""Short requests, such as for readiness, that a replica may have beside those for photographs."""
_ID = "x-request-id"


@dataclass(frozen=True)
class Replicas:
    """How many replicas there are, and what each has.

    Attributes
    ----------
    cores
        Cores of the CPU for each.
    gpus
        GPUs for each; without one it restores on the CPU.
    count
        How many there are, or the fewest, if Ray starts more under load.
    most
        How many Ray may start under load, or ``None`` for always `count`.
    load
        Requests, queued and in work, for each replica, above which Ray starts another one.
    drain_seconds
        The time that a replica has to answer what it has taken when Ray ends it.

    Raises
    ------
    InvalidArgument
        If a value cannot be used.
    """

    cores: int = 1
    gpus: int = 0
    count: int = 1
    most: int | None = None
    load: float = 2.0
    drain_seconds: float = 300.0

    def __post_init__(self) -> None:
        for name, least in (("cores", 1), ("gpus", 0), ("count", 1)):
            check_whole(name, getattr(self, name), least=least, what=name, optional=False)
        check_whole("most", self.most, least=self.count, what="replicas")
        check_real("load", self.load, lambda load: 0 < load < float("inf"), "give a number of requests, more than 0")
        check_real(
            "drain_seconds", self.drain_seconds, lambda seconds: 0 <= seconds < float("inf"), "give seconds, 0 or more"
        )

    @property
    def devices(self) -> tuple[str, ...]:
        """Devices of a replica, as in `runtime.Deblurrer`. Ray shows it its own GPUs alone, numbered from 0."""
        return tuple(f"cuda:{number}" for number in range(self.gpus)) or ("cpu",)


def application(
    settings: Settings | None = None,
    replicas: Replicas | None = None,
    *,
    token_file: str | os.PathLike[str] | None = None,
    insecure: bool = False,
) -> Application:
    """Return the service as an application for ``ray.serve.run``.

    Parameters
    ----------
    settings
        Limits of each replica; its ``devices`` follow from `replicas`. By default those of ``deblur serve``.
    replicas
        How many there are, and what each has; by default one with one core.
    token_file
        File with the token that clients must send, at the same place on every machine of the cluster; the token itself
        is not sent around.
    insecure
        Whether anybody who reaches Ray's proxies may ask, without a token. By default a request must then name the host
        ``localhost`` or its address.

    Raises
    ------
    MissingDependency
        If Ray Serve or the service's own dependencies are not installed.
    """
    # Ray sends statistics of its use to its makers unless it is told not to before it is imported.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import fastapi  # noqa: F401
        import python_multipart  # noqa: F401
        from ray import serve
    except ImportError as error:
        raise MissingDependency(f"Ray Serve cannot be imported ({error}): pip install 'deblur-runtime[ray]'") from error
    settings, replicas = settings or Settings(), replicas or Replicas()
    settings = replace(settings, devices=replicas.devices)
    if replicas.most is None:
        number: dict[str, Any] = {"num_replicas": replicas.count}
    else:
        bounds = {"min_replicas": replicas.count, "max_replicas": replicas.most}
        number = {"autoscaling_config": {**bounds, "target_ongoing_requests": replicas.load}}
    deployment = serve.deployment(
        name=NAME,
        ray_actor_options={
            "num_cpus": replicas.cores,
            "num_gpus": replicas.gpus,
            # Ray sets OMP_NUM_THREADS to 1 unless the replica asks for another value.
            "runtime_env": {"env_vars": {"OMP_NUM_THREADS": str(replicas.cores)}},
        },
        # The service itself refuses what is too much, with its own words, and its queue must not keep questions about
        # the progress of what is in it from being answered.
        max_ongoing_requests=2 * settings.queue + _QUESTIONS,
        max_queued_requests=settings.queue,
        graceful_shutdown_timeout_s=replicas.drain_seconds,
        max_constructor_retry_count=_STARTS,
        logging_config={"enable_access_log": False},
        **number,
    )(serve.ingress()(Replica))
    token = None if token_file is None else os.path.abspath(token_file)
    return deployment.bind(settings, replicas.cores, token, insecure)


def app(arguments: dict[str, Any]) -> Application:
    """Return the service for ``serve run runtime.serve.ray:app NAME=VALUE ...``, or for a file of Ray Serve.

    Parameters
    ----------
    arguments
        Values, or their text, of the attributes of `Settings`, but for ``devices``, and of `Replicas`; and
        ``token_file`` and ``insecure`` of `application`.

    Raises
    ------
    InvalidArgument
        If there is no such argument, or a value cannot be used.
    MissingDependency
        If Ray Serve or the service's own dependencies are not installed.
    """
    try:
        from pydantic import TypeAdapter, ValidationError
    except ImportError as error:
        raise MissingDependency(f"pydantic cannot be imported ({error}): pip install 'deblur-runtime[ray]'") from error
    kinds: dict[str, Any] = {**get_type_hints(Settings), **get_type_hints(Replicas)}
    kinds |= {"token_file": Path | None, "insecure": bool}
    del kinds["devices"]
    values = {}
    for name, given in arguments.items():
        if name not in kinds:
            raise InvalidArgument(f"there is no argument {name!r}: give one of {', '.join(kinds)}")
        try:
            values[name] = TypeAdapter(kinds[name]).validate_python(given)
        except ValidationError as error:
            raise InvalidArgument(f"{name}={given!r} cannot be used: {error.errors()[0]['msg']}") from error
    limits, number = (
        {field.name: values.pop(field.name) for field in fields(kind) if field.name in values}
        for kind in (Settings, Replicas)
    )
    return application(Settings(**limits), Replicas(**number), **values)


class Replica:
    """What runs in the process of a replica.

    Parameters
    ----------
    settings
        Limits and devices.
    cores
        Cores for its workers.
    token_file, insecure
        As of `application`.

    Raises
    ------
    ImageFileError, InvalidArgument
        If the token cannot be read or used.
    """

    def __init__(self, settings: Settings, cores: int, token_file: str | None, insecure: bool) -> None:
        from runtime.serve.http.guard import grant
        from runtime.serve.service import Service

        self._access = grant(None if token_file is None else Path(token_file), insecure)
        confine_to_cores(cores)  # and the workers, which inherit it
        self._unusable: list[str] = []
        self._service = Service(settings, self._unusable.append)
        self._service.start()

    async def __serve_build_asgi_app__(self) -> ASGIApp:  # the name that Ray Serve asks for
        """Return the application, once it can answer: from then on Ray gives the replica requests.

        Raises
        ------
        DeviceUnavailable
            If no worker can start; the message names the reason.
        """
        from runtime.serve.http.app import create_app

        while not await asyncio.to_thread(self._service.wait_until_ready, _GLANCE):
            if self._unusable:
                raise DeviceUnavailable(f"no worker can start: {self._unusable[0]}")
        return _without_second_id(create_app(self._service, self._access))

    def check_health(self) -> None:
        """Tell Ray whether a worker takes requests; a replica that goes on being unwell is replaced.

        Raises
        ------
        DeviceUnavailable
            If none does.
        """
        if not self._service.is_ready:
            raise DeviceUnavailable("no worker of this replica takes requests now: Ray replaces it if that lasts")

    def __del__(self) -> None:
        # Ray calls it when all requests are answered, or the time for that is over; without a service, if there is
        # none because the making of it failed.
        if hasattr(self, "_service"):
            self._service.drain(0)


def _without_second_id(app: ASGIApp) -> ASGIApp:
    """Leave out the id of an answer where it is that of the request, which Ray's proxy adds to every answer."""
    from starlette.datastructures import Headers, MutableHeaders

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        given = Headers(scope=scope).get(_ID) if scope["type"] == "http" else None

        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if headers.get(_ID) == given:
                    del headers[_ID]
            await send(message)

        await app(scope, receive, send_on)

    return answer
