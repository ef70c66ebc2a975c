"""The journal: how far a job has come, in a folder beside its output that only one run may use.

``.NAME.fasttoken/`` holds the output in the making and ``journal.json``, which is replaced as a
whole at each checkpoint, after what it tells of has reached the disk. So at any moment, whatever
happens, it tells of a state that can be gone on from.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .._version import __version__
from ..errors import JobFailed, JobRefused
from .sources import Source

_ENDS = 1 << 16  # bytes at each end of a file that tell it from another


def folder_sync(folder: Path) -> None:
    """Makes the names in a folder last."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def fingerprint(source: Source) -> dict[str, Any]:
    """What tells an input from another: its size, its time, and a digest of both its ends."""
    digest = hashlib.blake2b(digest_size=16)
    with open(source.path, "rb") as file:
        status = os.fstat(file.fileno())
        digest.update(file.read(_ENDS))
        file.seek(max(0, status.st_size - _ENDS))
        digest.update(file.read(_ENDS))
    return {
        "name": source.name,
        "format": str(source.format),
        "size": status.st_size,
        "modified": status.st_mtime_ns,
        "digest": digest.hexdigest(),
    }


def identity(sources: Sequence[Source], settings: Mapping[str, Any]) -> dict[str, Any]:
    """What must be the same for a job to be gone on with."""
    inputs = [fingerprint(source) for source in sources]
    same = {"fasttoken": __version__, **settings, "inputs": inputs}
    found: dict[str, Any] = json.loads(json.dumps(same))
    return found


class Journal:
    """The folder of a job in the making. ``data`` is what the last checkpoint recorded."""

    def __init__(self, output: Path) -> None:
        self.folder = output.parent / f".{output.name}.fasttoken"
        self.path = self.folder / "journal.json"
        self.data: dict[str, Any] = {}
        self._lock = -1

    def open(self) -> bool:
        """Takes the folder for this run; whether an earlier one left something there.

        `JobRefused` if another run has it.
        """
        try:
            while True:
                self.folder.mkdir(parents=True, exist_ok=True)
                path = self.folder / "lock"
                self._lock = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Another run may have ended, and removed the folder, since the lock was opened.
                if path.exists() and os.stat(path).st_ino == os.fstat(self._lock).st_ino:
                    break
                os.close(self._lock)
        except BlockingIOError:
            os.close(self._lock)
            self._lock = -1
            raise JobRefused(f"{self.output_name}: another run is writing it just now") from None
        except OSError as error:
            raise JobRefused(f"{self.folder}: can't be made ({error.strerror})") from None
        if not self.path.exists():
            self.clear()
            return False
        try:
            self.data = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise JobRefused(f"{self.path}: can't be read; start again with --overwrite") from None
        return True

    @property
    def output_name(self) -> str:
        """The output that the folder belongs to."""
        return self.folder.name[1:].removesuffix(".fasttoken")

    def clear(self) -> None:
        """Forgets what an earlier run left."""
        self.data = {}
        for path in self.folder.iterdir():
            if path.name != "lock":
                path.unlink()

    def check(self, now: Mapping[str, Any]) -> None:
        """`JobRefused`, with what has changed, unless the job is the one that was begun."""
        then = self.data["identity"]
        for name in now:
            if now[name] == then.get(name):
                continue
            detail = _changed(name, then.get(name), now[name])
            raise JobRefused(
                f"{self.output_name}: can't be gone on with, since {detail}; "
                "start again with --overwrite"
            )

    def save(self, data: Mapping[str, Any]) -> None:
        """Records a checkpoint: all of it or nothing."""
        self.check_there()
        new = self.folder / "journal.new"
        with open(new, "w", encoding="utf-8") as file:
            json.dump(data, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, self.path)
        folder_sync(self.folder)
        self.data = dict(data)

    def check_there(self) -> None:
        """`JobFailed` if somebody has removed the folder: what is written goes nowhere then."""
        try:
            same = os.stat(self.folder / "lock").st_ino == os.fstat(self._lock).st_ino
        except OSError:
            same = False
        if not same:
            raise JobFailed(f"{self.folder}: was deleted while the job ran; start it again")

    def remove(self) -> None:
        """Removes the folder: the job is done."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.close()

    def close(self) -> None:
        """Leaves the folder to other runs; one that holds nothing goes."""
        if self._lock >= 0:
            if self.folder.exists() and not self.path.exists():
                shutil.rmtree(self.folder, ignore_errors=True)
            os.close(self._lock)
            self._lock = -1


def _changed(name: str, then: Any, now: Any) -> str:
    """What has changed, in words."""
    if name == "inputs":
        before = {each["name"]: each for each in then or []}
        for each in now:
            known = before.get(each["name"])
            if known is None:
                return f"{each['name']} is new among its inputs"
            for key in ("format", "size", "digest", "modified"):
                if each[key] != known[key]:
                    what = {"digest": "content", "modified": "modification time"}.get(key, key)
                    return f"the {what} of {each['name']} has changed"
        return "its inputs, or their order, have changed"
    if name == "options":
        keys = [key for key in now if now[key] != (then or {}).get(key)]
        return f"the option {keys[0]} was {then.get(keys[0])!r} and is {now[keys[0]]!r}"
    return f"{name} was {then!r} and is {now!r}"


def failure(error: OSError, doing: str) -> JobFailed:
    """An error of the operating system as the job's own."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return JobFailed(f"{doing}: the disk is full; make room, and go on with --resume")
    cause = error.strerror or str(error)
    return JobFailed(f"{doing}: {cause}; once that is mended, go on with --resume")
