"""Reading the answers of meter queries that are as they should be, without a Python object for each member.

What belongs here: the rows of both versions as compiled readers know them. What does not: saying what is wrong with
an answer. Whatever is unusual gives None here, and is read once more by the models (``wire_v3``, ``wire_v1``), which
either understand it or name the field.

A value stays the text it was written as until it is a decimal; it is never a float.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final

import msgspec
import polars as pl

from focus_assets.decimals import SOURCE_VALUE
from focus_assets.openmeter.answers import Columns
from focus_assets.openmeter.questions import SUBJECT
from focus_assets.openmeter.wire import instant

_PLAIN_NUMBERS: Final = re.compile(r"(?:-?[0-9]{1,18}(?:\.[0-9]{1,19})?\n)*")
"""One a line."""

_KINDS_OF_METER: Final = 1_000


def columns_v3(content: bytes, dimensions: Sequence[str]) -> Columns | None:
    """The rows of an answer of v3, with the ``dimensions`` asked for; None where anything is unusual."""
    rows = _rows(content, _reader_v3(tuple(dimensions)))
    if rows is None:
        return None
    grouped = _each("dimensions", rows)
    texts = {name: _each(f"d{i}", grouped) for i, name in enumerate(dimensions)}
    return _columns(_each("value", rows), rows, _each("subject", grouped), texts)


def columns_v1(content: bytes, dimensions: Sequence[str]) -> Columns | None:
    """The rows of an answer of v1, whose values are JSON numbers; None where anything is unusual."""
    rows = _rows(content, _reader_v1(tuple(dimensions)))
    if rows is None:
        return None
    # A text in quotes is no number, and these are not taken off here.
    values = [str(value, "utf-8") for value in _each("value", rows)]
    grouped = _each("group_by", rows)
    texts = {
        # Where nothing is grouped by, ``groupBy`` may be null.
        name: [getattr(each, f"d{i}", None) for each in grouped]
        for i, name in enumerate(dimensions)
    }
    return _columns(values, rows, _each("subject", rows), texts)


def _each(attribute: str, rows: Sequence[Any]) -> list[Any]:
    return list(map(attrgetter(attribute), rows))


def _rows(content: bytes, reader: msgspec.json.Decoder[Any]) -> list[Any] | None:
    try:
        rows: list[Any] = reader.decode(content).data
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return rows


def _columns(
    values: list[str],
    rows: Sequence[Any],
    subjects: list[str | None],
    dimensions: dict[str, list[str | None]],
) -> Columns | None:
    written = "\n".join([*values, ""])
    if written.count("\n") != len(values) or not _PLAIN_NUMBERS.fullmatch(written):
        return None
    starts, ends = _each("start", rows), _each("end", rows)
    try:
        for text in {*starts, *ends}:
            instant(text)
    except ValueError:
        return None
    return Columns(pl.Series(values, dtype=pl.String).cast(SOURCE_VALUE), starts, ends, subjects, dimensions)


@lru_cache(maxsize=_KINDS_OF_METER)
def _reader_v3(dimensions: tuple[str, ...]) -> msgspec.json.Decoder[Any]:
    grouped = _texts({"subject": SUBJECT} | {f"d{i}": name for i, name in enumerate(dimensions)})
    return _reader(
        [
            ("value", str, "value"),
            ("start", str, "from"),
            ("end", str, "to"),
            ("dimensions", grouped, "dimensions"),
        ]
    )


@lru_cache(maxsize=_KINDS_OF_METER)
def _reader_v1(dimensions: tuple[str, ...]) -> msgspec.json.Decoder[Any]:
    grouped = _texts({f"d{i}": name for i, name in enumerate(dimensions)})
    return _reader(
        [
            ("value", msgspec.Raw, "value"),
            ("start", str, "windowStart"),
            ("end", str, "windowEnd"),
            ("subject", str | None, "subject", None),
            ("group_by", grouped | None, "groupBy", None),
        ]
    )


def _reader(fields: Sequence[tuple[Any, ...]]) -> msgspec.json.Decoder[Any]:
    """A reader of ``{"data": [row, ...]}``; a field is attribute, type, name on the wire and perhaps a default."""
    row = msgspec.defstruct(
        "Row",
        [(attribute, kind, *default) for attribute, kind, _, *default in fields],
        rename={attribute: name for attribute, _, name, *_ in fields},
        gc=False,
    )
    answer = msgspec.defstruct("Answer", [("data", list[row])])  # type: ignore[valid-type]
    return msgspec.json.Decoder(answer)


def _texts(names: dict[str, str]) -> type[msgspec.Struct]:
    """A struct of texts that may be absent, by attribute and name on the wire."""
    text: Any = str | None
    return msgspec.defstruct(
        "Texts", [(attribute, text, None) for attribute in names], rename=names, gc=False
    )
