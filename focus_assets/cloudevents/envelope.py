"""Reading and judging single events: the CloudEvents envelope and the properties that meters ask for, as SQL.

What belongs here: one text in, one row out. What does not: where texts come from (``lines``), duplicates
(``dedupe``) and aggregation (``meter``).

DuckDB's own JSON reader is used for everything but one thing: it holds numbers with a fraction as 64-bit floats,
which keep 15 significant digits and may lose the 16th. A text with a longer run of digits is therefore read a
second time with its numbers put in quotes, so that every number keeps the digits it was written with.

Where JSON leaves it open: of a name that stands twice in an object the first counts; ``NaN``, ``Infinity`` and a
comma before a closing bracket are tolerated.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from focus_assets.catalog.models import Aggregation, Meter
from focus_assets.cloudevents.json_paths import path_in_event
from focus_assets.cloudevents.lines import EXCERPT_CHARACTERS
from focus_assets.cloudevents.sql_text import literal

NUMERIC: Final = frozenset(
    {Aggregation.SUM, Aggregation.AVG, Aggregation.MIN, Aggregation.MAX, Aggregation.LATEST}
)
"""Aggregations that read numbers; COUNT reads nothing and UNIQUE_COUNT reads texts."""

_ATTRIBUTES: Final = ("id", "source", "specversion", "type", "subject")
_LONG_DIGITS: Final = "[0-9][0-9.]{15}"
_STRING_OR_NUMBER: Final = r'("(?:[^"\\]|\\.)*")|(-?[0-9][0-9.eE+-]*)'
_NUMBER: Final = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"
_RFC3339: Final = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]+)?"
    r"([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
)


@dataclass(frozen=True)
class Properties:
    """What is kept of the events of some meters: their types and the columns their paths become.

    ``texts`` and ``numbers`` map a path from the event's root to the column that holds it: a text as OpenMeter
    would see it, or a Decimal(38, 19).
    """

    types: frozenset[str]
    texts: dict[str, str]
    numbers: dict[str, str]

    @classmethod
    def of(cls, meters: Iterable[Meter]) -> Properties:
        """The properties that ``meters`` ask for; raises UnsupportedJsonPath."""
        types: set[str] = set()
        texts: set[str] = set()
        numbers: set[str] = set()
        for meter in meters:
            types.add(meter.event_type)
            texts |= {
                path_in_event(path, meter.slug, f"group_by.{key}") for key, path in meter.group_by.items()
            }
            if meter.value_property is not None:
                path = path_in_event(meter.value_property, meter.slug, "value_property")
                (numbers if meter.aggregation in NUMERIC else texts).add(path)
        return cls(
            frozenset(types),
            {path: f"text_{i}" for i, path in enumerate(sorted(texts))},
            {path: f"number_{i}" for i, path in enumerate(sorted(numbers))},
        )

    @property
    def columns(self) -> dict[str, str]:
        """Column names and SQL types of what is kept."""
        return dict.fromkeys(self.texts.values(), "VARCHAR") | dict.fromkeys(
            self.numbers.values(), "DECIMAL(38, 19)"
        )


def judged_events(properties: Properties, lines: str) -> str:
    """SQL that turns the relation ``lines`` (seq, event, defect) into judged events.

    Columns out: seq, id, source, type, subject, occurred TIMESTAMP (UTC, whole seconds), metered BOOLEAN, reason
    VARCHAR (null for a good event), excerpt VARCHAR (of a bad one) and the columns of ``properties``. Parameters:
    ``$types`` VARCHAR[].
    """
    places = {
        name: i for i, name in enumerate(("$", *(f"$.{a}" for a in _ATTRIBUTES), "$.time", "$.data"), 1)
    }
    for path in sorted({*properties.texts, *properties.numbers}):
        places[path] = len(places) + 1
    paths = list(places)
    text_paths = ["$.id" if path in ("$", "$.data") else path for path in paths]
    kept = [f"CASE WHEN metered THEN {_text(places[p])} END AS {c}" for p, c in properties.texts.items()]
    kept += [f"number_texts[{i}] AS raw_{c}" for i, c in enumerate(properties.numbers.values(), 1)]
    numbers = [
        f"CASE WHEN regexp_full_match(raw_{c}, {literal(_NUMBER)}) THEN TRY_CAST(raw_{c} AS DECIMAL(38, 19)) END AS {c}"
        for c in properties.numbers.values()
    ]
    too_large = " OR ".join(
        f"(regexp_full_match(raw_{c}, {literal(_NUMBER)}) AND ({c} IS NULL OR abs({c}) >= 1000000000000000000))"
        for c in properties.numbers.values()
    )
    exact = (
        f"CASE WHEN metered THEN CASE WHEN regexp_matches(event, {literal(_LONG_DIGITS)})"
        f" THEN json_extract_string({_QUOTED_NUMBERS}, {_list(list(properties.numbers))})"
        f" ELSE [{', '.join(f'texts[{places[p]}]' for p in properties.numbers)}] END END"
        if properties.numbers
        else "NULL::VARCHAR[]"
    )
    return f"""
    WITH read AS (
        SELECT seq, event, defect,
            CASE WHEN defect IS NULL THEN TRY(json_type(event, {_list(paths)})) END AS types,
            CASE WHEN defect IS NULL THEN TRY(json_extract_string(event, {_list(text_paths)})) END AS texts
        FROM {lines}
    ), enveloped AS (
        SELECT *, {_reason(places)} AS envelope_reason,
            CASE WHEN types[{places["$.time"]}] = 'VARCHAR' THEN {_instant(f"texts[{places['$.time']}]")} END AS occurred
        FROM read
    ), chosen AS (
        SELECT *, coalesce({_time_reason(places)}, envelope_reason) AS event_reason,
            envelope_reason IS NULL AND occurred IS NOT NULL
                AND list_contains($types::VARCHAR[], texts[{places["$.type"]}]) AS metered
        FROM enveloped
    ), kept AS (
        SELECT *, {exact} AS number_texts FROM chosen
    ), raw AS (
        SELECT seq, event, event_reason, occurred, metered,
            {", ".join(f"texts[{places[f'$.{a}']}] AS {a}" for a in _ATTRIBUTES if a != "specversion")}
            {"".join(f", {column}" for column in kept)}
        FROM kept
    ), cast_numbers AS (
        SELECT * {"".join(f", {column}" for column in numbers)} FROM raw
    ), judged AS (
        SELECT *, coalesce(event_reason, CASE WHEN metered AND ({too_large or "false"}) THEN
            'the metered value is too large; it may have 18 digits before the decimal point' END) AS reason
        FROM cast_numbers
    )
    SELECT seq, occurred, metered AND reason IS NULL AS metered, reason,
        CASE WHEN reason IS NULL THEN id END AS id,
        CASE WHEN reason IS NULL THEN source END AS source,
        CASE WHEN reason IS NULL THEN type END AS type,
        CASE WHEN reason IS NULL THEN subject END AS subject,
        CASE WHEN reason IS NOT NULL THEN left(rtrim(event, chr(13)), {EXCERPT_CHARACTERS}) END AS excerpt
        {"".join(f", {column}" for column in properties.columns)}
    FROM judged
    """


_QUOTED_NUMBERS: Final = (
    f"replace(replace(regexp_replace(event, {literal(_STRING_OR_NUMBER)}, "
    r"'\1' || chr(1) || '\2' || chr(1), 'g'), chr(1) || chr(1), ''), chr(1), '"
    "')"
).replace('""', '"')
"""The event with its numbers in quotes. Byte 1 marks their ends: JSON allows it nowhere, so it is never the event's."""


def _text(place: int) -> str:
    """A property as OpenMeter's text: absent, object and array are '', null is 'null'; whole numbers lose '.0'."""
    return (
        f"CASE coalesce(types[{place}], 'ABSENT') WHEN 'ABSENT' THEN '' WHEN 'OBJECT' THEN '' WHEN 'ARRAY' THEN '' "
        f"WHEN 'NULL' THEN 'null' WHEN 'DOUBLE' THEN regexp_replace(texts[{place}], '\\.0$', '') "
        f"ELSE texts[{place}] END"
    )


def _reason(places: dict[str, int]) -> str:
    """Why the envelope is refused: the first reason that holds."""
    tests = [
        ("defect IS NOT NULL", "defect"),
        ("types IS NULL", "'the text is not JSON'"),
        (
            f"types[{places['$']}] <> 'OBJECT'",
            f"'an event is a JSON object, this is of JSON type ' || lower(types[{places['$']}])",
        ),
    ]
    for attribute in _ATTRIBUTES:
        place = places[f"$.{attribute}"]
        needed = literal(
            "; id, source, specversion, type and subject are needed, as texts that are not empty"
        )
        tests += [
            (
                f"coalesce(types[{place}], 'NULL') = 'NULL'",
                f"{literal(f'{attribute} is missing')} || {needed}",
            ),
            (f"types[{place}] <> 'VARCHAR'", f"{literal(f'{attribute} is not a text')} || {needed}"),
            (f"texts[{place}] = ''", f"{literal(f'{attribute} is empty')} || {needed}"),
        ]
    tests += [
        (
            f"texts[{places['$.specversion']}] <> '1.0'",
            f"'specversion is ' || left(texts[{places['$.specversion']}], 20) || '; only 1.0 is supported'",
        ),
        (
            f"types[{places['$.data']}] NOT IN ('OBJECT', 'NULL')",
            "'data is not an object; it may be an object, null or absent'",
        ),
    ]
    return _first(tests)


def _time_reason(places: dict[str, int]) -> str:
    place = places["$.time"]
    form = "an RFC 3339 instant with its zone is needed, such as 2026-08-15T13:22:07Z"
    tests = [
        ("envelope_reason IS NOT NULL", "envelope_reason"),
        (f"coalesce(types[{place}], 'NULL') = 'NULL'", literal(f"time is missing; {form}")),
        (f"types[{place}] <> 'VARCHAR'", literal(f"time is not a text; {form}")),
        ("occurred IS NULL", f"'time is ' || left(texts[{place}], 40) || {literal(f'; {form}')}"),
    ]
    return _first(tests)


def _instant(text: str) -> str:
    """UTC on whole seconds: the fraction is cut off. DuckDB ignores the zone when it casts to TIMESTAMP."""
    zone = f"CASE WHEN upper(right({text}, 1)) = 'Z' THEN 'Z' ELSE right({text}, 6) END"
    whole = f"substr({text}, 1, 10) || ' ' || substr({text}, 12, 8) || {zone}"
    return (
        f"CASE WHEN regexp_full_match({text}, {literal(_RFC3339)})"
        f" THEN TRY_CAST({whole} AS TIMESTAMPTZ) AT TIME ZONE 'UTC' END"
    )


def _first(tests: list[tuple[str, str]]) -> str:
    return "CASE " + " ".join(f"WHEN {test} THEN {answer}" for test, answer in tests) + " END"


def _list(texts: list[str]) -> str:
    return "[" + ", ".join(literal(text) for text in texts) + "]"
