"""Reading and judging single events: the CloudEvents envelope and the properties that meters ask for, as SQL.

What belongs here: one text in, one row out. What does not: where texts come from (``lines``), duplicates
(``dedupe``) and aggregation (``meter``).

DuckDB's own JSON reader is used for everything but one thing: it holds numbers with a fraction as 64-bit
floats, which keep 15 significant digits and may lose the 16th. A text with a longer run of digits is
therefore read a second time with its numbers put in quotes, so that every number keeps the digits it was
written with.

Where JSON leaves it open: of a name that stands twice in an object the first counts; ``NaN``, ``Infinity``
and a comma before a closing bracket are tolerated.
"""

# ruff: noqa: S608 - SQL is assembled here; sql_text quotes

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from focus_assets.catalog.models import Aggregation, Meter
from focus_assets.cloudevents.json_paths import path_in_event
from focus_assets.cloudevents.lines import EXCERPT_CHARACTERS, LINES_PER_FILE
from focus_assets.cloudevents.plain import (
    begins,
    id_follows,
    is_clearly_text,
    is_text,
    plain_time,
    reads_alike,
)
from focus_assets.cloudevents.sql_text import literal

NUMERIC: Final = frozenset(
    {Aggregation.SUM, Aggregation.AVG, Aggregation.MIN, Aggregation.MAX, Aggregation.LATEST}
)
"""Aggregations that read numbers; COUNT reads nothing and UNIQUE_COUNT reads texts."""

_ATTRIBUTES: Final = ("id", "source", "specversion", "type", "subject")
_KEPT: Final = ("id", "source", "type", "subject")
_LIMIT: Final = 10**18
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

    ``texts`` and ``numbers`` map a path from the event's root to the column that holds it: a text as
    OpenMeter would see it, or a Decimal(38, 19).
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


def plain_events(properties: Properties, lines: str) -> str:
    """SQL as of :func:`judged_events` that fails unless every one of ``lines`` is beyond doubt a good event of a meter.

    It fails with duckdb.InvalidInputException, at the first line that is anything else; without the questions that
    such lines need answered it costs two thirds. Parameters: ``$types`` VARCHAR[], those of ``properties``.
    """
    at = _places(properties)
    numbers = properties.numbers
    kept = {**{a: f"v{at[f'$.{a}']}" for a in _KEPT}, **{c: f"v{at[p]}" for p, c in properties.texts.items()}}
    certain = " AND ".join(
        [
            "defect IS NULL",
            _plain(properties, at),
            # Of whole numbers, as nearly all are, there is nothing more to ask.
            *(
                f"(is_whole_{c} AND whole_{c} BETWEEN 1 - {_LIMIT} AND {_LIMIT} - 1 "
                f"OR NOT {_long_digits([at[p]])} AND NOT ({_too_large(c)}))"
                for p, c in numbers.items()
            ),
        ]
    )
    return f"""
    WITH {_split(at, lines, _texts(at))}, exact AS (
        SELECT * {_columns(f"{_exact(c)} AS {c}" for c in numbers.values())} FROM (
            SELECT * {_columns(_is_whole(c) for c in numbers.values())} FROM (
                SELECT *, true AS of_a_meter {_columns(_whole(c, f"v{at[p]}") for p, c in numbers.items())} FROM dated
            )
        )
    )
    SELECT seq, hash(event, seq % {LINES_PER_FILE}) AS digest, plain_time AS occurred,
        CASE WHEN {certain} THEN true ELSE error('not plain') END AS metered, NULL::VARCHAR AS reason
        {_columns(f"{kept[a]} AS {a}" for a in _KEPT)}, NULL::VARCHAR AS excerpt
        {_columns(f"{kept.get(column, column)} AS {column}" for column in properties.columns)}
    FROM exact
    """


def _places(properties: Properties) -> dict[str, int]:
    """The paths whose texts are read, and which of these each is."""
    paths = [f"$.{a}" for a in (*_KEPT, "time")] + sorted({*properties.texts, *properties.numbers})
    return {path: i for i, path in enumerate(paths, 1)}


def _split(at: Mapping[str, int], lines: str, read: str) -> str:
    """The beginning of both statements: ``dated`` has each text in a column, and the plain time."""
    return f"""extracted AS (
        SELECT seq, event, defect, CASE WHEN defect IS NULL THEN {read} END AS texts
        FROM {lines}
    ), split AS (
        SELECT seq, event, defect {_columns(f"texts[{i}] AS v{i}" for i in at.values())} FROM extracted
    ), dated AS (
        SELECT *, {plain_time(f"v{at['$.time']}")} AS plain_time FROM split
    )"""


def judged_events(properties: Properties, lines: str) -> str:
    """SQL that turns the relation ``lines`` (seq, event, defect) into judged events.

    Columns out: seq, digest UBIGINT (of line and text), occurred TIMESTAMP (UTC, whole seconds), metered BOOLEAN,
    reason VARCHAR (null for a good event), id, source, type, subject (of a good one), excerpt VARCHAR (of a bad
    one) and the columns of ``properties``. Parameters: ``$types`` VARCHAR[], those of ``properties``.
    """
    texts, numbers = properties.texts, properties.numbers
    at = _places(properties)
    # Types are asked for only of what is not plain, and then also of what no text is needed of.
    typed = {path: i for i, path in enumerate([*at, "$", "$.specversion", "$.data"], 1)}
    too_large = " OR ".join(_too_large(column) for column in numbers.values())
    return f"""
    WITH {_split(at, lines, f"TRY({_texts(at)})")}, sorted_out AS (
        SELECT *, CASE WHEN {_plain(properties, at)} THEN true ELSE false END AS plain FROM dated
    ), read AS (
        SELECT *, CASE WHEN NOT plain AND defect IS NULL THEN TRY(json_type(event, {_list(list(typed))})) END AS types
        FROM sorted_out
    ), enveloped AS (
        SELECT *,
            CASE WHEN plain THEN NULL ELSE {_envelope_reason(at, typed)} END AS envelope_reason,
            CASE WHEN plain THEN plain_time ELSE {_instant(at["$.time"])} END AS occurred
        FROM read
    ), timed AS (
        SELECT *,
            CASE WHEN plain THEN NULL ELSE {_time_reason(at["$.time"])} END AS event_reason,
            CASE WHEN plain THEN true ELSE envelope_reason IS NULL AND occurred IS NOT NULL
                AND list_contains($types::VARCHAR[], v{at["$.type"]}) END AS of_a_meter
        FROM enveloped
    ), numbered AS (
        SELECT *, {_long_digits([at[path] for path in numbers])} AS long_digits FROM timed
    ), named AS (
        SELECT seq, event, event_reason, occurred, of_a_meter
            {_columns(f"v{at[f'$.{a}']} AS {a}" for a in _KEPT)}
            {_columns(f"CASE WHEN of_a_meter THEN {_text(at[p])} END AS {c}" for p, c in texts.items())}
            {_columns(_whole(c, _written(p, at[p])) for p, c in numbers.items())}
        FROM numbered
    ), whole AS (
        SELECT * {_columns(_is_whole(c) for c in numbers.values())} FROM named
    ), exact AS (
        SELECT * {_columns(f"{_exact(c)} AS {c}" for c in numbers.values())} FROM whole
    ), judged AS (
        SELECT *, CASE WHEN event_reason IS NOT NULL THEN event_reason WHEN {too_large or "false"} THEN
            'the metered value is too large; it may have 18 digits before the decimal point' END AS reason
        FROM exact
    )
    SELECT seq, hash(event, seq % {LINES_PER_FILE}) AS digest, occurred,
        of_a_meter AND reason IS NULL AS metered, reason
        {_columns(f"CASE WHEN reason IS NULL THEN {a} END AS {a}" for a in _KEPT)},
        CASE WHEN reason IS NOT NULL THEN left(rtrim(event, chr(13)), {EXCERPT_CHARACTERS}) END AS excerpt
        {_columns(properties.columns)}
    FROM judged
    """


def _texts(at: Mapping[str, int]) -> str:
    return f"json_extract_string(event, {_list(list(at))})"


def _plain(properties: Properties, at: Mapping[str, int]) -> str:
    """Whether an event is beyond doubt a good one of a meter, by its texts alone.

    Asking for JSON types costs as much again as reading the texts, and nearly every event is of this kind: it
    begins with its version, its attributes and properties are there and cannot be anything but texts, its time is
    in UTC without a fraction. The rest, and whatever might be something else, is judged by its types.

    This is the condition of a CASE: there, what a test has decided is not tested further.
    """
    properties_read = [at[path] for path in properties.texts]
    # Members are found in an object only, so data is one.
    inside_data = [at[path] for path in (*properties.texts, *properties.numbers)]
    if not inside_data:
        return "false"
    identity = f"v{at['$.id']}"
    # What is one of the meters' types was written as a text where no number or truth is written as any of these.
    unclear = () if all(map(is_clearly_text, properties.types)) else ("$.type",)
    return " AND ".join(
        [
            f"({id_follows()} AND {identity} <> '' OR {begins()} AND {is_text('$.id', identity)})",
            "plain_time IS NOT NULL",
            f"list_contains($types::VARCHAR[], v{at['$.type']})",
            f"({' OR '.join(f'v{place} IS NOT NULL' for place in inside_data)})",
            *(is_text(path, f"v{at[path]}") for path in ("$.source", "$.subject", *unclear)),
            *(reads_alike(f"v{place}") for place in properties_read),
        ]
    )


def _text(place: int) -> str:
    """A property as OpenMeter's text: absent, object and array are '', null is 'null', 1.0 is '1'."""
    return (
        f"CASE WHEN plain THEN v{place} ELSE CASE coalesce(types[{place}], 'ARRAY') "
        "WHEN 'ARRAY' THEN '' WHEN 'OBJECT' THEN '' "
        f"WHEN 'NULL' THEN 'null' WHEN 'DOUBLE' THEN regexp_replace(v{place}, '\\.0$', '') "
        f"ELSE v{place} END END"
    )


def _long_digits(places: Iterable[int]) -> str:
    """Whether a number may have lost digits; one that is held as a float is written with a point or an exponent."""
    fractions = " OR ".join(f"contains(v{place}, '{mark}')" for place in places for mark in ".e")
    if not fractions:
        return "false"
    return (
        f"CASE WHEN of_a_meter AND ({fractions}) THEN regexp_matches(event, {literal(_LONG_DIGITS)}) "
        "ELSE false END"
    )


def _written(path: str, place: int) -> str:
    """A text that may be a number, digits as written; null where the event is of no meter."""
    marked = f"regexp_replace(event, {literal(_STRING_OR_NUMBER)}, '\\1' || chr(1) || '\\2' || chr(1), 'g')"
    # Byte 1 marks where a number ends; JSON allows it nowhere, so it is never the event's own.
    quoted = f"replace(replace({marked}, chr(1) || chr(1), ''), chr(1), '\"')"
    return (
        f"CASE WHEN NOT of_a_meter THEN NULL WHEN long_digits THEN json_extract_string({quoted}, {literal(path)}) "
        f"ELSE v{place} END"
    )


def _is_number(column: str) -> str:
    """Whether a text is a finite decimal number; DuckDB's own cast would also take 1_000 and blanks."""
    return f"regexp_full_match(written_{column}, {literal(_NUMBER)})"


def _whole(column: str, written: str) -> str:
    """Two columns: a number as it was written, and the whole number that DuckDB makes of that."""
    return f"{written} AS written_{column}, TRY_CAST(written_{column} AS BIGINT) AS whole_{column}"


def _is_whole(column: str) -> str:
    """A column: whether the whole number is written back as it was, and so needs no pattern."""
    return f"written_{column} = whole_{column}::VARCHAR AS is_whole_{column}"


def _exact(column: str) -> str:
    """The decimal."""
    return (
        f"CASE WHEN is_whole_{column} THEN whole_{column}::DECIMAL(38, 19) "
        f"WHEN {_is_number(column)} THEN TRY_CAST(written_{column} AS DECIMAL(38, 19)) END"
    )


def _too_large(column: str) -> str:
    return (
        f"CASE WHEN {column} IS NOT NULL THEN abs({column}) >= {_LIMIT} "
        f"WHEN written_{column} IS NULL THEN false ELSE {_is_number(column)} END"
    )


def _envelope_reason(at: Mapping[str, int], typed: Mapping[str, int]) -> str:
    """Why the envelope is refused: the first reason that holds."""
    root, data = typed["$"], typed["$.data"]
    version = "json_extract_string(event, '$.specversion')"
    written = {path: f"v{place}" for path, place in at.items()} | {"$.specversion": version}
    tests = [
        ("defect IS NOT NULL", "defect"),
        ("types IS NULL", "'the text is not JSON'"),
        (
            f"types[{root}] <> 'OBJECT'",
            f"'an event is a JSON object, this is of JSON type ' || lower(types[{root}])",
        ),
    ]
    needed = "id, source, specversion, type and subject are needed, as texts that are not empty"
    for attribute in _ATTRIBUTES:
        place, text = typed[f"$.{attribute}"], written[f"$.{attribute}"]
        tests += [
            (f"coalesce(types[{place}], 'NULL') = 'NULL'", literal(f"{attribute} is missing; {needed}")),
            (f"types[{place}] <> 'VARCHAR'", literal(f"{attribute} is not a text; {needed}")),
            (f"{text} = ''", literal(f"{attribute} is empty; {needed}")),
        ]
    tests += [
        (
            f"{version} <> '1.0'",
            f"'specversion is ' || left({version}, 20) || '; only 1.0 is supported'",
        ),
        (
            f"types[{data}] NOT IN ('OBJECT', 'NULL')",
            "'data is not an object; it may be an object, null or absent'",
        ),
    ]
    return _first(tests)


def _time_reason(place: int) -> str:
    needed = "an RFC 3339 instant with its zone is needed, such as 2026-08-15T13:22:07Z"
    return _first(
        [
            ("envelope_reason IS NOT NULL", "envelope_reason"),
            (f"coalesce(types[{place}], 'NULL') = 'NULL'", literal(f"time is missing; {needed}")),
            (f"types[{place}] <> 'VARCHAR'", literal(f"time is not a text; {needed}")),
            ("occurred IS NULL", f"'time is ' || left(v{place}, 40) || {literal(f'; {needed}')}"),
        ]
    )


def _instant(place: int) -> str:
    """UTC on whole seconds, the fraction cut off, by TIMESTAMPTZ: a cast to TIMESTAMP ignores the zone."""
    text = f"v{place}"
    zone = f"CASE WHEN upper(right({text}, 1)) = 'Z' THEN 'Z' ELSE right({text}, 6) END"
    whole = f"substr({text}, 1, 10) || ' ' || substr({text}, 12, 8) || {zone}"
    return (
        f"CASE WHEN types[{place}] <> 'VARCHAR' OR types[{place}] IS NULL THEN NULL "
        # What nearly all events have; zones cost several times as much.
        "WHEN plain_time IS NOT NULL THEN plain_time "
        f"WHEN regexp_full_match({text}, {literal(_RFC3339)}) "
        f"THEN TRY_CAST({whole} AS TIMESTAMPTZ) AT TIME ZONE 'UTC' END"
    )


def _first(tests: Sequence[tuple[str, str]]) -> str:
    return "CASE " + " ".join(f"WHEN {test} THEN {answer}" for test, answer in tests) + " END"


def _list(texts: Sequence[str]) -> str:
    return "[" + ", ".join(literal(text) for text in texts) + "]"


def _columns(expressions: Iterable[str]) -> str:
    return "".join(f",\n            {expression}" for expression in expressions)
