"""Rows that credits pay for: what is given is a Credit row beside them, what was bought is billed with the grant.

What belongs here: FOCUS rows of a day in, FOCUS rows with credits out. What does not: how much each grant pays
(``rating.credits``), what becomes of a row that is paid (``paid_rows``) and rows of buying credit
(``credit_terms``). ``docs/mapping.md`` gives each row its rule.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

import polars as pl

from focus_assets.catalog.credit_charges import CreditCharge
from focus_assets.catalog.credits import CreditGrant, in_order_of_use
from focus_assets.catalog.snapshot import Catalog
from focus_assets.decimals import UNIT_PRICE
from focus_assets.focus.cost_and_usage import build_credit
from focus_assets.focus.credit_terms import credit_lines
from focus_assets.focus.paid_rows import credit_rows, split_rows
from focus_assets.focus.schema import internal_schema
from focus_assets.rating.credits import BILLED, GRANTS, PAYABLE, USED, draw_down

_ABOUT: Final = pl.Schema(
    {"grant": pl.String(), "_title": pl.String(), "_bought": pl.Boolean(), "_basis": UNIT_PRICE}
)


@dataclass(frozen=True)
class Billed:
    """What earlier days billed of charges, by charge, after what grants paid.

    ``priced``: the same in the custom currency that the charge is priced in, whatever of it was then paid in money.
    """

    money: Mapping[str, Decimal] = field(default_factory=dict)
    priced: Mapping[str, Decimal] = field(default_factory=dict)


def _nothing(charges: Sequence[str]) -> Billed:
    return Billed()


@dataclass(frozen=True)
class Spent:
    """What earlier days say: by grant id and charge what was paid, and what was billed of the charges one asks for."""

    used: Mapping[str, Mapping[str, Decimal]] = field(default_factory=dict)
    billed: Callable[[Sequence[str]], Billed] = _nothing


@dataclass(frozen=True)
class Credited:
    """Rows of a day after credits, and what each grant paid of each charge that day, by grant id and charge."""

    rows: pl.LazyFrame
    used: Mapping[str, Mapping[str, Decimal]]


def with_credits(
    rows: pl.LazyFrame,
    grants: Sequence[CreditGrant],
    spent: Spent,
    catalog: Catalog,
    charges: Sequence[CreditCharge],
    day: dt.date,
) -> Credited:
    """``rows`` of ``day`` (the stored shape) after ``grants`` paid for them, all that can be used that day.

    Grants that have ended are among them while charges that they have paid go on: what takes cost back gives it back
    to them, where what was bought expires at once.

    Credit in a custom currency pays first, for what is priced in it; then credit in money for what is left to be
    billed. The rows of the grants' customers are computed here and held, the others when the result is. They come
    first; then rows that no bought credit pays, those it pays, credits, and the grants' own rows, of ``charges``: what
    the day charges for credit itself.
    """
    used: dict[str, dict[str, Decimal]] = {grant.grant_id: {} for grant in grants}
    theirs = pl.col("x_CustomerKey").is_in(sorted({grant.customer for grant in grants})).fill_null(False)
    others, rows = rows.filter(~theirs), rows.filter(theirs).collect().lazy()
    falling = _falling(rows, spent)
    before = spent.billed(falling) if falling else Billed()
    for custom in (True, False):
        of_kind = [grant for grant in grants if (grant.currency in catalog.custom_currency) == custom]
        if of_kind:
            billed = before.priced if custom else before.money
            terms = _Terms(catalog, day, spent.used, billed, custom=custom)
            rows = _paid(rows, of_kind, terms, used)
    expired = {grant.grant_id: _expired(grant, spent, used, day) for grant in grants}
    parts = [others, rows]
    for expires in (False, True):
        # Apart: credit that ends on the day on which it was bought has two rows from the same instant.
        if own := [each for each in charges if each.expires is expires]:
            parts.append(build_credit(credit_lines(own, expired), own, catalog))
    return Credited(pl.concat(parts), used)


def _falling(rows: pl.LazyFrame, spent: Spent) -> list[str]:
    """Charges that cost less than before, of those that grants have paid: what was billed of them goes back first."""
    paid = sorted({charge for charges in spent.used.values() for charge in charges})
    costs = pl.col("BilledCost", "PricingCurrencyEffectiveCost")
    found = (
        rows.filter(pl.col("x_ChargeId").is_in(paid))
        .group_by("x_ChargeId")
        .agg(costs.sum())
        .filter(pl.any_horizontal(costs < 0))
        .sort("x_ChargeId")
    )
    return found.collect()["x_ChargeId"].to_list()


def _expired(
    grant: CreditGrant, spent: Spent, used: Mapping[str, Mapping[str, Decimal]], day: dt.date
) -> Decimal:
    """What of a grant is lost on ``day``: what is left when it ends, and what it is given back later."""
    today = sum(used[grant.grant_id].values(), Decimal(0))
    if grant.is_usable_on(day):
        return grant.amount - today - sum(spent.used.get(grant.grant_id, {}).values(), Decimal(0))
    return -today


@dataclass(frozen=True)
class _Terms:
    """What paying a day's rows goes by, whichever grants of one kind pay: the day, and what earlier ones say."""

    catalog: Catalog
    day: dt.date
    used: Mapping[str, Mapping[str, Decimal]]
    billed: Mapping[str, Decimal]
    custom: bool = field(kw_only=True)


def _paid(
    rows: pl.LazyFrame,
    grants: Sequence[CreditGrant],
    terms: _Terms,
    used_today: dict[str, dict[str, Decimal]],
) -> pl.LazyFrame:
    """``rows`` after ``grants`` of one kind; ``used_today`` learns what each pays."""
    lines, custom = rows.with_row_index("_line"), terms.custom
    used = [(g.grant_id, charge, v) for g in grants for charge, v in terms.used.get(g.grant_id, {}).items()]
    payable = _payable(lines, custom=custom)
    paid = draw_down(
        payable,
        _ranked(grants, terms.catalog, terms.day),
        pl.DataFrame(sorted(used), schema=USED, orient="row"),
        pl.DataFrame(sorted(terms.billed.items()), schema=BILLED, orient="row"),
    )
    by_charge = paid.join(payable.select("line", "charge_id"), on="line").group_by("grant", "charge_id")
    for grant_id, charge, amount in by_charge.agg(pl.col("amount").sum()).iter_rows():
        used_today[grant_id][charge] = amount
    about = [
        (g.grant_id, g.title, g.is_bought, g.purchase.per_unit_cost_basis if g.purchase else 1)
        for g in grants
    ]
    found = paid.join(pl.DataFrame(about, schema=_ABOUT, orient="row"), on="grant", maintain_order="left")
    bought, given = found.filter("_bought"), found.filter(~pl.col("_bought"))
    names = internal_schema().names()
    if paid.is_empty():
        return rows.select(names)
    untouched = lines.join(bought.lazy().select("line"), left_on="_line", right_on="line", how="anti")
    parts = [untouched.select(names)]
    if bought.height:
        parts.append(split_rows(lines, bought, custom=custom).select(names))
    if given.height:
        parts.append(credit_rows(lines, given, custom=custom).select(names))
    return pl.concat(parts)


def _ranked(grants: Sequence[CreditGrant], catalog: Catalog, day: dt.date) -> pl.DataFrame:
    ranks: dict[tuple[str, str], int] = {}
    rows = []
    for grant in in_order_of_use(grants):
        whose = (grant.customer, grant.currency or catalog.defaults.currency)
        rank = ranks.get(whose, 0)
        ranks[whose] = rank + 1
        features = list(grant.filters.features)
        rows.append((grant.grant_id, *whose, rank, grant.amount, features, grant.is_usable_on(day)))
    return pl.DataFrame(rows, schema=GRANTS, orient="row")


def _payable(lines: pl.LazyFrame, *, custom: bool) -> pl.DataFrame:
    """What is not paid for yet: in money what is billed, in a custom currency what is priced in it."""
    currency, cost = (
        ("PricingCurrency", "PricingCurrencyEffectiveCost") if custom else ("BillingCurrency", "BilledCost")
    )
    return (
        # Credits that are there already take off what their charge can still be paid.
        lines.select(
            pl.col("_line").alias("line"),
            pl.col("x_CustomerKey").alias("customer"),
            pl.col(currency).alias("currency"),
            pl.col("x_ChargeId").alias("charge_id"),
            pl.col("x_FeatureKey").alias("feature"),
            pl.col(cost).alias("cost"),
        )
        .collect()
        .cast(PAYABLE)
    )
