"""The lines of issued invoices, kept as they were issued.

What belongs here: keeping rows of Invoice Detail, whatever becomes of the catalog or the terms of payment. What does
not: which lines there are (``invoices``), and what corrects them (``corrected_lines``), which follows from charges.

As with closed charges (``closed``), a day's lines are one object that is put once; a later one holds the earlier lines
too.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from io import BytesIO
from typing import Final

import polars as pl

from focus_assets.billing.closed import ClosedRowsDamaged, in_shape_of, kept_objects, kept_path
from focus_assets.billing.correction_signs import CORRECTED_LINE
from focus_assets.billing.datasets import INVOICE_DETAILS
from focus_assets.lake import Lake

DATASET: Final = "closed_invoice_detail"

_LINE: Final = ["InvoiceId", "InvoiceDetailId"]


def kept_lines(lake: Lake, day: dt.date) -> pl.DataFrame:
    """The lines that stand on ``day`` and were issued, as :data:`~focus_assets.billing.datasets.INVOICE_DETAILS`."""
    objects = kept_objects(lake, DATASET, day)
    if not objects:
        return pl.DataFrame(schema=INVOICE_DETAILS.schema)
    _, sha256, path = objects[-1]
    data = lake.store.get(path)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ClosedRowsDamaged(
            f"{lake.url}/{path} holds lines of issued invoices, and its bytes are not what its name says. Bring it "
            "back from a backup of the lake. Nothing was written."
        )
    return in_shape_of(pl.read_parquet(BytesIO(data)).lazy(), INVOICE_DETAILS.schema).collect()


def with_kept_lines(lake: Lake, day: dt.date, lines: pl.LazyFrame) -> pl.LazyFrame:
    """``lines`` as they were issued, and those that were issued and are not among them any more."""
    kept = kept_lines(lake, day)
    if kept.is_empty():
        return lines
    return pl.concat([kept.lazy(), lines.join(kept.lazy(), on=_LINE, how="anti")])


def with_imported_lines(lines: pl.LazyFrame, imported: pl.LazyFrame) -> pl.LazyFrame:
    """``lines`` and those of ``imported`` invoices, sorted; these say themselves what has become of a kept line."""
    return pl.concat([lines.join(imported, on=_LINE, how="anti"), imported]).sort(INVOICE_DETAILS.order)


def keep_lines(lake: Lake, day: dt.date, lines: pl.LazyFrame) -> None:
    """Keep those of a day's ``lines`` of Invoice Detail that are no corrections; call it as the lake's writer."""
    kept = kept_lines(lake, day)
    own = lines.filter(~pl.col("InvoiceDetailId").str.contains(CORRECTED_LINE, literal=True))
    new = own.join(kept.lazy(), on=_LINE, how="anti").collect()
    if new.is_empty():
        return
    data = BytesIO()
    pl.concat([kept, new]).sort(INVOICE_DETAILS.order).write_parquet(data, compression="zstd")
    sha256 = hashlib.sha256(data.getvalue()).hexdigest()
    before = kept_objects(lake, DATASET, day)
    number = before[-1][0] + 1 if before else 1
    lake.store.put(kept_path(DATASET, day, number, sha256), data.getvalue())
    for _, _, path in before:
        lake.store.delete(path)
