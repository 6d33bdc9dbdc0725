"""The worked examples of docs/mapping.md, computed by rating and row building."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from focus_assets.catalog.charges import ChargeSlice
from focus_assets.catalog.credit_charges import credits_on
from focus_assets.catalog.fees import fees_on
from focus_assets.catalog.snapshot import Catalog
from focus_assets.focus.columns import VERSIONS
from focus_assets.focus.cost_and_usage import NOT_FILLED, build
from focus_assets.focus.credits import Spent, with_credits
from focus_assets.focus.project import project
from focus_assets.focus.rules import check, rules_for
from focus_assets.focus.schema import internal_schema
from focus_assets.focus.settable import SETTABLE
from focus_assets.rating import (
    OPENINGS,
    USAGE,
    conversion_table,
    fee_lines,
    limit_table,
    price_table,
    rate,
    slice_table,
)
from focus_assets.rating.lines import EARLIER_USAGE
from focus_assets_tests.focus.vendor import CATALOG, GRADUATED, UNIT, catalog, slices

DOCS = Path(__file__).parents[2] / "docs" / "mapping.md"
FIRST_DAY = dt.date(2026, 8, 15)

SHOWN = (
    "ChargeCategory",
    "ChargeFrequency",
    "SkuId",
    "SkuPriceId",
    "ConsumedQuantity",
    "PricingQuantity",
    "PricingUnit",
    "ListUnitPrice",
    "BilledCost",
)

FEE_DAY = dt.date(2026, 8, 21)
SHOWN_OF_FEES = (
    "ChargeFrequency",
    "SkuPriceId",
    "ChargePeriodStart",
    "ChargePeriodEnd",
    "PricingQuantity",
    "ListUnitPrice",
    "ListCost",
    "ContractedCost",
    "BilledCost",
)


def used(slice_: ChargeSlice, quantity: str, subject: str | None, dimensions: str) -> dict[str, Any]:
    return {
        "charge_id": slice_.charge.charge_id,
        "slice_from": slice_.period.start,
        "slice_to": slice_.period.end,
        "window_from": slice_.period.start,
        "subject": subject,
        "dimensions": dimensions,
        "quantity": Decimal(quantity),
    }


def example(vendor: Catalog) -> pl.LazyFrame:
    """On its first day globex uses 1,250 tokens of the large model; initech has 3 seats."""
    of_day = slices(vendor, FIRST_DAY)
    by_charge = {s.charge.charge_id: s for s in of_day}
    usage = [
        used(by_charge[GRADUATED], "1250", "globex-prod", '{"model":"large","region":"us-east","team":null}'),
        used(by_charge[UNIT], "3", None, "{}"),
    ]
    lines = rate(
        pl.LazyFrame(usage, schema=USAGE),
        pl.LazyFrame(schema=OPENINGS),
        slice_table(of_day),
        price_table(of_day),
    )
    return build(lines, of_day, vendor)


def limits_example() -> pl.LazyFrame:
    """On the last day of August globex uses 900 tokens after 100, initech's month ends short of its minimum."""
    chat = {
        "feature": "chat",
        "price": {"type": "unit", "amount": "0.02", "maximum_amount": "12"},
        "discounts": {"usage": "300", "percentage": "10"},
    }
    seats = {"feature": "seats", "price": {"type": "unit", "amount": "4", "minimum_amount": "20"}}
    globex, initech = CATALOG["subscriptions"]
    vendor = catalog(
        plans=[{"key": "pro", "name": "Pro", "rate_cards": [chat]}],
        subscriptions=[globex, {**initech, "rate_cards": [seats]}],
    )
    of_day = slices(vendor, dt.date(2026, 8, 31))
    by_charge = {s.charge.charge_id: s for s in of_day}
    usage = [
        used(by_charge[GRADUATED], "900", "globex-prod", '{"model":"large","region":"us-east","team":null}'),
        used(by_charge[UNIT], "3", None, "{}"),
    ]
    lines = rate(
        pl.LazyFrame(usage, schema=USAGE),
        pl.LazyFrame([(GRADUATED, Decimal(100))], schema=OPENINGS, orient="row"),
        slice_table(of_day),
        price_table(of_day),
        limit_table(of_day),
    )
    return build(lines, of_day, vendor)


CHAT_OF_INITECH = "initech/default/chat/20260801T000000Z"
LARGE = '{"model":"large","region":"us-east","team":null}'


def rated_days(vendor: Catalog, days: list[list[tuple[str, str, str]]]) -> pl.LazyFrame:
    """Rows of the last days of August; each day's usage as (charge, quantity, dimensions)."""
    earlier: list[dict[str, Any]] = []
    found = []
    for number, of_day in enumerate(days):
        day = slices(vendor, dt.date(2026, 9, 1) - dt.timedelta(days=len(days) - number))
        by_charge = {s.charge.charge_id: s for s in day}
        usage = [
            used(by_charge[charge], quantity, "globex-prod", dimensions)
            for charge, quantity, dimensions in of_day
        ]
        before = pl.LazyFrame(earlier, schema=EARLIER_USAGE)
        lines = rate(
            pl.LazyFrame(usage, schema=USAGE),
            before.group_by("charge_id").agg(pl.col("quantity").sum()),
            slice_table(day),
            price_table(day),
            limit_table(day),
            conversion_table(day),
            before,
        )
        found.append(build(lines, day, vendor))
        earlier += [{name: row[name] for name in EARLIER_USAGE} for row in usage]
    return pl.concat(found)


def volume_example() -> pl.LazyFrame:
    """Fifteen tokens at 10, and a sixteenth that makes all of them cost 5."""
    price = {
        "type": "tiered",
        "mode": "volume",
        "tiers": [{"up_to_amount": "15", "unit_price": "10"}, {"unit_price": "5"}],
    }
    vendor = catalog(
        plans=[{"key": "pro", "name": "Pro", "rate_cards": [{"feature": "chat", "price": price}]}],
    )
    east, west = LARGE, LARGE.replace("us-east", "eu-west")
    return rated_days(vendor, [[(GRADUATED, "10", east), (GRADUATED, "5", west)], [(GRADUATED, "1", west)]])


def packages_example() -> pl.LazyFrame:
    """Globex uses 300 and 500 tokens of a package of 1,000; initech one and a half blocks of a million."""
    packages = {"type": "package", "amount": "2", "quantity_per_package": "1000"}
    millions = {
        "feature": "chat",
        "price": {"type": "unit", "amount": "2.5"},
        "unit_config": {"operation": "divide", "conversion_factor": "1000000"},
    }
    globex, initech = CATALOG["subscriptions"]
    vendor = catalog(
        plans=[{"key": "pro", "name": "Pro", "rate_cards": [{"feature": "chat", "price": packages}]}],
        subscriptions=[globex, {**initech, "rate_cards": [millions]}],
    )
    return rated_days(
        vendor,
        [[(GRADUATED, "300", LARGE)], [(GRADUATED, "500", LARGE), (CHAT_OF_INITECH, "1500000", LARGE)]],
    )


SECTIONS = {"packages": packages_example, "volume tiers": volume_example}


@pytest.mark.parametrize("section", SECTIONS)
def test_the_example_of_a_section_stands_in_the_documentation_as_computed(section: str) -> None:
    assert _table(SECTIONS[section]()) in DOCS.read_text(encoding="utf-8"), _table(SECTIONS[section]())


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("version", VERSIONS)
def test_the_example_of_a_section_breaks_no_rule_of_any_version(section: str, version: str) -> None:
    report = check(project(SECTIONS[section](), version), rules_for(version))
    assert [result.sentence for result in report.violated] == []


def _table(rows: pl.LazyFrame) -> str:
    found = rows.select(SHOWN).collect()
    text = [f"| {' | '.join(SHOWN)} |", "|" + "---|" * len(SHOWN)]
    text += ["| " + " | ".join(_cell(value) for value in row) + " |" for row in found.iter_rows()]
    return "\n".join(text)


def fees_example() -> pl.LazyFrame:
    """Globex subscribes on 21 August with an anchor on the 1st, initech on the 1st with a support fee in arrears."""
    globex, initech = CATALOG["subscriptions"]
    platform = {"key": "platform", "name": "Platform", "price": {"type": "flat", "amount": "29"}}
    setup = {"key": "setup", "billing_cadence": None, "price": {"type": "flat", "amount": "100"}}
    support = {
        "key": "support",
        "feature": "support",
        "billing_cadence": "P1W",
        "price": {"type": "flat", "amount": "40", "payment_term": "in_arrears"},
        "dimensions": {"ServiceName": "Acme Support", "ServiceCategory": "Other"},
    }
    vendor = catalog(
        features=[*CATALOG["features"], {"key": "support", "name": "Support"}],
        plans=[{"key": "pro", "name": "Pro", "rate_cards": [platform, setup]}],
        subscriptions=[
            {
                **globex,
                "active_from": "2026-08-21",
                "billing_anchor": "2026-08-01",
                "rate_cards": [{**setup, "price": {"type": "flat", "amount": "80"}}],
            },
            {**initech, "rate_cards": [support]},
        ],
    )
    fees = fees_on(vendor.on(FEE_DAY), FEE_DAY)
    return build(fee_lines(fees), [], vendor, fees)


def test_the_example_of_fees_stands_in_the_documentation_as_computed() -> None:
    rows = fees_example().select(SHOWN_OF_FEES).collect()
    text = [f"| {' | '.join(SHOWN_OF_FEES)} |", "|" + "---|" * len(SHOWN_OF_FEES)]
    text += ["| " + " | ".join(_cell(value) for value in row) + " |" for row in rows.iter_rows()]
    assert "\n".join(text) in DOCS.read_text(encoding="utf-8"), "\n".join(text)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_example_of_fees_breaks_no_rule_of_any_version(version: str) -> None:
    report = check(project(fees_example(), version), rules_for(version))
    assert report.rows == 3
    assert [result.sentence for result in report.violated] == []


def credits_example() -> pl.LazyFrame:
    """The first example, with 8 given to globex and 30 bought, the latter only until the day's end."""
    of_globex = {"customer": "globex", "currency": "EUR", "effective_at": "2026-08-15T14:00:00Z"}
    vendor = catalog(
        credits=[
            {**of_globex, "key": "welcome", "name": "Welcome", "amount": "8", "priority": 1},
            {
                **of_globex,
                "key": "prepaid",
                "name": "Prepaid",
                "amount": "30",
                "funding_method": "invoice",
                "expires_at": "2026-08-16",
                "filters": {"features": ["chat"]},
            },
        ]
    )
    vendor.check_references()
    due = credits_on(vendor, FIRST_DAY)
    return with_credits(example(vendor), vendor.credits, Spent(), vendor, due, FIRST_DAY).rows


SHOWN_OF_CREDITS = (
    "ChargeCategory",
    "SkuPriceId",
    "PricingQuantity",
    "ListUnitPrice",
    "ContractedCost",
    "BilledCost",
    "EffectiveCost",
    "x_CreditGrantId",
)


def custom_currency_example() -> pl.LazyFrame:
    """100 tokens at half an AI credit, worth 0.02 each; 5 credits were given, 30 bought at 0.015."""
    chat = {"feature": "chat", "price": {"type": "unit", "amount": "0.5"}}
    of_globex = {"customer": "globex", "currency": "AI_CREDITS", "effective_at": "2026-08-15T14:00:00Z"}
    vendor = catalog(
        custom_currencies=[
            {
                "code": "AI_CREDITS",
                "name": "AI Credits",
                "cost_bases": [{"fiat_code": "EUR", "rate": "0.02"}],
            }
        ],
        plans=[{"key": "pro", "name": "Pro", "currency": "AI_CREDITS", "rate_cards": [chat]}],
        subscriptions=CATALOG["subscriptions"][:1],
        credits=[
            {**of_globex, "key": "welcome", "amount": "5", "priority": 1},
            {
                **of_globex,
                "key": "prepaid",
                "amount": "30",
                "funding_method": "invoice",
                "purchase": {"per_unit_cost_basis": "0.015"},
            },
        ],
    )
    vendor.check_references()
    of_day = slices(vendor, FIRST_DAY)
    usage = [used(of_day[0], "100", "globex-prod", '{"model":"large","region":"us-east","team":null}')]
    lines = rate(
        pl.LazyFrame(usage, schema=USAGE),
        pl.LazyFrame(schema=OPENINGS),
        slice_table(of_day),
        price_table(of_day),
    )
    rows, due = build(lines, of_day, vendor), credits_on(vendor, FIRST_DAY)
    return with_credits(rows, vendor.credits, Spent(), vendor, due, FIRST_DAY).rows


SHOWN_OF_CUSTOM_CURRENCY = (
    "ChargeCategory",
    "PricingQuantity",
    "PricingUnit",
    "ListUnitPrice",
    "BilledCost",
    "EffectiveCost",
    "PricingCurrencyListUnitPrice",
    "PricingCurrencyEffectiveCost",
    "x_CreditGrantId",
)


def test_the_example_of_a_custom_currency_stands_in_the_documentation_as_computed() -> None:
    rows = custom_currency_example().collect()
    assert set(rows["PricingCurrency"]) == {"AI_CREDITS"}
    assert set(rows["BillingCurrency"]) == {"EUR"}
    text = [f"| {' | '.join(SHOWN_OF_CUSTOM_CURRENCY)} |", "|" + "---|" * len(SHOWN_OF_CUSTOM_CURRENCY)]
    for row in rows.select(SHOWN_OF_CUSTOM_CURRENCY).iter_rows():
        text.append("| " + " | ".join(_cell(value) for value in row) + " |")
    assert "\n".join(text) in DOCS.read_text(encoding="utf-8"), "\n".join(text)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_example_of_a_custom_currency_breaks_no_rule_of_any_version(version: str) -> None:
    report = check(project(custom_currency_example(), version), rules_for(version))
    assert [result.sentence for result in report.violated] == []


def test_the_example_of_credits_stands_in_the_documentation_as_computed() -> None:
    rows = credits_example().select(SHOWN_OF_CREDITS).collect()
    text = [f"| {' | '.join(SHOWN_OF_CREDITS)} |", "|" + "---|" * len(SHOWN_OF_CREDITS)]
    text += ["| " + " | ".join(_cell(value) for value in row) + " |" for row in rows.iter_rows()]
    assert "\n".join(text) in DOCS.read_text(encoding="utf-8"), "\n".join(text)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_example_of_credits_breaks_no_rule_of_any_version(version: str) -> None:
    report = check(project(credits_example(), version), rules_for(version))
    assert [result.sentence for result in report.violated] == []


def test_the_example_of_limits_stands_in_the_documentation_as_computed() -> None:
    shown = (*SHOWN[:-1], "ContractedCost", "BilledCost")
    rows = limits_example().select(shown).collect()
    text = [f"| {' | '.join(shown)} |", "|" + "---|" * len(shown)]
    text += ["| " + " | ".join(_cell(value) for value in row) + " |" for row in rows.iter_rows()]
    assert "\n".join(text) in DOCS.read_text(encoding="utf-8"), "\n".join(text)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_example_of_limits_breaks_no_rule_of_any_version(version: str) -> None:
    report = check(project(limits_example(), version), rules_for(version))
    assert report.rows == 4
    assert [result.sentence for result in report.violated] == []


def test_the_worked_example_stands_in_the_documentation_as_computed() -> None:
    rows = example(catalog()).select(SHOWN).collect()
    text = [f"| {' | '.join(SHOWN)} |", "|" + "---|" * len(SHOWN)]
    text += ["| " + " | ".join(_cell(value) for value in row) + " |" for row in rows.iter_rows()]
    assert "\n".join(text) in DOCS.read_text(encoding="utf-8")


def test_the_text_columns_of_the_example_stand_in_the_documentation() -> None:
    documented = DOCS.read_text(encoding="utf-8")
    columns = ("ChargeDescription", "SkuPriceDetails", "Tags")
    for row in example(catalog()).select(columns).collect().iter_rows():
        for text in row:
            assert text is None or f"`{text}`" in documented


def test_every_column_has_a_line_in_the_documentation() -> None:
    documented = DOCS.read_text(encoding="utf-8")
    assert [name for name in internal_schema() if f"`{name}`" not in documented] == []
    assert set(NOT_FILLED) | set(SETTABLE) <= set(internal_schema())


@pytest.mark.parametrize("version", VERSIONS)
def test_the_example_breaks_no_rule_of_any_version(version: str) -> None:
    report = check(project(example(catalog()), version), rules_for(version))
    assert report.rows == 5
    assert [result.sentence for result in report.violated] == []


def _cell(value: Any) -> str:
    if isinstance(value, dt.datetime):
        return f"{value:%FT%TZ}"
    return f"{value.normalize():f}" if isinstance(value, Decimal) else "null" if value is None else str(value)
