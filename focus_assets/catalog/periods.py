"""Recurring periods counted from an anchor, to the second.

Each boundary is the anchor plus n cadences, never the previous boundary plus one: an anchor on the 31st gives
28 February and then 31 March (OpenMeter ``pkg/timeutil/recurrence.go``, ``pkg/datetime``: no month overflow).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

from dateutil.relativedelta import relativedelta
from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

_ISO_DURATION = re.compile(r"^P(?=\d)(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?$")

_LONGEST_MONTHS = 1_200
_LONGEST_DAYS = 36_525


@dataclass(frozen=True)
class Period:
    """A half-open range of UTC instants."""

    start: dt.datetime
    end: dt.datetime

    def overlaps(self, start: dt.datetime, end: dt.datetime) -> bool:
        """Whether the two half-open ranges share an instant."""
        return self.start < end and start < self.end

    def clip(self, start: dt.datetime, end: dt.datetime | None) -> Period:
        """The part of this period within [start, end); ``None`` is an open end."""
        return Period(max(self.start, start), self.end if end is None else min(self.end, end))


@lru_cache(maxsize=65_536)
def _moved(anchor: dt.datetime, months: int, days: int) -> dt.datetime:
    """Every charge of every day asks for the same few boundaries; calendar arithmetic is slow."""
    return anchor + relativedelta(months=months, days=days)


@dataclass(frozen=True)
class Cadence:
    """A calendar duration such as ``P1M``: how often a period begins anew."""

    months: int
    days: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an ISO 8601 duration of years, months, weeks and days; raises ValueError otherwise."""
        match = _ISO_DURATION.match(text) if isinstance(text, str) else None
        if match is None:
            raise ValueError(
                f"{text!r} is no cadence; write years, months, weeks and days, such as P1M, P3M, P1Y, P1W"
            )
        years, months, weeks, days = (int(part or 0) for part in match.groups())
        cadence = cls(months=12 * years + months, days=7 * weeks + days)
        if cadence.months > _LONGEST_MONTHS or cadence.days > _LONGEST_DAYS:
            raise ValueError(f"{text!r} is longer than a century")
        if not (cadence.months or cadence.days):
            raise ValueError(f"{text!r} is an empty cadence; the shortest is P1D")
        return cadence

    def __str__(self) -> str:
        months = f"{self.months}M" if self.months else ""
        days = f"{self.days}D" if self.days else ""
        return f"P{months}{days}"

    def after(self, anchor: dt.datetime, times: int) -> dt.datetime:
        """The anchor moved by ``times`` cadences; in a month without that day its last."""
        return _moved(anchor, self.months * times, self.days * times)

    def index_at(self, anchor: dt.datetime, instant: dt.datetime) -> int:
        """The n for which ``after(n) <= instant < after(n + 1)``."""
        length = self.months * 30.436875 + self.days
        guess = int((instant - anchor).total_seconds() // (length * 86_400))
        while self.after(anchor, guess) > instant:
            guess -= 1
        while self.after(anchor, guess + 1) <= instant:
            guess += 1
        return guess

    def period_at(self, anchor: dt.datetime, instant: dt.datetime) -> Period:
        """The period that contains ``instant``."""
        index = self.index_at(anchor, instant)
        return Period(self.after(anchor, index), self.after(anchor, index + 1))

    def periods(self, anchor: dt.datetime, start: dt.datetime, end: dt.datetime) -> Iterator[Period]:
        """Every period that overlaps [start, end), in order."""
        index = self.index_at(anchor, start)
        while (begin := self.after(anchor, index)) < end:
            yield Period(begin, self.after(anchor, index + 1))
            index += 1

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        parse = core_schema.no_info_after_validator_function(cls.parse, core_schema.str_schema())
        return core_schema.json_or_python_schema(
            json_schema=parse,
            python_schema=core_schema.union_schema([core_schema.is_instance_schema(cls), parse]),
            serialization=core_schema.plain_serializer_function_ser_schema(
                str, return_schema=core_schema.str_schema()
            ),
        )
