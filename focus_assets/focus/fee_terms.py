"""What the row of a flat fee says beside its amounts, in the tables that :mod:`charge_terms` makes of usage.

What belongs here: facts of the catalog, one row per fee. What does not: amounts (``rating.fees``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from focus_assets.catalog.fees import Fee
from focus_assets.catalog.snapshot import FocusDefaults
from focus_assets.decimals import minor_unit
from focus_assets.focus.charge_terms import FACTS, NO_PLAN_TITLE, PRICES, of_columns, of_currency, of_customer
from focus_assets.focus.dimensions import Resolution
from focus_assets.focus.sku import fee_price_id, price_details, stated_details
from focus_assets.rating.lines import FLAT_FEE_COMPONENT


def fee_terms(
    fees: Sequence[Fee], resolution: Resolution, defaults: FocusDefaults
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The facts of fees and of their prices, as :func:`~focus_assets.focus.charge_terms.charge_terms` gives them.

    Numbers of ``_terms`` are below zero, where usage has none.
    """
    facts = [_facts(number, fee, resolution, defaults) for number, fee in enumerate(fees, start=1)]
    prices = [
        (
            -number,
            FLAT_FEE_COMPONENT,
            None,
            fee_price_id(fee),
            price_details(fee.list_price, None, stated_details(defaults, fee.meter)),
            FLAT_FEE_COMPONENT,
        )
        for number, fee in enumerate(fees, start=1)
    ]
    return pl.DataFrame(facts, schema=FACTS, orient="row"), pl.DataFrame(prices, schema=PRICES, orient="row")


def _facts(number: int, fee: Fee, resolution: Resolution, defaults: FocusDefaults) -> dict[str, Any]:
    return {
        "charge_id": fee.charge_id,
        "slice_from": fee.service.start,
        "_terms": -number,
        "_currency": fee.currency,
        **of_currency(fee.priced_in),
        "_billing_from": fee.billing.start,
        "_billing_to": fee.billing.end,
        "_feature_key": fee.feature.key if fee.feature else None,
        "_sku_key": fee.key,
        "_once": fee.rate_card.one_time,
        "_title": fee.title,
        "_plan_key": fee.plan.key if fee.plan else None,
        "_plan_title": fee.plan.title if fee.plan else NO_PLAN_TITLE,
        "_subscription_key": fee.subscription.key,
        "_invoice": fee.invoice,
        "_invoice_line": fee.charge_id if fee.invoice else None,
        "_minor_unit": minor_unit(fee.currency) if fee.invoice else None,
        **of_customer(fee.customer, defaults, fee.meter),
        **of_columns(fee.customer, resolution.of_fee(fee)),
    }
