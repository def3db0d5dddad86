"""Keys: a file of their hashes, written by `tts-server keys`, and read again by the server whenever it changes.

A key is 32 random bytes, and only its SHA-256 is stored. Slow hashes are for passwords, which can be guessed from a
list; 2**256 keys cannot, at whatever speed. A slow one would only let strangers keep the server busy by wrong keys.
"""

from __future__ import annotations

import asyncio
import base64
import fcntl
import hashlib
import hmac
import math
import os
import secrets
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from tts_server.caller import Caller, Tier
from tts_server.logs import get_logger

PREFIX: Final = "tts_"
"""So that people and scanners for leaked secrets know what it is."""
LONGEST_KEY: Final = 256
"""Of what is presented as one; ours have 47 characters."""
_RANDOM_BYTES: Final = 32
_OWNER_DIGITS: Final = 16
"""Of a key's hash, by which its jobs are known: two keys of one name do not meet in 64 bits."""
_LOOK_EVERY_S: Final = 1.0
_OTHERS_MAY_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH

log = get_logger(__name__)


class KeysError(Exception):
    """The keys cannot be had; the message says why, and what to do."""


class Key(BaseModel):
    """One key, as it is stored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    tier: str
    voices: tuple[str, ...] | None = None
    engines: tuple[str, ...] | None = None
    limits: dict[str, float | None] = {}
    """Its own, by the names that tiers have; what is not here is its tier's."""
    created: AwareDatetime
    expires: AwareDatetime | None = None

    def is_over(self, now: datetime) -> bool:
        """Whether it opens nothing any more."""
        return self.expires is not None and self.expires <= now

    def caller(self, tiers: Mapping[str, Tier]) -> Caller:
        """Who comes with it. KeysError if there is no such tier."""
        if self.tier not in tiers:
            raise KeysError(f"key {self.name} is of tier {self.tier}, and there are: {', '.join(tiers)}")
        try:
            may = Tier.model_validate(tiers[self.tier].model_dump() | self.limits)
        except ValidationError as error:
            raise KeysError(f"key {self.name}: {_told(error)}") from None
        voices, engines = (None if names is None else frozenset(names) for names in (self.voices, self.engines))
        return Caller(f"key:{self.name}", self.tier, may, voices, engines, self.sha256[:_OWNER_DIGITS])


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    keys: Annotated[tuple[Key, ...], Field(max_length=100_000)]


def make_secret() -> str:
    """A new key."""
    return PREFIX + base64.urlsafe_b64encode(secrets.token_bytes(_RANDOM_BYTES)).rstrip(b"=").decode()


def digest(secret: str) -> str:
    """What is stored of it."""
    return hashlib.sha256(secret.encode(errors="surrogateescape")).hexdigest()


def read_keys(file: Path) -> tuple[Key, ...]:
    """The keys in the file; none if there is no file. KeysError if it cannot be read, or is not as it must be."""
    try:
        keys = _File.model_validate_json(file.read_bytes()).keys
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise KeysError(f"{file} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise KeysError(f"{file} is not a file of keys: {_told(error)}") from None
    for values, what in (([key.name for key in keys], "name"), ([key.sha256 for key in keys], "hash")):
        if len(set(values)) < len(values):
            raise KeysError(f"{file} has two keys of the same {what}")
    return keys


@contextmanager
def changing(file: Path) -> Iterator[list[Key]]:
    """The keys, to be changed in place; they are written when the block ends well, all or nothing.

    Two that do this at once take turns.
    """
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        keys = list(read_keys(file))
        yield keys
        _write(file, keys, folder)
    finally:
        os.close(folder)


def _write(file: Path, keys: list[Key], folder: int) -> None:
    content = _File(keys=tuple(keys)).model_dump_json(indent=1, exclude_defaults=True).encode()
    number, name = tempfile.mkstemp(prefix=".keys-", dir=file.parent)  # with mode 0600
    try:
        with os.fdopen(number, "wb") as stream:
            stream.write(content)
            if os.geteuid() == 0:  # root may add keys for the server's own user, who must be able to read them
                owner = os.fstat(folder)
                os.fchown(stream.fileno(), owner.st_uid, owner.st_gid)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    os.fsync(folder)


class KeyStore:
    """The keys that a server knows. Once there was a file it is needed: without one, those last read stay."""

    def __init__(self, file: Path, tiers: Mapping[str, Tier]) -> None:
        self.file = file
        self._tiers = tiers
        self._callers: dict[str, tuple[str, Caller, float | None]] = {}
        self._seen: tuple[int, ...] | None = None
        self._told_missing = False
        self.generation = 0
        """Another number whenever keys have been read: what was found before may not be so any more."""

    @property
    def needed(self) -> bool:
        """Whether there is a file of keys, be it empty: then nobody gets in without one."""
        return self._seen is not None

    def __len__(self) -> int:
        return len(self._callers)

    def load(self) -> None:
        """Read the file, if there is one and it has changed. KeysError if it will not do; the old keys stay. Blocks."""
        try:
            found = self.file.stat()
        except FileNotFoundError:
            if self.needed and not self._told_missing:
                self._told_missing = True
                raise KeysError(f"{self.file} has gone; the keys that were in it stay until the server ends") from None
            return
        except OSError as error:
            raise KeysError(f"{self.file} cannot be read: {error.strerror}") from error
        # With ctime, which changes when a file is made readable again. A file that cannot be read is tried each time.
        seen = (found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_size)
        if seen == self._seen:
            return
        first, self._seen = self._seen is None, ()
        keys = read_keys(self.file)
        self._seen, self._told_missing = seen, False
        if found.st_mode & _OTHERS_MAY_WRITE:
            log.warning("others may write the keys", file=str(self.file), mode=oct(stat.S_IMODE(found.st_mode)))
        self._callers = dict(
            self._known(keys, strict=first)
        )  # in one step: the event loop may be looking at the old ones
        self.generation += 1
        log.info("keys read", keys=len(self._callers))

    def _known(self, keys: tuple[Key, ...], *, strict: bool) -> Iterator[tuple[str, tuple[str, Caller, float | None]]]:
        """What each key opens. One that makes no sense is refused at the start; later it opens nothing, and the others
        are read all the same: one of them may have been revoked.
        """
        for key in keys:
            try:
                caller = key.caller(self._tiers)
            except KeysError as error:
                if strict:
                    raise
                log.error("a key opens nothing", problem=str(error))  # noqa: TRY400
                continue
            yield key.sha256, (key.sha256, caller, key.expires.timestamp() if key.expires is not None else None)

    def find(self, secret: str) -> Caller | None:
        """Who has this key; None if nobody has, or not any more."""
        found = self.look_up(secret)
        return None if found is None else found[0]

    def look_up(self, secret: str) -> tuple[Caller, float] | None:
        """Who has this key, and until when by time.time(); None as in `find`.

        The table is entered by the key's hash, whose timing tells at most where the hash of a guess lies: nobody can
        go from there to a key. The comparison that decides takes the same time wherever the two differ.
        """
        if len(secret) > LONGEST_KEY:
            return None
        presented = digest(secret)
        known = self._callers.get(presented)
        if known is None or not hmac.compare_digest(known[0], presented):
            return None
        _, caller, expires_s = known
        until_s = math.inf if expires_s is None else expires_s
        return (caller, until_s) if time.time() < until_s else None

    async def watch(self) -> None:
        """Until cancelled, look every second whether the file has changed."""
        told = ""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            try:
                await asyncio.to_thread(self.load)
            except Exception as error:  # noqa: BLE001  (whatever it is, the next change must be seen)
                if str(error) != told:
                    log.error("keys not read again, the old ones stay", problem=str(error))  # noqa: TRY400
                told = str(error)
            else:
                told = ""


def _told(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc'])) or 'it'}: {first['msg']}"
