"""Events beyond doubt take a shorter way, and come out as they would by the longer one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import duckdb
import pytest
from duckdb import DuckDBPyConnection

from focus_assets.cloudevents.envelope import Properties, judged_events, plain_events
from focus_assets_tests.cloudevents.opening import TOKENS, event

OF = Properties.of([TOKENS])


def line(**changes: Any) -> str:
    whole = event(data={"tokens": 1, "model": "large"}) | changes
    return json.dumps({"specversion": whole.pop("specversion"), **whole})


def with_id_elsewhere(event: str) -> str:
    """The event with another attribute between its version and its id."""
    return event.replace('"1.0", ', '"1.0", "datacontenttype": "application/json", ', 1)


def without_blanks(event: str) -> str:
    return event.replace('", "', '","').replace('": ', '":')


def found(
    connection: DuckDBPyConnection, lines: list[str], statement: str, type: str = "request"
) -> list[tuple[Any, ...]]:
    connection.execute("CREATE OR REPLACE TEMP TABLE given (seq BIGINT, event VARCHAR, defect VARCHAR)")
    connection.executemany("INSERT INTO given VALUES (?, ?, NULL)", list(enumerate(lines, 1)))
    return connection.execute(f"SELECT * FROM ({statement}) ORDER BY seq", {"types": [type]}).fetchall()


def line_at(time: str) -> str:
    return line(time=time)


NO_TIMES = [
    "-026-08-15T10:30:00Z",
    " 026-08-15T10:30:00Z",
    "2026-8-15T10:30:00Z",
    "2026-08-15T10:30: 0Z",
    "2026-08-15T10:30:00 Z",
    "2026-08-15T10:3:00Z ",
    "2026-08-15T24:00:00Z",
    "2026-08-15T23:59:60Z",
    "2026-08-15 10:30:00Z",
    "2026-08-15T10:30:00",
]
PLAIN = [
    line(),
    line(id="40e31"),
    line(id="401013266745e5661589292315434968"),
    line(id="0"),
    line(id="-"),
    line(subject="a"),
    line(subject="7f000001-0000-4000-8000-00000000000a"),
    line(id="é", source="ß", subject="日"),
    line(id="\u0001", source="@", subject="`"),
    line(source="zebra"),
    line(source="Zebra"),
    line(subject="_"),
    *(line(id=id) for id in ("true", "nan", "Infinity", "[]", "{", "-5x", "null")),
    *(line(source=source) for source in ("/apps/1", "info", "no", "https://a.example/7")),
    *(line(data={"tokens": 1, "model": model}) for model in ("mistral-1.0", "True", "1.00")),
    line(data={"tokens": 12.5, "model": "large"}),
    line(data={"tokens": "0.25", "model": "7"}),
    line(data={"tokens": True, "model": "large"}),
    *(line(data={"tokens": tokens, "model": "large"}) for tokens in (10**18 - 1, 1 - 10**18, 0, -7)),
    *(
        line(data={"tokens": t, "model": "large"})
        for t in ("007", "+5", "-0", "1e2", "1_000", " 12", "0x10", "9.5")
    ),
    line(data={"model": "large"}),
]
OTHERWISE = [
    *(line(id=id) for id in (40, 4.5, 1e300, "", None, True, [1], {"a": 1})),
    *(line(id=id) for id in (float("nan"), float("inf"), float("-inf"))),
    *(line(source=source) for source in ("", 7, None, [1], {"a": 1})),
    *(line(subject=subject) for subject in ("", 7, True, [1])),
    *(line(source="?").replace('"?"', word) for word in ("nan", "iNf", "-nan", "infinity", "false")),
    line(id=0).replace('"id": 0', '"id": 401013266745e5661589292315434968'),
    line(time="2026-08-15T10:30:00.5Z"),
    line(time="2026-02-30T10:30:00Z"),
    line(time="2026-08-15t10:30:00z"),
    *map(line_at, NO_TIMES),
    line(specversion="1.1"),
    line(type="other"),
    line(data={"tokens": 1, "model": 1.0}),
    line(data={"tokens": 1, "model": None}),
    line(data={"tokens": 1, "model": ["large"]}),
    line(data={"tokens": 1}),
    *(line(data={"tokens": t, "model": "large"}) for t in (10**18, -(10**18), -(2**63), "1e18", "-1e18")),
    line(data={"tokens": "1" * 40, "model": "large"}),
    line(data={"model": "large"}).replace('"model"', '"tokens": 0.12345678901234567, "model"'),
    line(data=None),
    "",
    "{",
    "[]",
]


@pytest.mark.parametrize("written", [str, with_id_elsewhere, without_blanks])
def test_plain_events_are_what_judging_makes_of_them(
    connection: DuckDBPyConnection, written: Callable[[str], str]
) -> None:
    lines = list(map(written, PLAIN))
    plain = found(connection, lines, plain_events(OF, "given"))
    assert plain == found(connection, lines, judged_events(OF, "given"))
    assert len(plain) == len(PLAIN)


@pytest.mark.parametrize("written", [str, with_id_elsewhere, without_blanks])
@pytest.mark.parametrize("other", OTHERWISE)
def test_one_event_that_is_not_plain_keeps_all_from_being_taken_for_it(
    connection: DuckDBPyConnection, other: str, written: Callable[[str], str]
) -> None:
    with pytest.raises(duckdb.InvalidInputException):
        found(connection, [line(), written(other), line()], plain_events(OF, "given"))


@pytest.mark.parametrize("type", ["40", "true", "NaN", "[1]", "infer"])
def test_a_meter_whose_type_reads_like_another_json_value_takes_texts_only(
    connection: DuckDBPyConnection, type: str
) -> None:
    of = Properties.of([TOKENS.model_copy(update={"event_type": type})])
    text = line(type=type)
    (plain,) = found(connection, [text], plain_events(of, "given"), type)
    assert [plain] == found(connection, [text], judged_events(of, "given"), type)
    if type != "infer":
        with pytest.raises(duckdb.InvalidInputException):
            found(connection, [text.replace(f'"{type}"', type)], plain_events(of, "given"), type)


def test_what_is_nearly_a_time_is_none(connection: DuckDBPyConnection) -> None:
    judged = found(connection, [line_at(time) for time in NO_TIMES], judged_events(OF, "given"))
    at = [column[0] for column in connection.description or ()].index("reason")
    assert [row[at].startswith(f"time is {time}") for row, time in zip(judged, NO_TIMES, strict=True)] == [
        True
    ] * len(NO_TIMES)
