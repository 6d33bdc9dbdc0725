"""Control totals between the stages of a day, read from the lake.

What belongs here: which files of a day are compared. What does not: how (``usage.controls``), and what happens
when they differ (asset checks stop the run, the export refuses the month).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping

import polars as pl

from focus_assets.billing.billed_by_difference import can_fall
from focus_assets.billing.close import ClosedPeriod, IssuedPart
from focus_assets.billing.closed import closed_on, of_periods, same_rows
from focus_assets.billing.datasets import INVOICE_DETAILS
from focus_assets.billing_stages import reconciled_day
from focus_assets.catalog.charges import ChargeSlice, slices_on
from focus_assets.catalog.fees import Fee, fees_on
from focus_assets.catalog.kept import catalog_in
from focus_assets.closed_stages import LATE_USAGE, billed_rows, computed_rows, facts_of, not_kept
from focus_assets.credit_stages import overdrawn, used_before
from focus_assets.focus.price_list import PRICE_LIST, prices_not_listed
from focus_assets.lake import Lake, partition_of_input
from focus_assets.remembered_controls import held, once, remember, what_is_read
from focus_assets.usage.controls import (
    fees_against_focus,
    focus_against_customers,
    normalized_against_totals,
    normalized_against_unbilled,
    raw_against_normalized,
    totals_against_focus,
)
from focus_assets.usage.rateable import no_earlier_totals, opening_quantities

Control = Callable[[Lake, dt.date], pl.DataFrame]

FOCUS = "focus_cost_and_usage"


def raw_rows_and_quantities(lake: Lake, day: dt.date) -> pl.DataFrame:
    """Differences between ``raw_usage`` and ``normalized_usage``."""
    return raw_against_normalized(lake.scan("raw_usage", [day]), lake.scan("normalized_usage", [day]))


def charge_totals(lake: Lake, day: dt.date) -> pl.DataFrame:
    """Differences between ``normalized_usage`` and ``usage_totals``."""
    return normalized_against_totals(
        lake.scan("normalized_usage", [day]), lake.scan("usage_totals", [day]), _slices(lake, day)
    )


def every_window_accounted_for(lake: Lake, day: dt.date) -> pl.DataFrame:
    """Windows of ``normalized_usage`` that are neither rated nor in ``unbilled_usage``, or both."""
    return normalized_against_unbilled(
        lake.scan("normalized_usage", [day]), lake.scan("unbilled_usage", [day]), _slices(lake, day)
    )


def consumed_quantities(lake: Lake, day: dt.date) -> pl.DataFrame:
    """Charges whose FOCUS rows do not consume what ``usage_totals`` says they used."""
    earlier = _days_read(lake, day, "usage_totals")
    before = lake.scan("usage_totals", earlier) if earlier else no_earlier_totals()
    totals = lake.scan("usage_totals", [day])
    return totals_against_focus(totals, opening_quantities(before, totals), computed_rows(lake, [day]))


def customers_of_charges(lake: Lake, day: dt.date) -> pl.DataFrame:
    """Charges whose FOCUS rows name another customer than ``usage_totals`` or the catalog does."""
    catalog = catalog_in(lake, day)
    # Lines that no charge explains are charges by themselves.
    invoiced = [(each.id, each.customer) for each in catalog.invoices]
    invoiced += [(line.id, each.customer) for each in catalog.invoices for line in each.lines]
    return focus_against_customers(
        lake.scan("usage_totals", [day]),
        _fees(lake, day),
        catalog.credits,
        computed_rows(lake, [day]),
        invoiced,
    )


def every_fee_charged_once(lake: Lake, day: dt.date) -> pl.DataFrame:
    """Flat fees that are due by the ``catalog`` and are not one FOCUS row, or the other way round."""
    return fees_against_focus(_fees(lake, day), computed_rows(lake, [day]))


def credits_not_overdrawn(lake: Lake, day: dt.date) -> pl.DataFrame:
    """Grants that have paid more by the end of ``day`` than they are worth, or less than nothing."""
    catalog = catalog_in(lake, day)
    before = used_before(lake, catalog.credits, day, _days_read(lake, day, FOCUS))
    rows = billed_rows(lake, [day], can_fall(slices_on(catalog, day)))
    return overdrawn(rows, catalog.credits, frozenset(catalog.custom_currency), before)


def closed_rows_unchanged(lake: Lake, day: dt.date) -> pl.DataFrame:
    """Billing periods whose rows are not those that were kept when they closed, or not with what corrects them.

    Columns: period (null: all of the customer's), customer, problem. Where late usage is rebilled, corrections and
    closed rows have to bill each customer what the day comes to now.
    """
    schema = pl.Schema({"period": pl.String(), "customer": pl.String(), "problem": pl.String()})
    with closed_on(lake, day) as kept:
        if kept.file is None:
            return pl.DataFrame(schema=schema)
        rows = lake.scan(FOCUS, [day])
        found: list[tuple[str | None, str | None, str]] = []
        if not same_rows(kept.of(rows), kept.rows):
            each_alone: list[tuple[str, list[ClosedPeriod], list[IssuedPart]]] = [
                (str(period), [period], []) for period in sorted(kept.periods)
            ]
            each_alone += [(part.invoice, [], [part]) for part in sorted(kept.parts)]
            found += [
                (name, None, "its rows are not those that were kept")
                for name, periods, parts in each_alone
                if not same_rows(of_periods(rows, periods, parts), of_periods(kept.rows, periods, parts))
            ]
        if facts_of(lake, day).get(LATE_USAGE) == "rebilled":
            amounts = pl.col("BilledCost", "EffectiveCost", "ConsumedQuantity").sum()
            key = "x_CustomerKey"
            now, then = (frame.group_by(key).agg(amounts) for frame in (rows, computed_rows(lake, [day])))
            joined = now.join(then, on=key, how="full", coalesce=True, suffix="_then")
            differs = pl.any_horizontal(
                pl.col(name).fill_null(0) != pl.col(f"{name}_then").fill_null(0)
                for name in ("BilledCost", "EffectiveCost", "ConsumedQuantity")
            )
            problem = "its rows do not add up to what the day comes to now"
            wrong = joined.filter(differs).select(key).sort(key).collect().to_series()
            found += [(None, customer, problem) for customer in wrong]
        return pl.DataFrame(found, schema=schema, orient="row")


def prices_of_charges(lake: Lake, day: dt.date) -> pl.DataFrame:
    """Prices that FOCUS rows refer to and ``focus_price_list`` does not hold."""
    earlier = _days_read(lake, day, FOCUS)
    before = lake.scan(PRICE_LIST.name, earlier) if earlier else PRICE_LIST.empty()
    return prices_not_listed(lake.scan(FOCUS, [day]), lake.scan(PRICE_LIST.name, [day]), before)


def invoice_lines_reconcile(lake: Lake, day: dt.date) -> pl.DataFrame:
    """Invoice lines settled on ``day`` that are not what rating their charges at once comes to."""
    return reconciled_day(lake, day).filter(pl.col("finding").is_not_null())


_CONTROLS: Mapping[str, tuple[str, Control]] = {
    "raw_rows_and_quantities": ("normalized_usage", raw_rows_and_quantities),
    "charge_totals": ("usage_totals", charge_totals),
    "every_window_accounted_for": ("unbilled_usage", every_window_accounted_for),
    "consumed_quantities": (FOCUS, consumed_quantities),
    "customers_of_charges": (FOCUS, customers_of_charges),
    "every_fee_charged_once": (FOCUS, every_fee_charged_once),
    "credits_not_overdrawn": (FOCUS, credits_not_overdrawn),
    "closed_rows_unchanged": (FOCUS, closed_rows_unchanged),
}

CONTROLS: Mapping[str, tuple[str, Control]] = {
    name: (dataset, once(name, control)) for name, (dataset, control) in _CONTROLS.items()
}
"""Check name → the dataset it guards, and the comparison."""

BILLING_CONTROLS: Mapping[str, tuple[str, Control]] = {
    "prices_of_charges": (PRICE_LIST.name, prices_of_charges),
    "invoice_lines_reconcile": (INVOICE_DETAILS.name, invoice_lines_reconcile),
}
"""As :data:`CONTROLS`, of what is computed from FOCUS rows and not delivered with them: no delivery waits for it."""


def control_problems(lake: Lake, day: dt.date) -> list[str]:
    """One sentence for each control total that does not hold on ``day``."""
    read = what_is_read(lake, day)
    if all(held(name, read) for name in CONTROLS):
        return not_kept(lake, day)
    found = [(name, control(lake, day)) for name, (_, control) in _CONTROLS.items() if not held(name, read)]
    remember(lake, day, read, [name for name, frame in found if frame.is_empty()])
    problems = [
        f"{name}: {frame.height} rows differ, the first is {frame.row(0, named=True)}"
        for name, frame in found
        if frame.height
    ]
    return problems + not_kept(lake, day)


def _slices(lake: Lake, day: dt.date) -> list[ChargeSlice]:
    return slices_on(catalog_in(lake, day), day)


def _days_read(lake: Lake, day: dt.date, dataset: str) -> list[dt.date]:
    """The days of a dataset, this one aside, that the day's FOCUS rows were computed from."""
    record = lake.record(FOCUS, day)
    found = [partition_of_input(key) for key in (record.inputs if record else ())]
    return sorted(each[1] for each in found if each and each[0] == dataset and each[1] != day)


def _fees(lake: Lake, day: dt.date) -> list[Fee]:
    return fees_on(catalog_in(lake, day), day)
