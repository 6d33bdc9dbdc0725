"""Reading the answers of meter queries that are as they should be, without a Python object for each member.

What belongs here: the rows of both versions as compiled readers know them. What does not: saying what is wrong with
an answer. Whatever is unusual gives None here, and is read once more by the models (``wire_v3``, ``wire_v1``), which
either understand it or name the field.

A value stays the text it was written as until it is a decimal; it is never a float. A group stands in an answer once
for each of its windows: rows keep theirs as it was written, and each is read once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final

import msgspec
import polars as pl
from msgspec.structs import astuple

from focus_assets.decimals import SOURCE_VALUE
from focus_assets.openmeter.answers import Coded, Columns, Group
from focus_assets.openmeter.questions import SUBJECT
from focus_assets.openmeter.wire import instant

_PLAIN_NUMBERS: Final = re.compile(r"(?:-?[0-9]{1,18}(?:\.[0-9]{1,19})?\n)*")
"""One a line."""

_KINDS_OF_METER: Final = 1_000


def columns_v3(content: bytes, dimensions: Sequence[str]) -> Columns | None:
    """The rows of an answer of v3, with the ``dimensions`` asked for; None where anything is unusual."""
    rows = _data(content, _ROWS_V3)
    if rows is None:
        return None
    written = Coded.of(map(bytes, _each("group", rows)))
    texts = _data(_answer(written.values), _groups((SUBJECT, *dimensions)))
    if texts is None:
        return None
    groups = [(own[0], own[1:]) for own in map(astuple, texts)]
    return _columns(_each("value", rows), rows, Coded(groups, written.codes))


def columns_v1(content: bytes, dimensions: Sequence[str]) -> Columns | None:
    """The rows of an answer of v1, whose values are JSON numbers; None where anything is unusual."""
    rows = _data(content, _ROWS_V1)
    if rows is None:
        return None
    written = Coded.of(
        (subject, bytes(group)) for subject, group in map(attrgetter("subject", "group"), rows)
    )
    # Where nothing is grouped by, ``groupBy`` may be null.
    read = [b"{}" if group == b"null" else group for _, group in written.values]
    texts = _data(_answer(read), _groups(tuple(dimensions)))
    if texts is None:
        return None
    groups = [(subject, astuple(own)) for (subject, _), own in zip(written.values, texts, strict=True)]
    # A text in quotes is no number, and these are not taken off here; what it holds need not be UTF-8.
    values = [str(value, "utf-8", "replace") for value in _each("value", rows)]
    return _columns(values, rows, Coded(groups, written.codes))


def _each(attribute: str, rows: Sequence[Any]) -> list[Any]:
    return list(map(attrgetter(attribute), rows))


def _data(content: bytes, reader: msgspec.json.Decoder[Any]) -> list[Any] | None:
    try:
        data: list[Any] = reader.decode(content).data
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return data


def _answer(entries: Sequence[bytes]) -> bytes:
    return b'{"data":[' + b",".join(entries) + b"]}"


def _columns(values: list[str], rows: Sequence[Any], groups: Coded[Group]) -> Columns | None:
    written = "\n".join([*values, ""])
    if written.count("\n") != len(values) or not _PLAIN_NUMBERS.fullmatch(written):
        return None
    spans = Coded.of(map(attrgetter("start", "end"), rows))
    try:
        for span in spans.values:
            for text in span:
                instant(text)
    except ValueError:
        return None
    return Columns(pl.Series(values, dtype=pl.String).cast(SOURCE_VALUE), spans, groups)


def _reader(entry: type[msgspec.Struct]) -> msgspec.json.Decoder[Any]:
    """A reader of ``{"data": [entry, ...]}``."""
    answer = msgspec.defstruct("Answer", [("data", list[entry])])  # type: ignore[valid-type]
    return msgspec.json.Decoder(answer)


class _RowV3(msgspec.Struct, gc=False, rename={"start": "from", "end": "to", "group": "dimensions"}):
    value: str
    start: str
    end: str
    group: msgspec.Raw


class _RowV1(
    msgspec.Struct, gc=False, rename={"start": "windowStart", "end": "windowEnd", "group": "groupBy"}
):
    value: msgspec.Raw
    start: str
    end: str
    subject: str | None = None
    group: msgspec.Raw = msgspec.Raw(b"{}")


_ROWS_V3: Final = _reader(_RowV3)
_ROWS_V1: Final = _reader(_RowV1)


@lru_cache(maxsize=_KINDS_OF_METER)
def _groups(names: tuple[str, ...]) -> msgspec.json.Decoder[Any]:
    """A reader of groups: of each the texts of ``names``, which may be absent."""
    text: Any = str | None
    attributes = {f"d{i}": name for i, name in enumerate(names)}
    return _reader(
        msgspec.defstruct("Texts", [(attribute, text, None) for attribute in attributes], rename=attributes)
    )
