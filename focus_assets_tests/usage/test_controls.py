"""Control totals, mutation by mutation: silent on what the stages made, loud on any one thing changed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from focus_assets.catalog.fees import fees_on
from focus_assets.datasets import USAGE_TOTALS
from focus_assets.decimals import METERED_QUANTITY
from focus_assets.usage.controls import (
    fees_against_focus,
    normalized_against_totals,
    normalized_against_unbilled,
    raw_against_normalized,
    totals_against_focus,
)
from focus_assets.usage.rateable import no_earlier_totals, opening_quantities
from focus_assets.usage.totals import unbilled_usage, usage_totals
from focus_assets_tests.catalog.building import catalog, subscription
from focus_assets_tests.usage.usage_rows import (
    BY_DIRECTION,
    DAY,
    normalized,
    raw,
    slices_of,
    to_date,
    usage_catalog,
    window,
)

TOKENS = "acme/pro/tokens/20260301T000000Z"
SEATS = "acme/pro/seats/20260301T000000Z"
ROWS = [
    window("a", "1.5", dimensions={"direction": "input"}),
    window("b", 2, dimensions={"direction": "input"}),
    window("b", 3, dimensions={"direction": ""}),
    window("b", 3, dimensions={"direction": "null"}),
    window("nobody", 4),
    window("nobody", 9, meter="seats"),
    window("a", 9, meter="seats"),
    to_date(SEATS, 9),
]
Change = Callable[[pl.LazyFrame], pl.LazyFrame]


def without_row(number: int) -> Change:
    return lambda frame: frame.with_row_index("n").filter(pl.col("n") != number).drop("n")


def twice(number: int) -> Change:
    return lambda frame: pl.concat([frame, frame.slice(number, 1)])


def with_row_changed(number: int, column: str, value: Any) -> Change:
    def changed(frame: pl.LazyFrame) -> pl.LazyFrame:
        dtype = frame.collect_schema()[column]
        return (
            frame.with_row_index("n")
            .with_columns(
                pl.when(pl.col("n") == number)
                .then(pl.lit(value, dtype))
                .otherwise(pl.col(column))
                .alias(column)
            )
            .drop("n")
        )

    return changed


@pytest.fixture
def made() -> pl.LazyFrame:
    return normalized(*ROWS)


def test_normalized_usage_agrees_with_the_raw_usage_it_was_made_of(made: pl.LazyFrame) -> None:
    assert raw_against_normalized(raw(*ROWS), made).is_empty()
    assert raw_against_normalized(raw(), normalized()).is_empty()


def test_rounding_to_nine_places_is_no_difference() -> None:
    rows = [window(f"subject {n}", "0.3333333333333333333") for n in range(3)]
    assert raw_against_normalized(raw(*rows), normalized(*rows)).is_empty()


@pytest.mark.parametrize(
    ("change", "meter", "kind"),
    [
        (without_row(0), "seats", "to_date"),
        (without_row(3), "tokens", "window"),
        (twice(4), "tokens", "window"),
        (with_row_changed(5, "quantity", Decimal("2.000000001")), "tokens", "window"),
        (with_row_changed(0, "quantity", Decimal(10)), "seats", "to_date"),
        (with_row_changed(3, "meter", "seats"), "tokens", "window"),
        (with_row_changed(0, "kind", "window"), "seats", "to_date"),
    ],
    ids=["to date lost", "window lost", "window twice", "quantity", "to date", "meter", "kind"],
)
def test_what_changed_on_the_way_to_normalized_usage_is_found_by_meter_and_kind(
    made: pl.LazyFrame, change: Change, meter: str, kind: str
) -> None:
    found = raw_against_normalized(raw(*ROWS), change(made))
    assert (meter, kind) in found.select("meter", "kind").rows()


def test_a_lost_row_without_quantity_is_found_by_the_count() -> None:
    rows = [window("a", 0), window("b", 5)]
    (found,) = raw_against_normalized(raw(*rows), normalized(rows[1])).rows(named=True)
    assert (found["raw_rows"], found["normalized_rows"]) == (2, 1)
    assert found["raw_quantity"] == found["normalized_quantity"] == 5


def totals_control(change: Change = lambda frame: frame, **changed: Any) -> pl.DataFrame:
    catalog = usage_catalog(**changed)
    slices = slices_of(catalog)
    asked = {s.charge.charge_id for s in slices}
    rows = [row for row in ROWS if row["charge_id"] is None or row["charge_id"] in asked]
    usage = normalized(*rows, catalog=catalog)
    return normalized_against_totals(usage, change(usage_totals(usage, slices)), slices)


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"features": BY_DIRECTION},
        {"features": [{"key": "all", "meter": "tokens"}, *BY_DIRECTION]},
        {"subscriptions": []},
    ],
    ids=["plain", "filters", "three features on one meter", "no charge"],
)
def test_totals_agree_with_the_usage_they_were_made_of(changed: dict[str, Any]) -> None:
    assert totals_control(**changed).is_empty()


def test_totals_agree_where_a_period_ends_within_the_day() -> None:
    catalog = usage_catalog(subscriptions=[subscription(active_from="2026-01-10T13:22:07Z")])
    slices = slices_of(catalog)
    cut = "2026-03-10T13:22:07"
    usage = normalized(
        window("a", 2, start="2026-03-10T13:00:00", end=cut),
        window("a", 4, start=cut, end="2026-03-10T14:00:00"),
        to_date("acme/pro/seats/20260210T132207Z", 7, end=cut, start="2026-02-10T13:22:07"),
        to_date("acme/pro/seats/20260310T132207Z", 3, start=cut),
        catalog=catalog,
    )
    assert normalized_against_totals(usage, usage_totals(usage, slices), slices).is_empty()


@pytest.mark.parametrize(
    ("change", "charge_id"),
    [
        (with_row_changed(1, "quantity", Decimal("9.500000001")), TOKENS),
        (with_row_changed(0, "quantity_to_date", Decimal(8)), SEATS),
        (without_row(0), SEATS),
        (without_row(1), TOKENS),
        (twice(1), TOKENS),
        (with_row_changed(1, "charge_id", "acme/pro/other/20260301T000000Z"), TOKENS),
        (
            with_row_changed(1, "charge_id", "acme/pro/other/20260301T000000Z"),
            "acme/pro/other/20260301T000000Z",
        ),
    ],
    ids=["quantity", "to date", "to date lost", "lost", "twice", "renamed: old", "renamed: new"],
)
def test_a_total_that_is_not_its_usage_is_found_by_its_charge(change: Change, charge_id: str) -> None:
    assert charge_id in totals_control(change)["charge_id"].to_list()


@pytest.mark.parametrize("change", [without_row(1), twice(1)], ids=["lost", "twice"])
def test_a_total_of_nothing_has_to_be_there_once_too(change: Change) -> None:
    slices = slices_of(usage_catalog())
    totals = usage_totals(normalized(), slices)
    assert normalized_against_totals(normalized(), totals, slices).is_empty()
    (found,) = normalized_against_totals(normalized(), change(totals), slices).rows(named=True)
    assert found["charge_id"] == TOKENS
    assert found["charges"] != found["totals"]


def test_a_quantity_to_date_of_no_charge_of_the_day_is_found() -> None:
    slices = slices_of(usage_catalog())
    usage = normalized(to_date(SEATS, 9), to_date("acme/gone/seats/20260301T000000Z", 4))
    found = normalized_against_totals(usage, usage_totals(usage, slices), slices)
    assert found["charge_id"].to_list() == ["acme/gone/seats/20260301T000000Z"]


def unbilled_control(change: Change = lambda frame: frame, **changed: Any) -> pl.DataFrame:
    catalog = usage_catalog(**changed)
    slices, usage = slices_of(catalog), normalized(*ROWS, catalog=catalog)
    return normalized_against_unbilled(usage, change(unbilled_usage(usage, slices, catalog.on(DAY))), slices)


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"features": BY_DIRECTION},
        {"features": [{"key": "all", "meter": "tokens"}, *BY_DIRECTION]},
        {"subscriptions": []},
    ],
    ids=["plain", "filters", "three features on one meter", "no charge"],
)
def test_every_window_is_rated_or_unbilled(changed: dict[str, Any]) -> None:
    assert unbilled_control(**changed).is_empty()


@pytest.mark.parametrize(
    ("change", "meter"),
    [
        (without_row(0), "seats"),
        (without_row(1), "tokens"),
        (twice(1), "tokens"),
        (with_row_changed(1, "quantity", Decimal("4.000000001")), "tokens"),
        (with_row_changed(0, "meter", "storage"), "storage"),
    ],
    ids=["seats lost", "lost", "twice", "quantity", "meter"],
)
def test_a_window_that_is_neither_rated_nor_unbilled_or_both_is_found(change: Change, meter: str) -> None:
    assert meter in unbilled_control(change)["meter"].to_list()


def test_usage_that_is_rated_and_unbilled_at_once_is_found() -> None:
    def also_rated(unbilled: pl.LazyFrame) -> pl.LazyFrame:
        rated = normalized(*ROWS).filter(pl.col("subject") == "a", pl.col("meter") == "tokens")
        row = rated.with_columns(reason=pl.lit("outside_every_rate_card"))
        return pl.concat([unbilled, row.select(unbilled.collect_schema().names())])

    (found,) = unbilled_control(also_rated).rows(named=True)
    assert (found["meter"], found["accounted_rows"] - found["usage_rows"]) == ("tokens", 1)


def totals(*charges: tuple[str, str | None, str | None], day: int = 10) -> pl.LazyFrame:
    rows = [
        {
            "charge_date": DAY.replace(day=day),
            "charge_id": charge_id,
            "quantity": None if quantity is None else Decimal(quantity),
            "quantity_to_date": None if to_date_quantity is None else Decimal(to_date_quantity),
            "opening_quantity": None,
        }
        for charge_id, quantity, to_date_quantity in charges
    ]
    columns = ("charge_date", "charge_id", "quantity", "quantity_to_date", "opening_quantity")
    schema = {name: USAGE_TOTALS.schema[name] for name in columns}
    return pl.LazyFrame(rows, schema=schema)


PLATFORM = "acme/pro/platform/20260801T000000Z"


def fees_control(*rows: tuple[str, str, str | None]) -> list[tuple[str, int | None, int | None]]:
    """What the control says of FOCUS rows (charge, component, grant) on the day the platform fee is due."""
    platform = {"key": "platform", "price": {"type": "flat", "amount": "29"}}
    sold = catalog(
        plans=[{"key": "pro", "rate_cards": [platform]}],
        subscriptions=[subscription(active_from="2026-08-01")],
    )
    schema = {"x_ChargeId": pl.String, "x_PriceComponent": pl.String, "x_CreditGrantId": pl.String}
    frame = pl.LazyFrame(list(rows), schema=schema, orient="row")
    return fees_against_focus(fees_on(sold, dt.date(2026, 8, 1)), frame).rows()


def test_a_fee_that_is_due_is_one_row() -> None:
    fee, usage, other = (PLATFORM, "flat_fee", None), (TOKENS, "usage", None), ("another", "flat_fee", None)
    assert fees_control(fee, usage) == []
    assert fees_control(usage) == [(PLATFORM, 1, None)]
    assert fees_control(fee, fee) == [(PLATFORM, 1, 2)]
    assert fees_control(fee, other) == [("another", None, 1)]


def test_a_fee_that_credit_paid_for_is_one_fee_in_parts() -> None:
    part, rest = (PLATFORM, "flat_fee", "prepaid"), (PLATFORM, "flat_fee", None)
    assert fees_control(part) == fees_control(part, rest) == []
    assert fees_control(part, rest, rest) == [(PLATFORM, 1, 2)]


def focus(*rows: tuple[str, str | None, str]) -> pl.LazyFrame:
    return pl.LazyFrame(
        [
            {
                "x_ChargeId": charge_id,
                "ConsumedQuantity": None if quantity is None else Decimal(quantity),
                "ChargeCategory": category,
            }
            for charge_id, quantity, category in rows
        ],
        schema={"x_ChargeId": pl.String, "ConsumedQuantity": METERED_QUANTITY, "ChargeCategory": pl.String},
    )


USED = totals((TOKENS, "5", None), (SEATS, None, "9"), ("idle", "0", None))
BEFORE = totals((TOKENS, "100", None), (SEATS, None, "7"), day=9)
ROWS_OF_IT = [
    (TOKENS, "2", "Usage"),
    (TOKENS, "3", "Usage"),
    (TOKENS, None, "Purchase"),
    (SEATS, "2", "Usage"),
]


def test_focus_rows_consume_what_was_used_since_the_day_began() -> None:
    assert totals_against_focus(USED, opening_quantities(BEFORE), focus(*ROWS_OF_IT)).is_empty()


def test_on_a_charge_s_first_day_all_of_its_quantity_to_date_is_new() -> None:
    rows = [*ROWS_OF_IT[:3], (SEATS, "9", "Usage")]
    assert totals_against_focus(USED, opening_quantities(no_earlier_totals()), focus(*rows)).is_empty()


def test_a_value_that_fell_gives_usage_back() -> None:
    fallen = totals((SEATS, None, "4"))
    assert totals_against_focus(fallen, opening_quantities(BEFORE), focus((SEATS, "-3", "Usage"))).is_empty()


@pytest.mark.parametrize(
    ("rows", "charge_id"),
    [
        (ROWS_OF_IT[1:], TOKENS),
        ([*ROWS_OF_IT, ROWS_OF_IT[0]], TOKENS),
        ([*ROWS_OF_IT[:3]], SEATS),
        ([*ROWS_OF_IT[:3], (SEATS, "2.000000001", "Usage")], SEATS),
        ([*ROWS_OF_IT, ("idle", "1", "Usage")], "idle"),
        ([*ROWS_OF_IT, ("stranger", "1", "Usage")], "stranger"),
        ([(TOKENS, "2", "Purchase"), *ROWS_OF_IT[1:]], TOKENS),
    ],
    ids=["lost", "twice", "charge lost", "quantity", "idle charge", "unknown charge", "no usage"],
)
def test_focus_rows_that_consume_something_else_are_found_by_their_charge(
    rows: list[tuple[str, str | None, str]], charge_id: str
) -> None:
    found = totals_against_focus(USED, opening_quantities(BEFORE), focus(*rows))
    assert found["charge_id"].to_list() == [charge_id]
