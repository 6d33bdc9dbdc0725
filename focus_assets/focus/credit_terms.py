"""The rows of credit itself: what buying it cost, and what of it expires unused.

What belongs here: lines of grants and their facts, in the tables of :mod:`charge_terms`. What does not: rows that a
grant pays for (``credits``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import polars as pl

from focus_assets.catalog.credit_charges import CreditCharge
from focus_assets.catalog.credits import CreditGrant
from focus_assets.catalog.snapshot import Catalog
from focus_assets.decimals import minor_unit
from focus_assets.focus.charge_terms import FACTS, PRICES, of_columns, of_customer
from focus_assets.focus.dimensions import Resolution
from focus_assets.focus.invoice_lines import line_stem
from focus_assets.focus.offers import credit_key
from focus_assets.focus.sku import plain_price_details, stated_details
from focus_assets.focus.units import MONEY_UNIT
from focus_assets.rating.lines import (
    CREDIT_EXPIRY_COMPONENT,
    CREDIT_PURCHASE_COMPONENT,
    NO_DIMENSIONS,
    RATED_LINES,
)

POOL: Final = "Credit Pool"
"""ResourceType of a grant."""

_SKU: Final = "credits"
_PRICE_ID: Final = f"default/{_SKU}/{CREDIT_PURCHASE_COMPONENT}"


def credit_lines(charges: Sequence[CreditCharge], expired: Mapping[str, Decimal]) -> pl.LazyFrame:
    """:data:`~focus_assets.rating.lines.RATED_LINES` of credit that is bought, and that has ``expired`` (by grant id).

    What is bought is billed and has no effective cost yet; what expires was billed then and becomes effective now.
    """
    rows = [
        _line(each, expired[each.charge_id] if each.expires else each.grant.amount)
        for each in charges
        if not each.expires or expired[each.charge_id] > 0
    ]
    return pl.LazyFrame(rows, schema=RATED_LINES, orient="row")


def _line(charge: CreditCharge, amount: Decimal) -> dict[str, Any]:
    expires = charge.expires
    return {
        "charge_id": charge.charge_id,
        "slice_from": charge.service.start,
        "slice_to": charge.service.end,
        "component": component_of(charge),
        "tier": None,
        "subject": None,
        "dimensions": NO_DIMENSIONS,
        "consumed_quantity": Decimal(0) if expires else None,
        "pricing_quantity": amount,
        "list_unit_price": Decimal(1),
        "contracted_unit_price": Decimal(1),
        "list_cost": amount,
        "contracted_cost": amount,
        "billed_cost": Decimal(0) if expires else amount,
        "effective_cost": amount if expires else Decimal(0),
    }


def credit_terms(
    charges: Sequence[CreditCharge],
    catalog: Catalog,
    resolution: Resolution,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The facts of the lines of ``charges``, all bought or all expiring, and of their prices, as ``charge_terms``."""
    facts = [
        _facts(each, catalog)
        | of_customer(each.customer, catalog.defaults)
        | of_columns(each.customer, resolution.fees[credit_key(each.grant)])
        | _pool(each.grant)
        for each in charges
    ]
    components = (CREDIT_PURCHASE_COMPONENT, CREDIT_EXPIRY_COMPONENT)
    details = plain_price_details("credit", stated_details(catalog.defaults))
    prices = [(0, component, None, _PRICE_ID, details, component) for component in components]
    return (
        pl.DataFrame(facts, schema=FACTS, orient="row"),
        pl.DataFrame(prices, schema=PRICES, orient="row"),
    )


def component_of(charge: CreditCharge) -> str:
    """The price component of the charge's row, and the name of its line on the invoice."""
    return CREDIT_EXPIRY_COMPONENT if charge.expires else CREDIT_PURCHASE_COMPONENT


def _facts(charge: CreditCharge, catalog: Catalog) -> dict[str, Any]:
    grant, subscription = charge.grant, charge.subscription
    return {
        "charge_id": grant.grant_id,
        "slice_from": charge.service.start,
        "_terms": 0,
        **_currency(grant, catalog),
        "_billing_from": charge.billing.start,
        "_billing_to": charge.billing.end,
        "_sku_key": _SKU,
        "_once": True,
        "_title": grant.title,
        "_subscription_key": subscription.key if subscription else None,
        "_grant": grant.grant_id,
        "_invoice": charge.invoice,
        "_invoice_line": line_stem(charge) if charge.invoice else None,
        "_minor_unit": minor_unit(charge.currency) if charge.invoice else None,
    }


def _currency(grant: CreditGrant, catalog: Catalog) -> dict[str, Any]:
    custom = catalog.custom_currency.get(grant.currency or "")
    if custom is None or grant.purchase is None:
        return {
            "_unit": MONEY_UNIT,
            "_pricing_unit": MONEY_UNIT,
            "_currency": grant.currency or catalog.defaults.currency,
        }
    return {
        "_unit": custom.title,
        "_currency": grant.purchase.currency or catalog.defaults.currency,
        "_pricing_currency": custom.code,
        "_rate": grant.purchase.per_unit_cost_basis,
    }


def _pool(grant: CreditGrant) -> dict[str, Any]:
    return {
        "_ResourceId": grant.grant_id,
        "_ResourceName": grant.title,
        "_ResourceType": POOL,
    }
