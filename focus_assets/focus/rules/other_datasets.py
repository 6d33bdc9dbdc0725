"""The rules of Billing Period, Invoice Detail and Contract Commitment.

What belongs here: what their rows must say beyond their columns. What does not: rules that every dataset has by
its registry (presence, types, nulls, lists, notation), which are only gathered here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import polars as pl

from focus_assets.focus.columns import (
    BILLING_PERIOD,
    CONTRACT_COMMITMENT,
    INVOICE_DETAIL,
    Format,
    columns,
    versions_of,
)
from focus_assets.focus.rules import (
    formats,
    json_objects,
    key_values,
    nullability,
    object_schemas,
    presence,
    unit_names,
    values,
)
from focus_assets.focus.rules.model import (
    AnyRule,
    NoDuplicatesRule,
    OneValueRule,
    Reads,
    RowRule,
    TotalsRule,
    one_of,
)

_KEYS: Final = {
    BILLING_PERIOD: ("BillingPeriodStart", "InvoiceIssuerName"),
    INVOICE_DETAIL: ("InvoiceId", "InvoiceDetailId"),
    CONTRACT_COMMITMENT: ("ContractCommitmentId",),
}
"""What identifies a row of a dataset."""

_FINER_KEYS: Final = {BILLING_PERIOD: ("x_BillingAccountId",)}
"""What identifies it besides where accounts are told apart: FOCUS knows no account in Billing Period."""

_PERIODS: Final = {
    BILLING_PERIOD: ("BillingPeriod",),
    INVOICE_DETAIL: ("BillingPeriod",),
    CONTRACT_COMMITMENT: ("ContractPeriod", "ContractCommitmentPeriod"),
}

_RECORDS: Final = {
    BILLING_PERIOD: "BillingPeriod",
    INVOICE_DETAIL: "InvoiceDetail",
    CONTRACT_COMMITMENT: "ContractCommitment",
}
"""What the names of Created and LastUpdated begin with."""


def rules(dataset: str) -> tuple[AnyRule, ...]:
    """Every rule of one of the three datasets."""
    versions = versions_of(dataset)
    found = (
        *presence.rules(dataset),
        *nullability.never_null(dataset),
        *values.lists(dataset),
        *_shares(dataset),
        *formats.rules(dataset),
        *(_ordered(f"{period}Start", f"{period}End", strictly=True) for period in _PERIODS[dataset]),
        _ordered(f"{_RECORDS[dataset]}Created", f"{_RECORDS[dataset]}LastUpdated", strictly=False),
        *_OWN.get(dataset, ()),
        _key(_KEYS[dataset], _FINER_KEYS.get(dataset, ())),
        NoDuplicatesRule(
            id="rows.duplicate",
            sentence="No two rows may be equal in all columns.",
            section=f"Datasets: {dataset}",
        ),
        *key_values.flat(dataset),
        *json_objects.objects(dataset),
        *unit_names.rules(dataset),
    )
    return tuple(_of(rule, dataset, versions) for rule in found)


def _of(rule: AnyRule, dataset: str, versions: tuple[str, ...]) -> AnyRule:
    known = {entry.id: entry for entry in columns(dataset=dataset)}
    read: set[str] = set()
    if isinstance(rule, RowRule | TotalsRule):
        read = set(rule.reads)
    elif isinstance(rule, OneValueRule):
        read = {rule.key, rule.value}
    holds = [v for v in rule.versions if v in versions and all(known[name].in_version(v) for name in read)]
    return replace(rule, dataset=dataset, versions=tuple(holds))


def _shares(dataset: str) -> tuple[RowRule, ...]:
    return tuple(
        RowRule(
            id=f"values.{entry.id}_range",
            sentence=f"{entry.id} must be a share from 0 to 1, not a number of per cent.",
            section=f"Columns: {entry.id}",
            reads={entry.id: Reads.NUMBER},
            violation=((pl.col(entry.id) < 0) | (pl.col(entry.id) > 1)).fill_null(False),
        )
        for entry in columns(dataset=dataset)
        if entry.format is Format.SHARE
    )


def _ordered(start: str, end: str, *, strictly: bool) -> RowRule:
    first, last = pl.col(start), pl.col(end)
    return RowRule(
        id=f"periods.{end}_order",
        sentence=f"{start} must {'be before' if strictly else 'not be after'} {end}.",
        section=f"Columns: {end}",
        reads={start: Reads.INSTANT, end: Reads.INSTANT},
        violation=((first >= last) if strictly else (first > last)).fill_null(False),
    )


def _key(names: tuple[str, ...], finer: tuple[str, ...]) -> TotalsRule:
    return TotalsRule(
        id="rows.key_twice",
        sentence=f"No two rows may have the same {' and '.join(names)}.",
        section=f"Columns: {names[-1]}",
        keys=names,
        finer_keys=finer,
        reads=dict.fromkeys(names, Reads.ANY),
        totals={"rows": pl.col(names[0]).is_not_null().cast(pl.Int64)},
        violation=pl.col("rows") > 1,
    )


def _needed(name: str, when: pl.Expr, said: str, read: str) -> RowRule:
    return RowRule(
        id=f"nulls.{name}_needed",
        sentence=f"{name} must not be null where {said}.",
        section=f"Columns: {name}",
        reads={name: Reads.ANY, read: Reads.TEXT},
        violation=when & pl.col(name).is_null(),
    )


_SPEND: Final = one_of("ContractCommitmentCategory", "Spend")
_USAGE: Final = one_of("ContractCommitmentCategory", "Usage")
_ISSUED: Final = one_of("InvoiceIssueStatus", "Issued")

_OWN: Final[dict[str, tuple[AnyRule, ...]]] = {
    INVOICE_DETAIL: (
        key_values.grain_names(),
        _needed("InvoiceIssueDate", _ISSUED, "the invoice is issued", "InvoiceIssueStatus"),
        _ordered("InvoiceIssueDate", "PaymentDueDate", strictly=False),
        *(
            OneValueRule(
                id=f"invoices.InvoiceId_{value}",
                sentence=f"InvoiceId must have one {value}.",
                section=f"Columns: {value}",
                key="InvoiceId",
                value=value,
            )
            for value in ("BillingCurrency", "InvoiceIssuerName", "InvoiceIssueStatus", "InvoiceIssueDate")
        ),
    ),
    CONTRACT_COMMITMENT: (
        object_schemas.applicability(),
        _needed("ContractCommitmentCost", _SPEND, "money is committed to", "ContractCommitmentCategory"),
        _needed("ContractCommitmentQuantity", _USAGE, "usage is committed to", "ContractCommitmentCategory"),
        RowRule(
            id="nulls.ContractCommitmentUnit_with_ContractCommitmentQuantity",
            sentence="ContractCommitmentUnit must be null exactly where ContractCommitmentQuantity is null.",
            section="Columns: ContractCommitmentUnit",
            reads={"ContractCommitmentUnit": Reads.ANY, "ContractCommitmentQuantity": Reads.ANY},
            violation=pl.col("ContractCommitmentUnit").is_null()
            != pl.col("ContractCommitmentQuantity").is_null(),
        ),
        OneValueRule(
            id="contracts.ContractId_ContractPeriodStart",
            sentence="ContractId must have one ContractPeriodStart.",
            section="Columns: ContractPeriodStart",
            key="ContractId",
            value="ContractPeriodStart",
        ),
    ),
}
