"""The record beside a partition's file: what the file must be, and what it was computed from.

What belongs here: the record and its JSON. What does not: reading or writing stores.
"""

from __future__ import annotations

import builtins
import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class PartitionRecord:
    """What a partition's file is: its sha256, size in ``bytes`` and ``rows``.

    ``inputs`` maps what it was computed from (``<dataset>/<YYYY-MM-DD>``, or other keys such as
    ``source/...``) to the sha256 read then. ``facts`` is small JSON for readers of the record alone, such as
    control totals. Nothing in it varies between equal runs: no times, no run ids.
    """

    dataset: str
    day: dt.date
    sha256: str
    bytes: int
    rows: int
    inputs: dict[str, str]
    facts: dict[str, Any]

    def to_json(self) -> builtins.bytes:
        """Canonical JSON: sorted keys, no spaces, UTF-8."""
        return canonical_json(
            {
                "bytes": self.bytes,
                "dataset": self.dataset,
                "day": self.day.isoformat(),
                "facts": self.facts,
                "inputs": self.inputs,
                "rows": self.rows,
                "sha256": self.sha256,
            }
        )

    @classmethod
    def from_json(cls, data: builtins.bytes) -> PartitionRecord:
        """Read :meth:`to_json` back; unknown keys are ignored, so that newer records stay readable.

        Raises:
            ValueError: it is not such a record.
        """
        try:
            document = json.loads(data)
            return cls(
                dataset=str(document["dataset"]),
                day=dt.date.fromisoformat(document["day"]),
                sha256=str(document["sha256"]),
                bytes=int(document["bytes"]),
                rows=int(document["rows"]),
                inputs=dict(document["inputs"]),
                facts=dict(document["facts"]),
            )
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"not a partition record: {error!r}") from error


def canonical_json(document: Mapping[str, Any]) -> bytes:
    """The same bytes for the same content.

    Raises:
        TypeError: a value that JSON has no form for, such as a Decimal (write it as text).
        ValueError: NaN or infinity.
    """
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()
