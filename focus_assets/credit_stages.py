"""What the credits of a day need of the days before: read from the records of ``focus_cost_and_usage``.

What belongs here: which days are asked, what each says, and refusing days that were computed without a grant. What
does not: drawing down (``rating.credits``) and rows (``focus.credits``).

A day's record says what each grant paid of each charge that day, and what was billed of the charges of customers who
have credit. So a grant's balance is its amount less what the records of its earlier days say, whatever the order in
which they were computed; and as their digests are inputs of the day, a day that is computed again makes the later
ones stale.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import polars as pl

from focus_assets.catalog.credits import CreditGrant
from focus_assets.decimals import COST, minor_unit
from focus_assets.errors import FocusAssetsError
from focus_assets.focus.credits import Spent
from focus_assets.lake import Lake, MissingPartitions, day_ranges
from focus_assets.rating.lines import CREDIT_EXPIRY_COMPONENT, CREDIT_PURCHASE_COMPONENT

DATASET: Final = "focus_cost_and_usage"
_FACT: Final = "credits"
_OWN: Final = (CREDIT_PURCHASE_COMPONENT, CREDIT_EXPIRY_COMPONENT)
_DAY: Final = dt.timedelta(days=1)
_CENT: Final = Decimal("0.01")


class EarlierCreditsMissing(FocusAssetsError):
    """A day on which a grant could be used is not in the lake, or was computed without the grant."""


def days_of_credit(grants: Sequence[CreditGrant], day: dt.date) -> list[dt.date]:
    """The days before ``day`` on which one of ``grants`` could already be used."""
    first = min((grant.effective_at.date() for grant in grants), default=day)
    return [first + n * _DAY for n in range((day - first).days)]


def spent_before(lake: Lake, grants: Sequence[CreditGrant], day: dt.date) -> Spent:
    """What earlier days say of ``grants``, those that can be used on ``day``.

    Raises :class:`EarlierCreditsMissing`, with the command that fills the days.
    """
    days = days_of_credit(grants, day)
    try:
        records = lake.records(DATASET, days)
    except MissingPartitions as missing:
        raise EarlierCreditsMissing(
            f"{DATASET} of {day:%F} draws on credit that could already be used on {day_ranges(missing.days)}, which "
            f"the lake does not hold. Fill these days first:\n{_command(missing.days[0], day - _DAY)}"
        ) from missing
    used: dict[str, dict[str, Decimal]] = {}
    billed: dict[str, Decimal] = {}
    priced: dict[str, Decimal] = {}
    for each, record in records.items():
        said: Mapping[str, Any] = record.facts.get(_FACT, {})
        for grant in grants:
            if grant.effective_at.date() > each:
                continue
            if grant.grant_id not in said.get("used", {}):
                raise EarlierCreditsMissing(
                    f"credit {grant.key!r} can be used from {grant.effective_at.date():%F}, but {DATASET} of "
                    f"{each:%F} was computed without it. Compute these days again:\n{_command(each, day - _DAY)}"
                )
            of_grant = used.setdefault(grant.grant_id, {})
            for charge, amount in said["used"][grant.grant_id].items():
                of_grant[charge] = of_grant.get(charge, Decimal(0)) + Decimal(amount)
        for name, sums in (("billed", billed), ("priced", priced)):
            for charge, amount in said.get(name, {}).items():
                sums[charge] = sums.get(charge, Decimal(0)) + Decimal(amount)
    return Spent(used, billed, priced)


def _command(first: dt.date, last: dt.date) -> str:
    return f"  focus-assets materialize --from {first:%F} --to {last:%F}\nNothing was written."


@dataclass(frozen=True)
class CreditFacts:
    """The facts of a day with those of its credits; see the module.

    ``used`` is what grants paid, before an invoice rounds it. ``custom``: the custom currencies.
    """

    grants: Sequence[CreditGrant]
    used: Mapping[str, Mapping[str, Decimal]]
    custom: frozenset[str]
    others: Callable[[pl.LazyFrame], Mapping[str, Any]]

    def __call__(self, frame: pl.LazyFrame) -> dict[str, Any]:
        rows = _charged(frame, self.grants)
        billed = rows.group_by("x_ChargeId").agg(pl.col("BilledCost").sum()).sort("x_ChargeId")
        # What money paid for was billed as far as credit in the custom currency is concerned.
        of_custom, is_credit = _of_custom(self.grants, self.custom), pl.col("ChargeCategory") == "Credit"
        left = rows.filter(
            pl.col("PricingCurrency") != pl.col("BillingCurrency"),
            (of_custom & is_credit) | (~of_custom & ~is_credit),
        )
        priced = (
            left.group_by("x_ChargeId").agg(pl.col("PricingCurrencyEffectiveCost").sum()).sort("x_ChargeId")
        )
        by_charge, by_priced = pl.collect_all([billed, priced])
        used = {grant: _texts(sorted(charges.items())) for grant, charges in sorted(self.used.items())}
        facts = {
            "used": used,
            "billed": _texts(by_charge.iter_rows()),
            "priced": _texts(by_priced.iter_rows()),
        }
        return {**self.others(frame), _FACT: facts}


def overdrawn(
    rows: pl.LazyFrame, grants: Sequence[CreditGrant], custom: frozenset[str], spent: Spent
) -> pl.DataFrame:
    """Grants that have paid more than there was by the end of a day, or taken back more than they had paid.

    ``rows`` are the day's, ``spent`` is what earlier days say. An invoice may round each of the day's rows of a grant.
    Columns: grant, amount, used.
    """
    paid = pl.when(_of_custom(grants, custom)).then("PricingCurrencyEffectiveCost").otherwise("EffectiveCost")
    today = (
        _charged(rows, grants)
        .filter(pl.col("x_CreditGrantId").is_not_null())
        .group_by("x_CreditGrantId")
        .agg(pl.when(pl.col("ChargeCategory") == "Credit").then(-paid).otherwise(paid).sum(), pl.len())
        .collect()
    )
    by_grant = {grant: (amount, rows) for grant, amount, rows in today.iter_rows()}
    found = []
    for grant in grants:
        amount, count = by_grant.get(grant.grant_id, (Decimal(0), 0))
        used = sum(spent.used.get(grant.grant_id, {}).values(), amount)
        is_money = grant.currency is None or len(grant.currency) == 3
        slack = count * (minor_unit(grant.currency or "USD") if is_money else _CENT)
        if not -slack <= used <= grant.amount + slack:
            found.append((grant.grant_id, grant.amount, used))
    return pl.DataFrame(found, schema={"grant": pl.String, "amount": COST, "used": COST}, orient="row")


def _charged(frame: pl.LazyFrame, grants: Sequence[CreditGrant]) -> pl.LazyFrame:
    """The rows of customers who have credit, without those of the credit itself and of rounding."""
    customers = sorted({grant.customer for grant in grants})
    return frame.filter(
        pl.col("x_CustomerKey").is_in(customers),
        ~pl.col("x_PriceComponent").is_in(_OWN),
        pl.col("ChargeCategory") != "Adjustment",
    )


def _of_custom(grants: Sequence[CreditGrant], custom: frozenset[str]) -> pl.Expr:
    ids = [grant.grant_id for grant in grants if grant.currency in custom]
    return pl.col("x_CreditGrantId").is_in(ids).fill_null(False)


def _texts(sums: Iterable[tuple[str, Decimal]]) -> dict[str, str]:
    return {charge: f"{amount.normalize():f}" for charge, amount in sums}
