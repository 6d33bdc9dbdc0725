"""The dataset Contract Commitment: what customers committed to spend, from the minimum of a rate card's price.

What belongs here: its rows. What does not: what a customer is short of a commitment (``rating.spend_limits``).
Several columns that FOCUS requires have no source in a rate card; the configuration says them, or nothing is filled.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

import polars as pl

from focus_assets.billing.datasets import CONTRACT_COMMITMENTS
from focus_assets.billing.periods import issuer_of
from focus_assets.catalog.charges import Charge, ChargeSlice, midnight
from focus_assets.catalog.periods import Period
from focus_assets.catalog.plans import billing_cadence
from focus_assets.catalog.snapshot import Catalog
from focus_assets.decimals import PRICING_QUANTITY, UNIT_PRICE, multiply
from focus_assets.focus.dimensions import Resolution, resolve
from focus_assets.lake import canonical_json
from focus_assets.settings import CommitmentSettings

_INTERVALS: Final = {(1, 0): "Monthly", (3, 0): "Quarterly", (6, 0): "Semi-Annual", (12, 0): "Annual"}


def contract_commitments(
    day: dt.date,
    catalog: Catalog,
    slices: Sequence[ChargeSlice],
    terms: CommitmentSettings | None,
    *,
    start: dt.date,
) -> pl.LazyFrame:
    """:data:`~focus_assets.billing.datasets.CONTRACT_COMMITMENTS` of the charges that begin on ``day``.

    A minimum spend is a commitment of money for one rating period; the contract is the subscription in that billing
    period, for a subscription without an end has no other. Without ``terms`` there are none. On the first day,
    ``start``, stand those too that began before.
    """
    found: dict[str, dict[str, Any]] = {}
    for s in slices:
        begins = max(s.charge.period.start.date(), start)
        if terms is not None and begins == day and minimum_of(s):
            found.setdefault(s.charge.charge_id, _row(s, resolve(catalog), terms, start))
    names = CONTRACT_COMMITMENTS.schema.names()
    rows = [{name: found[key].get(name) for name in names} for key in sorted(found)]
    return pl.LazyFrame(rows, schema=CONTRACT_COMMITMENTS.schema, orient="row").sort(
        CONTRACT_COMMITMENTS.order
    )


def contract_of(charge: Charge, start: dt.date) -> tuple[str, Period]:
    """The contract that a charge's minimum is of, with its time: the billing period in which the charge begins.

    Every day of the charge says the same. What began before ``start``, the first day of all, begins then.
    """
    begins = max(charge.period.start, midnight(start))
    cadence = billing_cadence(charge.plan, charge.subscription)
    billing = cadence.period_at(charge.subscription.anchor, begins)
    name = f"{charge.subscription.key}/{billing.start:%Y%m%dT%H%M%SZ}"
    return name, Period(billing.start, max(billing.end, charge.period.end))


def _row(s: ChargeSlice, resolution: Resolution, terms: CommitmentSettings, start: dt.date) -> dict[str, Any]:
    charge = s.charge
    amount = minimum_of(s)
    contract_id, contract = contract_of(charge, start)
    priced_in = charge.priced_in.currency.code if charge.priced_in else charge.currency
    is_own = any(card.key == charge.rate_card.key for card in charge.subscription.rate_cards)
    interval = _INTERVALS.get((charge.cadence.months, charge.cadence.days))
    is_over = s.invoice is not None
    return {
        "BillingCurrency": charge.currency,
        "ContractCommitmentApplicability": rows_that_count("x_ChargeId", charge.charge_id),
        "ContractCommitmentBenefitCategory": terms.benefit_category,
        "ContractCommitmentCategory": "Spend",
        "ContractCommitmentCost": in_money(amount, charge.priced_in.rate) if charge.priced_in else amount,
        "ContractCommitmentCreated": charge.period.start,
        "ContractCommitmentDescription": f"{charge.feature.title}, at least {amount:f} {priced_in}",
        "ContractCommitmentDurationType": str(charge.cadence),
        "ContractCommitmentFulfillmentInterval": "Full Period",
        "ContractCommitmentId": charge.charge_id,
        "ContractCommitmentLastUpdated": charge.period.end if is_over else charge.period.start,
        "ContractCommitmentLifecycleStatus": "Expired" if is_over else "Active",
        "ContractCommitmentModel": terms.model,
        "ContractCommitmentOfferCategory": "Negotiated" if is_own else "Public",
        "ContractCommitmentPaymentInterval": interval or "Custom",
        "ContractCommitmentPaymentModel": _payment_model(terms.upfront_percentage),
        "ContractCommitmentPaymentUpfrontPercentage": terms.upfront_percentage / 100,
        "ContractCommitmentPeriodEnd": charge.period.end,
        "ContractCommitmentPeriodStart": charge.period.start,
        "ContractCommitmentType": terms.type,
        "ContractId": contract_id,
        "ContractPeriodEnd": contract.end,
        "ContractPeriodStart": contract.start,
        "InvoiceIssuerName": issuer_of(s, resolution),
        "PricingCurrency": priced_in,
        "PricingCurrencyContractCommitmentCost": amount,
        "ServiceProviderName": issuer_of(s, resolution, "ServiceProviderName"),
        "x_BillingAccountId": charge.customer.account_id,
        "x_CustomerKey": charge.customer.key,
        "x_FeatureKey": charge.feature.key,
        "x_SubscriptionKey": charge.subscription.key,
    }


def rows_that_count(column: str, value: str) -> str:
    """ContractCommitmentApplicability: what counts towards a commitment are the rows whose ``column`` is ``value``."""
    condition = {"Dimension": column, "Operator": "In", "Values": [value]}
    return canonical_json({"InclusionOperator": "And", "Inclusions": [condition]}).decode()


def minimum_of(s: ChargeSlice) -> Decimal:
    """What the charge costs at least; prices without minimum: 0."""
    amount: Decimal | None = getattr(s.rate_card.price, "minimum_amount", None)
    return amount or Decimal(0)


def in_money(amount: Decimal, rate: Decimal) -> Decimal:
    """``amount`` of a custom currency in the currency of the invoice, at ``rate``, money for one."""
    cost: Decimal = pl.select(multiply(pl.lit(amount, PRICING_QUANTITY), pl.lit(rate, UNIT_PRICE))).item()
    return cost


def _payment_model(upfront: Decimal) -> str:
    return {Decimal(0): "No Upfront", Decimal(100): "All Upfront"}.get(upfront, "Partial Upfront")
