"""Usage that came after OpenMeter had frozen a line's quantity: shown as used, billed nowhere, and never in the way.

Tokens cost 0.0333 up to 100 with a fee of 0.555, then 0.0123. The invoices are written by hand.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from focus_assets.billing.corrections import unbilled_usage
from focus_assets.focus.columns import VERSIONS
from focus_assets.focus.project import project
from focus_assets.focus.rules import check, rules_for
from focus_assets.settings import BillingSettings
from focus_assets_tests.billing.weeks import BEFORE, Weeks, configuration, price
from focus_assets_tests.billing.weeks import TIERS as PRICE

D = Decimal
FIRST, NEXT = dt.datetime(2026, 8, 1, tzinfo=dt.UTC), dt.datetime(2026, 8, 8, tzinfo=dt.UTC)
ISSUED = dt.datetime(2026, 8, 8, 1, tzinfo=dt.UTC)
QUANTITIES = ["ConsumedQuantity", "PricingQuantity"]
COSTS = ("ListCost", "ContractedCost", "BilledCost", "EffectiveCost")

USED = (
    (1, "ann", "tokens", "large", "61"),
    (3, "ann", "tokens", "large", "60"),
    (3, "ann", "tokens", "small", "7"),
    (7, "ann", "tokens", "small", "11"),
)
LATE = (2, "ann", "tokens", "large", "70")

Detail = tuple[str, str, str]
"""Quantity, price of one, amount."""

TIERS: Sequence[Detail] = (("100", "0.0333", "3.33"), ("1", "0.555", "0.56"), ("39", "0.0123", "0.48"))
"""What 139 tokens come to: 3.33, 0.555 = 0.56 and 0.4797 = 0.48."""


def invoice(
    frozen: str,
    details: Sequence[Detail],
    part: tuple[dt.datetime, dt.datetime] = (FIRST, NEXT),
    before: str | None = None,
    plan: str = "basic",
    item: str = "tokens",
    billing: tuple[dt.datetime, dt.datetime] = (FIRST, NEXT),
    **of: Any,
) -> dict[str, Any]:
    """An issued invoice of what Ann used of an item in a part of a billing period: mostly tokens of the first week."""
    number = of.get("number", f"ANN-{part[0]:%d}")
    net = sum((D(amount) for _, _, amount in details), D(0))
    line = {
        "id": f"line-{number}",
        "name": item.title(),
        "start": part[0],
        "end": part[1],
        "billing_start": billing[0],
        "billing_end": billing[1],
        "subscription": f"ann/{plan}",
        "item": item,
        "feature": item,
        "metered": frozen,
        "metered_before": before,
        "net": net,
        "details": [
            {"id": f"{number}/{n}", "quantity": quantity, "unit_price": each, "net": amount}
            for n, (quantity, each, amount) in enumerate(details)
        ],
    }
    return {
        "id": f"id-{number}",
        "number": number,
        "status": "issued",
        "currency": "USD",
        "customer": "ann",
        "total": net,
        "created_at": ISSUED,
        "issued_at": ISSUED,
        "lines": [line],
    } | of


def weeks(
    root: Path, *invoices: dict[str, Any], usage: Sequence[Any] = (*USED, LATE), **catalog: Any
) -> Weeks:
    return Weeks(
        root,
        usage=usage,
        catalog=configuration(**catalog) | {"invoices": list(invoices)},
        as_of=BEFORE,
        close_after_days=None,
        terms=BillingSettings(late_usage="not_billed"),
    )


def billed(rows: pl.DataFrame) -> dict[str, Decimal]:
    found = rows.drop_nulls("InvoiceId").group_by("InvoiceId").agg(pl.col("BilledCost").sum())
    return dict(found.iter_rows())


def late(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter(pl.col("x_CorrectedInvoiceId").is_not_null())


def findings(found: Weeks) -> list[Any]:
    lines = found.reconciled().filter(pl.col("reference") != 0)
    assert not lines.is_empty()
    return [each for each in lines.select("difference", "finding").rows() if each != (D(0), None)]


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Weeks:
    """The late tokens are there before anything is computed."""
    return weeks(tmp_path_factory.mktemp("known"), invoice("139", TIERS)).compute(1, 8)


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Weeks:
    """The week closes, and then they come."""
    found = weeks(tmp_path_factory.mktemp("closed"), invoice("139", TIERS), usage=USED).compute(1, 8)
    found.before = found.rows()  # type: ignore[attr-defined]
    found.usage = (*USED, LATE)
    return found.compute(1, 8)


def test_rows_of_an_invoice_are_those_of_what_was_frozen(known: Weeks) -> None:
    assert billed(known.rows()) == {"ANN-01": D("4.37")}
    assert findings(known) == []
    reasons = known.rows().filter(pl.col("ChargeCategory") == "Adjustment")["x_AdjustmentReason"]
    assert set(reasons) == {"rounding"}


def test_what_came_late_is_a_correction_that_keeps_quantities_and_sku_and_costs_nothing(known: Weeks) -> None:
    """What was used last counts as late: 11 and 7 of the small model, 52 of the large one."""
    found = late(known.rows())
    assert sorted(found.select("SkuId", "ConsumedQuantity", "PricingQuantity").rows()) == [
        ("tokens/model=large", D(52), D(52)),
        ("tokens/model=small", D(18), D(18)),
    ]
    for row in found.to_dicts():
        assert (row["ChargeCategory"], row["x_CorrectedInvoiceId"]) == ("Usage", "ANN-01")
        assert [row[name] for name in COSTS] == [D(0)] * 4
        assert row["ChargeDescription"].startswith("Late usage that is not billed, ")
        for name in (
            "InvoiceId",
            "InvoiceDetailId",
            "ListUnitPrice",
            "ContractedUnitPrice",
            "PricingCategory",
        ):
            assert row[name] is None


def test_what_came_late_stands_in_one_order_however_rows_came(known: Weeks) -> None:
    """Equal quantities, so that these do not settle it."""
    used = known.rows().filter(pl.col("ChargeCategory") == "Usage", pl.col("ChargeClass").is_null())
    alike = used.with_columns(pl.lit(5).cast(used.schema[name]).alias(name) for name in QUANTITIES)
    found = [
        unbilled_usage(rows.lazy(), rows.clear().lazy(), alike["x_ChargeId"].unique())
        for rows in (alike, alike.reverse(), alike.sample(fraction=1, shuffle=True, seed=7))
    ]
    assert found[0].height > 2
    assert_frame_equal(found[1], found[0])
    assert_frame_equal(found[2], found[0])


def test_days_before_the_last_take_back_what_they_had_too_much(known: Weeks) -> None:
    """198 tokens were rated when the last day began, 139 are billed: 59 at 0.0123 are taken back on it."""
    of_last_day = known.rows().filter(
        pl.col("ChargePeriodStart").dt.day() == 7,
        pl.col("ChargeClass").is_null(),
        pl.col("ChargeCategory") == "Usage",
    )
    assert sorted(of_last_day.select("SkuId", "ConsumedQuantity", "BilledCost").rows()) == [
        ("tokens/model=large", D(-52), D("-0.6396")),
        ("tokens/model=small", D(-7), D("-0.0861")),
    ]


def test_all_usage_is_in_the_rows_once(known: Weeks, closed: Weeks) -> None:
    for found in (known, closed):
        assert found.rows()["ConsumedQuantity"].sum() == 209
        assert found.rows().filter(pl.col("ChargeCategory") == "Usage")["PricingQuantity"].sum() == 209


def test_a_period_that_closed_before_is_corrected_by_the_late_tokens_alone(closed: Weeks) -> None:
    before = closed.before  # type: ignore[attr-defined]
    rows = closed.rows()
    names = [name for name in rows.columns if name != "x_IsEstimated"]
    kept = rows.filter(pl.col("ChargeClass").is_null()).select(names)
    assert kept.sort(names).equals(before.select(names).sort(names))
    found = late(rows)
    assert found.select(
        "ChargePeriodStart", "BillingPeriodStart", "SkuId", *QUANTITIES, "BilledCost"
    ).rows() == [(FIRST + dt.timedelta(days=1), NEXT, "tokens/model=large", D(70), D(70), D(0))]
    assert billed(rows) == {"ANN-01": D("4.37")}
    assert findings(closed) == []


def test_both_ways_come_to_the_same_costs_and_quantities(known: Weeks, closed: Weeks) -> None:
    sums = [found.rows().select(pl.col(*QUANTITIES, *COSTS).sum()) for found in (known, closed)]
    assert sums[0].equals(sums[1])


def test_computing_the_days_again_changes_nothing(closed: Weeks) -> None:
    before = closed.rows()
    assert closed.compute(1, 8).rows().equals(before)


@pytest.mark.parametrize("version", VERSIONS)
def test_rows_with_late_usage_break_no_rule(known: Weeks, version: str) -> None:
    report = check(project(known.rows().lazy(), version), rules_for(version))
    assert [result.sentence for result in report.violated if result.rule.blocking] == []


def test_a_maximum_is_held_against_what_was_frozen(tmp_path: Path) -> None:
    """120 at 1.00 are capped at 100; frozen were 90, so that 30 less are 10 less."""
    capped = price("1", maximum_amount="100")
    plan = configuration()["plans"][0] | {"rate_cards": [{"feature": "tokens", "price": capped}]}
    usage = [(1, "ann", "tokens", "large", "60"), (3, "ann", "tokens", "large", "60")]
    made = invoice("90", [("90", "1", "90")])
    found = weeks(tmp_path, made, usage=usage, plans=[plan]).compute(1, 8)
    assert billed(found.rows()) == {"ANN-01": D(90)}
    assert late(found.rows())["ConsumedQuantity"].to_list() == [D(30)]
    assert findings(found) == []


def test_packages_are_those_that_the_frozen_quantity_opened(tmp_path: Path) -> None:
    """Packages of 50 at 2: 139 open three, 209 five."""
    packages = {"type": "package", "amount": "2", "quantity_per_package": "50"}
    plan = configuration()["plans"][0] | {"rate_cards": [{"feature": "tokens", "price": packages}]}
    found = weeks(tmp_path, invoice("139", [("3", "2", "6")]), plans=[plan]).compute(1, 8)
    assert billed(found.rows()) == {"ANN-01": D(6)}
    assert late(found.rows()).select(pl.col(QUANTITIES).sum()).row(0) == (D(70), D(2))
    assert findings(found) == []


def test_usage_that_was_taken_back_after_the_freeze_stays_billed(tmp_path: Path) -> None:
    """139 were frozen and billed; ten of them are gone since."""
    gone = (2, "ann", "tokens", "large", "-10")
    found = weeks(tmp_path, invoice("139", TIERS), usage=(*USED, gone)).compute(1, 8)
    assert billed(found.rows()) == {"ANN-01": D("4.37")}
    assert late(found.rows()).select("ConsumedQuantity", "BilledCost").rows() == [(D(-10), D(0))]
    assert found.rows()["ConsumedQuantity"].sum() == 129
    assert findings(found) == []


def test_only_the_part_that_was_invoiced_has_late_usage(tmp_path: Path) -> None:
    """Until the 4th 128 were frozen, 198 are there by now; the second line begins at what was there when it was made.

    128: 3.33, 0.56 and 28 x 0.0123 = 0.3444 = 0.34. Then 11 x 0.0123 = 0.1353 = 0.14.
    """
    cut = dt.datetime(2026, 8, 4, 13, 45, tzinfo=dt.UTC)
    first = invoice("128", [*TIERS[:2], ("28", "0.0123", "0.34")], (FIRST, cut), "0")
    second = invoice("11", [("11", "0.0123", "0.14")], (cut, NEXT), "198")
    found = weeks(tmp_path, first, second).compute(1, 8)
    assert billed(found.rows()) == {"ANN-01": D("4.23"), "ANN-04": D("0.14")}
    assert late(found.rows()).select("ConsumedQuantity", "x_CorrectedInvoiceId").sum().row(0)[0] == D(70)
    assert set(late(found.rows())["x_CorrectedInvoiceId"]) == {"ANN-01"}
    assert findings(found) == []


def test_what_came_late_of_a_part_has_prices_and_no_charge_class_in_its_billing_period(
    tmp_path: Path,
) -> None:
    """61 were frozen on the 3rd at noon, and 10 more of the 2nd are 0.333 at the price of the first tier."""
    noon = dt.datetime(2026, 8, 3, 12, tzinfo=dt.UTC)
    first = invoice("61", [("61", "0.0333", "2.03"), TIERS[1]], (FIRST, noon), "0")
    second = invoice("78", [("39", "0.0333", "1.30"), TIERS[2]], (noon, NEXT), "61")
    found = weeks(tmp_path, first, usage=(*USED, (2, "ann", "tokens", "large", "10"))).compute(1, 8)
    open_still = late(found.rows())
    assert open_still.select("ChargeClass", "ConsumedQuantity", *COSTS).rows() == [
        (None, D(10), D("0.333"), D("0.333"), 0, 0)
    ]
    for version in VERSIONS:
        report = check(project(found.rows().lazy(), version), rules_for(version))
        assert [result.sentence for result in report.violated if result.rule.blocking] == []

    found.catalog = {**found.catalog, "invoices": [first, second]}
    found.compute(1, 8)
    assert late(found.rows()).drop("x_IsEstimated").equals(open_still.drop("x_IsEstimated"))
    assert findings(found) == []


def test_what_came_late_of_the_last_invoice_of_a_subscription_is_a_correction(tmp_path: Path) -> None:
    """It ends on the 5th, and nothing of its week is invoiced after that: 128 were frozen, and ten more came.

    3.33, 0.56 and 28 x 0.0123 = 0.3444 = 0.34. What ends with the price alone is followed by another line.
    """
    ends = dt.datetime(2026, 8, 5, tzinfo=dt.UTC)
    made = invoice("128", [*TIERS[:2], ("28", "0.0123", "0.34")], (FIRST, ends))
    late_tokens = (2, "ann", "tokens", "large", "10")
    ann = configuration()["subscriptions"][0]
    version = {"feature": "tokens", "price": PRICE}
    other = {"feature": "tokens", "price": price("0.01"), "valid_from": ends}
    for subscription, expected in (
        (ann | {"active_to": ends}, ("Correction", None, D(0))),
        (ann | {"rate_cards": [version, other]}, (None, "Standard", D("0.123"))),
    ):
        found = weeks(
            tmp_path / str(expected[0]), made, usage=(*USED[:3], late_tokens), subscriptions=[subscription]
        ).compute(1, 8)
        rows = late(found.rows())
        [told] = rows.select("ChargeClass", "PricingCategory", "x_CorrectedInvoiceId").unique().rows()
        assert (*told[:2], rows["ListCost"].sum(), told[2]) == (*expected, "ANN-01")
        sums = rows.select(pl.col("ConsumedQuantity", "BilledCost", "EffectiveCost").sum())
        assert sums.row(0) == (D(10), 0, 0)
        assert billed(found.rows()) == {"ANN-01": D("4.23")}
        assert findings(found) == []
        for version_of_focus in VERSIONS:
            report = check(project(found.rows().lazy(), version_of_focus), rules_for(version_of_focus))
            assert [result.sentence for result in report.violated if result.rule.blocking] == []


IN_PARTS = dt.datetime(2026, 8, 3, 6, 0, tzinfo=dt.UTC)
"""61 tokens before it, 78 after it."""


def test_what_came_of_the_first_part_after_the_second_froze_moves_no_tier_of_the_second(
    tmp_path: Path,
) -> None:
    """Both lines were made of 61 tokens: 2.0313 = 2.03 and 0.56, then 39 x 0.0333 = 1.2987 = 1.30 and 0.48.

    Ten more came then. Counted from the 71 that are there now, 29 would be left of the first tier and not 39.
    """
    first = invoice("61", [("61", "0.0333", "2.03"), TIERS[1]], (FIRST, IN_PARTS), "0")
    second = invoice("78", [("39", "0.0333", "1.30"), TIERS[2]], (IN_PARTS, NEXT), "61")
    late_tokens = (2, "ann", "tokens", "large", "10")
    found = weeks(tmp_path, first, second, usage=(*USED, late_tokens)).compute(1, 8)
    assert billed(found.rows()) == {"ANN-01": D("2.59"), "ANN-03": D("1.78")}
    assert set(found.rows()["x_AdjustmentReason"].drop_nulls()) == {"rounding"}
    assert late(found.rows()).select("ConsumedQuantity", "BilledCost", "x_CorrectedInvoiceId").rows() == [
        (D(10), D(0), "ANN-01")
    ]
    assert findings(found) == []


def test_a_maximum_counts_what_was_billed_of_the_first_part_and_not_what_came_since(tmp_path: Path) -> None:
    """At 1.00 the first line was 61. Ten came before the second was made, which begins at 71; 39 of its 78 are left."""
    plan = configuration()["plans"][0] | {
        "rate_cards": [{"feature": "tokens", "price": price("1", maximum_amount="100")}]
    }
    first = invoice("61", [("61", "1", "61")], (FIRST, IN_PARTS), "0")
    second = invoice("78", [("78", "1", "39")], (IN_PARTS, NEXT), "71")
    late_tokens = (2, "ann", "tokens", "large", "10")
    found = weeks(tmp_path, first, second, usage=(*USED, late_tokens), plans=[plan]).compute(1, 8)
    assert billed(found.rows()) == {"ANN-01": D(61), "ANN-03": D(39)}
    assert findings(found) == []


def test_a_line_that_bills_the_difference_also_bills_what_came_late_of_the_one_before(tmp_path: Path) -> None:
    """OpenMeter's charges: 128 were frozen, then 209 in all: 81 x 0.0123 = 0.9963 = 1.00. 11 were used since."""
    cut = dt.datetime(2026, 8, 4, 13, 45, tzinfo=dt.UTC)
    first = invoice("128", [*TIERS[:2], ("28", "0.0123", "0.34")], (FIRST, cut))
    second = invoice("81", [("81", "0.0123", "1.00")], (cut, NEXT))
    found = weeks(tmp_path, first, second).compute(1, 8)
    assert billed(found.rows()) == {"ANN-01": D("4.23"), "ANN-04": D("1.00")}
    adjusted = found.rows().filter(pl.col("x_AdjustmentReason") == "late_usage")
    assert adjusted.select("InvoiceId", "BilledCost").rows() == [("ANN-04", D("0.8647"))]
    assert findings(found) == []
    notes = found.reconciled().filter(pl.col("InvoiceId") == "ANN-04")["note"].to_list()
    assert notes == ["0.8647 is for usage that came after an earlier line was frozen"]
