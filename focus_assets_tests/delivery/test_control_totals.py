"""The control totals of a delivery, with figures added up by hand."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from focus_assets.delivery.files import control_totals
from focus_assets.delivery.manifest import ControlTotals

ROWS = pl.DataFrame(
    [
        ("EUR", "0.000000000000000001", "1", "GB", "2"),
        ("EUR", "10.5", "-1.5", "Requests", "3"),
        ("USD", "7", None, "GB", "0.25"),
        ("USD", "-7", None, None, "100"),
        (None, "1000", "1000", "GB", None),
    ],
    schema=["BillingCurrency", "BilledCost", "EffectiveCost", "ConsumedUnit", "ConsumedQuantity"],
    orient="row",
).with_columns(pl.col("BilledCost", "EffectiveCost", "ConsumedQuantity").cast(pl.Decimal(38, 18)))
BILLED = {"EUR": "10.500000000000000001", "USD": "0"}
EFFECTIVE = {"EUR": "-0.5"}
QUANTITY = {"GB": "2.25", "Requests": "3"}


def test_amounts_without_a_key_and_keys_without_an_amount_are_in_no_sum() -> None:
    assert control_totals(ROWS.lazy()) == ControlTotals(
        rows=5, billed_cost=BILLED, effective_cost=EFFECTIVE, consumed_quantity=QUANTITY
    )


def test_keys_are_sorted_whatever_the_order_of_rows() -> None:
    found = control_totals(ROWS.reverse().lazy())
    assert list(found.billed_cost) == ["EUR", "USD"]
    assert list(found.consumed_quantity) == ["GB", "Requests"]


@pytest.mark.parametrize(
    ("left_out", "billed", "effective", "quantity"),
    [
        (["ConsumedUnit"], BILLED, EFFECTIVE, {}),
        (["BilledCost", "ConsumedQuantity"], {}, EFFECTIVE, {}),
        (["BillingCurrency", "ConsumedUnit"], {}, {}, {}),
    ],
)
def test_a_partial_delivery_has_the_totals_of_what_it_holds(
    left_out: list[str], billed: dict[str, str], effective: dict[str, str], quantity: dict[str, str]
) -> None:
    assert control_totals(ROWS.drop(left_out).lazy()) == ControlTotals(
        rows=5, billed_cost=billed, effective_cost=effective, consumed_quantity=quantity
    )


def test_no_rows_are_no_sums(tmp_path: Path) -> None:
    ROWS.clear().write_parquet(tmp_path / "empty.parquet")
    for rows in (ROWS.clear().lazy(), pl.scan_parquet(tmp_path / "empty.parquet")):
        assert control_totals(rows) == ControlTotals(
            rows=0, billed_cost={}, effective_cost={}, consumed_quantity={}
        )


def test_sums_of_more_digits_than_python_keeps_by_itself_are_exact() -> None:
    """Thirty digits of two units in one currency: 28 is what decimal arithmetic rounds to unless told otherwise."""
    rows = pl.LazyFrame(
        {
            "BillingCurrency": ["EUR", "EUR", None],
            "ConsumedUnit": ["Tokens", "Requests", "Tokens"],
            "BilledCost": [Decimal("123456789012.000000000000000001"), Decimal("1.000000000000000001"), None],
        },
        schema_overrides={"BilledCost": pl.Decimal(38, 18)},
    ).with_columns(
        pl.col("BilledCost").alias("EffectiveCost"), pl.col("BilledCost").alias("ConsumedQuantity")
    )

    found = control_totals(rows)

    assert found.rows == 3
    assert found.billed_cost == {"EUR": "123456789013.000000000000000002"}
    assert found.consumed_quantity == {
        "Requests": "1.000000000000000001",
        "Tokens": "123456789012.000000000000000001",
    }
