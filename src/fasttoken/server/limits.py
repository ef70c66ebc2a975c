"""How much, how fast and how often a client may ask.

Rates are counted over a sliding window: the requests of this window, and those of the one before
as far as it still reaches. In memory that is done here, in less than a microsecond; in Redis, for
several workers and machines together, by the library `limits`.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Generator
from functools import lru_cache, partial
from hashlib import sha256
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Any, Literal

import limits
import msgspec

from ..errors import FieldError
from .faults import NotReady, TooMany
from .secret import Secret

if TYPE_CHECKING:
    from .app import Request
    from .auth import Caller

log = logging.getLogger("fasttoken.server")

OFF = "off"
MOST_KEYS = 100_000  # addresses, or callers, that one window counts apart
OTHER_FILES = 256  # that a worker has open besides its connections
DOWN_SECONDS = 1.0  # how long Redis is left alone after it failed


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The section ``limits`` of the settings.

    Bodies and heads in bytes, times in seconds. ``caller`` and ``address`` are rates such as
    ``"100/second"`` or ``"50/second; 1000/hour"``, or ``"off"``; with ``dev`` they are off unless
    set. An IPv6 address counts as its /64. ``redis`` is a URL; without it each worker counts for
    itself. ``without_redis`` is what happens while Redis fails: each worker counts for itself
    (``"memory"``), or requests are refused (``"refuse"``). ``connections`` is for each worker.
    """

    body_bytes: int = 65_536
    batch_body_bytes: int = 8_388_608
    body_seconds: float = 10.0
    head_bytes: int = 16_384
    head_fields: int = 64
    head_seconds: float = 10.0
    send_seconds: float = 30.0
    connections: int = 2000
    caller: str | None = None
    address: str | None = None
    redis: Secret | None = None
    redis_seconds: float = 0.25
    without_redis: Literal["memory", "refuse"] = "memory"

    def check(self, dev: bool) -> None:
        """`FieldError` for what can't be meant."""
        for field in (
            "body_bytes",
            "batch_body_bytes",
            "body_seconds",
            "head_bytes",
            "head_fields",
            "head_seconds",
            "send_seconds",
            "connections",
            "redis_seconds",
        ):
            if not 0 < getattr(self, field) < math.inf:
                raise FieldError(f"limits.{field}", "must be more than 0")
        for field in ("caller", "address"):
            rates(f"limits.{field}", getattr(self, field) or OFF)
        if self.redis is not None and not self.redis.reveal().startswith(
            ("redis://", "rediss://", "redis+unix://")
        ):
            raise FieldError("limits.redis", "must be a redis://, rediss:// or redis+unix:// URL")


DEFAULT_RATE = "100/second"


def rates(field: str, text: str) -> list[limits.RateLimitItem]:
    """The rates that a text stands for, as `limits` reads it. `FieldError` for none."""
    if text == OFF:
        return []
    try:
        found = limits.parse_many(text)
    except ValueError:
        found = []
    if not found or any(rate.amount < 1 for rate in found):
        raise FieldError(field, 'must be rates such as "100/second; 5000/hour", or "off"')
    return found


@lru_cache(maxsize=4096)
def network(address: str) -> str:
    """What an address is counted as: an IPv4 address itself, an IPv6 address its /64."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return "?"
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(IPv6Address(int(parsed) >> 64 << 64)) + "/64"
    return str(parsed)


class Window:
    """Counts the requests of each key over a sliding window, in this process.

    It keeps two windows of at most MOST_KEYS keys; what comes beyond shares one count.
    """

    def __init__(
        self, amount: int, seconds: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.amount = amount
        self.seconds = seconds
        self._clock = clock
        self._now: dict[str, int] = {}
        self._before: dict[str, int] = {}
        self._ends = clock() + seconds

    def hit(self, key: str) -> float:
        """Counts a request and gives 0, or gives the seconds to wait, and does not count it."""
        left = self._ends - self._clock()
        if left <= 0:
            left = self._next()
        count = self._now.get(key)
        if count is None:
            count = 0
            if len(self._now) >= MOST_KEYS:
                key = ""
                count = self._now.get(key, 0)
        before = self._before.get(key)
        if count < self.amount and before is None:
            self._now[key] = count + 1
            return 0.0
        if count >= self.amount:
            return left + self.seconds / count
        over = (before or 0) * left / self.seconds + count + 1 - self.amount
        if over > 0:
            return over * self.seconds / (before or 1)
        self._now[key] = count + 1
        return 0.0

    def _next(self) -> float:
        late = self._clock() - self._ends
        self._before = self._now if late < self.seconds else {}
        self._now = {}
        self._ends += self.seconds * (1 + late // self.seconds)
        return self._ends - self._clock()


class _Counter:
    """The rates of one name (``caller`` or ``address``), in this process and in Redis."""

    def __init__(
        self, name: str, rates: list[limits.RateLimitItem], clock: Callable[[], float]
    ) -> None:
        self.name = name
        self.rates = rates
        self.windows = [Window(rate.amount, rate.get_expiry(), clock) for rate in rates]

    def hit(self, key: str) -> None:
        """Counts a request in this process. `TooMany` if a rate is used up."""
        for window in self.windows:
            wait = window.hit(key)
            if wait:
                raise too_many(self.name, window.amount, window.seconds, wait)


def too_many(name: str, amount: int, seconds: int, wait: float) -> TooMany:
    """The error for a rate that is used up: when to come back, and the rate
    (draft-ietf-httpapi-ratelimit-headers)."""
    after = max(1, math.ceil(wait))
    policy = b'"%s";q=%d;w=%d' % (name.encode(), amount, seconds)
    return TooMany(
        f"at most {amount} requests in {seconds} s from one {name}",
        (
            (b"retry-after", b"%d" % after),
            (b"ratelimit-policy", policy),
            (b"ratelimit", b'"%s";r=0;t=%d' % (name.encode(), after)),
        ),
        f"rate_{name}",
    )


class _Redis:
    """Counts in Redis. It never waits for Redis longer than a moment, nor again right after that
    was in vain."""

    def __init__(self, settings: Limits, url: str) -> None:
        from limits.aio.storage import RedisStorage
        from limits.aio.strategies import SlidingWindowCounterRateLimiter

        self._seconds = settings.redis_seconds
        self._refuse = settings.without_redis == "refuse"
        self._down_until = -math.inf
        self._down = False
        storage = RedisStorage(
            f"async+{url}",
            implementation="redispy",
            key_prefix="fasttoken",
            socket_timeout=self._seconds,
            socket_connect_timeout=self._seconds,
        )
        self._limiter = SlidingWindowCounterRateLimiter(storage)
        self._client: Any = storage.bridge.get_connection()  # type: ignore[attr-defined]

    async def hit(self, counter: _Counter, key: str) -> None:
        """Counts a request. `TooMany` if a rate is used up."""
        if time.monotonic() < self._down_until:
            self._without(counter, key)
            return
        # Redis sees neither addresses nor callers' names.
        hashed = sha256(key.encode()).hexdigest()[:32]
        try:
            error = await asyncio.wait_for(self._ask(counter, hashed), self._seconds)
        except Exception as failure:  # whatever the client, the network and the server come up with
            self._down_until = time.monotonic() + DOWN_SECONDS
            if not self._down:
                log.error("Redis does not count requests (%s)", type(failure).__name__)
            self._down = True
            self._without(counter, key)
            return
        if self._down:
            self._down = False
            log.warning("Redis counts requests again")
        if error is not None:
            raise error

    async def _ask(self, counter: _Counter, key: str) -> TooMany | None:
        for rate in counter.rates:
            if not await self._limiter.hit(rate, counter.name, key):
                stats = await self._limiter.get_window_stats(rate, counter.name, key)
                wait = stats.reset_time - time.time()
                return too_many(counter.name, rate.amount, rate.get_expiry(), wait)
        return None

    def _without(self, counter: _Counter, key: str) -> None:
        if self._refuse:
            header = ((b"retry-after", b"1"),)
            raise NotReady("requests can't be counted now", header, "redis_down")
        counter.hit(key)

    async def close(self) -> None:
        """Ends the connections."""
        await self._client.aclose()


class _Done:
    """What need not be waited for."""

    def __await__(self) -> Generator[None, None, None]:
        yield from ()


DONE: Awaitable[None] = _Done()


class Limiter:
    """The rate limits at work."""

    def __init__(
        self, settings: Limits, dev: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        default = OFF if dev else DEFAULT_RATE
        self._address, self._caller = (
            _Counter(name, rates(f"limits.{name}", getattr(settings, name) or default), clock)
            for name in ("address", "caller")
        )
        self._redis = None if settings.redis is None else _Redis(settings, settings.redis.reveal())

    def address(self, request: Request) -> Awaitable[None]:
        """`TooMany` if the address asks too often. Called before anything else is looked at.

        What is counted in memory has been counted when this returns: then it gives `DONE`.
        """
        if not self._address.rates:
            return DONE
        key = network(request.address) if len(request.address) < 64 else "?"
        if self._redis is not None:
            return self._redis.hit(self._address, key)
        self._address.hit(key)
        return DONE

    def caller(self, caller: Caller) -> Awaitable[None]:
        """`TooMany` if the caller asks too often; as in `address`."""
        if not self._caller.rates:
            return DONE
        name = caller.name
        # A JWT may name its subject at length; what is kept of it is short.
        key = name if len(name) <= 64 else sha256(name.encode()).hexdigest()
        if self._redis is not None:
            return self._redis.hit(self._caller, key)
        self._caller.hit(key)
        return DONE

    async def close(self) -> None:
        """Ends the connections to Redis."""
        if self._redis is not None:
            await self._redis.close()


def allow_open_files(settings: Limits) -> None:
    """Lets this process, and the workers that it starts, have as many files open as there may be
    connections, and some; as far as the system lets it."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = settings.connections + OTHER_FILES
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def http_protocol(settings: Limits) -> Any:
    """What uvicorn speaks HTTP with: its own protocol, guarded by the limits."""
    from .connections import GuardedProtocol, Guards

    guards = Guards(
        connections=settings.connections,
        head_bytes=settings.head_bytes,
        head_fields=settings.head_fields,
        head_seconds=settings.head_seconds,
        body_bytes=max(settings.body_bytes, settings.batch_body_bytes),
        body_seconds=settings.body_seconds,
        send_seconds=settings.send_seconds,
    )
    return partial(GuardedProtocol, guards)
