"""The server's processes: one, or several workers; signals; settings that are read again."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.supervisors import Multiprocess

from ..errors import FieldError
from . import demo
from .app import App
from .limits import allow_open_files, http_protocol
from .metrics import share_between_workers
from .settings import Settings, Source

log = logging.getLogger("fasttoken.server")
LOG = deepcopy(uvicorn.config.LOGGING_CONFIG)
LOG["loggers"]["fasttoken"] = {"handlers": ["default"], "level": "INFO", "propagate": False}
LOOK_AFTER = 1.0  # seconds between looks at the files of the settings


class Worker(App):
    """The application of one process, which reads its settings again on SIGHUP or when one of
    their files has changed."""

    def __init__(self, source: Source, settings: Settings) -> None:
        super().__init__(settings)
        self._source = source
        self._seen = self._look()

    def _look(self) -> tuple[tuple[Path, int, int, int], ...]:
        """What tells whether a file has changed, for each file of the settings."""
        found = []
        for path in self._source.files(self.settings):
            try:
                status = path.stat()
            except OSError:
                continue
            found.append((path, status.st_mtime_ns, status.st_size, status.st_ino))
        return tuple(found)

    def reload(self) -> None:
        """Reads the settings again. What is wrong with them is logged, and the old ones stay."""
        self._seen = self._look()
        try:
            self.set_up(self._source.load())
        except FieldError as error:
            self.meter.reloaded(False)
            self.audit.event("reload_refused", field=error.field)
            log.error("settings were not taken: %s", error)
        else:
            self.meter.reloaded(True)
            self.audit.event("reloaded")
            log.info("settings were read again")

    async def _watch(self) -> None:
        parent = os.getppid()
        while True:
            await asyncio.sleep(LOOK_AFTER)
            if self.settings.workers > 1 and os.getppid() != parent:
                # The supervisor was killed: its port has to be free for the next one.
                signal.raise_signal(signal.SIGTERM)
            if self._look() != self._seen:
                self.reload()

    async def _lifespan(self, receive: Any, send: Any) -> None:
        loop = asyncio.get_running_loop()
        if hasattr(signal, "SIGHUP"):
            loop.add_signal_handler(signal.SIGHUP, self.reload)
        watching = loop.create_task(self._watch())
        try:
            await super()._lifespan(receive, send)
        finally:
            watching.cancel()


def worker(source: Source) -> Worker:
    """The application of a worker. It reads the settings itself: no secret is passed to it."""
    return Worker(source, source.load())


class Workers(Multiprocess):
    """uvicorn's supervisor; SIGHUP reaches every worker instead of restarting it."""

    def handle_hup(self) -> None:
        """Lets every worker read its settings again."""
        for process in self.processes:
            if process.pid is not None:
                os.kill(process.pid, signal.SIGHUP)


def _config(source: Source, settings: Settings, make: Callable[[Source], App]) -> uvicorn.Config:
    return uvicorn.Config(
        partial(make, source),
        factory=True,
        host=settings.host,
        port=settings.bound_port,
        workers=settings.workers,
        http=http_protocol(settings.limits),
        loop="auto",
        interface="asgi3",
        lifespan="on",
        ws="none",
        log_config=LOG,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.proxies),
        forwarded_allow_ips=list(settings.proxies),
        timeout_graceful_shutdown=settings.shutdown_seconds,
        ssl_certfile=settings.tls.certificate,
        ssl_keyfile=settings.tls.key,
    )


def _end(number: int, frame: object) -> None:
    sys.exit(0)


def run(source: Source, settings: Settings, make: Callable[[Source], App] = worker) -> None:
    """Serves until SIGTERM or SIGINT; requests under way are answered first.

    ``make`` gives each process its application.
    """
    allow_open_files(settings.limits)
    config = _config(source, settings, make)
    sockets = [config.bind_socket()]
    # From here on a client waits until a worker is up, rather than being refused.
    sockets[0].listen(config.backlog)
    if settings.dev:
        host, port = sockets[0].getsockname()[:2]
        scheme = "https" if settings.tls.certificate else "http"
        print(demo.hints(f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"), flush=True)
    if settings.workers > 1:
        share_between_workers()
        Workers(config, sockets=sockets).run()
        return
    # uvicorn raises the signal that ended it once more; an end that was asked for is no failure.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to read again
    uvicorn.Server(config).run(sockets=sockets)
