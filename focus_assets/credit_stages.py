"""What the credits of a day need of the days before: read from ``focus_cost_and_usage`` and its records.

What belongs here: which days are asked, what each says, and refusing days that were computed without a grant. What
does not: drawing down (``rating.credits``) and rows (``focus.credits``).

A day's record says what each grant paid of each charge that day. So a grant's balance is its amount less what the
records of its earlier days say, whatever the order in which they were computed; and as their digests are inputs of the
day, a day that is computed again makes the later ones stale. What was billed of a charge matters where the charge
costs less than before, which is rare: it is read from the rows of the charge's own days, before the first day of any
grant too.

Where late usage is not billed, what has closed of a day keeps what it was paid, whatever has come since: its closed
rows say it, and only the others draw on what is left.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Final

import polars as pl

from focus_assets.billing.billed_by_difference import can_fall
from focus_assets.billing.closed import ClosedDay, closed_days, closed_on
from focus_assets.billing.correction_signs import is_correction
from focus_assets.catalog.charges import ChargeSlice
from focus_assets.catalog.credit_charges import CreditCharge
from focus_assets.catalog.credits import CreditGrant
from focus_assets.catalog.snapshot import Catalog
from focus_assets.closed_stages import billed_rows
from focus_assets.decimals import COST, minor_unit
from focus_assets.errors import FocusAssetsError
from focus_assets.focus.credits import Billed, Credited, Spent, with_credits
from focus_assets.focus.schema import internal_schema
from focus_assets.lake import Lake, MissingPartitions, day_ranges
from focus_assets.rating.lines import CREDIT_EXPIRY_COMPONENT, CREDIT_PURCHASE_COMPONENT

DATASET: Final = "focus_cost_and_usage"
_FACT: Final = "credits"
_OWN: Final = (CREDIT_PURCHASE_COMPONENT, CREDIT_EXPIRY_COMPONENT)
_NO_CHARGE: Final = ""
_DAY: Final = dt.timedelta(days=1)
_CENT: Final = Decimal("0.01")


class EarlierCreditsMissing(FocusAssetsError):
    """A day on which a grant could be used is not in the lake, or was computed without the grant."""


def days_of_credit(grants: Sequence[CreditGrant], day: dt.date, start: dt.date) -> list[dt.date]:
    """The days before ``day``, from ``start`` on, on which one of ``grants`` could already be used.

    The chain begins with ``start``: a grant that is older begins with it, whole (``opening: zero``).
    """
    first = max(min((grant.effective_at.date() for grant in grants), default=day), start)
    return [first + n * _DAY for n in range((day - first).days)]


def used_before(
    lake: Lake, grants: Sequence[CreditGrant], day: dt.date, days: Sequence[dt.date]
) -> dict[str, dict[str, Decimal]]:
    """By grant id and charge, what ``grants`` have paid on ``days``, all of :func:`days_of_credit` before ``day``.

    Raises :class:`EarlierCreditsMissing`, with the command that fills the days.
    """
    try:
        records = lake.records(DATASET, days)
    except MissingPartitions as missing:
        raise EarlierCreditsMissing(
            f"{DATASET} of {day:%F} draws on credit that could already be used on {day_ranges(missing.days)}, which "
            f"the lake does not hold. Fill these days first:\n{_command(missing.days[0], day - _DAY)}"
        ) from missing
    used: dict[str, dict[str, Decimal]] = {}
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
    return used


def credited_on(
    lake: Lake,
    catalog: Catalog,
    day: dt.date,
    start: dt.date,
    slices: Sequence[ChargeSlice],
    rows: pl.LazyFrame,
    charges: Sequence[CreditCharge],
    *,
    kept: bool,
    anew: Collection[str] = (),
) -> tuple[Credited, list[dt.date]]:
    """``rows`` of ``day`` after the credits of ``catalog``, and the earlier days that were read.

    Args:
        lake: holds them.
        catalog: the day's.
        day: the day.
        start: the first day of all.
        slices: the day's slices of charges.
        rows: the day's rows without credit, as if nothing had closed, with the invoices that they are on.
        charges: what the day charges for credit itself.
        kept: whether what has closed of the day stays paid as it was. What that would be paid now is among the rows.
        anew: charges that are billed by the difference, closed or not: these are paid anew.

    Raises :class:`EarlierCreditsMissing`.
    """
    grants, custom = catalog.credits, frozenset(catalog.custom_currency)
    days = days_of_credit(grants, day, start)
    used = used_before(lake, grants, day, days)
    begins = {s.charge_id: s.charge.period.start.date() for s in slices}
    falling = can_fall(slices)
    billed = BilledBefore(lake, grants, custom, begins, start, day, falling)
    credited = with_credits(rows, grants, Spent(used, billed), catalog, charges, day)
    read = sorted({*days, *billed.days})
    if not kept:
        return credited, read
    is_anew = pl.col("x_ChargeId").is_in(sorted(anew)).fill_null(False)
    with closed_on(lake, day) as closed:
        then = _paid_then(closed, grants, falling).filter(~is_anew).collect()
        paid_then = _paid_by_rows(then.lazy(), grants, custom)
        (stays, goes), (of_closed, others) = (
            _kept_and_not(each, closed, is_anew) for each in (credited.rows, rows)
        )
        later = _paid_later(lake, goes, grants, custom, day, falling, anew)
        if not later and _paid_by_rows(_charged(stays, grants), grants, custom) == paid_then:
            return credited, read
    with_then = replace(billed, kept=then)
    spent = Spent(_added(_added(used, paid_then), later), with_then)
    rest = with_credits(others, grants, spent, catalog, charges, day)
    before = with_credits(of_closed, grants, Spent(used, billed), catalog, [], day)
    days_read = {*read, *billed.days, *with_then.days}
    return Credited(pl.concat([before.rows, rest.rows]), _added(rest.used, paid_then)), sorted(days_read)


def _kept_and_not(
    rows: pl.LazyFrame, closed: ClosedDay, is_anew: pl.Expr
) -> tuple[pl.LazyFrame, pl.LazyFrame]:
    """Those of ``rows`` that have closed and stay paid as they were, and the others."""
    if closed.file is None:
        return rows.clear(), rows
    of_closed = closed.of(rows)
    return of_closed.filter(~is_anew), pl.concat([closed.of(rows, others=True), of_closed.filter(is_anew)])


def _paid_then(closed: ClosedDay, grants: Sequence[CreditGrant], falling: Collection[str]) -> pl.LazyFrame:
    """Closed rows that credit can have paid; what corrects a value that can fall is paid like the value itself."""
    if closed.file is None:
        return pl.LazyFrame(schema=internal_schema())
    corrects = is_correction() & ~pl.col("x_ChargeId").is_in(sorted(falling))
    return _charged(closed.rows.filter(~corrects), grants)


def _paid_later(
    lake: Lake,
    rows: pl.LazyFrame,
    grants: Sequence[CreditGrant],
    custom: frozenset[str],
    day: dt.date,
    falling: Collection[str],
    anew: Collection[str],
) -> dict[str, dict[str, Decimal]]:
    """By grant id, what ``grants`` paid of what has closed of later days: that is not left for ``rows`` of ``day``.

    Under no charge, so that nothing of it is given back. Nothing of charges ``anew``, and where no row could be paid.
    """
    days = [each for each in closed_days(lake) if each > day]
    if not days or _charged(rows, grants).limit(1).collect().is_empty():
        return {}
    paid: dict[str, Decimal] = {}
    for each in days:
        with closed_on(lake, each) as closed:
            found = _paid_then(closed, grants, falling).filter(~pl.col("x_ChargeId").is_in(sorted(anew)))
            for grant, charges in _paid_by_rows(found, grants, custom).items():
                paid[grant] = paid.get(grant, Decimal(0)) + sum(charges.values(), Decimal(0))
    return {grant: {_NO_CHARGE: amount} for grant, amount in paid.items() if amount != 0}


def _paid_by_rows(
    rows: pl.LazyFrame, grants: Sequence[CreditGrant], custom: frozenset[str]
) -> dict[str, dict[str, Decimal]]:
    """By grant id and charge, what ``rows`` say that grants paid; an invoice rounds no ListCost."""
    is_credit = pl.col("ChargeCategory") == "Credit"
    sign = pl.when(is_credit).then(-1).otherwise(1)
    money = pl.when(is_credit).then("ListCost").otherwise("EffectiveCost")
    amount = pl.when(_of_custom(grants, custom)).then("PricingCurrencyEffectiveCost").otherwise(money)
    found = (
        rows.filter(pl.col("x_CreditGrantId").is_in([grant.grant_id for grant in grants]))
        .group_by("x_CreditGrantId", "x_ChargeId")
        .agg((amount * sign).cast(COST).sum().alias("amount"))
        .filter(pl.col("amount") != 0)
        .sort("x_CreditGrantId", "x_ChargeId")
    )
    paid: dict[str, dict[str, Decimal]] = {}
    for grant, charge, sum_of in found.collect().iter_rows():
        paid.setdefault(grant, {})[charge] = sum_of
    return paid


def _added(
    one: Mapping[str, Mapping[str, Decimal]], other: Mapping[str, Mapping[str, Decimal]]
) -> dict[str, dict[str, Decimal]]:
    """What both say, by grant and charge; every grant of either is there."""
    found = {grant: dict(charges) for grant, charges in one.items()}
    for grant, charges in other.items():
        of_grant = found.setdefault(grant, {})
        for charge, amount in charges.items():
            of_grant[charge] = of_grant.get(charge, Decimal(0)) + amount
    return found


@dataclass
class BilledBefore:
    """What the days before ``day`` billed of charges that ask for it, since their start; see :class:`Spent`.

    ``begins`` is the day each charge begins. ``days`` are those that were read, for the digests of ``day``. ``kept``:
    rows of the day itself that have closed, where they count too. ``falling``: charges whose value can fall.
    """

    lake: Lake
    grants: Sequence[CreditGrant]
    custom: frozenset[str]
    begins: Mapping[str, dt.date]
    start: dt.date
    day: dt.date
    falling: frozenset[str] = frozenset()
    days: list[dt.date] = field(default_factory=list)
    kept: pl.DataFrame | None = None

    def __call__(self, charges: Sequence[str]) -> Billed:
        """Raises :class:`EarlierCreditsMissing`, with the command that fills the days."""
        first = max(min(self.begins.get(charge, self.day) for charge in charges), self.start)
        days = [first + n * _DAY for n in range((self.day - first).days)]
        self.days = sorted({*self.days, *days})
        known = [] if self.kept is None else [self.kept.lazy()]
        if not days and not known:
            return Billed()
        try:
            earlier = [billed_rows(self.lake, days, self.falling)] if days else []
            rows = pl.concat([*earlier, *known]).filter(pl.col("x_ChargeId").is_in(charges))
        except MissingPartitions as missing:
            raise EarlierCreditsMissing(
                f"{DATASET} of {self.day:%F} takes back cost of charges that credit has paid, first what was billed of "
                f"them since {first:%F}, and the lake does not hold {day_ranges(missing.days)}. Fill these days "
                f"first:\n{_command(missing.days[0], self.day - _DAY)}"
            ) from missing
        billed, priced = pl.collect_all([_sums(rows, "BilledCost"), self._priced(rows)])
        return Billed(dict(billed.iter_rows()), dict(priced.iter_rows()))

    def _priced(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        # What money paid for was billed as far as credit in the custom currency is concerned.
        of_custom, is_credit = _of_custom(self.grants, self.custom), pl.col("ChargeCategory") == "Credit"
        left = rows.filter(
            pl.col("PricingCurrency") != pl.col("BillingCurrency"),
            (of_custom & is_credit) | (~of_custom & ~is_credit),
        )
        return _sums(left, "PricingCurrencyEffectiveCost")


def _sums(rows: pl.LazyFrame, cost: str) -> pl.LazyFrame:
    charges = rows.filter(pl.col("ChargeCategory") != "Adjustment")
    return charges.group_by("x_ChargeId").agg(pl.col(cost).sum()).sort("x_ChargeId")


def _command(first: dt.date, last: dt.date) -> str:
    return f"  focus-assets materialize --from {first:%F} --to {last:%F}\nNothing was written."


@dataclass(frozen=True)
class CreditFacts:
    """The facts of a day with those of its credits: what grants paid (``used``), before an invoice rounds it."""

    used: Mapping[str, Mapping[str, Decimal]]
    others: Callable[[pl.LazyFrame], Mapping[str, Any]]

    def __call__(self, frame: pl.LazyFrame) -> dict[str, Any]:
        used = {grant: _texts(sorted(charges.items())) for grant, charges in sorted(self.used.items())}
        return {**self.others(frame), _FACT: {"used": used}}


def overdrawn(
    rows: pl.LazyFrame,
    grants: Sequence[CreditGrant],
    custom: frozenset[str],
    before: Mapping[str, Mapping[str, Decimal]],
) -> pl.DataFrame:
    """Grants that have paid more than there was by the end of a day, or taken back more than they had paid.

    ``rows`` are the day's, ``before`` is what :func:`used_before` says. An invoice may round each of the day's rows of
    a grant. Columns: grant, amount, used.
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
        used = sum(before.get(grant.grant_id, {}).values(), amount)
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
