import datetime as dt
from decimal import Decimal

from focus_assets.commands.printing import as_csv, as_json, as_table


def test_numbers_stand_to_the_right_and_texts_to_the_left() -> None:
    assert as_table(
        ["name", "cost"], [("a", Decimal("10.50")), ("long name", Decimal("2.000000000000000000"))]
    ) == ("name       cost\n---------  ----\na          10.5\nlong name     2\n(2 rows)\n")


def test_an_answer_without_rows_still_shows_its_columns() -> None:
    assert as_table(["a"], []) == "a\n-\n(0 rows)\n"
    assert as_csv(["a"], []) == "a\n"
    assert as_json(["a"], []) == "[]\n"


def test_a_large_whole_decimal_keeps_its_zeros() -> None:
    assert as_csv(["a"], [(Decimal(1000),), (Decimal("12345678901234567890.123456789012345678"),)]) == (
        "a\n1000\n12345678901234567890.123456789012345678\n"
    )


def test_instants_are_printed_in_utc() -> None:
    instant = dt.datetime(2026, 8, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    assert as_csv(["at"], [(instant,)]) == "at\n2026-08-01T00:00:00Z\n"
