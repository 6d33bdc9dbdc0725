"""Answers are read by a compiled reader where they are plain, and otherwise by models: the rows are the same."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from focus_assets.catalog.models import Meter
from focus_assets.openmeter.answers import ANSWER, proven, stored_values
from focus_assets.openmeter.errors import (
    ControlTotalDiffers,
    InconsistentRows,
    ServerTooSlow,
    ValueTooLarge,
)
from focus_assets.openmeter.extraction import require_total
from focus_assets.openmeter.questions import Question, Window
from focus_assets.openmeter.quick import columns_v1, columns_v3
from focus_assets.openmeter.splitting import ask

DAY = dt.datetime(2026, 8, 2, tzinfo=dt.UTC)
METER = Meter.model_validate(
    {"slug": "tokens", "event_type": "prompt", "aggregation": "SUM", "value_property": "$.tokens"}
)
ASKED = Question(
    METER, DAY, DAY + dt.timedelta(days=1), Window.HOUR, by_subject=True, dimensions=("kind", "model")
)


def v3(written: str, **dimensions: Any) -> bytes:
    """A row of v3 whose value is ``written`` as JSON."""
    row = {
        "value": "VALUE",
        "from": "2026-08-02T00:00:00Z",
        "to": "2026-08-02T01:00:00Z",
        "dimensions": {"subject": "ann", **dimensions},
    }
    return json.dumps({"data": [row]}).replace('"VALUE"', written).encode()


def v1(written: str) -> bytes:
    """A row of v1 whose value is ``written`` as JSON."""
    row = {
        "value": "VALUE",
        "windowStart": "2026-08-02T00:00:00Z",
        "windowEnd": "2026-08-02T01:00:00Z",
        "subject": "ann",
        "groupBy": None,
    }
    return json.dumps({"data": [row]}).replace('"VALUE"', written).encode()


@pytest.mark.parametrize(
    "digits", ["0", "-1.5", "0.1", "12345678901.23456789012345678", "-0.0000000000000000001", "1.10"]
)
def test_a_number_keeps_every_digit_in_either_version(digits: str) -> None:
    for columns in (columns_v3(v3(f'"{digits}"'), ("kind",)), columns_v1(v1(digits), ("kind",))):
        assert columns is not None
        assert columns.value.to_list() == [Decimal(digits)]


@pytest.mark.parametrize(
    "written", ["1", '""', '"1e5"', '" 1"', '"1\\n2"', '"1."', "null", '"1234567890123456789"']
)
def test_what_v3_does_not_write_is_left_to_the_models(written: str) -> None:
    assert columns_v3(v3(written), ()) is None


@pytest.mark.parametrize(
    "written", ['"1"', "1e5", "1E-7", "null", "true", "[]", "NaN", "1234567890123456789"]
)
def test_what_v1_seldom_writes_is_left_to_the_models(written: str) -> None:
    assert columns_v1(v1(written), ()) is None


@pytest.mark.parametrize(
    ("dimensions", "text"),
    [
        ({"model": "large", "kind": "in"}, '{"kind":"in","model":"large"}'),
        ({"model": None}, '{"kind":"","model":""}'),
        ({"model": 'a "b"\\\n', "kind": "é"}, '{"kind":"é","model":"a \\"b\\"\\\\\\n"}'),
        ({"model": "x", "other": 5}, '{"kind":"","model":"x"}'),
    ],
)
def test_dimensions_are_the_texts_asked_for(dimensions: dict[str, Any], text: str) -> None:
    columns = columns_v3(v3('"1"', **dimensions), ASKED.dimensions)
    assert columns is not None
    rows = proven(ASKED, "POST query", columns)
    assert rows["dimensions"].to_list() == [text]
    assert rows["window_to"].to_list() == [DAY + dt.timedelta(hours=1)]


def test_a_row_that_stands_twice_is_named() -> None:
    row = json.loads(v3('"1"', model="large"))["data"][0]
    columns = columns_v3(json.dumps({"data": [row, row | {"value": "2"}]}).encode(), ASKED.dimensions)
    assert columns is not None
    with pytest.raises(InconsistentRows, match=r"2026-08-02T00:00:00Z, subject 'ann', .*\"model\":\"large\""):
        proven(ASKED, "POST query", columns)


@pytest.mark.parametrize(
    "again",
    [
        '"from":"2026-08-02T00:00:00+00:00","to":"2026-08-02T01:00:00Z","dimensions":{"subject":"ann","model":"é"}',
        '"from":"2026-08-02T00:00:00Z","to":"2026-08-02T01:00:00Z","dimensions":{"model":"é","subject":"ann"}',
        '"from":"2026-08-02T00:00:00Z","to":"2026-08-02T01:00:00Z","dimensions":{"subject":"ann","model":"\\u00e9"}',
        '"from":"2026-08-02T00:00:00Z","to":"2026-08-02T01:00:00Z",'
        '"dimensions":{"subject":"ann","model":"é","kind":null}',
    ],
)
def test_a_row_that_stands_twice_is_named_however_it_is_spelled(again: str) -> None:
    once = (
        '"from":"2026-08-02T00:00:00Z","to":"2026-08-02T01:00:00Z","dimensions":{"subject":"ann","model":"é"}'
    )
    content = f'{{"data":[{{"value":"1",{once}}},{{"value":"2",{again}}}]}}'.encode()
    columns = columns_v3(content, ASKED.dimensions)
    assert columns is not None
    with pytest.raises(InconsistentRows, match="two rows of 2026-08-02T00:00:00Z, subject 'ann'"):
        proven(ASKED, "POST query", columns)


def test_each_row_has_its_own_window_and_group_and_all_are_put_in_order() -> None:
    given = [(5, "bob", "x", "1"), (0, "ann", "y", "2"), (5, "ann", "x", "3"), (0, "bob", "x", "4")]
    rows = [
        {
            "value": value,
            "from": f"2026-08-02T0{hour}:00:00Z",
            "to": f"2026-08-02T0{hour + 1}:00:00Z",
            "dimensions": {"subject": subject, "model": model},
        }
        for hour, subject, model, value in given
    ]
    columns = columns_v3(json.dumps({"data": rows}).encode(), ASKED.dimensions)
    assert columns is not None
    in_order = [(0, "ann", "y", "2"), (0, "bob", "x", "4"), (5, "ann", "x", "3"), (5, "bob", "x", "1")]
    assert proven(ASKED, "POST query", columns).rows() == [
        (
            DAY + dt.timedelta(hours=hour),
            DAY + dt.timedelta(hours=hour + 1),
            subject,
            f'{{"kind":"","model":"{model}"}}',
            Decimal(value),
        )
        for hour, subject, model, value in in_order
    ]


def test_an_answer_that_came_in_parts_is_in_order_too() -> None:
    noon, end = DAY + dt.timedelta(hours=12), DAY + dt.timedelta(days=1)

    class OfHalfADay:
        """Bob has usage in the morning, Ann in the afternoon."""

        async def query(self, meter_id: str, question: Question) -> pl.DataFrame:
            if question.end - question.start > noon - DAY:
                raise ServerTooSlow("too large")
            subject = "bob" if question.start == DAY else "ann"
            row = (question.start, question.end, subject, "{}", Decimal(1))
            return pl.DataFrame([row], schema=ANSWER, orient="row")

    whole = Question(METER, DAY, end, by_subject=True)
    rows = asyncio.run(ask(OfHalfADay(), "01J", whole))  # type: ignore[arg-type]
    assert rows.rows() == [(DAY, end, subject, "{}", Decimal(1)) for subject in ("ann", "bob")]


def test_values_are_rounded_half_away_from_zero_and_bounded() -> None:
    values = [
        Decimal("0.00000000000000000005"),
        Decimal("-0.00000000000000000005"),
        Decimal("9999999999999999999"),
    ]
    step = Decimal("1e-19")
    assert stored_values(ASKED, "POST query", values).to_list() == [step, -step, values[2]]
    with pytest.raises(ValueTooLarge, match="POST query"):
        stored_values(ASKED, "POST query", [Decimal(10) ** 19])


def test_whole_numbers_have_to_add_up_to_the_last_unit() -> None:
    rows = stored_values(ASKED, "POST query", [Decimal(5), Decimal(-3), Decimal(2**50)])
    require_total(METER, DAY.date(), rows, [Decimal(2**50 + 2)])
    for total in ([Decimal(2**50 + 1)], [Decimal(2**50)], [], [Decimal(2**50 + 2), Decimal(0)]):
        with pytest.raises(ControlTotalDiffers, match="its 3 rows add up to 1125899906842626, but"):
            require_total(METER, DAY.date(), rows, total)


def test_a_total_of_more_digits_than_a_decimal_holds_is_still_exact() -> None:
    values = [Decimal("9999999999999999999.5")] * 10
    rows = stored_values(ASKED, "POST query", values)
    require_total(METER, DAY.date(), rows, [Decimal("99999999999999999995")])
    with pytest.raises(ControlTotalDiffers):
        require_total(METER, DAY.date(), rows, [Decimal("100000001000000000000")])
