"""The rows of Contract Commitment that credit is: what customers paid in advance, for a time that ends.

What belongs here: one row per grant that was bought and expires. What does not: minimum spends (``commitments``), and
the rows that buying and using credit makes in Cost and Usage (``focus.credits``).
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import polars as pl

from focus_assets.billing.close import PeriodClose
from focus_assets.billing.commitments import in_money, rows_that_count
from focus_assets.billing.datasets import CONTRACT_COMMITMENTS
from focus_assets.billing.periods import name_in_force
from focus_assets.catalog.credits import CreditGrant
from focus_assets.catalog.snapshot import Catalog
from focus_assets.focus.dimensions import Answer, resolve
from focus_assets.focus.offers import credit_key
from focus_assets.settings import CommitmentSettings

ENDED_GRANTS: Final = "billing/ended_grants"
"""The entry in the record of a day's commitments that says which of its prepaid credits had ended."""


def prepaid_commitments(
    day: dt.date, catalog: Catalog, terms: CommitmentSettings | None, close: PeriodClose
) -> pl.LazyFrame:
    """:data:`~focus_assets.billing.datasets.CONTRACT_COMMITMENTS` of prepaid credit that takes effect on ``day``.

    Credit that never expires is none: FOCUS wants to know when a commitment ends. Without ``terms`` there are no
    rows. On the first day stand those too that began before. By ``close.as_of`` they are active, expired or canceled.
    """
    rows = []
    if terms is not None:
        resolution = resolve(catalog)
        rows = [
            _row(grant, end, catalog, resolution.fees[credit_key(grant)], terms, close.as_of)
            for grant, end in _begun(day, catalog, close.start)
        ]
    names = CONTRACT_COMMITMENTS.schema.names()
    return pl.LazyFrame(
        [{name: row.get(name) for name in names} for row in rows],
        schema=CONTRACT_COMMITMENTS.schema,
        orient="row",
    )


def ended_grants(day: dt.date, catalog: Catalog, close: PeriodClose) -> dict[str, str]:
    """An entry for records: differs when and only when other prepaid credits of ``day`` have ended."""
    begun = _begun(day, catalog, close.start)
    if not begun:
        return {}
    ended = sorted(f"{grant.grant_id}/{_status(grant, close.as_of)}" for grant, _ in begun)
    return {ENDED_GRANTS: hashlib.sha256("\n".join(ended).encode()).hexdigest()}


def _begun(day: dt.date, catalog: Catalog, start: dt.date) -> Sequence[tuple[CreditGrant, dt.datetime]]:
    """The prepaid credits that are listed on ``day``, with the instant they expire at, in the order of their ids."""
    return [
        (grant, grant.expires_at)
        for grant in sorted(catalog.credits, key=lambda g: g.grant_id)
        if _listed_on(grant, start) == day and grant.expires_at and is_commitment(grant, catalog, start)
    ]


def is_commitment(grant: CreditGrant, catalog: Catalog, start: dt.date) -> bool:
    """Whether Contract Commitment lists a grant: it is bought, expires, and can be used from ``start`` on."""
    return (
        grant.is_bought
        and grant.expires_at is not None
        # Whose it is may be known later: OpenMeter's customers come with its catalog.
        and grant.customer in catalog.customer
        and grant.is_usable_on(_listed_on(grant, start))
    )


def _listed_on(grant: CreditGrant, start: dt.date) -> dt.date:
    return max(grant.effective_at.date(), start)


def _row(
    grant: CreditGrant,
    end: dt.datetime,
    catalog: Catalog,
    answers: Mapping[str, Answer],
    terms: CommitmentSettings,
    as_of: dt.datetime,
) -> dict[str, Any]:
    customer = catalog.customer[grant.customer]
    currency = catalog.defaults.currency
    paid_in = (grant.purchase.currency or currency) if grant.purchase else (grant.currency or currency)
    priced_in = grant.currency or currency
    basis = grant.purchase.per_unit_cost_basis if grant.purchase else None
    paid = grant.amount if basis is None else in_money(grant.amount, basis)
    status = _status(grant, as_of)
    features = grant.filters.features

    def text(column: str) -> str | None:
        return answers[column].text

    return {
        "BillingCurrency": paid_in,
        "ContractCommitmentApplicability": rows_that_count("x_CreditGrantId", grant.grant_id),
        "ContractCommitmentBenefitCategory": terms.prepaid_benefit_category,
        "ContractCommitmentCategory": "Spend",
        "ContractCommitmentCost": paid,
        "ContractCommitmentCreated": grant.effective_at,
        "ContractCommitmentDescription": f"{grant.title}, {grant.amount:f} {priced_in} in advance",
        "ContractCommitmentDurationType": _duration(end - grant.effective_at),
        "ContractCommitmentFulfillmentInterval": "Full Period",
        "ContractCommitmentId": grant.grant_id,
        "ContractCommitmentLastUpdated": grant.effective_at if status == "Active" else grant.end,
        "ContractCommitmentLifecycleStatus": status,
        "ContractCommitmentModel": "Continuous",
        "ContractCommitmentOfferCategory": "Negotiated",
        "ContractCommitmentPaymentInterval": "One-Time",
        "ContractCommitmentPaymentModel": "All Upfront",
        "ContractCommitmentPaymentUpfrontPercentage": Decimal(1),
        "ContractCommitmentPeriodEnd": end,
        "ContractCommitmentPeriodStart": grant.effective_at,
        "ContractCommitmentType": terms.prepaid_type,
        "ContractId": grant.grant_id,
        "ContractPeriodEnd": end,
        "ContractPeriodStart": grant.effective_at,
        "InvoiceIssuerName": name_in_force(customer, text, "InvoiceIssuerName", grant.grant_id),
        "PricingCurrency": priced_in,
        "PricingCurrencyContractCommitmentCost": grant.amount,
        "ServiceProviderName": name_in_force(customer, text, "ServiceProviderName", grant.grant_id),
        "x_BillingAccountId": customer.account_id,
        "x_CustomerKey": customer.key,
        "x_FeatureKey": features[0] if len(features) == 1 else None,
    }


def _status(grant: CreditGrant, as_of: dt.datetime) -> str:
    if grant.voided_at is not None and grant.end == grant.voided_at and grant.voided_at <= as_of:
        return "Canceled"
    return "Expired" if grant.expires_at is not None and grant.expires_at <= as_of else "Active"


def _duration(span: dt.timedelta) -> str:
    """ISO 8601, such as ``P46D`` or ``P26DT58500S``."""
    days = f"{span.days}D" if span.days or not span.seconds else ""
    return f"P{days}" + (f"T{span.seconds}S" if span.seconds else "")
