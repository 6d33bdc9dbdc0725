"""When a value must be there and when it must not."""

from __future__ import annotations

import polars as pl

from focus_assets.focus.columns import COST_AND_USAGE, FocusColumn, columns, own_columns
from focus_assets.focus.rules.model import (
    CHARGE_COLUMNS,
    AnyRule,
    Reads,
    RowRule,
    both,
    correction,
    one_of,
    since,
    until,
    usage_or_purchase,
)

_PRICED = (
    "ContractedUnitPrice",
    "ListUnitPrice",
    "PricingCategory",
    "PricingCurrencyContractedUnitPrice",
    "PricingCurrencyListUnitPrice",
    "PricingQuantity",
    "SkuId",
    "SkuPriceId",
)
"""Must be null on tax, must not be null on usage and purchases unless corrected."""

_PAIRS = {
    "BillingAccountType": "BillingAccountId",
    "CommitmentDiscountCategory": "CommitmentDiscountId",
    "CommitmentDiscountType": "CommitmentDiscountId",
    "CommitmentDiscountUnit": "CommitmentDiscountQuantity",
    "ConsumedUnit": "ConsumedQuantity",
    "InvoiceDetailId": "InvoiceId",
    "PricingUnit": "PricingQuantity",
    "RegionName": "RegionId",
    "ResourceType": "ResourceId",
    "SubAccountName": "SubAccountId",
    "SubAccountType": "SubAccountId",
}
"""Null exactly where the other is null."""

_PAIRED_SINCE_1_2 = {
    "CommitmentDiscountUnit",
    "ConsumedUnit",
    "PricingUnit",
    "RegionName",
    "SubAccountName",
}

_OPTIONAL = {"BillingAccountType", "InvoiceDetailId", "ResourceType", "SubAccountType"}
"""Present under a narrower condition than the column they follow."""

_FOLLOWERS = {
    "AllocatedMethodDetails": "AllocatedMethodId",
    "AllocatedResourceId": "AllocatedMethodId",
    "AllocatedResourceName": "AllocatedResourceId",
    "AllocatedTags": "AllocatedResourceId",
    "CapacityReservationStatus": "CapacityReservationId",
    "CommitmentDiscountName": "CommitmentDiscountId",
    "CommitmentDiscountQuantity": "CommitmentDiscountId",
    "CommitmentDiscountStatus": "CommitmentDiscountId",
    "ResourceName": "ResourceId",
    "SkuMeter": "SkuId",
    "SkuPriceDetails": "SkuPriceId",
}
"""Null where the other is null."""

_UNIT_PRICES = ("PricingCurrencyContractedUnitPrice", "PricingCurrencyListUnitPrice")

_WHEN_USED = {
    "PricingCurrency": ("PricingCurrency", "PricingCurrencyEffectiveCost", *_UNIT_PRICES),
    "PricingCurrencyEffectiveCost": ("PricingCurrencyEffectiveCost", *_UNIT_PRICES),
    "PricingCurrencyContractedUnitPrice": ("PricingCurrencyContractedUnitPrice",),
    "PricingCurrencyListUnitPrice": ("PricingCurrencyListUnitPrice",),
}
"""Columns that a version's full shape holds although the provider prices in the billing currency alone."""


def rules() -> tuple[AnyRule, ...]:
    """Never null, null by charge category, null together, null without what they describe."""
    return (
        *never_null(COST_AND_USAGE),
        *(_null_on_tax(name, both(name, since("1.0"))) for name in _PRICED),
        *(_set_when_priced(name, both(name, since("1.0"))) for name in _PRICED),
        _null_on_tax("PricingUnit", until("1.1")),
        _set_when_priced("PricingUnit", until("1.1")),
        *_consumed(),
        *(_pair(name, other) for name, other in _PAIRS.items()),
        *(_follows(name, other) for name, other in _FOLLOWERS.items()),
        _status_of_usage("CapacityReservationStatus", "CapacityReservationId"),
        _status_of_usage("CommitmentDiscountStatus", "CommitmentDiscountId"),
        _commitment_quantity(),
        _sku_meter_recommended(),
        _description_recommended(),
        _host_recommended(),
    )


def never_null(dataset: str) -> tuple[AnyRule, ...]:
    """The columns of a dataset that are null on no row."""
    known = (*columns(dataset=dataset), *own_columns(dataset))
    return tuple(_never_null(entry) for entry in known if set(entry.levels) - entry.nulls_in)


def _null(name: str) -> pl.Expr:
    return pl.col(name).is_null()


def _set(name: str) -> pl.Expr:
    return pl.col(name).is_not_null()


def _never_null(entry: FocusColumn) -> RowRule:
    optional = _WHEN_USED.get(entry.id, (entry.id,) if entry.id in _OPTIONAL else ())
    return RowRule(
        id=f"nulls.{entry.id}",
        sentence=f"{entry.id} must not be null.",
        section=f"Columns: {entry.id}",
        versions=tuple(version for version in entry.levels if not entry.allows_nulls(version)),
        reads={entry.id: Reads.ANY},
        violation=_null(entry.id),
        when_used=optional,
    )


def _null_on_tax(name: str, versions: tuple[str, ...]) -> RowRule:
    return RowRule(
        id=f"nulls.{name}_on_tax",
        sentence=f"{name} must be null on tax.",
        section=f"Columns: {name}",
        versions=versions,
        reads={"ChargeCategory": Reads.TEXT, name: Reads.ANY},
        violation=one_of("ChargeCategory", "Tax") & _set(name),
    )


def _set_when_priced(name: str, versions: tuple[str, ...]) -> RowRule:
    return RowRule(
        id=f"nulls.{name}_on_usage_and_purchases",
        sentence=f"{name} must not be null on usage and purchases, unless they are corrections.",
        section=f"Columns: {name}",
        versions=versions,
        reads={**CHARGE_COLUMNS, name: Reads.ANY},
        violation=usage_or_purchase() & _null(name),
        when_used=_WHEN_USED.get(name, ()),
    )


def _unused() -> pl.Expr:
    return one_of("CommitmentDiscountStatus", "Unused")


def _consumed() -> tuple[RowRule, ...]:
    metered = one_of("ChargeCategory", "Usage")
    section = "Columns: ConsumedQuantity"
    reads = {"ChargeCategory": Reads.TEXT, "ConsumedQuantity": Reads.ANY}
    return (
        RowRule(
            id="nulls.ConsumedQuantity_outside_usage",
            sentence="ConsumedQuantity must be null on everything but usage.",
            section=section,
            reads=reads,
            violation=~metered & _set("ConsumedQuantity"),
        ),
        RowRule(
            id="nulls.ConsumedQuantity_on_unused_commitment",
            sentence="ConsumedQuantity must be null on the unused part of a commitment.",
            section=section,
            reads={**reads, "CommitmentDiscountStatus": Reads.TEXT},
            violation=metered & _unused() & _set("ConsumedQuantity"),
        ),
        RowRule(
            id="nulls.ConsumedQuantity_on_usage",
            sentence="ConsumedQuantity must not be null on usage, unless corrected or an unused commitment.",
            section=section,
            reads={**CHARGE_COLUMNS, "ConsumedQuantity": Reads.ANY, "CommitmentDiscountStatus": Reads.TEXT},
            violation=metered & ~correction() & ~_unused() & _null("ConsumedQuantity"),
            optional=frozenset({"CommitmentDiscountStatus"}),
        ),
    )


def _pair(name: str, other: str) -> RowRule:
    return RowRule(
        id=f"nulls.{name}_with_{other}",
        sentence=f"{name} must be null exactly where {other} is null.",
        section=f"Columns: {name}",
        versions=both(f"{name} {other}", since("1.2" if name in _PAIRED_SINCE_1_2 else "1.0")),
        reads={name: Reads.ANY, other: Reads.ANY},
        violation=_null(name) != _null(other),
        when_used=(name,) if name in _OPTIONAL else (),
    )


def _follows(name: str, other: str) -> RowRule:
    first = "1.2" if name == "ResourceName" else "1.0"
    return RowRule(
        id=f"nulls.{name}_without_{other}",
        sentence=f"{name} must be null where {other} is null.",
        section=f"Columns: {name}",
        versions=both(f"{name} {other}", since(first)),
        reads={name: Reads.ANY, other: Reads.ANY},
        violation=_set(name) & _null(other),
    )


def _status_of_usage(name: str, other: str) -> RowRule:
    return RowRule(
        id=f"nulls.{name}_on_usage",
        sentence=f"{name} must not be null on usage where {other} is not null.",
        section=f"Columns: {name}",
        versions=both(f"{name} {other}", since("1.0")),
        reads={"ChargeCategory": Reads.TEXT, name: Reads.ANY, other: Reads.ANY},
        violation=one_of("ChargeCategory", "Usage") & _set(other) & _null(name),
    )


def _commitment_quantity() -> RowRule:
    name, other = "CommitmentDiscountQuantity", "CommitmentDiscountId"
    return RowRule(
        id=f"nulls.{name}_on_usage_and_purchases",
        sentence=f"{name} must not be null on usage and purchases with a {other}, unless corrected.",
        section=f"Columns: {name}",
        versions=both(name, since("1.0")),
        reads={**CHARGE_COLUMNS, name: Reads.ANY, other: Reads.ANY},
        violation=usage_or_purchase() & _set(other) & _null(name),
    )


def _sku_meter_recommended() -> RowRule:
    return RowRule(
        id="nulls.SkuMeter_with_SkuId",
        sentence="SkuMeter should not be null where SkuId is not null.",
        section="Columns: SkuMeter",
        versions=both("SkuMeter", since("1.0")),
        blocking=False,
        reads={"SkuMeter": Reads.ANY, "SkuId": Reads.ANY},
        violation=_set("SkuId") & _null("SkuMeter"),
    )


def _description_recommended() -> RowRule:
    return RowRule(
        id="nulls.ChargeDescription",
        sentence="ChargeDescription should not be null.",
        section="Columns: ChargeDescription",
        blocking=False,
        reads={"ChargeDescription": Reads.ANY},
        violation=_null("ChargeDescription"),
    )


def _host_recommended() -> RowRule:
    return RowRule(
        id="nulls.HostProviderName_with_RegionId",
        sentence="HostProviderName should not be null on usage in a region: something there hosts it.",
        section="Columns: HostProviderName",
        versions=both("HostProviderName", since("1.3")),
        blocking=False,
        reads={"ChargeCategory": Reads.TEXT, "HostProviderName": Reads.ANY, "RegionId": Reads.ANY},
        violation=one_of("ChargeCategory", "Usage") & _set("RegionId") & _null("HostProviderName"),
    )
