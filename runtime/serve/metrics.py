"""What the service counts, in the text format of Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.errors import MissingDependency

if TYPE_CHECKING:
    from collections.abc import Callable

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_BYTES = tuple(10.0**power for power in range(3, 10))


class Metrics:
    """Counters and histograms of one service, in a registry of their own.

    Raises
    ------
    MissingDependency
        If prometheus-client is not installed.
    """

    def __init__(self) -> None:
        try:
            import prometheus_client as prometheus
        except ImportError as error:
            raise MissingDependency(
                "the service needs prometheus-client: pip install 'deblur-runtime[serve]'"
            ) from error
        self._registry = registry = prometheus.CollectorRegistry()
        self._generate = prometheus.generate_latest
        self.content_type = prometheus.CONTENT_TYPE_LATEST
        self.requests = prometheus.Counter(
            "deblur_requests", "Requests by outcome: ok, unchanged, or the code of the error.", ["kind", "outcome"],
            registry=registry,
        )  # fmt: skip
        self.bytes = prometheus.Histogram(
            "deblur_request_bytes", "Bytes of the files of a request.", ["kind"], buckets=_BYTES, registry=registry
        )
        self.queued = prometheus.Histogram(
            "deblur_queue_seconds", "Time until a worker took the request.", ["kind"], buckets=_SECONDS,
            registry=registry,
        )  # fmt: skip
        self.seconds = prometheus.Histogram(
            "deblur_request_seconds", "Time from the arrival of a request to its answer.", ["kind"], buckets=_SECONDS,
            registry=registry,
        )  # fmt: skip
        self.stages = prometheus.Counter(
            "deblur_stage_seconds", "Time spent in each stage of all restorations.", ["stage"], registry=registry
        )
        self.deaths = prometheus.Counter("deblur_worker_deaths", "Workers that died.", registry=registry)
        self.retries = prometheus.Counter(
            "deblur_retries", "Requests that were tried again after a worker had died.", registry=registry
        )
        self._gauge = prometheus.Gauge

    def watch(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Add a gauge that is read when somebody asks."""
        self._gauge(name, text, registry=self._registry).set_function(value)

    def text(self) -> bytes:
        """Return all of it."""
        return bytes(self._generate(self._registry))
