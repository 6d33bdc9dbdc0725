"""The datasets that are delivered beside Cost and Usage: which rows of each a destination gets, day by day.

What belongs here: choosing rows, and the columns that files have. What does not: when a month of them is due
(``dataset_months``) and delivering it (``deliver``).

Each row lies in the file of one day. Billing periods of several accounts are one row for each period and issuer, and a
price is listed once in a month, so these lie in the file of the first day on which one of them is in the lake.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import polars as pl

from focus_assets.billing.datasets import (
    BILLING_DATASETS,
    BILLING_PERIODS,
    CONTRACT_COMMITMENTS,
    FOCUS_DATASET,
    INVOICE_DETAILS,
)
from focus_assets.billing.periods import by_issuer
from focus_assets.catalog.charges import slices_on
from focus_assets.catalog.credit_charges import Charged
from focus_assets.catalog.fees import fees_on
from focus_assets.catalog.snapshot import Catalog
from focus_assets.datasets import CATALOG
from focus_assets.delivery.by_customer import LakeOfScope
from focus_assets.delivery.facts import billing_month_of_row
from focus_assets.delivery.files import CUSTOMER, rows_in_scope
from focus_assets.delivery.layout import COST_AND_USAGE, FOLDERS
from focus_assets.delivery.manifest import Scope
from focus_assets.focus.export_dimensions import decided
from focus_assets.focus.price_list import PRICE_LIST, price_list
from focus_assets.focus.project import project
from focus_assets.settings import Destination

STARTS: Final[Mapping[str, str]] = {
    BILLING_PERIODS.name: "BillingPeriodStart",
    INVOICE_DETAILS.name: "BillingPeriodStart",
    CONTRACT_COMMITMENTS.name: "ContractPeriodStart",
}
"""The column whose UTC month is a row's billing month; a price is of the months in which it was charged."""

_SCHEMAS: Final = {dataset.name: dataset.schema for dataset in BILLING_DATASETS}
_CHARGED: Final = ("ChargedFrom", "ChargedTo")
_DAY: Final = "_day"


class Scans(Protocol):
    """Where rows are read from: the lake, or rows of it that are at hand."""

    def scan(self, dataset: str, days: Sequence[dt.date]) -> pl.LazyFrame:
        """The rows of a dataset on ``days``, in order."""


def others_of(destination: Destination) -> list[str]:
    """The datasets that a destination gets beside Cost and Usage, by their names in the lake."""
    return [name for name, folder in FOLDERS.items() if folder in destination.datasets]


def focus_name(dataset: str) -> str:
    """What ``focus.columns`` calls a dataset of the lake; a price list is none of FOCUS's."""
    return FOCUS_DATASET.get(dataset, "cost-and-usage" if dataset == COST_AND_USAGE else FOLDERS[dataset])


def own_columns(dataset: str) -> dict[str, pl.DataType]:
    """The columns of a dataset that are not FOCUS's."""
    schema = _SCHEMAS[dataset]
    is_focus = dataset in FOCUS_DATASET
    return {name: dtype for name, dtype in schema.items() if not is_focus or name.startswith("x_")}


def shown(rows: pl.LazyFrame, dataset: str, version: str) -> pl.LazyFrame:
    """Stored rows of a dataset as a FOCUS version has them."""
    return project(rows, version, FOCUS_DATASET[dataset]) if dataset in FOCUS_DATASET else rows


def months_in(rows: pl.LazyFrame, dataset: str) -> pl.LazyFrame:
    """The billing months of ``rows`` and how many rows each has: columns month and rows."""
    month = pl.col(STARTS[dataset]).dt.convert_time_zone("UTC").dt.strftime("%Y-%m")
    return rows.group_by(month.alias("month")).agg(pl.len().alias("rows")).sort("month")


def rows_of(
    lake: Scans, dataset: str, month: str, days: Sequence[dt.date], scope: Scope, destination: Destination
) -> dict[dt.date, pl.LazyFrame]:
    """The rows of ``dataset`` that ``destination`` gets of a month, for each of ``days``."""
    if dataset == COST_AND_USAGE:
        return {day: rows_in_scope(lake.scan(dataset, [day]), month, scope) for day in days}
    if dataset == PRICE_LIST.name:
        return _prices(lake, month, days, scope, destination)
    rows = {day: as_decided(_chosen(lake, dataset, month, day, scope), destination) for day in days}
    return _periods(rows) if dataset == BILLING_PERIODS.name else rows


def in_month(dataset: str, month: str) -> pl.Expr:
    """Whether a row of ``dataset`` is of a billing month."""
    if dataset == COST_AND_USAGE:
        return billing_month_of_row() == month
    return pl.col(STARTS[dataset]).dt.convert_time_zone("UTC").dt.strftime("%Y-%m") == month


def prices_by_customer(lake: Scans, month: str, day: dt.date, scope: Scope) -> pl.LazyFrame:
    """The prices that rows in scope refer to on a day, listed apart for each customer.

    Made of the rows in scope: what others agreed on is in no price list but theirs.
    """
    catalog = Catalog.from_frame(lake.scan(CATALOG.name, [day]))
    rows = rows_in_scope(lake.scan(COST_AND_USAGE, [day]), month, scope)
    charged: list[Charged] = [*slices_on(catalog, day), *fees_on(catalog, day)]
    return price_list(rows, charged, apart=(CUSTOMER,))


def _chosen(lake: Scans, dataset: str, month: str, day: dt.date, scope: Scope) -> pl.LazyFrame:
    return _of_customers(lake.scan(dataset, [day]).filter(in_month(dataset, month)), scope)


def _of_customers(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame:
    if scope.customers == "all":
        return rows
    return rows.filter(pl.col(CUSTOMER).is_in(list(scope.customers)).fill_null(value=False))


def as_decided(rows: pl.LazyFrame, destination: Destination) -> pl.LazyFrame:
    """What an export says of a column, as its rows of Cost and Usage do."""
    held = rows.collect_schema().names()
    said = {name: value for name, value in decided(destination.dimensions).items() if name in held}
    return rows.with_columns(pl.lit(value, pl.String).alias(name) for name, value in said.items())


def _periods(rows: Mapping[dt.date, pl.LazyFrame]) -> dict[dt.date, pl.LazyFrame]:
    key = ("BillingPeriodStart", "BillingPeriodEnd", "InvoiceIssuerName")
    listed = pl.concat([frame.with_columns(pl.lit(day).alias(_DAY)) for day, frame in rows.items()])
    first = listed.group_by(key).agg(pl.col(_DAY).min())
    joined = by_issuer(listed.drop(_DAY)).join(first, on=list(key)).collect()
    return _by_day(joined, list(rows), BILLING_PERIODS.order)


def _prices(
    lake: Scans, month: str, days: Sequence[dt.date], scope: Scope, destination: Destination
) -> dict[dt.date, pl.LazyFrame]:
    listed = []
    for day in days:
        if isinstance(lake, LakeOfScope):
            found = _of_customers(lake.scan(PRICE_LIST.name, [day]), scope)
        else:
            found = prices_by_customer(lake, month, day, scope)
        listed.append(found.with_columns(pl.lit(day).alias(_DAY)))
    prices = as_decided(pl.concat(listed), destination)
    names = PRICE_LIST.schema.names()
    once = (
        prices.group_by([name for name in names if name not in _CHARGED])
        .agg(pl.col("ChargedFrom").min(), pl.col("ChargedTo").max(), pl.col(_DAY).min())
        .select(*names, _DAY)
        .collect()
    )
    return _by_day(once, days, (*PRICE_LIST.order, "SkuPriceDetails", "SkuMeter", "PricingUnit", "SkuId"))


def _by_day(rows: pl.DataFrame, days: Sequence[dt.date], order: Sequence[str]) -> dict[dt.date, pl.LazyFrame]:
    ordered = rows.sort(order, nulls_last=False)
    return {day: ordered.filter(pl.col(_DAY) == day).drop(_DAY).lazy() for day in days}
