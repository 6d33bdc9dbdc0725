"""Imported invoices of a day: what of the lake they need, read and told.

What belongs here: which earlier days a day's invoices read, and the digests that tie them together. What does not:
which line bills what, and what rows then say (``billing``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from typing import Any, Final

import polars as pl

from focus_assets.billing.billed_rows import billed_rows
from focus_assets.billing.bills import Bill, bills_on, closed_periods
from focus_assets.billing.close import ISSUED_WHILE_OPEN, ClosedPeriod
from focus_assets.billing.closed import PERIOD_COLUMNS
from focus_assets.billing.corrections import LateUsage
from focus_assets.billing.parts import Boundary, boundaries, split_table
from focus_assets.catalog.charges import ChargeSlice
from focus_assets.catalog.credit_charges import credits_on
from focus_assets.catalog.fees import Fee
from focus_assets.catalog.snapshot import Catalog
from focus_assets.closed_stages import Facts, computed_rows
from focus_assets.decimals import UTC_INSTANT
from focus_assets.focus.schema import internal_schema
from focus_assets.issued_parts import unbilled_on
from focus_assets.lake import Lake
from focus_assets.late_stages import Rows, as_frozen
from focus_assets.quantities_at import quantities_at
from focus_assets.rating.lines import CREDIT_PURCHASE_COMPONENT

FOCUS = "focus_cost_and_usage"

_CLOSED: Final = pl.Schema(
    {"x_CustomerKey": pl.String(), "BillingPeriodStart": UTC_INSTANT, "BillingPeriodEnd": UTC_INSTANT}
)


@dataclass(frozen=True)
class InvoicedDay:
    """A day's charges as invoices bill them. ``parts`` are what rating needs; ``days_read`` by dataset.

    ``closed``: billing periods whose invoices are all issued, by customer, start and end. ``quantities``: what had been
    metered where parts begin. ``fingerprint``: what else the record says that the day rests on.
    """

    lake: Lake
    catalog: Catalog
    day: dt.date
    start: dt.date
    bills: tuple[Bill, ...]
    closed: frozenset[tuple[str, dt.datetime, dt.datetime]]
    splits: pl.LazyFrame | None
    days_read: tuple[tuple[str, dt.date], ...]
    quantities: Mapping[Boundary, Decimal] = field(default_factory=dict)
    fingerprint: Mapping[str, str] = field(default_factory=dict)
    unbilled: pl.DataFrame | None = None
    never_billed: pl.LazyFrame | None = None

    @property
    def parts(self) -> tuple[pl.LazyFrame | None, pl.LazyFrame | None]:
        """In which parts invoices bill charges (SPLITS), and what of earlier ones nobody bills (UNBILLED)."""
        return self.splits, self.never_billed

    @property
    def settling(self) -> list[Bill]:
        """The lines whose rows are added up on the day."""
        return [bill for bill in self.bills if bill.settles(self.start)]

    def without_late_usage(
        self,
        rows: pl.LazyFrame,
        slices: Sequence[ChargeSlice],
        usage: pl.LazyFrame,
        opening: pl.LazyFrame,
        rows_of: Rows,
    ) -> tuple[InvoicedDay, pl.LazyFrame]:
        """The day's ``rows`` at the quantities that lines were frozen at; the rest is added in :meth:`applied_to`."""
        frozen = as_frozen(rows, self.lake, self.settling, slices, self.quantities, usage, opening, rows_of)
        read = tuple(sorted({*self.days_read, *frozen.days_read}))
        return replace(self, unbilled=frozen.unbilled, days_read=read), frozen.rows

    def applied_to(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """The day's ``rows`` as invoices bill them, with what these add, and what came too late for them."""
        if not self.catalog.invoices:
            return rows
        days = days_of_lines(self.bills, self.day, self.start)
        # As if nothing had closed: what came late is taken back where the line ends.
        earlier = computed_rows(self.lake, days) if days else None
        named = billed_rows(rows, earlier, self.bills, self.catalog, self.day, self.start)
        if self.unbilled is not None:
            named = pl.concat([named, self.unbilled.lazy()])
        # OpenMeter has no line for what has no price, nor for credit that was bought elsewhere: such rows are as final
        # as the invoices of their period.
        without_line = (pl.col("BilledCost") == 0) | (pl.col("x_PriceComponent") == CREDIT_PURCHASE_COMPONENT)
        final = without_line & self._is_closed
        return self._marked(named).select(
            pl.when(pl.col("InvoiceId").is_null()).then(~final).otherwise("x_IsEstimated").alias(name)
            if name == "x_IsEstimated"
            else pl.col(name)
            for name in internal_schema()
        )

    def facts(
        self, others: Facts, while_open: Collection[ClosedPeriod], closed_since: Collection[ClosedPeriod] = ()
    ) -> Facts:
        """``others``, which count rows as invoiced once their period is closed, and the periods that are not.

        ``while_open``: open periods that close by themselves and have an issued invoice. ``closed_since``: periods
        that take corrections and are closed, of which the day's own catalog knows nothing.
        """
        if not self.catalog.invoices and not while_open:
            return others
        return partial(self._facts, others, while_open, closed_since)

    def _facts(
        self,
        others: Facts,
        while_open: Collection[ClosedPeriod],
        closed_since: Collection[ClosedPeriod],
        frame: pl.LazyFrame,
    ) -> dict[str, Any]:
        schema = frame.collect_schema()
        known = pl.LazyFrame(
            [
                (*each, each in while_open, each in closed_since)
                for each in sorted({*while_open, *closed_since})
            ],
            schema={
                **{name: schema[name] for name in PERIOD_COLUMNS},
                **dict.fromkeys(("_waits", "_since"), pl.Boolean()),
            },
            orient="row",
        )
        imported = pl.col("x_OpenMeterInvoiceId").is_not_null()
        closed = self._is_closed | pl.col("_since").fill_null(False)
        still_open = pl.when(imported).then(~closed).otherwise(pl.col("_waits").fill_null(False))
        marked = self._marked(frame).join(known, on=PERIOD_COLUMNS, how="left", maintain_order="left")
        marked = marked.with_columns(still_open.alias("_open"))
        issued = marked.filter("_open", ~pl.col("x_IsEstimated")).select(PERIOD_COLUMNS).unique().collect()
        counted = marked.with_columns((pl.col("x_IsEstimated") | pl.col("_open")).alias("x_IsEstimated"))
        found = others(counted.select(schema.names()))
        periods = sorted(str(ClosedPeriod(*row)) for row in issued.iter_rows())
        return {**found, **({ISSUED_WHILE_OPEN: periods} if periods else {})}

    @property
    def _is_closed(self) -> pl.Expr:
        return pl.col("_closed").fill_null(False)

    def _marked(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        closed = pl.LazyFrame(sorted(self.closed), schema=_CLOSED, orient="row").with_columns(_closed=True)
        return rows.join(closed, on=list(_CLOSED), how="left", maintain_order="left")


def invoiced_day(
    lake: Lake,
    catalog: Catalog,
    day: dt.date,
    slices: Sequence[ChargeSlice],
    fees: Sequence[Fee],
    start: dt.date,
    as_of: dt.datetime,
    late_usage: LateUsage = "rebilled",
) -> InvoicedDay:
    """What the invoices in ``catalog`` bill of a day's ``slices`` and ``fees``; ``start`` is the first day of all.

    ``late_usage``: what becomes of usage of earlier invoices of a charge that came after they were issued.

    Raises MissingPartitions where a part of a charge began on a day whose usage is not in the lake.
    """
    unbilled = unbilled_on(lake, catalog, slices, start, late_usage)
    read = set(unbilled.days_read)
    of_day = InvoicedDay(
        lake,
        catalog,
        day,
        start,
        (),
        frozenset(),
        None,
        tuple(sorted(read)),
        fingerprint=unbilled.fingerprint,
        never_billed=unbilled.table,
    )
    if not catalog.invoices and all(s.part is None for s in slices):
        return of_day
    bills = tuple(bills_on(catalog, [*slices, *fees, *credits_on(catalog, day)]))
    begins = boundaries(catalog, slices, start)
    quantities, used = quantities_at(lake, begins, start)
    read |= used | {(FOCUS, each) for each in days_of_lines(bills, day, start)}
    return replace(
        of_day,
        bills=bills,
        closed=frozenset(closed_periods(catalog, as_of)),
        splits=split_table(
            catalog, slices, start, quantities, {each: unbilled.before(each) for each in begins}
        ),
        days_read=tuple(sorted(read)),
        quantities=quantities,
    )


def days_of_lines(bills: Sequence[Bill], day: dt.date, start: dt.date) -> list[dt.date]:
    """The days before ``day`` that hold rows of lines that settle on it."""
    settling = [bill for bill in bills if bill.settles(start) and isinstance(bill.last, ChargeSlice)]
    begun = min((bill.period.start.date() for bill in settling), default=day)
    return [begun + dt.timedelta(days=n) for n in range((day - begun).days)]
