"""A billing month's rows by customer: the lake is read once, however many destinations want some of its customers.

What belongs here: taking days apart and giving a scope its rows in the lake's own order. What does not: which rows a
scope may have; that is asked again of what comes from here (``files.rows_in_scope``), so that a mistake here could
never let other rows in; that none is left out is counted.

A day is read 250,000 rows at a time. Each such run is sorted by customer and kept in a temporary Arrow file with a
batch for each customer, so that a destination of one customer reads its own batches alone. Memory is that of a run,
whatever the day's size.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

import polars as pl
import pyarrow as pa

from focus_assets.delivery.errors import DeliveryRefused
from focus_assets.delivery.files import CUSTOMER
from focus_assets.delivery.manifest import Scope
from focus_assets.lake import Lake
from focus_assets.lake.copies import temporary_folder

ROWS_AT_A_TIME: Final = 250_000
GATHERED: Final = 250_000
"""Rows that a scope may have to be held at once; one with more is filtered from the lake, streaming."""

_PLACE: Final = "x_place_in_day"
_LZ4: Final = pa.ipc.IpcWriteOptions(compression="lz4")


class MonthRows(NamedTuple):
    """A dataset's rows in a billing month: ``rows_on`` gives those of a day, ``in_month`` says which of them it has."""

    dataset: str
    rows_on: Callable[[dt.date], pl.LazyFrame]
    in_month: pl.Expr


class _Batch(NamedTuple):
    file: int
    number: int
    rows: int


class RowsByCustomer:
    """The rows of some customers in one billing month of a dataset, taken apart by :func:`rows_by_customer`.

    Those of a price list are prices with the customer who paid them.
    """

    def __init__(self, lake: Lake, dataset: str) -> None:
        self.dataset = dataset
        self._lake = lake
        self._schemas: dict[dt.date, pl.Schema] = {}
        self._batches: dict[tuple[dt.date, str], list[_Batch]] = defaultdict(list)
        self._rows: dict[str, int] = defaultdict(int)
        self._readers: list[Any] = []
        self._turn = threading.Lock()

    def lake_of(self, scope: Scope) -> LakeOfScope:
        """What to read the rows of ``scope`` from."""
        return LakeOfScope(self._lake, self, scope)

    def holds(self, scope: Scope) -> bool:
        """Whether rows of ``scope`` come from here; not those of all customers, and not very many."""
        if scope.customers == "all":
            return False
        return sum(self._rows[customer] for customer in scope.customers) <= GATHERED

    def of_day(self, day: dt.date, customers: Collection[str]) -> pl.LazyFrame:
        """The day's rows of ``customers`` in the month, in the order in which the lake has them."""
        schema = self._schemas[day]
        held = sorted(set(customers))
        batches = [batch for customer in held for batch in self._batches.get((day, customer), ())]
        if not batches:
            return pl.LazyFrame(schema=schema)
        rows = self._rows_of(batches)
        if len(held) > 1:
            rows = rows.sort(_PLACE)
        return rows.drop(_PLACE).match_to_schema(schema).lazy()

    def take_apart(
        self, day: dt.date, part: MonthRows, month: str, customers: Collection[str], folder: Path
    ) -> None:
        """Read a day once and keep the rows of ``customers`` in the month."""
        stored = part.rows_on(day)
        self._schemas[day] = stored.collect_schema()
        height = stored.select(pl.len()).collect().item()
        wanted = part.in_month & pl.col(CUSTOMER).is_in(list(customers))
        for start in range(0, height, ROWS_AT_A_TIME):
            run = stored.slice(start, ROWS_AT_A_TIME).collect().with_row_index(_PLACE, start)
            run = run.filter(wanted.fill_null(value=False)).sort(CUSTOMER, maintain_order=True)
            if run.height:
                self._keep(day, run, folder / f"{len(self._readers)}.arrow")
        kept = sum(each.rows for (of, _), found in self._batches.items() if of == day for each in found)
        counted = stored.filter(wanted).select(pl.len()).collect().item()
        if kept != counted:
            raise DeliveryRefused(
                f"{self.dataset} of billing month {month} was not delivered: of {day} {kept:,} rows were taken apart "
                f"by customer, and the lake has {counted:,}. Nothing of it was put anywhere; this is a defect of the "
                "program."
            )

    def _keep(self, day: dt.date, run: pl.DataFrame, path: Path) -> None:
        sizes = run.group_by(CUSTOMER, maintain_order=True).len().iter_rows()
        # Old strings: slices of the new ones would each be written with the texts of all.
        table = run.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest()).combine_chunks()
        begin = 0
        with pa.ipc.new_file(path, table.schema, options=_LZ4) as out:
            for number, (customer, rows) in enumerate(sizes):
                out.write_table(table.slice(begin, rows))
                self._batches[day, customer].append(_Batch(len(self._readers), number, rows))
                self._rows[customer] += rows
                begin += rows
        self._readers.append(pa.ipc.open_file(pa.memory_map(str(path))))

    def _rows_of(self, batches: Sequence[_Batch]) -> pl.DataFrame:
        with self._turn:
            read = [self._readers[batch.file].get_batch(batch.number) for batch in batches]
        found = pl.from_arrow(pa.Table.from_batches(read))
        assert isinstance(found, pl.DataFrame)
        return found


class LakeOfScope:
    """A lake in which the month's rows of one scope are at hand; everything else is read as ever."""

    def __init__(self, lake: Lake, rows: RowsByCustomer, scope: Scope) -> None:
        self._lake, self._by_customer, self._scope = lake, rows, scope

    def scan(self, dataset: str, days: Sequence[dt.date]) -> pl.LazyFrame:
        """Rows of ``days`` in order: of the dataset taken apart those of the scope in the month, of others all.

        Of a price list that was taken apart, the prices of each customer with its key.
        """
        if dataset != self._by_customer.dataset:
            return self._lake.scan(dataset, days)
        customers = self._scope.customers
        return pl.concat(self._by_customer.of_day(day, customers) for day in sorted(set(days)))


@contextmanager
def rows_by_customer(
    lake: Lake, part: MonthRows, month: str, days: Sequence[dt.date], customers: Collection[str]
) -> Iterator[RowsByCustomer]:
    """Take ``days`` of a month apart by customer; the rows can be asked for until the block ends.

    Raises what ``part`` raises, and DeliveryRefused where not every row came apart.
    """
    with TemporaryDirectory(prefix="by-customer-", dir=temporary_folder()) as folder:
        found = RowsByCustomer(lake, part.dataset)
        for day in days:
            found.take_apart(day, part, month, customers, Path(folder))
        yield found
