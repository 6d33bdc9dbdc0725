"""Which columns a column is computed from, between the datasets of the chain.

What belongs here: lineage as facts about the stages (``usage``, ``rating``, ``focus``). What does not: computing.
Columns of the datasets themselves are in ``datasets`` and in the column registry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import dagster as dg

from focus_assets.billing.datasets import (
    BILLING_PERIODS,
    CLOSED_PERIODS,
    CONTRACT_COMMITMENTS,
    INVOICE_DETAILS,
)
from focus_assets.focus.cost_and_usage import NOT_FILLED
from focus_assets.focus.event_values import SUBJECT
from focus_assets.focus.schema import internal_schema
from focus_assets.focus.settable import SETTABLE


@dataclass(frozen=True, order=True)
class Source:
    """A column of a dataset that another is computed from."""

    dataset: str
    column: str


FOCUS: Final = "focus_cost_and_usage"
CATALOG: Final = Source("catalog", "document")
_QUANTITY: Final = Source("normalized_usage", "quantity")
_DIMENSIONS: Final = Source("normalized_usage", "dimensions")
_DAY_TOTAL: Final = Source("usage_totals", "quantity")
_TO_DATE: Final = Source("usage_totals", "quantity_to_date")
_BY_BUYER: Final = Source("usage_totals", "usage_by_buyer")
_OPENING: Final = Source("usage_totals", "opening_quantity")

_WINDOW: Final = ("charge_date", "meter", "window_from", "window_to", "subject", "dimensions")

_USAGE: Final[Mapping[str, Mapping[str, tuple[Source, ...]]]] = {
    "normalized_usage": {
        **{name: (Source("raw_usage", name),) for name in (*_WINDOW, "kind", "charge_id")},
        "customer": (Source("raw_usage", "subject"), CATALOG),
        "quantity": (Source("raw_usage", "value"),),
        "unit": (CATALOG,),
    },
    "usage_totals": {
        **dict.fromkeys(("charge_id", "customer", "subscription", "feature", "meter", "unit"), (CATALOG,)),
        "charge_from": (CATALOG,),
        "charge_to": (CATALOG,),
        "quantity": (_QUANTITY,),
        "quantity_to_date": (_QUANTITY,),
        "opening_quantity": (_QUANTITY,),
        "usage_by_buyer": (
            Source("normalized_usage", "subject"),
            Source("normalized_usage", "dimensions"),
            _QUANTITY,
        ),
    },
    "unbilled_usage": {
        **{name: (Source("normalized_usage", name),) for name in (*_WINDOW, "customer", "quantity", "unit")},
        "reason": (Source("normalized_usage", "customer"), CATALOG),
    },
    "focus_price_list": {
        **{
            name: (Source(FOCUS, name),)
            for name in (
                "SkuPriceId",
                "SkuId",
                "SkuMeter",
                "SkuPriceDetails",
                "PricingUnit",
                "PricingCurrency",
                "ListUnitPrice",
                "ContractedUnitPrice",
            )
        },
        **dict.fromkeys(("PriceModel", "Tier", "TierFrom"), (Source(FOCUS, "SkuPriceDetails"),)),
        **dict.fromkeys(("ValidFrom", "ValidTo"), (CATALOG,)),
        "ChargedFrom": (Source(FOCUS, "ChargePeriodStart"),),
        "ChargedTo": (Source(FOCUS, "ChargePeriodEnd"),),
    },
    BILLING_PERIODS.name: dict.fromkeys(BILLING_PERIODS.schema.names(), (CATALOG,)),
    CONTRACT_COMMITMENTS.name: dict.fromkeys(CONTRACT_COMMITMENTS.schema.names(), (CATALOG,)),
    INVOICE_DETAILS.name: {
        **{
            name: (Source(FOCUS, name),)
            for name in INVOICE_DETAILS.schema.names()
            if name in internal_schema()
        },
        **dict.fromkeys(("InvoiceIssueDate", "PaymentDueDate"), (Source(FOCUS, "BillingPeriodEnd"),)),
        "InvoiceDetailDescription": (Source(FOCUS, "ChargeDescription"),),
        "PaymentCurrency": (Source(FOCUS, "BillingCurrency"),),
        "PaymentCurrencyBilledCost": (Source(FOCUS, "BilledCost"),),
        "ReferenceInvoiceId": (Source(FOCUS, "InvoiceId"), Source(FOCUS, "x_CorrectedInvoiceId")),
    },
    CLOSED_PERIODS.name: {
        name: (Source(FOCUS, name),) for name in CLOSED_PERIODS.schema.names() if name in internal_schema()
    },
}

# Rating to the end of the day minus rating to its start: the day's usage, what was used before, and the price.
_RATED: Final = (_QUANTITY, _DAY_TOTAL, _TO_DATE, _OPENING, _BY_BUYER, CATALOG)
_AMOUNTS: Final = {
    "BilledCost",
    "ContractedCost",
    "EffectiveCost",
    "ListCost",
    "PricingCurrencyEffectiveCost",
    "PricingQuantity",
}
_WITH_DIMENSIONS: Final = {"SkuId", "SkuPriceId", "Tags"}
_CONSTANT: Final = {
    "BillingAccountType",
    "ChargeClass",
    "PricingCategory",
    "x_AdjustmentReason",
    "x_CorrectedInvoiceId",
}


def sources_of(dataset: str, column: str) -> tuple[Source, ...]:
    """The columns that a column is computed from; none where it is a constant, empty, or of no other dataset."""
    if dataset == FOCUS:
        return _focus(column)
    return _USAGE.get(dataset, {}).get(column, ())


def column_lineage(dataset: str) -> dg.TableColumnLineage | None:
    """The lineage of all columns of a dataset; ``None`` where it is computed from no other."""
    names = internal_schema().names() if dataset == FOCUS else list(_USAGE.get(dataset, ()))
    deps = {
        name: [dg.TableColumnDep(dg.AssetKey(source.dataset), source.column) for source in sources]
        for name in names
        if (sources := sources_of(dataset, name))
    }
    return dg.TableColumnLineage(deps) if deps else None


def _focus(column: str) -> tuple[Source, ...]:
    if column in NOT_FILLED or column in _CONSTANT:
        return ()
    if column in _AMOUNTS:
        return _RATED
    if column == "ConsumedQuantity":
        return (_QUANTITY, _TO_DATE)
    if column in SETTABLE:
        settable = SETTABLE[column]
        sources = [CATALOG]
        if settable.from_event:
            sources.append(_DIMENSIONS)
        if _follows_subject(column):
            sources.append(Source("normalized_usage", "subject"))
        return tuple(sources)
    if column in _WITH_DIMENSIONS:
        return (CATALOG, _DIMENSIONS)
    return (CATALOG,)


def _follows_subject(column: str) -> bool:
    follows = SETTABLE[column].follows
    return follows == SUBJECT or (follows is not None and follows in SETTABLE and _follows_subject(follows))
