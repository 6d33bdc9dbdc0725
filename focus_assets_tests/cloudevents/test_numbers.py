"""A value is the number that was written, digit by digit, never what a binary float makes of it."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from duckdb import DuckDBPyConnection

from focus_assets.catalog.models import Meter
from focus_assets.cloudevents import MeteredValueTooLarge
from focus_assets_tests.cloudevents.opening import TOKENS, catalog, event, read_day, total, write_lines

WRITTEN = {
    "0.1": "0.1",
    "1e3": "1000",
    "1E-7": "0.0000001",
    "1.5E+2": "150",
    "-0": "0",
    "-0.0": "0",
    "-12.50": "-12.5",
    "0.1234567890123456789": "0.1234567890123456789",
    "123456789012345678": "123456789012345678",
    "99999999999999999.9999999999999999999": "99999999999999999.9999999999999999999",
    "9007199254740993": "9007199254740993",
    "9007199254740993.5": "9007199254740993.5",
    "0.30000000000000004": "0.30000000000000004",
    "0.3000000000000000444": "0.3000000000000000444",
    "1234567890.12345678901e5": "123456789012345.678901",
    "5e-20": "0.0000000000000000001",
    "-5e-20": "-0.0000000000000000001",
    "4.9e-20": "0",
    "0.12345678901234567895": "0.1234567890123456790",
    "1e-400": "0",
}


@pytest.mark.parametrize("text", [False, True], ids=["as a number", "as a text"])
@pytest.mark.parametrize("written", WRITTEN)
def test_a_value_keeps_its_digits(
    written: str, text: bool, connection: DuckDBPyConnection, tmp_path: Path
) -> None:
    value = json.dumps(written) if text else written
    line = json.dumps(event(data={"model": 'a "12345678901234567890, 5"'}))
    write_lines(tmp_path / "a.ndjson", [line.replace('"data": {', f'"data": {{"tokens": {value}, ')])
    found = read_day(connection, tmp_path, of=catalog(TOKENS))
    assert found.counts["quarantined"] == 0
    assert total(found) == Decimal(WRITTEN[written])
    assert json.loads(found.raw["dimensions"].item()) == {"model": 'a "12345678901234567890, 5"'}


@pytest.mark.parametrize(
    "written",
    [
        "true",
        "null",
        "[1]",
        "{}",
        '""',
        '" 1"',
        '"1 "',
        '"1_000"',
        '"1,5"',
        '"0x10"',
        '"nan"',
        '"Infinity"',
        "NaN",
        '"-"',
        '"."',
    ],
)
def test_what_is_no_number_adds_nothing(written: str, connection: DuckDBPyConnection, tmp_path: Path) -> None:
    line = json.dumps(event("odd"))
    write_lines(tmp_path / "a.ndjson", [line.replace('"tokens": 1', f'"tokens": {written}'), event("plain")])
    found = read_day(connection, tmp_path, of=catalog(TOKENS))
    assert found.counts["metered"] == 2
    assert total(found) == 1


def test_a_sum_that_does_not_fit_is_an_error_that_names_the_meter(
    connection: DuckDBPyConnection, tmp_path: Path
) -> None:
    for count in (11, 200):
        write_lines(tmp_path / "a.ndjson", [event(str(i), data={"tokens": 10**18 - 1}) for i in range(count)])
        with pytest.raises(MeteredValueTooLarge, match=r"meter 'tokens'.*Nothing was written"):
            read_day(connection, tmp_path)


def test_a_sum_of_small_parts_is_exact(connection: DuckDBPyConnection, tmp_path: Path) -> None:
    write_lines(tmp_path / "a.ndjson", [event(str(i), data={"tokens": 0.1}) for i in range(10_000)])
    assert total(read_day(connection, tmp_path)) == Decimal(1000)


def test_an_average_is_rounded_once_half_away_from_zero(
    connection: DuckDBPyConnection, tmp_path: Path
) -> None:
    meter = Meter.model_validate({**TOKENS.model_dump(), "slug": "average", "aggregation": "AVG"})
    write_lines(tmp_path / "a.ndjson", [event(str(i), data={"tokens": t}) for i, t in enumerate([-1, 0, -1])])
    found = read_day(connection, tmp_path, of=catalog(meter))
    assert found.raw["value"].to_list() == [Decimal("-0.6666666666666666667")]
