"""``rate``: one line of an invoice, as OpenMeter's detailed lines."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import polars as pl
from pydantic import TypeAdapter, ValidationError

from focus_assets.catalog.periods import Period
from focus_assets.catalog.prices import AnyPrice, FreePrice
from focus_assets.catalog.rate_card_terms import Discounts, UnitConfig
from focus_assets.decimals import COST, PRICING_QUANTITY, minor_unit
from focus_assets.errors import FocusAssetsError
from focus_assets.rating.detailed_lines import Line, detailed_lines, line_tables
from focus_assets.rating.detailed_lines.credits import credits_applied
from focus_assets.rating.detailed_lines.pipeline import require_valid_components
from focus_assets.rating.detailed_lines.unit_config import with_billed_units
from focus_assets.rating.detailed_lines.usage_discount import usage_discounts, without_free_units
from focus_assets_tests.vectors import Difference, Skip
from focus_assets_tests.vectors.detailed import came_line, expected_line, same, text

Case = Mapping[str, Any]

_DAY = dt.datetime(2021, 1, 1, tzinfo=dt.UTC)
FULL = Period(_DAY, _DAY + dt.timedelta(hours=24))


def run(case: Case) -> Difference | None:
    """Rate the case's line and compare every component; of a helper's fact, ask the step that knows it."""
    if "price" not in case:
        return _component(case["component"])
    try:
        came = [came_line(row) for row in _rated(case).collect().iter_rows(named=True)]
    except (FocusAssetsError, ValidationError) as refusal:
        return None if case.get("expect_error") else Difference("lines", f"refused: {refusal}")
    if case.get("expect_error"):
        return Difference(f"error {case['expect_error']}", text(came))
    expected = [expected_line(line) for line in case["expect"]]
    if not same(expected, came):
        return Difference(text(expected), text(came))
    return _usage_discount(case) if case.get("component", {}).get("name") == "usage_discount" else None


def line_of(case: Case) -> Line:
    """The case's line, at the hours of its position in the period."""
    first, last = case["line"]["first_in_period"], case["line"]["last_in_period"]
    options = case.get("options") or []
    return Line(
        line_id=str(case["id"]),
        price=price_of(case),
        minor_unit=minor_unit(case["currency"], case.get("currency_precision")),
        period=Period(
            FULL.start if first else _DAY + dt.timedelta(hours=12),
            FULL.end if last else _DAY + dt.timedelta(hours=23),
        ),
        full_period=FULL,
        quantity=Decimal(case["usage"]["line_period"]),
        before=Decimal(case["usage"]["pre_line_period"]),
        previously_billed=Decimal(case.get("previously_billed") or 0),
        discounts=Discounts.model_validate(case.get("discounts") or {}),
        unit_config=UnitConfig.model_validate(case["unit_config"]) if case.get("unit_config") else None,
        credits=tuple(Decimal(amount) for amount in case.get("credits") or []),
        ignores_minimum="ignore_minimum_commitment" in options,
        ignores_credits="disable_credits_mutator" in options,
    )


def price_of(case: Case) -> AnyPrice:
    """The case's price; OpenMeter sorts tiers before it uses them, which a catalog of ours must have done."""
    given = case["price"]
    if given is None:
        return FreePrice(type="free")
    if given.get("tiers"):
        tiers = sorted(given["tiers"], key=lambda tier: Decimal(tier.get("upToAmount") or "Infinity"))
        given = {**given, "tiers": tiers}
    found: AnyPrice = TypeAdapter(AnyPrice).validate_python(given)
    return found


def _rated(case: Case) -> pl.LazyFrame:
    tables = line_tables([line_of(case)])
    enabled = case.get("unit_config_enabled", True)
    return detailed_lines(tables.lines, tables.tiers, tables.credits, unit_config_enabled=enabled)


def _usage_discount(case: Case) -> Difference | None:
    """What the free units took, before the line and in it, and what of both is left."""
    expected = case["component"]["expect"]
    tables = line_tables([line_of(case)])
    left = without_free_units(with_billed_units(tables.lines, enabled=True))
    row = left.select("before", "quantity").collect().row(0, named=True)
    came: dict[str, Any] = {"line_period": row["quantity"], "pre_line_period": row["before"]}
    came["line_discounts"] = usage_discounts(left).drop("line_id").collect().to_dicts()
    wanted = {
        "line_period": Decimal(expected["line_period"]),
        "pre_line_period": Decimal(expected["pre_line_period"]),
        "line_discounts": [
            {**found, **{key: Decimal(found[key]) for key in ("quantity", "pre_line_period")}}
            for found in expected.get("line_discounts") or []
        ],
    }
    return None if came == wanted else Difference(str(wanted), str(came))


def _component(component: Case) -> Difference | None:
    match component["name"]:
        case "credits":
            return _credits(component)
        case "validate_line":
            return _validate_line(component)
        case name:
            raise Skip(f"a fact about their helper {name}, which no step of ours has on its own")


def _credits(component: Case) -> Difference | None:
    given, expected = component["input"], component["expect"]
    had = [[c["amount"] for c in line["credits_applied"]] for line in given["lines"]]
    rows = [
        {
            "line_id": "line",
            "position": position,
            "net": Decimal(line["quantity"]) * Decimal(line["per_unit_amount"]) - sum(map(Decimal, paid)),
            "minor_unit": Decimal("0.01"),
        }
        for position, (line, paid) in enumerate(zip(given["lines"], had, strict=True))
    ]
    components = pl.LazyFrame(
        rows, schema_overrides={"position": pl.Int32(), "net": COST, "minor_unit": COST}
    )
    credits = pl.LazyFrame(
        [("line", index, Decimal(amount)) for index, amount in enumerate(given["credits"])],
        schema={"line_id": pl.String, "credit_index": pl.Int32, "amount": COST},
        orient="row",
    )
    try:
        applied = credits_applied(components, credits).collect()
    except FocusAssetsError as refusal:
        return None if "error" in expected else Difference(str(expected), f"refused: {refusal}")
    if "error" in expected:
        return Difference(str(expected), str(applied.to_dicts()))
    now = [applied.filter(position=place)["amount"].to_list() for place in range(len(rows))]
    came = [[*map(Decimal, paid), *more] for paid, more in zip(had, now, strict=True)]
    wanted = [[Decimal(amount) for amount in line] for line in expected["credits_applied"]]
    return None if came == wanted else Difference(str(wanted), str(came))


def _validate_line(component: Case) -> Difference | None:
    given, expected = component["input"], component["expect"]
    line = pl.LazyFrame(
        {
            "line_id": [given["ref"]],
            "quantity": [Decimal(given["quantity"])],
            "per_unit_amount": [Decimal(given["per_unit_amount"])],
        },
        schema_overrides={"quantity": PRICING_QUANTITY},
    )
    try:
        require_valid_components(line).collect()
    except FocusAssetsError as refusal:
        return Difference("ok", f"refused: {refusal}") if expected.get("ok") else None
    return None if expected.get("ok") else Difference(str(expected), "ok")
