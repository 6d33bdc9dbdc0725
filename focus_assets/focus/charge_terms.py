"""What all rows of a slice or of a price have in common, as two small tables for the lines to join.

What belongs here: facts of the catalog, one row per slice or per price component; loops over charges end
here. What does not: anything that differs from line to line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import polars as pl

from focus_assets.catalog.charges import Charge, ChargeSlice
from focus_assets.catalog.custom_currencies import PricedIn
from focus_assets.catalog.key_values import vendor_prefix
from focus_assets.catalog.models import Customer, Meter, Price
from focus_assets.catalog.rate_card_terms import Discounts, UnitConfig
from focus_assets.catalog.snapshot import FocusDefaults
from focus_assets.decimals import COST, UNIT_PRICE, UTC_INSTANT, minor_unit
from focus_assets.errors import FocusAssetsError
from focus_assets.focus.dimensions import Answer, Resolution
from focus_assets.focus.invoice_lines import line_name, line_stem
from focus_assets.focus.settable import SETTABLE
from focus_assets.focus.sku import (
    plain_price_details,
    price_details,
    price_stem,
    published_tier,
    stated_details,
)
from focus_assets.focus.tags import fixed_tags, vendor_tags
from focus_assets.focus.units import pricing_unit
from focus_assets.rating import price_table
from focus_assets.rating.lines import MINIMUM_COMPONENT, TIER_FEE_COMPONENT, USAGE_COMPONENT

NO_PLAN_TITLE: Final = "custom plan"

FACTS: Final = pl.Schema(
    {
        "charge_id": pl.String(),
        "slice_from": UTC_INSTANT,
        "_terms": pl.Int32(),
        "_meter": pl.String(),
        "_unit": pl.String(),
        "_pricing_unit": pl.String(),
        "_currency": pl.String(),
        "_pricing_currency": pl.String(),
        "_rate": UNIT_PRICE,
        "_billing_from": UTC_INSTANT,
        "_billing_to": UTC_INSTANT,
        "_feature_key": pl.String(),
        "_sku_key": pl.String(),
        "_once": pl.Boolean(),
        "_title": pl.String(),
        "_grant": pl.String(),
        "_plan_key": pl.String(),
        "_plan_title": pl.String(),
        "_subscription_key": pl.String(),
        "_invoice": pl.String(),
        "_invoice_line": pl.String(),
        "_minor_unit": COST,
        "_account_id": pl.String(),
        "_account_name": pl.String(),
        "_customer_key": pl.String(),
        "_vendor_tags": pl.String(),
        "_fixed_tags": pl.String(),
        **{f"_{column}": pl.String() for column in SETTABLE},
        **{f"_follows_{column}": pl.Boolean() for column, s in SETTABLE.items() if s.follows is not None},
    }
)

PRICES: Final = pl.Schema(
    {
        "_terms": pl.Int32(),
        "component": pl.String(),
        "tier": pl.Int32(),
        "_price_id": pl.String(),
        "_price_details": pl.String(),
        "_line_name": pl.String(),
    }
)

_Terms = tuple[str, Price, Discounts, Price, Discounts, UnitConfig | None]


class DuplicateSliceError(FocusAssetsError):
    """Two slices of one charge begin at the same instant, so lines would be counted twice."""


def charge_terms(
    slices: Sequence[ChargeSlice], resolution: Resolution, defaults: FocusDefaults
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The facts of slices and of their prices.

    Returns:
        One row per slice (``charge_id``, ``slice_from``): its account, periods, keys and titles, for each
        settable column X in ``_X`` what customer, meter or default say and in ``_follows_X`` whether it then
        follows another column, and in ``_terms`` its price.
        One row per price, component and tier (``_terms``, ``component``, ``tier``, null where untiered):
        ``_price_id``, the SkuPriceId without dimensions, ``_price_details`` and ``_line_name``, the invoice's line.

    Raises:
        DuplicateSliceError: a charge has two slices from the same instant.
    """
    numbers: dict[_Terms, int] = {}
    first: dict[int, ChargeSlice] = {}
    rows: list[dict[str, Any]] = []
    shared: dict[tuple[str, str], Mapping[str, Any]] = {}
    for s in slices:
        charge = s.charge
        number = numbers.setdefault(_terms(charge), len(numbers))
        first.setdefault(number, s)
        pair = (charge.customer.key, charge.meter.slug)
        if pair not in shared:
            answers = {column: resolution.of(charge.meter.slug, column) for column in SETTABLE}
            shared[pair] = of_customer(charge.customer, defaults, charge.meter) | of_columns(
                charge.customer, answers
            )
        rows.append({**_of_slice(s), "_terms": number, **shared[pair]})
    frame = pl.DataFrame(rows, schema=FACTS, orient="row")
    twice = frame.filter(pl.struct("charge_id", "slice_from").is_duplicated())
    if not twice.is_empty():
        raise DuplicateSliceError(
            f"Charge {twice.item(0, 'charge_id')} has two slices from {twice.item(0, 'slice_from'):%FT%TZ}; "
            "its lines would be counted twice. Nothing was written."
        )
    return frame, _prices(first, defaults)


def _terms(charge: Charge) -> _Terms:
    card = charge.rate_card
    return (
        price_stem(charge),
        card.price,
        card.discounts,
        charge.list_price,
        charge.list_discounts,
        card.unit_config,
    )


def _of_slice(s: ChargeSlice) -> dict[str, Any]:
    charge = s.charge
    return {
        "charge_id": charge.charge_id,
        "slice_from": s.period.start,
        "_meter": charge.meter.slug,
        "_unit": charge.meter.unit,
        "_pricing_unit": pricing_unit(charge),
        "_currency": charge.currency,
        **of_currency(charge.priced_in),
        "_billing_from": s.billing.start,
        "_billing_to": s.billing.end,
        "_feature_key": charge.feature.key,
        "_sku_key": charge.feature.key,
        "_title": charge.feature.title,
        "_plan_key": charge.plan.key if charge.plan else None,
        "_plan_title": charge.plan.title if charge.plan else NO_PLAN_TITLE,
        "_subscription_key": charge.subscription.key,
        "_invoice": s.invoice,
        "_invoice_line": line_stem(s) if s.invoice else None,
        "_minor_unit": minor_unit(charge.currency) if s.invoice else None,
    }


def of_currency(priced_in: PricedIn | None) -> dict[str, Any]:
    """What rows say whose prices are in a custom currency."""
    if priced_in is None:
        return {}
    return {"_pricing_currency": priced_in.currency.code, "_rate": priced_in.rate}


def of_customer(customer: Customer, defaults: FocusDefaults, meter: Meter | None = None) -> dict[str, Any]:
    """What the rows of a customer have in common, of one meter where there is one."""
    return {
        "_account_id": customer.account_id,
        "_account_name": customer.title,
        "_customer_key": customer.key,
        "_vendor_tags": vendor_tags(customer, vendor_prefix(defaults.vendor_tag_prefix)),
        "_fixed_tags": fixed_tags(defaults.tags, meter.tags if meter is not None else {}, customer.tags),
    }


def of_columns(customer: Customer, answers: Mapping[str, Answer]) -> dict[str, Any]:
    """What settings say: a customer's own value, also null, stands before all others."""
    own = customer.dimensions
    found: dict[str, Any] = {}
    for column, settable in SETTABLE.items():
        answer = answers[column]
        found[f"_{column}"] = own.get(column, answer.text)
        if settable.follows is not None:
            found[f"_follows_{column}"] = column not in own and answer.follows is not None
    return found


def _prices(first: Mapping[int, ChargeSlice], defaults: FocusDefaults) -> pl.DataFrame:
    charges = {s.charge.charge_id: (number, s.charge) for number, s in first.items()}
    segments = price_table(list(first.values())).select("charge_id", "component", "tier", "published_at")
    rows = []
    for charge_id, component, tier, start in segments.collect().iter_rows():
        number, charge = charges[charge_id]
        priced_as = TIER_FEE_COMPONENT if component == TIER_FEE_COMPONENT else USAGE_COMPONENT
        published = published_tier(
            charge.list_price, charge.list_discounts, start, fee=component == TIER_FEE_COMPONENT
        )
        name = priced_as if published is None else f"{priced_as}:{published[0]}"
        details = price_details(charge.list_price, published, stated_details(defaults, charge.meter))
        line = line_name(charge, component, start)
        rows.append((number, component, tier, f"{price_stem(charge)}/{name}", details, line))
    for number, charge in charges.values():
        rows.append(
            (
                number,
                MINIMUM_COMPONENT,
                None,
                f"{price_stem(charge)}/{MINIMUM_COMPONENT}",
                plain_price_details(MINIMUM_COMPONENT, stated_details(defaults, charge.meter)),
                MINIMUM_COMPONENT,
            )
        )
    return pl.DataFrame(rows, schema=PRICES, orient="row")
