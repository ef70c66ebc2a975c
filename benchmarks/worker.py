"""The process that a Python library runs in: what is said to each, and how its time is taken.

Reads a request a line from standard input and answers in a line of JSON. `worker.js` is the
same for Node. Run by ``harness.Worker``.
"""

from __future__ import annotations

import base64
import gc
import hmac
import importlib
import json
import os
import sys
import threading
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from hashlib import sha256
from itertools import cycle, islice
from time import perf_counter, perf_counter_ns, process_time
from types import SimpleNamespace
from typing import Any

Rows = Sequence[tuple[str, int]]


class FastToken:
    """fasttoken. A batch is an event: one channel name, a NumPy column of uids, and for
    RTM a list of user ids; with ``rooms`` the channel names are a list too."""

    def __init__(self, app_id: str, certificate: str, expire: int, permissions: Any) -> None:
        import fasttoken

        self.services = fasttoken.services
        self.project: Any = fasttoken.Project(app_id, certificate)
        self.expire = expire
        self.permissions = {int(key): granted for key, granted in permissions.items()}
        for key, granted in self.permissions.items():
            self.permissions[key] = {int(what): names for what, names in granted.items()}
        self.about = {
            "version": fasttoken.__version__,
            "zlib": zlib.ZLIB_RUNTIME_VERSION,
            "backend": fasttoken.backend()._asdict(),
            "verify": [name for name in ("verify", "verify_many") if hasattr(self.project, name)],
        }

    def publisher(self, rows: Rows) -> list[str]:
        token, expire = self.project.rtc_token, self.expire
        return [token(c, u, "publisher", expire, privilege_expire=expire) for c, u in rows]

    def subscriber(self, rows: Rows) -> list[str]:
        token, expire = self.project.rtc_token, self.expire
        return [token(c, u, "subscriber", expire, privilege_expire=expire) for c, u in rows]

    def rtc_rtm(self, rows: Rows) -> list[str]:
        token, expire = self.project.rtc_rtm_token, self.expire
        return [token(c, str(u), "publisher", expire, privilege_expire=expire) for c, u in rows]

    def rtm2(self, rows: Rows) -> list[str]:
        token, expire, permissions = self.project.rtm_token, self.expire, self.permissions
        return [token(str(u), expire, permissions=permissions) for _, u in rows]

    def publisher_006(self, rows: Rows) -> list[str]:
        token, expire = self.project.rtc_token_006, self.expire
        return [token(c, u, "publisher", expire) for c, u in rows]

    def subscriber_006(self, rows: Rows) -> list[str]:
        token, expire = self.project.rtc_token_006, self.expire
        return [token(c, u, "subscriber", expire) for c, u in rows]

    def pinned(self, case: str, rows: Rows, issue_ts: int, salts: list[int]) -> list[list[str]]:
        """The tokens of given salts: from single calls, and from one batch."""
        project, expire = self.project, self.expire
        singles = []
        for (channel, uid), salt in zip(rows, salts, strict=True):
            at = {"issue_ts": issue_ts, "salt": salt}
            role = case.removesuffix("_006")
            if case == "rtm2":
                token = project.rtm_token(str(uid), expire, permissions=self.permissions, **at)
            elif case == "rtc_rtm":
                token = project.rtc_rtm_token(
                    channel, str(uid), "publisher", expire, privilege_expire=expire, **at
                )
            elif case.endswith("_006"):
                token = project.rtc_token_006(channel, uid, role, expire, **at)
            else:
                token = project.rtc_token(channel, uid, role, expire, privilege_expire=expire, **at)
            singles.append(token)
        batch = self.batch(case, rows, True)
        return [singles, batch(output="list", issue_ts=issue_ts, salts=salts)]

    def batch(self, case: str, rows: Rows, rooms: bool) -> Callable[..., Any]:
        """What mints the rows as one batch; its columns are ready."""
        import numpy as np

        project, expire, services = self.project, self.expire, self.services
        channel: Any = [channel for channel, _ in rows] if rooms else rows[0][0]
        uids = np.array([uid for _, uid in rows], np.uint32)
        role = case.removesuffix("_006")
        if case == "rtc_rtm":
            users = [str(uid) for _, uid in rows]
            rtc = services.Rtc(channel, uids, dict.fromkeys(services.Rtc.Privilege, expire))
            rtm = services.Rtm(users, {services.Rtm.Privilege.LOGIN: expire})
            return lambda **options: project.tokens([rtc, rtm], expire, **options)
        if case == "rtm2":
            users = [str(uid) for _, uid in rows]
            login = {services.Rtm2.Privilege.LOGIN: expire}
            rtm2 = services.Rtm2(users, self.permissions, login)
            return lambda **options: project.tokens([rtm2], expire, **options)
        if case.endswith("_006"):
            return lambda **options: project.rtc_tokens_006(channel, uids, role, expire, **options)
        return lambda **options: project.rtc_tokens(
            channel, uids, role, expire, privilege_expire=expire, **options
        )

    def read(self, tokens: Sequence[str], how: str = "verify_signature") -> list[bool]:
        """Whether each token was signed by the project (``verify_signature``), or whether Agora
        would take it (``verify``, ``verify_many``)."""
        if how.startswith("verify_many"):
            verdicts: list[bool] = self.project.verify_many(tokens)
            return verdicts
        if how == "verify":
            verify = self.project.verify
            return [verify(token) for token in tokens]
        verify_signature = self.project.verify_signature
        return [verify_signature(token) == "primary" for token in tokens]

    def one(self) -> Callable[[str, int], str]:
        token = self.project.rtc_token
        return lambda channel, uid: token(channel, uid, "publisher")


class AgoraIoTools:
    """PyPI agoraiotools: 007. A batch is a loop."""

    def __init__(self, app_id: str, certificate: str, expire: int, permissions: Any) -> None:
        self.rtc = importlib.import_module("agoraiotools.RtcTokenBuilder2")
        self.module = importlib.import_module("agoraiotools.AccessToken2")
        self.key = (app_id, certificate)
        self.expire = expire
        version = importlib.import_module("agoraiotools").__version__
        self.about = {"version": version, "zlib": zlib.ZLIB_RUNTIME_VERSION}

    def _role(self, rows: Rows, role: int) -> list[str]:
        token, (app_id, certificate), expire = (
            self.rtc.RtcTokenBuilder2.build_token_with_uid,
            self.key,
            self.expire,
        )
        return [token(app_id, certificate, c, u, role, expire, expire) for c, u in rows]

    def publisher(self, rows: Rows) -> list[str]:
        return self._role(rows, self.rtc.Role_Publisher)

    def subscriber(self, rows: Rows) -> list[str]:
        return self._role(rows, self.rtc.Role_Subscriber)

    def rtc_rtm(self, rows: Rows) -> list[str]:
        token, (app_id, certificate), expire, role = (
            self.rtc.RtcTokenBuilder2.build_token_with_rtm,
            self.key,
            self.expire,
            self.rtc.Role_Publisher,
        )
        return [token(app_id, certificate, c, str(u), role, expire, expire) for c, u in rows]

    def pinned(self, case: str, rows: Rows, issue_ts: int, salts: list[int]) -> list[list[str]]:
        return [_pinned(getattr(self, case), self.module, rows, issue_ts, salts)]

    def read(self, tokens: Sequence[str]) -> list[bool]:
        """It parses but does not verify: this is its `from_string`, line by line, and then the
        signature, from its own functions. Nothing is inflated or unpacked twice."""
        module, certificate = self.module, self.key[1].encode()
        unpack_string, unpack_uint16 = module.unpack_string, module.unpack_uint16
        unpack_uint32, kinds = module.unpack_uint32, module.AccessToken.kServices
        answers = []
        for token in tokens:
            parsed = module.AccessToken()
            buffer = zlib.decompress(base64.b64decode(token[3:]))
            signature, buffer = unpack_string(buffer)
            signed = buffer
            parsed._AccessToken__app_id, buffer = unpack_string(buffer)
            parsed._AccessToken__issue_ts, buffer = unpack_uint32(buffer)
            parsed._AccessToken__expire, buffer = unpack_uint32(buffer)
            parsed._AccessToken__salt, buffer = unpack_uint32(buffer)
            count, buffer = unpack_uint16(buffer)
            for _ in range(count):
                kind, buffer = unpack_uint16(buffer)
                service = kinds[kind]()
                buffer = service.unpack(buffer)
                parsed._AccessToken__service[kind] = service
            parsed._AccessToken__app_cert = certificate
            expected = hmac.new(parsed._AccessToken__signing(), signed, sha256).digest()
            answers.append(hmac.compare_digest(signature, expected))
        return answers

    def one(self) -> Callable[[str, int], str]:
        token, (app_id, certificate), role = (
            self.rtc.RtcTokenBuilder2.build_token_with_uid,
            self.key,
            self.rtc.Role_Publisher,
        )
        return lambda channel, uid: token(app_id, certificate, channel, uid, role, 3600)


class AgoraTokenBuilder:
    """PyPI agora-token-builder: 006. A batch is a loop."""

    def __init__(self, app_id: str, certificate: str, expire: int, permissions: Any) -> None:
        self.rtc = importlib.import_module("agora_token_builder.RtcTokenBuilder")
        self.module = importlib.import_module("agora_token_builder.AccessToken")
        self.key = (app_id, certificate)
        self.expire = expire
        self.about = {"version": "1.0.0", "zlib": zlib.ZLIB_RUNTIME_VERSION}

    def _role(self, rows: Rows, role: int) -> list[str]:
        token, (app_id, certificate) = self.rtc.RtcTokenBuilder.buildTokenWithUid, self.key
        expires = int(self.module.time.time()) + self.expire
        return [token(app_id, certificate, c, u, role, expires) for c, u in rows]

    def publisher_006(self, rows: Rows) -> list[str]:
        return self._role(rows, self.rtc.Role_Publisher)

    def subscriber_006(self, rows: Rows) -> list[str]:
        return self._role(rows, self.rtc.Role_Subscriber)

    def pinned(self, case: str, rows: Rows, issue_ts: int, salts: list[int]) -> list[list[str]]:
        return [_pinned(getattr(self, case), self.module, rows, issue_ts, salts)]


def _pinned(
    mint: Callable[[Rows], list[str]], module: Any, rows: Rows, issue_ts: int, salts: list[int]
) -> list[str]:
    """A peer's tokens of given salts and a given time."""
    kept = module.time, module.secrets
    module.time = SimpleNamespace(time=lambda: issue_ts)
    tokens = []
    for row, salt in zip(rows, salts, strict=True):
        source = SimpleNamespace(randint=lambda low, high, salt=salt: salt)
        module.secrets = SimpleNamespace(SystemRandom=lambda source=source: source)
        tokens += mint([row])
    module.time, module.secrets = kept
    return tokens


LIBRARIES: dict[str, Any] = {
    "fasttoken": FastToken,
    "agoraiotools": AgoraIoTools,
    "agora-token-builder": AgoraTokenBuilder,
}


class Answers:
    """The requests, one method each."""

    def __init__(self, library: str) -> None:
        self.library = library
        self.prepared: tuple[Any, Any] = (None, None)

    def hello(self, rows: Any, **project: Any) -> Any:
        self.subject = LIBRARIES[self.library](**project)
        self.rows = [tuple(row) for row in rows]
        return self.subject.about

    def repeated(self, count: int) -> Rows:
        return list(islice(cycle(self.rows), count))

    def once(self, key: Any, make: Callable[[], Any]) -> Any:
        """``make()``, or what it gave for the same key just before."""
        if self.prepared[0] != key:
            self.prepared = (None, None)
            self.prepared = (key, make())
        return self.prepared[1]

    def single(self, case: str, count: int) -> Any:
        """A call for each token."""
        rows = self.once(("rows", count), lambda: self.repeated(count))
        return _timed(count, lambda: getattr(self.subject, case)(rows))

    def batch(
        self, case: str, count: int, size: int, output: str, threads: int, rooms: bool
    ) -> Any:
        """One call for ``size`` tokens, as often as ``count`` holds."""
        batch = self.once(
            (case, size, rooms), lambda: self.subject.batch(case, self.repeated(size), rooms)
        )
        times = max(1, count // size)

        def work() -> Any:
            for _ in range(times - 1):
                batch(output=output, threads=threads)
            return batch(output=output, threads=threads)

        return _timed(times * size, work)

    def load(self, tokens: list[str]) -> Any:
        """The tokens that `read` reads."""
        self.tokens = tokens
        return {}

    def read(self, count: int, column: str = "list", **how: str) -> Any:
        """Parses and verifies."""

        def make() -> Any:
            tokens = list(islice(cycle(self.tokens), count))
            if column == "list":
                return tokens
            import pyarrow as pa

            return pa.array(tokens, pa.large_string())

        tokens = self.once(("tokens", count, column), make)
        return _timed(count, lambda: self.subject.read(tokens, **how))

    def are_signed(self, tokens: list[str]) -> Any:
        return [bool(answer) for answer in self.subject.read(tokens)]

    def pinned(self, case: str, count: int, issue_ts: int, salts: list[int]) -> Any:
        return self.subject.pinned(case, self.rows[:count], issue_ts, salts)

    def latency(self, threads: int, calls: int) -> Any:
        """Nanoseconds of every single call, while ``threads`` threads make them at once."""
        one = self.subject.one()
        start = threading.Barrier(threads + 1)
        taken: list[list[int]] = [[] for _ in range(threads)]

        def work(mine: list[int]) -> None:
            rows = self.repeated(calls)
            start.wait()
            for channel, uid in rows:
                before = perf_counter_ns()
                one(channel, uid)
                mine.append(perf_counter_ns() - before)

        workers = [threading.Thread(target=work, args=(mine,)) for mine in taken]
        for worker in workers:
            worker.start()
        start.wait()
        began = perf_counter()
        for worker in workers:
            worker.join()
        seconds = perf_counter() - began
        everything = sorted(ns for mine in taken for ns in mine)
        shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}
        percentiles = {
            name: everything[int(share * len(everything))] for name, share in shares.items()
        }
        return {**percentiles, "max": everything[-1], "seconds": seconds}

    def memory(self, case: str, count: int, output: str | None) -> Any:
        """Bytes a token that the process grew by: while it minted, and with the tokens held."""
        if output is None:
            mint = partial(getattr(self.subject, case), self.repeated(count))
        else:
            # What is loaded and allocated once is not a token's.
            self.subject.batch(case, self.repeated(16), False)(output=output)
            mint = partial(self.subject.batch(case, self.repeated(count), False), output=output)
        gc.collect()
        before = _memory(reset=True)["VmRSS"]
        tokens = mint()
        grown = _memory()
        gc.collect()
        held = _memory()["VmRSS"]
        length = len(tokens[0])
        return {
            "peak": (grown["VmHWM"] - before) / count,
            "held": (held - before) / count,
            "token": length,
        }


def _memory(reset: bool = False) -> dict[str, int]:
    """The resident memory of this process, and its peak, in bytes (Linux)."""
    if reset:
        with open("/proc/self/clear_refs", "w") as peak:
            peak.write("5")
    with open("/proc/self/status") as status:
        fields = dict(line.split(":", 1) for line in status)
    return {name: int(fields[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM")}


def _timed(count: int, work: Callable[[], Any]) -> Any:
    gc.collect()
    cpu, start = process_time(), perf_counter()
    result = work()
    seconds, cpu = perf_counter() - start, process_time() - cpu
    del result  # freeing it is the caller's time
    return {"count": count, "seconds": seconds, "cpu": cpu}


def main() -> None:
    answers = Answers(sys.argv[1])
    out = os.fdopen(os.dup(1), "w")
    sys.stdout = sys.stderr  # where libraries may print what they like
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(getattr(answers, request.pop("do"))(**request)), file=out, flush=True)


if __name__ == "__main__":
    main()
