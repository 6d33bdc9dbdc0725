"""What a lease says about its holder, and what every kind of lease can do.

What belongs here: the note's content. What does not: taking a lease.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import socket
from dataclasses import dataclass
from typing import Protocol


class Lease(Protocol):
    """The right to write a lake, held by this process."""

    def ensure(self) -> None:
        """Raise :class:`LeaseLost` unless this process still is the writer."""

    def release(self) -> None:
        """Let others write; never raises for a lease that is lost."""


@dataclass(frozen=True)
class Busy:
    """Why a lease could not be taken: what its holder calls itself, where it runs, what else can be done."""

    holder: str
    where: str
    advice: str = ""


@dataclass(frozen=True)
class Note:
    """Who holds a lease.

    On object stores ``expires`` counts, and ``nonce`` is empty once the lease was given back.
    """

    holder: str
    host: str
    pid: int
    since: dt.datetime
    nonce: str = ""
    expires: dt.datetime | None = None

    @classmethod
    def of_this_process(cls, holder: str, nonce: str = "") -> Note:
        """A note on behalf of this process, from now."""
        return cls(holder, socket.gethostname(), os.getpid(), clock(), nonce)

    @property
    def where(self) -> str:
        """Process, machine and start, for people."""
        return f"process {self.pid} on {self.host}, since {self.since.isoformat(timespec='seconds')}"

    def to_json(self) -> bytes:
        """Readable JSON."""
        document = {
            "holder": self.holder,
            "host": self.host,
            "pid": self.pid,
            "since": self.since.isoformat(),
            "nonce": self.nonce,
            "expires": None if self.expires is None else self.expires.isoformat(),
        }
        return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"

    @classmethod
    def from_json(cls, data: bytes) -> Note:
        """Read :meth:`to_json` back.

        Raises:
            ValueError: it is not a note.
        """
        try:
            document = json.loads(data)
            return cls(
                holder=str(document["holder"]),
                host=str(document["host"]),
                pid=int(document["pid"]),
                since=dt.datetime.fromisoformat(document["since"]),
                nonce=str(document["nonce"]),
                expires=None
                if document["expires"] is None
                else dt.datetime.fromisoformat(document["expires"]),
            )
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"not a lease: {error!r}") from error


def clock() -> dt.datetime:
    """The wall clock: whether a writer is alive is about real time, never about a run's ``as_of``."""
    return dt.datetime.now(dt.UTC)
