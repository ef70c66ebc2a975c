"""How often and how fast: metrics in Prometheus' text format.

Requests only add to plain numbers; those go into prometheus-client's metrics once a second and
when somebody looks, which costs a request a fifth of what the metrics themselves would. No label
has a value that a client can choose.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from bisect import bisect_left
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ..claims import service_name
from ..errors import FieldError

if TYPE_CHECKING:
    from .desk import AnyOrder

DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
# Upper bounds in seconds. A token takes tens of microseconds, a batch up to seconds.
BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0)


class Metrics(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The section ``metrics`` of the settings.

    ``public``: whether anybody may read ``/metrics``, or only callers.
    """

    public: bool = False

    def check(self, dev: bool) -> None:
        """`FieldError` for what can't be meant."""


def share_between_workers() -> None:
    """Makes the workers that this process is going to start count together, in files of a
    temporary directory that goes with it. Must come before prometheus-client is imported."""
    if DIRECTORY in os.environ:
        return
    memory = "/dev/shm"  # noqa: S108
    try:
        place = memory if os.access(memory, os.W_OK) else None
        directory = tempfile.mkdtemp(prefix="fasttoken-metrics-", dir=place)
    except OSError:
        raise FieldError("workers", "needs a temporary directory that can be written") from None
    os.environ[DIRECTORY] = directory
    owner = os.getpid()

    def tidy_up() -> None:
        if os.getpid() == owner:
            shutil.rmtree(Path(directory), ignore_errors=True)

    atexit.register(tidy_up)


class _Route:
    """What one route's requests added up to since the last time."""

    __slots__ = ("buckets", "seconds", "statuses")

    def __init__(self) -> None:
        self.statuses: dict[int, int] = defaultdict(int)
        self.buckets = [0] * (len(BUCKETS) + 1)
        self.seconds = 0.0


class Meter:
    """The metrics at work."""

    def __init__(self, settings: Metrics) -> None:
        # Only now is it known whether the workers share files.
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        class Latency(Histogram):
            """A histogram that takes many observations at once, already sorted into buckets."""

            def add(self, buckets: list[int], seconds: float) -> None:
                for bucket, number in zip(self._buckets, buckets, strict=True):
                    if number:
                        bucket.inc(number)
                self._sum.inc(seconds)

        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "fasttoken_requests", "Requests answered.", ["route", "status"], registry=registry
        )
        self._latency = Latency(
            "fasttoken_request_seconds",
            "Seconds from a request's head to its answer.",
            ["route"],
            buckets=BUCKETS,
            registry=registry,
        )
        self._tokens = Counter(
            "fasttoken_tokens", "Tokens minted.", ["service", "version"], registry=registry
        )
        self._refused = Counter(
            "fasttoken_refused", "Requests refused, by reason.", ["reason"], registry=registry
        )
        self._reloads = Counter(
            "fasttoken_reloads", "Settings read again.", ["taken"], registry=registry
        )
        self._generation = Gauge(
            "fasttoken_certificate_generation",
            "Which certificate is in use: 1 at the start, one more with each change.",
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self._audit = Counter(
            "fasttoken_audit_failures",
            "Writes of the audit log that failed.",
            registry=registry,
        )
        self._routes: dict[str, _Route] = defaultdict(_Route)
        self._minted: dict[tuple[str, str], int] = defaultdict(int)
        self._reasons: dict[str, int] = defaultdict(int)

    # What happens -----------------------------------------------------------------------------

    def answered(self, route: str, status: int, seconds: float) -> None:
        """A route answered; its pattern, not its path."""
        found = self._routes[route]
        found.statuses[status] += 1
        found.buckets[bisect_left(BUCKETS, seconds)] += 1
        found.seconds += seconds

    def minted(self, order: AnyOrder, number: int = 1) -> None:
        """A token was minted, or so many like it."""
        if hasattr(order, "channel_name"):
            self._minted["rtc", order.version] += number
        else:
            for service in {type(service) for service in order.services}:
                self._minted[service_name(service), order.version] += number

    def refused(self, reason: str) -> None:
        """A request was refused, for a reason of `faults`."""
        self._reasons[reason] += 1

    def reloaded(self, well: bool) -> None:
        """The settings were read again, and taken or not."""
        self._reloads.labels("yes" if well else "no").inc()

    def certificate(self, generation: int) -> None:
        """Another certificate is in use."""
        self._generation.set(generation)

    def audit_failed(self, times: int) -> None:
        """So many writes of the audit log failed."""
        self._audit.inc(times)

    # What is shown ----------------------------------------------------------------------------

    def fold(self) -> None:
        """Puts what was counted into the metrics. To be called once a second, and at the end."""
        for route, found in self._routes.items():
            for status, number in found.statuses.items():
                self._requests.labels(route, str(status)).inc(number)
            if found.statuses:
                latency: Any = self._latency.labels(route)
                latency.add(found.buckets, found.seconds)
        for (service, version), number in self._minted.items():
            self._tokens.labels(service, version).inc(number)
        for reason, number in self._reasons.items():
            self._refused.labels(reason).inc(number)
        for counted in (self._routes, self._minted, self._reasons):
            counted.clear()

    def page(self) -> tuple[bytes, bytes]:
        """The content type and the text of ``GET /metrics``, over all workers."""
        from prometheus_client import CollectorRegistry, exposition, multiprocess

        self.fold()
        registry = self._registry
        if DIRECTORY in os.environ:
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return b"text/plain; version=0.0.4; charset=utf-8", exposition.generate_latest(registry)
